"""Values that no configuration has: an answer in one sentence, and at once."""

from __future__ import annotations

import dataclasses
import random
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lottery.experiments import Experiment
from lottery.recipes.catalog import recipe
from nas.search.configs import SearchConfig
from tests.commands import refused
from training.errors import LotteryError
from training.plain import from_plain, resolved, to_plain
from training.steps import Steps
from training.toml_text import from_toml, from_toml_file, override, to_toml

LENET = recipe("lth-lenet-short")
DIGITS = "9" * 401
ABSURD = {
    "brackets": "[" * 1500,
    "closed brackets": "[" * 1500 + "]" * 1500,
    "tables": "{a=" * 1500 + "1" + "}" * 1500,
    "401 digits": DIGITS,
    "minus 401 digits": f"-{DIGITS}",
    "5,000 digits": "9" * 5000,
    "5,000 hexadecimal digits": "0x" + "F" * 5000,
    "a list of 401 digits": f"[{DIGITS}]",
    "steps of 401 digits": f"{DIGITS}it",
    "a float beyond all": "1e999",
    "infinity": "-inf",
    "no number": "nan",
    "a day that is none": "2024-02-31",
    "much text": "a" * 10_000,
}
FIELDS = (
    *("seeds", "levels", "margin", "name", "arms", "training.steps", "training.batch_size"),
    *("training.optimizer.learning_rate", "training.schedule.milestones", "training.precision"),
    *("network.size.widths", "data.options.train", "data", "nothing"),
)


@pytest.mark.parametrize("field", FIELDS)
def test_absurd_values_are_refused_in_a_sentence(field: str) -> None:
    for what, text in ABSURD.items():
        if (field, what) == ("name", "a day that is none"):
            continue
        with pytest.raises(LotteryError) as caught:
            override(LENET, f"{field}={text}")
        assert len(str(caught.value)) < 500, what
        assert "\n" not in str(caught.value)


def test_what_is_absurd_is_said() -> None:
    for text, told in (
        ("seeds=" + "[" * 1500, "seeds is nested too deep to be read"),
        (f"training.batch_size={DIGITS}", "training.batch_size is out of range; whole numbers"),
        (f"seeds=[1, {DIGITS}]", "seeds.1 is out of range; whole numbers have up to 64 bits"),
        (f"training.steps={DIGITS}it", r"training.steps: '999.*\.\.\. is not a number of steps"),
        (f"levels={'9' * 5000}", "levels holds a number of thousands of digits; shorten it"),
        ("levels=1000000000", "levels = 1000000000 is out of range; it must be 0 to 1,000"),
        ("margin=nan", "margin = nan is not finite"),
    ):
        with pytest.raises(LotteryError, match=told):
            override(LENET, text)
    assert override(LENET, "levels=1000").levels == 1000


def test_numbers_at_the_border_are_numbers() -> None:
    changed = override(LENET, f"data.options.train={2**63 - 1}")
    assert changed.data.options["train"] == 2**63 - 1
    with pytest.raises(LotteryError, match=r"data\.options\.train is out of range"):
        override(LENET, f"data.options.train={2**63}")


def test_plain_values_may_be_nested_without_end() -> None:
    """As JSON is, which is read without Python's own recursion."""
    deep: object = 1
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(LotteryError, match="is nested deeper than any field"):
        from_plain(Experiment, {**to_plain(LENET), "seeds": deep})


# --- files


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("ends", [b"\n", b"\r\n"])
def test_files_may_begin_with_a_byte_order_mark(tmp_path: Path, mark: bytes, ends: bytes) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(mark + to_toml(LENET).encode().replace(b"\n", ends))
    assert from_toml_file(Experiment, path) == LENET


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b'name = "caf\xe9"', "is not UTF-8 at byte 12; save it as plain text in UTF-8"),
        ("\ufeffname = 1".encode("utf-16"), "is not UTF-8 at byte 1"),
        (b"seeds = " + b"[" * 1500, "is nested too deep to be read"),
        (b"a" + b".a" * 3000 + b" = 1", "nested deeper than any field"),
        (b"levels = " + b"9" * 5000, "holds a number of thousands of digits"),
        (b"levels = " + b"9" * 401, "levels is out of range; whole numbers"),
        (b"levels = = 1", "is not valid TOML"),
        (b"", "The field 'name' is missing"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    for kind in (Experiment, SearchConfig):
        with pytest.raises(LotteryError, match=r"mine\.toml") as caught:
            from_toml_file(kind, path)
        assert told in str(caught.value)
    for command in ("prune", "search"):
        assert told in refused(command, path, "--dry-run")


def test_no_damage_is_worse_than_a_clear_error() -> None:
    whole, draw = to_toml(LENET), random.Random(0)
    for _ in range(200):
        place = draw.randrange(len(whole))
        other = draw.choice("[]{}=.\"'\\\n#,-+_0e9\x00\u2028\U0001f600")
        try:
            from_toml(Experiment, whole[:place] + other + whole[place + draw.randrange(3) :], "x")
        except LotteryError as error:
            assert str(error).startswith("x")


@dataclass(frozen=True)
class Part:
    """Steps in every place where a configuration may have them."""

    step: Steps = Steps(epochs=1)
    steps: tuple[Steps, ...] = (Steps(epochs=1, iterations=2), Steps(iterations=3))
    named: dict[str, Steps] = field(default_factory=lambda: {"a": Steps(epochs=2)})
    word: str = "1ep"


@dataclass(frozen=True)
class Whole:
    """A configuration of parts."""

    part: Part | None = None
    parts: tuple[Part, ...] = ()


def test_steps_are_resolved_wherever_they_stand() -> None:
    part = Part(
        Steps(iterations=10),
        (Steps(iterations=12), Steps(iterations=3)),
        {"a": Steps(iterations=20)},
    )
    assert resolved(Part(), 10) == part
    assert resolved(Whole(Part(), (Part(),)), 10) == Whole(part, (part,))
    assert resolved(Whole(), 10) == Whole()
    assert resolved(part, 7) == part


def test_resolved_steps_are_checked_again() -> None:
    """A number that is fine in epochs may not be in iterations."""
    config = dataclasses.replace(LENET.training, steps=Steps(epochs=1))
    with pytest.raises(LotteryError, match="steps = 0it is out of range"):
        resolved(config, 0)
