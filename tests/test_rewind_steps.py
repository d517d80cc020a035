"""Several rewind steps of one dense training: trained once, and each run equal to that of its step alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pytest

from lottery.experiments import RUN_FOLDER, Experiment, RewindingConfig
from lottery.levels import Stack
from lottery.machine import Machine
from lottery.progress import Watcher
from lottery.rewind_steps import Variant, carry_out_rewind_steps, variants
from lottery.sessions import carry_out
from lottery.stacks import train_stack
from tests.commands import done, refused
from tests.tiny_runs import TINY, TOML, StopAfter, digits, files
from training.errors import ExitCode, LotteryError
from training.steps import Steps
from training.work_folders import stored_config

BOTH = dataclasses.replace(TINY, levels=1, arms=("reinitialised",))
SMALL = dataclasses.replace(BOTH, seeds=(0,), arms=())
MOMENTA = dataclasses.replace(SMALL, rewinding=RewindingConfig(optimizer_state="rewind"))
LOOPED = Machine(batching="looped", device="cpu", products="mkl", replay=False)


@pytest.fixture(autouse=True)
def loaded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lottery.sessions.load_task", lambda *_: digits())


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """The run and level of each stack that is trained, in their order."""
    found: list[tuple[str, int]] = []

    def note(stack: Stack) -> None:
        found.append((stack.session.run.name, stack.files.number))
        train_stack(stack)

    monkeypatch.setattr("lottery.cycle.train_stack", note)
    return found


def runs(root: Path, steps: Sequence[int], experiment: Experiment = SMALL) -> list[Variant]:
    return variants(experiment, root / "tiny", [Steps(iterations=step) for step in steps])


def in_pieces(found: Sequence[Variant], every: int, most: int = 100) -> int:
    """Stop and go on every few steps; how often it was stopped."""
    for stops in range(most):
        watcher: Watcher = StopAfter(every)
        try:
            carry_out_rewind_steps(found, LOOPED, watcher)
        except LotteryError as error:
            assert error.exit_code == ExitCode.RESUMABLE
        else:
            return stops
    return most


def as_alone(found: Sequence[Variant], root: Path) -> None:
    """Each run has the bytes of one that was carried out with its rewind step alone."""
    for one in found:
        alone = root / "alone" / one.root.name
        carry_out(one.experiment, alone, LOOPED)
        mine, theirs = files(one.root), files(alone)
        assert mine.keys() == theirs.keys()
        assert [name for name in mine if mine[name] != theirs[name]] == []


@pytest.mark.parametrize("experiment", [BOTH, MOMENTA], ids=["fresh", "rewound"])
def test_each_run_is_as_its_rewind_step_alone_and_the_dense_one_is_trained_once(
    experiment: Experiment, tmp_path: Path, trained: list[tuple[str, int]]
) -> None:
    found = runs(tmp_path, (0, 7), experiment)
    records = carry_out_rewind_steps(found, LOOPED)
    names = ["tiny-rewind-0", "tiny-rewind-7"]
    assert [one.root.name for one in found] == names
    assert trained == [(names[0], 0), *((name, 1) for name in names)]
    replicates = sum(experiment.replicates_at(level) for level in (0, 1))
    assert len(records) == 2 * replicates
    assert {record.run for record in records} == {*names}
    as_alone(found, tmp_path)
    trained.clear()
    assert carry_out_rewind_steps(found, LOOPED) == records
    assert trained == []


def test_stopped_at_any_point_it_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    found = runs(tmp_path, (3, 7))
    assert in_pieces(found, 7) >= 5
    as_alone(found, tmp_path)


def test_a_step_that_is_added_later_trains_its_own(
    tmp_path: Path, trained: list[tuple[str, int]]
) -> None:
    in_pieces(runs(tmp_path, (0, 3)), 9, most=1)
    # The step 5 was passed, the step 12 was not.
    found = runs(tmp_path, (0, 3, 5, 12))
    trained.clear()
    carry_out_rewind_steps(found, LOOPED)
    assert [name for name, level in trained if level == 0] == ["tiny-rewind-0", "tiny-rewind-5"]
    as_alone(found, tmp_path)


def test_dense_networks_of_another_experiment_are_not_taken(
    tmp_path: Path, trained: list[tuple[str, int]]
) -> None:
    found = runs(tmp_path, (0, 3))
    in_pieces(found, 9, most=1)
    other = dataclasses.replace(SMALL, training=dataclasses.replace(SMALL.training, batch_size=25))
    one, _ = runs(tmp_path, (3, 0), other)
    with pytest.raises(LotteryError, match="holds another experiment: training.batch_size is 50"):
        carry_out_rewind_steps([one], LOOPED)
    carry_out_rewind_steps(found, LOOPED)
    as_alone(found, tmp_path)


def test_steps_are_named_once_and_lie_before_the_last(tmp_path: Path) -> None:
    for steps in ((), (3, 3)):
        with pytest.raises(LotteryError, match="named twice, or none is"):
            runs(tmp_path, steps)
    epoch = variants(SMALL, tmp_path / "tiny", [Steps(epochs=1, iterations=2)])
    assert epoch[0].root.name == "tiny-rewind-1ep2it"
    with pytest.raises(LotteryError, match="rewinding.step = .* before the last step, 20"):
        carry_out_rewind_steps(runs(tmp_path, (0, 20)), LOOPED)


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tiny.toml").write_text(TOML, encoding="utf-8")
    small = ("tiny.toml", "--seeds", "0", "--levels", "1", "--set", "arms=[]", "--quiet")
    told = done("prune", *small, "--rewind-steps", "0,7it")
    for step in (0, 7):
        name = f"tiny-rewind-{step}"
        assert name in told
        stored = stored_config(Path("results/runs") / name, RUN_FOLDER)
        assert stored.rewinding.step == Steps(iterations=step)
    assert "plans one run" in refused("prune", *small, "--rewind-steps", "0,7", "--dry-run")
    assert "is not a number of steps" in refused("prune", *small, "--rewind-steps", "x", code=2)
