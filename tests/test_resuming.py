"""Stopped, killed, cut off or damaged: a run goes on as if nothing had happened, or refuses to."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from lottery.records import read_records
from lottery.runs import Run
from tests.file_faults import Killed, counted, killed_at
from tests.tiny_runs import (
    TINY,
    StopAfter,
    carry_out,
    carry_out_in_pieces,
    digits,
    files,
    open_run,
)
from training.errors import ExitCode, LotteryError

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    root = tmp_path_factory.mktemp("cycle") / "tiny"
    carry_out(TINY, root)
    return Run(root)


@pytest.mark.parametrize("every", [1, 7, 20, 45])
def test_stopped_and_resumed_is_uninterrupted(finished: Run, tmp_path: Path, every: int) -> None:
    # Steps 20, 40 and 60 end a level; 45 stops once, in the last level.
    root = tmp_path / "tiny"
    stops = carry_out_in_pieces(TINY, root, every=every)
    assert stops == {1: 60, 7: 8, 20: 3, 45: 1}[every]
    assert files(root) == files(finished.root)


def test_it_is_so_for_chunks_too(tmp_path: Path) -> None:
    experiment = dataclasses.replace(TINY, levels=1, arms=("reinitialised",))
    carry_out(experiment, tmp_path / "a" / "tiny", at_once=1)
    stops = carry_out_in_pieces(experiment, tmp_path / "b" / "tiny", every=13, at_once=1)
    assert stops == 9  # 6 networks of 20 steps
    assert files(tmp_path / "b" / "tiny") == files(tmp_path / "a" / "tiny")


def test_a_run_may_go_on_with_other_chunks(finished: Run, tmp_path: Path) -> None:
    with pytest.raises(LotteryError, match="Stopped at step 9 of level 0"):
        carry_out(TINY, tmp_path / "tiny", at_once=1, watcher=StopAfter(9))
    carry_out(TINY, tmp_path / "tiny")
    assert files(tmp_path / "tiny") == files(finished.root)


def test_a_killed_process_resumes(finished: Run, tmp_path: Path) -> None:
    root = tmp_path / "tiny"
    code = (
        "import sys, time, torch; from pathlib import Path\n"
        "from lottery.progress import Watcher; from training import pace; from tests.tiny_runs import TINY, carry_out\n"
        "torch.set_num_threads(1); pace.SECONDS, pace.SHARE = 0.0, 1e9\n"
        "class Slow(Watcher):\n"
        "    def steps(self, count):\n"
        "        time.sleep(0.02)\n"
        "carry_out(TINY, Path(sys.argv[1]), watcher=Slow())\n"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", code, str(root)], env=environment) as process:
        while not list(root.glob("level-01/checkpoint-*-00000000[5-9]*")):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not (root / "level-01" / "records.json").exists()
    carry_out(TINY, root)
    assert files(root) == files(finished.root)


def test_a_level_that_is_killed_while_it_writes_ends_in_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = dataclasses.replace(TINY, levels=0, seeds=(0,))
    carry_out(experiment, tmp_path / "whole" / "tiny")
    root = tmp_path / "tiny"
    with pytest.raises(LotteryError, match="Stopped at step 19 of level 0"):
        carry_out(experiment, root, watcher=StopAfter(19))
    kills = 0
    for number in itertools.count(1, 3):
        copy = tmp_path / str(number) / "tiny"
        shutil.copytree(root, copy)
        with counted(monkeypatch) as faults:
            faults.before = killed_at(number)
            with contextlib.suppress(Killed):
                carry_out(experiment, copy)
        if faults.count < number:
            break
        kills += 1
        carry_out(experiment, copy)
        assert files(copy) == files(tmp_path / "whole" / "tiny")
    assert kills > 10


def test_a_full_disk_loses_nothing(
    finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync, calls = os.fsync, Counter[str]()

    def fsync(handle: int) -> None:
        calls["made"] += 1
        if calls["made"] == calls["failing"]:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    carry_out(TINY, tmp_path / "whole" / "tiny")
    total = calls["made"]
    assert total > 60
    for failing in [1, 3, 5, 6, 7, 11, total // 2, total // 2 + 1, total - 9, total - 5]:
        calls.clear()
        calls["failing"] = failing
        root = tmp_path / str(failing) / "tiny"
        with pytest.raises(LotteryError, match=r"^The disk is full: .* could not be written") as e:
            carry_out(TINY, root)
        assert e.value.exit_code == ExitCode.DISK
        carry_out(TINY, root)
        assert files(root) == files(finished.root)


def test_more_levels_extend_a_finished_run(finished: Run, tmp_path: Path) -> None:
    root = tmp_path / "tiny"
    for levels in (0, 1):
        carry_out(dataclasses.replace(TINY, levels=levels), root)
    before = files(root)
    carry_out(TINY, root)
    after = files(root)
    assert all(after[n] == d for n, d in before.items() if n.startswith(("level-", "start/")))
    assert after == files(finished.root)


@pytest.mark.parametrize(
    "place",
    ["level-01/masks.safetensors", "level-01/weights.safetensors", "start/seed-0.safetensors"],
)
@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_damage_is_refused(tmp_path: Path, place: str, damage: str) -> None:
    root = tmp_path / "tiny"
    carry_out(dataclasses.replace(TINY, levels=1), root)
    data = bytearray((root / place).read_bytes())
    data[-1] ^= 1
    if damage == "remove":
        (root / place).unlink()
    else:
        (root / place).write_bytes(data if damage == "flip" else data[:-1])
    with pytest.raises(LotteryError) as error:
        carry_out(TINY, root)
    assert error.value.exit_code == ExitCode.BAD_DATA
    assert str(root / place) in str(error.value)
    assert not (root / "level-02" / "records.json").exists()


def test_swapped_masks_are_refused(tmp_path: Path) -> None:
    root = tmp_path / "tiny"
    carry_out(TINY, root)
    one, other = (root / f"level-0{n}" / "masks.safetensors" for n in (1, 2))
    first, second = one.read_bytes(), other.read_bytes()
    assert len(first) == len(second)
    one.write_bytes(second)
    other.write_bytes(first)
    with pytest.raises(LotteryError, match="SHA-256 differs") as error:
        carry_out(dataclasses.replace(TINY, levels=3), root)
    assert error.value.exit_code == ExitCode.BAD_DATA


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LotteryError, match="Stopped"):
        carry_out(TINY, tmp_path / "tiny", watcher=StopAfter(9))
    (path,) = (tmp_path / "tiny" / "level-00").glob("checkpoint-*")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(LotteryError, match=r"checkpoint-0-2-000000009.safetensors is damaged"):
        carry_out(TINY, tmp_path / "tiny")


def test_a_killed_beginning_goes_on(tmp_path: Path) -> None:
    root = tmp_path / "tiny"
    open_run(root, TINY, digits().data.description())
    (root / "experiment.json").unlink()
    carry_out(dataclasses.replace(TINY, levels=0), root)
    assert len(read_records(root)) == 2
