"""Sessions from Python: begun, gone on with, checked before anything is written, and not only on the main thread."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from lottery.cycle import find_tickets
from lottery.experiments import RUN_FOLDER, Experiment
from lottery.machine import Machine
from lottery.progress import Watcher
from lottery.records import Record, read_records
from lottery.sessions import carry_out, carry_out_control, opened, prepared
from nas.catalog.building import build
from tests.tiny_runs import PRUNABLE, TINY, StopAfter, files
from tests.tiny_runs import carry_out as in_this_process
from tests.tiny_runs import session as tiny_session
from training.errors import ExitCode, LotteryError
from training.steps import Steps
from training.work_folders import is_there

HERE = Machine(device="cpu", products="mkl")
SHORT = dataclasses.replace(TINY, levels=1, arms=("reinitialised",))


def test_a_run_is_begun_and_gone_on_with(tmp_path: Path) -> None:
    root = tmp_path / "tiny"
    with pytest.raises(LotteryError, match="Stopped at step 5 of level 0") as stopped:
        # It is asked before anything is written, too.
        carry_out(SHORT, root, HERE, StopAfter(6))
    assert stopped.value.exit_code is ExitCode.RESUMABLE
    records = carry_out(SHORT, root, HERE)
    assert records == read_records(root)
    assert [(r.level, r.arm) for r in records] == [
        *[(0, "ticket")] * 2,
        *[(1, "ticket")] * 2,
        *[(1, "reinitialised")] * 2,
    ]
    in_this_process(SHORT, tmp_path / "other" / "tiny")
    assert files(root) == files(tmp_path / "other" / "tiny")
    added = carry_out_control(SHORT, root, "random-mask", HERE)
    assert [(r.level, r.arm, r.seed) for r in added] == [
        (1, "random-mask", 0),
        (1, "random-mask", 1),
    ]


def on_a_thread(work: Callable[[], list[Record]]) -> list[Record]:
    """What some work comes to on a thread of its own, or what it raises there."""
    found: list[Record] = []
    failed: list[BaseException] = []

    def run() -> None:
        torch.set_num_threads(1)
        try:
            found.extend(work())
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return found


def test_a_session_off_the_main_thread(tmp_path: Path) -> None:
    root, other = tmp_path / "a" / "tiny", tmp_path / "b" / "tiny"
    with pytest.raises(LotteryError, match="Stopped at step 9 of level 0"):
        on_a_thread(lambda: carry_out(SHORT, other, HERE, StopAfter(10)))
    records = on_a_thread(lambda: carry_out(SHORT, root, HERE))
    assert records == carry_out(SHORT, other, HERE)
    assert files(root) == files(other)
    added = on_a_thread(lambda: carry_out_control(SHORT, root, "dense", HERE))
    assert added == carry_out_control(SHORT, other, "dense", HERE)


def test_two_sessions_beside_each_other(tmp_path: Path) -> None:
    """Neither knows of the other: nothing is global."""
    experiments = [dataclasses.replace(SHORT, seeds=(seed,)) for seed in (0, 1)]
    found: dict[int, list[Record]] = {}

    def work(number: int) -> None:
        torch.set_num_threads(1)
        root = tmp_path / f"{number}" / "tiny"
        found[number] = in_this_process(experiments[number], root)

    threads = [threading.Thread(target=work, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, experiment in enumerate(experiments):
        assert found[number] == in_this_process(experiment, tmp_path / f"alone-{number}" / "tiny")
        pair = (tmp_path / f"{number}" / "tiny", tmp_path / f"alone-{number}" / "tiny")
        assert files(pair[0]) == files(pair[1])


def test_a_prepared_session_has_written_nothing(tmp_path: Path) -> None:
    root = tmp_path / "tiny"
    epochs = dataclasses.replace(SHORT.training, steps=Steps(epochs=1))
    with prepared(dataclasses.replace(SHORT, training=epochs), root, HERE) as session:
        # Its steps are resolved, and it knows its network.
        assert session.experiment.training.steps.iterations == 20
        assert session.parameters == PRUNABLE + 24
        assert session.run.root == root
    assert not root.exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"arms": ("reinitialized",)}, "did you mean reinitialised"),
        ({"levels": 0, "network": dataclasses.replace(TINY.network, name="lenet")}, "lenet"),
    ],
)
def test_what_can_not_be_carried_out_leaves_no_folder(
    change: dict[str, Any], words: str, tmp_path: Path
) -> None:
    with pytest.raises(LotteryError, match=words):
        carry_out(dataclasses.replace(SHORT, **change), tmp_path / "tiny", HERE)
    assert list(tmp_path.iterdir()) == []


def test_a_stop_before_anything_was_begun_leaves_no_folder(tmp_path: Path) -> None:
    watcher = Watcher()
    watcher.request_stop()
    with pytest.raises(LotteryError, match="nothing was begun or written") as stopped:
        carry_out(SHORT, tmp_path / "tiny", HERE, watcher)
    assert stopped.value.exit_code is ExitCode.RESUMABLE
    assert list(tmp_path.iterdir()) == []


def test_an_open_session_locks_its_run(tmp_path: Path) -> None:
    root = tmp_path / "tiny"
    with opened(SHORT, root, HERE):
        assert is_there(root, RUN_FOLDER)
        with pytest.raises(LotteryError, match="^Another process"):
            carry_out(SHORT, root, HERE)
    assert len(carry_out(SHORT, root, HERE)) == 6


# Networks are built once


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the networks that are built."""
    names: list[str] = []

    def counted(name: str, *how: Any) -> nn.Module:
        names.append(name)
        return build(name, *how)

    monkeypatch.setattr("lottery.session.build", counted)
    return names


@pytest.mark.parametrize(
    ("experiment", "count"),
    [
        # One that gives the structure of all, and one for each seed's initial weights.
        (dataclasses.replace(TINY, arms=()), 1 + 2),
        # Controls with weights of their own take one more for each seed and level.
        (TINY, 1 + 2 + 2 * 2),
        (dataclasses.replace(TINY, arms=("random-mask", "dense")), 1 + 2),
    ],
    ids=["tickets", "reinitialised", "masks"],
)
def test_a_session_builds_one_network_and_one_for_each_draw_of_weights(
    experiment: Experiment, count: int, built: list[str], tmp_path: Path
) -> None:
    carry_out(experiment, tmp_path / "tiny", HERE)
    assert built == ["lenet-300-100"] * count
    # Where everything is done there is nothing to draw.
    built.clear()
    carry_out(experiment, tmp_path / "tiny", HERE)
    assert built == ["lenet-300-100"]


def test_the_network_of_a_session_is_never_trained(tmp_path: Path) -> None:
    with opened(SHORT, tmp_path / "tiny", HERE) as session:
        before = {name: p.clone() for name, p in session.network.named_parameters()}
        find_tickets(session)
        after = dict(session.network.named_parameters())
    assert all(torch.equal(p, after[name]) for name, p in before.items())
    assert session.network is session.network
    assert session.forward_pass is session.forward_pass


def test_a_new_session_has_a_network_of_its_own() -> None:
    assert tiny_session().network is not tiny_session().network
