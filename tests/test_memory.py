"""How many replicates fit into memory, and what becomes of those that do not."""

from __future__ import annotations

import dataclasses
import doctest
import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
import torch

from lottery import cuts, memory
from lottery.cli.options import AtOnce
from lottery.cuts import Cut
from lottery.execution import noted_cut
from lottery.memory import Peak, as_many_as_fit, choose_cut, fitting, measured
from lottery.pruning.evidence import Criterion, Evidence
from lottery.pruning.masks import Tensors
from lottery.runs import Run
from lottery.tickets import pruned_masks, trained_weights
from tests.test_evidence import registered
from tests.test_stacks import IMAGES, Told, execution, results
from tests.tiny_runs import TINY, StopAfter, carry_out, dense_run, session
from training import pace
from training.errors import ExitCode, LotteryError
from training.replicates import Replicates
from training.state import TrainingState

# 3 replicates at level 0 and 6 at level 1, of 8 steps each, whose batches are cut in two parts.
STEPS = 8
TOTAL = STEPS * (3 + 6)


class Counted(Told):
    """Also counts the steps that it is told of."""

    count = 0

    def steps(self, count: int) -> None:
        """Count them."""
        self.count += count


def scarce(
    monkeypatch: pytest.MonkeyPatch, most: int, draw: int = 0, error: type[Exception] | None = None
) -> list[int]:
    """Have memory run out above so many replicates, from a draw of a step on; whom it ran out for is noted."""
    go_to, lost = Replicates.go_to, list[int]()

    def limited(replicates: Replicates, number: int, progress: float = 0.0) -> None:
        if replicates.training and len(replicates) > most and number >= draw:
            lost.append(len(replicates))
            raise (error or torch.OutOfMemoryError)(
                "CUDA out of memory. Tried to allocate 2.00 MiB"
            )
        go_to(replicates, number, progress)

    monkeypatch.setattr(Replicates, "go_to", limited)
    return lost


def checkpoint_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "SECONDS", -1.0)
    monkeypatch.setattr(pace, "SHARE", 1e9)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What comes of a run that fits, in chunks of two."""
    root = tmp_path_factory.mktemp("whole") / "tiny"
    carry_out(IMAGES, root, at_once=2, batching="looped")
    return results(root)


def same(root: Path, whole: dict[str, object]) -> bool:
    return [name for name, data in results(root).items() if whole.get(name) != data] == []


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, RuntimeError, MemoryError])
@pytest.mark.parametrize("most", [1, 2])
def test_what_does_not_fit_is_halved_and_comes_to_the_same(
    most: int,
    error: type[Exception],
    whole: dict[str, object],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lost, told, root = scarce(monkeypatch, most, error=error), Counted(), tmp_path / "tiny"
    carry_out(IMAGES, root, watcher=told, batching="looped")
    assert same(root, whole)
    # Once it is known what fits, nothing larger is tried again, at the next level either.
    assert lost == ([3] if most == 2 else [3, 2])
    assert told.notices == [
        f"Memory ran out with {count} replicates together; from here on at most {-(-count // 2)} are."
        for count in lost
    ]
    assert told.count == TOTAL
    for place, count in (("level-00", 3), ("level-01", 6)):
        parts = Cut(asked=None, device="cpu", size=99, most=most).chunks(count)
        entries = execution(root, place)
        assert [one["replicates"] for one in entries] == [[p.start, p.stop] for p in parts]
        assert {one["from_step"] for one in entries} == {0}


def test_halves_go_on_from_the_last_checkpoint(
    whole: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint_always(monkeypatch)
    lost, told, root = scarce(monkeypatch, 1, draw=2 * 5), Counted(), tmp_path / "tiny"
    carry_out(IMAGES, root, watcher=told, batching="looped")
    assert same(root, whole)
    assert lost == [3, 2]
    assert told.count == TOTAL
    # 5 steps with three together, then two of them no step further, and then each alone.
    entries = [(one["replicates"], one["from_step"]) for one in execution(root)]
    assert sorted(map(str, entries)) == sorted(
        map(str, [([0, 3], 0), ([0, 1], 5), ([1, 2], 5), ([2, 3], 5)])
    )
    assert not [name for name in Run(root).folder.names() if "checkpoint" in name]


def test_stacked_halves_agree_up_to_rounding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint_always(monkeypatch)
    dense = dataclasses.replace(IMAGES, levels=0, arms=())
    fits = carry_out(dense, tmp_path / "a" / "tiny", batching="stacked")
    assert scarce(monkeypatch, 2, draw=2 * 5) == []
    cut = carry_out(dense, tmp_path / "b" / "tiny", batching="stacked")
    for one, other in zip(fits, cut, strict=True):
        for value, again in zip(one.values, other.values, strict=True):
            assert value.value == pytest.approx(again.value, rel=1e-3, abs=0.01)
    assert len(execution(tmp_path / "b" / "tiny")) == 3


@pytest.mark.parametrize("every", [1, 4, 7])
def test_a_run_that_was_halved_is_stopped_and_resumed(
    every: int, whole: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost, root = scarce(monkeypatch, 2, draw=2 * 3), tmp_path / "tiny"
    notices: list[str] = []
    for _ in range(100):
        watcher = Stopping(every)
        try:
            carry_out(IMAGES, root, watcher=watcher, batching="looped", at_once=4)
        except LotteryError as error:
            assert error.exit_code is ExitCode.RESUMABLE
        else:
            break
        finally:
            notices += watcher.notices
    assert same(root, whole)
    # A resumed run knows what fits, and is cut as its checkpoints are.
    assert lost == [3]
    assert len(notices) == 1
    cut = noted_cut(Run(root))
    assert cut == Cut(asked=4, device="cpu", size=4, most=2)
    assert [one["replicates"] for one in execution(root, "level-01")] == [[0, 2], [2, 4], [4, 6]]


class Stopping(StopAfter, Told):
    """Asks to stop, and keeps what it is told."""

    def __init__(self, steps: int) -> None:
        StopAfter.__init__(self, steps)
        Told.__init__(self)


def test_the_history_while_it_trains_has_every_row_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint_always(monkeypatch)
    scarce(monkeypatch, 2, draw=2 * 7)
    with pytest.raises(LotteryError, match="Stopped"):
        carry_out(IMAGES, tmp_path / "tiny", watcher=StopAfter(STEPS), batching="looped")
    lines = (tmp_path / "tiny" / "metrics.jsonl").read_text().splitlines()
    assert lines
    assert len(set(lines)) == len(lines)


def test_one_that_does_not_fit_alone_is_5_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(root: Path, batching: str, **how: Any) -> str:
        with pytest.raises(LotteryError) as caught:
            carry_out(dataclasses.replace(IMAGES, **how), root, batching=batching)
        assert caught.value.exit_code is ExitCode.OUT_OF_MEMORY
        return str(caught.value)

    scarce(monkeypatch, 0)
    assert refused(tmp_path / "tiny", "stacked") == (
        "One replicate of lenet-300-100 alone does not fit into memory (OutOfMemoryError: CUDA out of memory. Tried "
        "to allocate 2.00 MiB); go on with --batching looped, or begin another run (--out) with --set "
        "training.accumulation=5, which takes each batch in 5 parts, or a training.batch_size below 50, or --precision "
        f"bf16; finished levels are kept in {tmp_path / 'tiny'}."
    )
    least = dataclasses.replace(IMAGES.training, accumulation=50, precision="bf16")
    told = refused(tmp_path / "least", "looped", training=least)
    assert "; take a smaller network or a larger machine; " in told


def test_another_error_is_not_taken_for_a_lack_of_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def draw(*of: object) -> None:
        raise RuntimeError("another")

    monkeypatch.setattr(Replicates, "draw", draw)
    with pytest.raises(RuntimeError, match="another"):
        carry_out(IMAGES, tmp_path / "tiny", at_once=2)


def test_pruning_is_halved_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def scores(evidence: Evidence) -> Tensors:
        gradients = evidence.gradients(evidence.start)
        return {name: gradients[name].abs() for name in evidence.mask}

    criterion = Criterion(summary="", scores=scores, needs=("start", "gradients"))
    experiment = dataclasses.replace(registered(monkeypatch, criterion), seeds=(0, 1, 2))
    one = dataclasses.replace(dense_run(experiment, tmp_path / "tiny"), batching="looped")
    expected = pruned_masks(one, 1, trained_weights(one, 0))
    told = Told()
    lost = scarce(monkeypatch, 2)
    found = pruned_masks(dataclasses.replace(one, watcher=told), 1, trained_weights(one, 0))
    assert lost == [3]
    assert len(told.notices) == 1
    assert list(found) == list(expected)
    for ticket, mask in expected.items():
        assert all(torch.equal(m, found[ticket][name]) for name, m in mask.items())


# What fits


def test_examples() -> None:
    for module in (cuts, memory):
        done = doctest.testmod(module)
        assert done.attempted > 0
        assert done.failed == 0


@pytest.mark.parametrize(
    ("one", "two", "free", "count"),
    [
        # 100 each and 400 fixed: (0.8 x 10,000 - 400) / 100.
        (Peak(500, 500), Peak(600, 600), 10_000, 76),
        # Exactly so many: 400 + 36 x 100 = 4,000; and a byte less of 5,000.
        (Peak(500, 500), Peak(600, 600), 5_000, 36),
        (Peak(500, 500), Peak(600, 600), 4_998, 35),
        # Tensors of a small network lie in what is reserved for one: 20 each, and 980 fixed.
        (Peak(100, 1000), Peak(120, 1000), 10_000, 351),
        # Graphs of steps are reserved beyond what tensors take: 300 each.
        (Peak(500, 800), Peak(600, 1100), 10_000, 25),
        # What is fixed alone leaves nothing, and one is tried all the same.
        (Peak(9000, 9000), Peak(9100, 9100), 10_000, 1),
        # All that is measured is each one's own.
        (Peak(50, 50), Peak(100, 100), 1_000, 16),
    ],
)
def test_what_fits_follows_from_one_and_two(one: Peak, two: Peak, free: int, count: int) -> None:
    assert fitting(one, two, free) == count


class Card:
    """Stands for `torch.cuda`: tensors of so many bytes for each replicate, beside what a process takes once.

    Args:
        each: bytes of a replicate.
        free: bytes.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, each: int, free: int) -> None:
        self.taken, self.most, self.steps = 0, 0, dict[int, int]()
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 10 * free))
        monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", self.reset)
        for name in ("memory_allocated", "memory_reserved"):
            monkeypatch.setattr(torch.cuda, name, lambda device: self.taken)
            monkeypatch.setattr(torch.cuda, f"max_{name}", lambda device: self.most)
        draw = Replicates.draw

        def noted(replicates: Replicates) -> None:
            count = len(replicates)
            self.steps[count] = self.steps.get(count, 0) + 1
            # Work space, which stays.
            self.taken = 1000
            self.most = max(self.most, self.taken + 300 + each * count)
            draw(replicates)

        monkeypatch.setattr(Replicates, "draw", noted)

    def reset(self, device: torch.device) -> None:
        """Forget the most."""
        self.most = self.taken


def test_what_fits_is_measured_with_steps_that_are_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    card = Card(monkeypatch, each=100, free=10_000)
    one = session(IMAGES)
    weights = {name: p.clone() for name, p in one.network.named_parameters()}
    # 300 fixed: (8,000 - 300) / 100.
    assert measured(one) == 77
    # Two parts of four steps; of one replicate a first time for what stays.
    assert card.steps == {1: 2 * 8, 2: 8}
    for name, parameter in one.network.named_parameters():
        assert torch.equal(parameter, weights[name])


@pytest.mark.parametrize("most", [0, 1])
def test_two_that_do_not_fit_are_one(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    Card(monkeypatch, each=100, free=10_000)
    scarce(monkeypatch, most)
    monkeypatch.setattr(memory, "estimated", measured)
    assert as_many_as_fit(session(IMAGES)) == 1


# What a run notes of it


def chosen(root: Path, monkeypatch: pytest.MonkeyPatch, fits: int, **how: Any) -> Cut:
    monkeypatch.setattr(memory, "estimated", lambda session: fits)
    return choose_cut(session(TINY, root, **how))


def test_what_was_chosen_holds_where_as_much_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "tiny"
    assert chosen(root, monkeypatch, 5) == Cut(asked=None, device="cpu", size=5, most=5)
    assert chosen(root, monkeypatch, 5, at_once=2) == Cut(asked=2, device="cpu", size=2, most=2)
    with pytest.raises(LotteryError, match="Stopped"):
        carry_out(TINY, root, watcher=StopAfter(5))
    # More memory changes nothing; less does, and so does whoever asks for something else.
    assert chosen(root, monkeypatch, 9).size == 5
    assert chosen(root, monkeypatch, 4).size == 4
    assert chosen(root, monkeypatch, 9, at_once=3).size == 3


def on_cuda(monkeypatch: pytest.MonkeyPatch, fits: Callable[[object], int]) -> Any:
    """A session's stand-in on a device that is not there."""
    monkeypatch.setattr(memory, "measured", fits)
    real = session(TINY)

    class Task:
        device = torch.device("cuda")

    class Session:
        run, at_once, task = real.run, None, Task()

    return Session()


def test_cuda_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def fits(one: object) -> int:
        asked.append(one)
        return 6

    one = on_cuda(monkeypatch, fits)
    first = choose_cut(one)
    assert first == Cut(asked=None, device="cuda", size=6, most=6)
    less = dataclasses.replace(first, most=3)
    for noted in (first, less):
        monkeypatch.setattr(memory, "noted_cut", lambda run, files, noted=noted: noted)
        assert choose_cut(one) == noted
    assert len(asked) == 1
    # What a CPU was estimated to hold says nothing of it.
    other = dataclasses.replace(first, device="cpu", size=1000)
    monkeypatch.setattr(memory, "noted_cut", lambda run, files: other)
    assert choose_cut(one) == first


def test_another_cut_is_told(tmp_path: Path) -> None:
    root = tmp_path / "tiny"
    with pytest.raises(LotteryError, match="Stopped"):
        carry_out(IMAGES, root, watcher=StopAfter(5), at_once=3)
    told = Told()
    carry_out(IMAGES, root, watcher=told, at_once=2)
    assert told.notices == [
        "Level 0 is trained with 2 replicates together and begins anew, where 3 were together before: what is stacked "
        "may differ in rounding, and by what training makes of that, from an uninterrupted run."
    ]


def test_a_run_that_was_stopped_tells_nothing(tmp_path: Path) -> None:
    told = Told()
    for watcher in (StopAfter(5), told):
        try:
            carry_out(IMAGES, tmp_path / "tiny", watcher=watcher, at_once=2)
        except LotteryError as error:
            assert error.exit_code is ExitCode.RESUMABLE
    assert told.notices == []


# Cuts


def test_every_chunk_lies_within_one_of_each_larger_cut() -> None:
    for size in range(1, 9):
        cut = Cut(asked=None, device="cuda", size=size, most=size)
        before = cut.chunks(20)
        while cut.most > 1:
            largest = max(before, key=len)
            cut = cut.below(largest)
            now = cut.chunks(20)
            assert [r for chunk in now for r in chunk] == [*range(20)]
            assert max(map(len, now)) <= cut.most < len(largest)
            for chunk in now:
                assert any({*chunk} <= {*other} for other in before)
            before = now
        assert before == [range(r, r + 1) for r in range(20)]


def test_the_option() -> None:
    kind = AtOnce()
    assert kind.convert("auto", None, None) is None
    assert kind.convert("12", None, None) == 12
    for given in ("0", "-1", "all", "2.5"):
        with pytest.raises(click.BadParameter, match="neither auto nor a whole number from 1 on"):
            kind.convert(given, None, None)


def test_training_state_is_not_kept_between_chunks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two chunks at once would take twice the memory."""
    alive: list[int] = []
    init = Replicates.__init__

    def counted(replicates: Replicates, *how: Any) -> None:
        gc.collect()
        alive.append(sum(type(one) is TrainingState for one in gc.get_objects()))
        init(replicates, *how)

    monkeypatch.setattr(Replicates, "__init__", counted)
    carry_out(dataclasses.replace(IMAGES, levels=0, arms=()), tmp_path / "tiny", at_once=1)
    assert len(alive) >= 3
    assert set(alive) == {0}
