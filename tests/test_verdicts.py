"""Questions and answers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest

from analysis.answers import Answer
from analysis.tables import read_table
from analysis.verdicts import answer_questions
from tests.fake_runs import Curve, accuracy_curve, write_run


def ask(*runs: Path) -> dict[str, Answer]:
    return {answer.question: answer for answer in answer_questions(read_table(runs))}


def test_a_run_with_winning_tickets(tmp_path: Path) -> None:
    answers = ask(write_run(tmp_path / "a"))
    assert list(answers) == [
        "Does lenet-300-100 on mnist hold winning tickets?",
        "Does the initialisation of lenet-300-100 on mnist matter?",
        "Does the place of the weights of lenet-300-100 on mnist matter?",
    ]
    assert [answer.verdict for answer in answers.values()] == ["yes", "yes", "yes"]
    first = next(iter(answers.values())).answer
    assert "With 10.7 % of its weights it still matches" in first
    assert "n = 5, p < 0.001 for a margin of 0.20" in first


def test_the_initialisation_does_not_matter_when_the_control_does_as_well(tmp_path: Path) -> None:
    run = write_run(
        tmp_path / "a", lambda arm, level, seed: 98 + 0.01 * (seed - 2) * (-1) ** len(arm)
    )
    answers = ask(run)
    assert answers["Does the initialisation of lenet-300-100 on mnist matter?"].verdict == "no"
    assert answers["Does lenet-300-100 on mnist hold winning tickets?"].verdict != "yes"


def test_one_seed_is_undecided_and_says_why(tmp_path: Path) -> None:
    answers = ask(write_run(tmp_path / "a", seeds=(0,), levels=2))
    assert {answer.verdict for answer in answers.values()} == {"undecided"}
    assert "at least 3 seeds are needed" in next(iter(answers.values())).answer


def test_a_dense_run_and_one_without_controls(tmp_path: Path) -> None:
    dense = ask(write_run(tmp_path / "a", levels=0))
    assert [answer.answer for answer in dense.values()] == ["Nothing was pruned yet."]
    alone = ask(write_run(tmp_path / "b", arms=("ticket",), levels=1))
    assert "there is no reinitialised replicate" in next(iter(alone.values())).answer


def test_search_or_prune(tmp_path: Path) -> None:
    pruned = write_run(tmp_path / "a", levels=3)
    searched = write_run(
        tmp_path / "b",
        lambda arm, level, seed: (accuracy_curve(arm, level, seed) or 0) + 2,
        network="enas-micro",
        origin="searched",
        levels=3,
    )
    question = "Search or prune: is the searched network the better one on mnist?"
    answer = ask(pruned, searched)[question]
    assert answer.verdict == "yes"
    assert "enas-micro (searched, density 51.2 %) is better than lenet-300-100" in answer.answer
    assert "+2.00 points" in answer.answer


def test_a_better_designed_network_says_no(tmp_path: Path) -> None:
    pruned = write_run(tmp_path / "a", levels=3)
    searched = write_run(
        tmp_path / "b",
        lambda arm, level, seed: (accuracy_curve(arm, level, seed) or 0) - 2,
        network="enas-micro",
        origin="searched",
        levels=3,
    )
    assert next(iter(ask(pruned, searched).values())).verdict == "no"


def test_two_designed_networks(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / name, network=name, levels=1) for name in ("a", "b")]
    answer = ask(*runs)["Is there a better network at equal size on mnist?"]
    assert answer.verdict == "undecided"
    assert "is not shown to differ from" in answer.answer


def test_diverged_tickets_are_named(tmp_path: Path) -> None:
    run = write_run(
        tmp_path / "a", lambda arm, level, seed: None if level else 98.0, levels=2, arms=("ticket",)
    )
    answer = ask(run)["Does lenet-300-100 on mnist hold winning tickets?"]
    assert answer.verdict == "no"
    assert (
        "of 2, 2 do not and 0 are undecided; diverged: ticket 10 of 10, dense 0 of 5"
        in answer.answer
    )


LOSSES = [
    # lost seeds of the ticket and of the control, of 7: the verdict, and what the sentence says
    (
        (),
        (),
        "yes",
        "the ticket beats new weights: +2.00 points [1.76, 2.24] (n = 7, one-sided p < 0.001)",
    ),
    (
        (0, 1, 2, 3),
        (),
        "undecided",
        "ticket and new weights were not told apart: +2.17 points [1.54, 2.79] (n = 3; "
        "diverged: ticket 4 of 7, reinitialised 0 of 7, one-sided sign test p = 0.773)",
    ),
    (
        (),
        (0, 1, 2, 3),
        "yes",
        "the ticket beats new weights: +2.17 points [1.54, 2.79] (n = 3; "
        "diverged: ticket 0 of 7, reinitialised 4 of 7, one-sided sign test p = 0.008)",
    ),
    (
        (),
        range(7),
        "yes",
        "the ticket beats new weights: – [–, –] (n = 0; "
        "diverged: ticket 0 of 7, reinitialised 7 of 7, one-sided sign test p = 0.008)",
    ),
    (
        range(7),
        (),
        "no",
        "new weights does as well as the ticket or better: – [–, –] (n = 0; "
        "diverged: reinitialised 0 of 7, ticket 7 of 7, one-sided sign test p = 0.008)",
    ),
    (
        range(7),
        range(7),
        "undecided",
        "ticket and new weights were not told apart: – [–, –] (n = 0; "
        "diverged: ticket 7 of 7, reinitialised 7 of 7, not tested: too few are left)",
    ),
    (
        (0,),
        (1,),
        "undecided",
        "ticket and new weights were not told apart: +2.04 points [1.66, 2.42] (n = 5; "
        "diverged: ticket 1 of 7, reinitialised 1 of 7, one-sided sign test p = 0.062)",
    ),
]


def losing(ticket: Sequence[int], control: Sequence[int]) -> Curve:
    def curve(arm: str, level: int, seed: int) -> float | None:
        lost = level and seed in (ticket if arm == "ticket" else control)
        if lost:
            return None
        return 90 + (level + 0.1 * seed if arm == "ticket" else -level + 0.1 * (3 * seed % 7))

    return curve


@pytest.mark.parametrize(("ticket", "control", "verdict", "sentence"), LOSSES)
def test_a_sentence_says_what_was_lost(
    tmp_path: Path, ticket: Sequence[int], control: Sequence[int], verdict: str, sentence: str
) -> None:
    run = write_run(
        tmp_path / "a",
        losing(ticket, control),
        seeds=range(7),
        levels=1,
        arms=("ticket", "reinitialised"),
    )
    answer = ask(run)["Does the initialisation of lenet-300-100 on mnist matter?"]
    assert answer.answer == f"At 80 % of the weights {sentence}."
    assert answer.verdict == verdict


@pytest.mark.parametrize(
    ("ticket", "control", "ahead", "verdict"),
    [(6, 5, 2.0, "undecided"), (5, 6, 2.0, "yes"), (5, 6, -2.0, "undecided"), (6, 5, -2.0, "no")],
)
def test_a_control_and_a_ticket_that_lost_more_do_not_win(
    tmp_path: Path, ticket: int, control: int, ahead: float, verdict: str
) -> None:
    """Most of 40 pairs are of one side, p < 1e-4, whichever of the two lost one more."""

    def curve(arm: str, level: int, seed: int) -> float | None:
        lost = seed < ticket if arm == "ticket" else 10 <= seed < 10 + control
        own = ahead if arm == "ticket" else 0.1 * (seed % 7)
        return None if level and lost else 90.0 + own

    arms = ("ticket", "reinitialised")
    answers = ask(write_run(tmp_path / "a", curve, seeds=range(40), levels=1, arms=arms))
    answer = answers["Does the initialisation of lenet-300-100 on mnist matter?"]
    assert answer.verdict == verdict


@pytest.mark.parametrize(
    ("ticket", "dense", "sentence"),
    [
        (
            (),
            (0,),
            "an advantage of +1.00 points [1.00, 1.00] (n = 6; diverged: ticket 0 of 7, dense 1 of 7, "
            "sign test p = 0.008 for a margin of 0.20).",
        ),
        (
            (1, 2),
            (0,),
            "of 1, 0 do not and 1 are undecided; diverged: ticket 2 of 7, dense 1 of 7.",
        ),
    ],
)
def test_whether_a_level_matches_is_said_with_what_was_lost(
    tmp_path: Path, ticket: Sequence[int], dense: Sequence[int], sentence: str
) -> None:
    def curve(arm: str, level: int, seed: int) -> float | None:
        return None if seed in (ticket if level else dense) else 90.0 + level

    run = write_run(tmp_path / "a", curve, seeds=range(7), levels=1, arms=("ticket",))
    assert sentence in next(iter(ask(run).values())).answer


@pytest.mark.parametrize(
    ("lost", "sentence"),
    [
        (
            (0, 1),
            "enas-micro (searched, density 100 %) is better than lenet-300-100 (designed, density 100 %): "
            "+2.00 points [2.00, 2.00] (adjusted rank test p = 0.008, n = 5 and 3 (2 lost))",
        ),
        (
            range(5),
            "enas-micro (searched, density 100 %) is better than lenet-300-100 (designed, density 100 %): "
            "– [–, –] (adjusted rank test p = 0.008, n = 5 and 0 (5 lost))",
        ),
    ],
)
def test_a_contest_names_its_winner_and_what_was_lost(
    tmp_path: Path, lost: Sequence[int], sentence: str
) -> None:
    def value(own: float, gone: Sequence[int], arm: str, level: int, seed: int) -> float | None:
        return None if seed in gone else 90.0 + own

    runs = [
        write_run(
            tmp_path / network,
            partial(value, own, gone),
            network=network,
            origin=origin,
            levels=0,
            arms=("ticket",),
        )
        for network, origin, own, gone in (
            ("lenet-300-100", "designed", 0.0, lost),
            ("enas-micro", "searched", 2.0, ()),
        )
    ]
    answer = ask(*runs)["Search or prune: is the searched network the better one on mnist?"]
    assert answer.verdict == "yes"
    assert sentence in answer.answer


def test_lost_controls_are_no_missing_controls(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", losing((), range(7)), seeds=range(7), levels=1)
    answer = next(iter(ask(run).values()))
    assert answer.verdict == "yes"
    assert answer.answer.endswith(
        "at 80 % by – [–, –] (n = 0; diverged: ticket 0 of 7, reinitialised 7 of 7, sign test p = 0.008)."
    )


@pytest.mark.parametrize(
    ("ticket", "control", "ending"),
    [
        ((), (), "too."),
        ((0, 1, 2, 3), (), "too; diverged: ticket 8 of 14, reinitialised 0 of 14."),
        (
            range(7),
            range(7),
            "too; diverged: ticket 14 of 14, reinitialised 14 of 14.",
        ),
        ((0,), (1, 2), "too; diverged: ticket 2 of 14, reinitialised 4 of 14."),
    ],
)
def test_what_was_lost_is_told_where_nothing_wins(
    tmp_path: Path, ticket: Sequence[int], control: Sequence[int], ending: str
) -> None:
    """Two levels of seven seeds each, at which tickets lose as many as they gain."""

    def curve(arm: str, level: int, seed: int) -> float | None:
        lost = level and seed in (ticket if arm == "ticket" else control)
        return None if lost else 90.0 - 3 * level + (-1) ** seed

    run = write_run(tmp_path / "a", curve, seeds=range(7), levels=2)
    answer = next(iter(ask(run).values()))
    assert answer.verdict != "yes"
    assert answer.answer.endswith(f"to match and to beat reinitialised {ending}")


def test_the_density_is_the_tickets_whatever_else_was_trained(tmp_path: Path) -> None:
    arms = ("ticket", "reinitialised", "dense")
    answers = ask(write_run(tmp_path / "a", arms=arms))
    answer = answers["Does the initialisation of lenet-300-100 on mnist matter?"].answer
    assert answer.startswith("At 10.7 % of the weights the ticket beats new weights")
