"""Training on an emulated device equals that on a CPU bit for bit, and nothing in a step waits for the device.

`tests/test_emulated_device.py` runs this in a process of its own.
"""

from __future__ import annotations

import functools
import itertools
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.emulated_cases import (
    CASES,
    CPU,
    STEPS,
    STOP,
    TEXT,
    TUNED,
    Case,
    Training,
    any_device,
    every,
)
from tests.emulated_device import DEVICE, begin, emulated
from training.checkpoints import restore_checkpoint
from training.state import TrainingState


def test_every_two_values_meet() -> None:
    fields = [*Case.__dataclass_fields__]
    for one, other in itertools.combinations(fields, 2):
        met = {(getattr(case, one), getattr(case, other)) for case in CASES}
        values = ({getattr(case, name) for case in CASES} for name in (one, other))
        assert met == {*itertools.product(*values)}, (one, other)


@pytest.fixture(autouse=True, scope="module")
def _named() -> None:
    begin()


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a training on the CPU and on the device.

    Attributes:
        expected: the state at the end, on the CPU.
        found: on the device.
        state: there.
        waits: after every step but the first that a process takes, and the step's number.
        unrepeatable: operations that would not repeat on CUDA.
    """

    expected: bytes
    found: bytes
    state: TrainingState
    waits: dict[int, Counter[str]]
    unrepeatable: Counter[str]


@functools.cache
def outcome(case: Case) -> Outcome:
    """Train in both ways."""
    with any_device():
        expected = Training(case, CPU).run()
        with emulated() as emulation:
            training = Training(case, DEVICE)
            if case.restored:
                saved = training.run_to(STOP)
                training = Training(case, DEVICE)
                restore_checkpoint(training.state, saved, Path("state"))
            notes: dict[int, Counter[str]] = {}

            def note(state: TrainingState) -> None:
                notes[state.step] = Counter(emulation.waits)

            found = training.run(note)
            assert emulation.operations
    waits = {step: notes[step] - notes[step - 1] for step in notes if step - 1 in notes}
    return Outcome(
        expected=expected,
        found=found,
        state=training.state,
        waits=waits,
        unrepeatable=emulation.unrepeatable,
    )


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_training_on_a_device_is_that_on_the_cpu(case: Case) -> None:
    came = outcome(case)
    assert came.found == came.expected
    assert any(loss is not None for loss in came.state.validations[0].loss)
    if case.optimizer == "nt-asgd":
        averages = came.state.averages
        assert any(step is not None for step in (*averages.since, *averages.finished_at))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_everything_in_a_training_repeats(case: Case) -> None:
    assert not outcome(case).unrepeatable


IMAGES, WORDS = "training/tasks/image_classification.py", "training/tasks/language_modelling.py"
ZEROS = "training/tasks/initial_states.py:_check_zeros"
LOSSES = "training/validation.py:_find_diverged"


def expected_waits(case: Case, step: int) -> Counter[str]:
    """Of a step and what comes after it: none but for the order at an epoch's beginning, and validations."""
    found = Counter[str]()
    text = case.network in TEXT
    if (step - 1) % 4 == 0:
        found[ZEROS if text else f"{IMAGES}:_order"] += 1
    if text and case.optimizer == "nt-asgd" and step - 1 == STEPS - TUNED:
        found[ZEROS] += 1
    if step % every(case) == 0 or step == STEPS:
        found += (
            Counter({LOSSES: 1, ZEROS: 1, f"{WORDS}:evaluate": 1})
            if text
            else Counter({LOSSES: 1, f"{IMAGES}:evaluate": 2})
        )
    return found


@pytest.mark.parametrize("case", CASES, ids=str)
def test_no_step_waits_for_the_device(case: Case) -> None:
    waits = outcome(case).waits
    assert len(waits) >= 2
    assert waits == {step: expected_waits(case, step) for step in waits}
