"""Masks found elsewhere: taken by seed and level where they fit, recorded, and refused before anything is written."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch

from lottery.checks import check
from lottery.cycle import add_control, find_tickets
from lottery.experiments import RUN_FOLDER, Experiment, NetworkConfig, TransferConfig
from lottery.levels import read_masks
from lottery.planning import plan
from lottery.pruning.masks import kept, tensors_of
from lottery.records import read_records
from lottery.runs import Run
from lottery.session import Session, new_network
from lottery.ticket_files import read_start, read_tickets
from lottery.transfer import require_source, with_source
from tests.commands import done, refused
from tests.tiny_runs import (
    TINY,
    TOML,
    carry_out,
    files,
    open_run,
    rewinding_to,
    session,
)
from tests.tiny_tasks import image_task
from training.errors import LotteryError
from training.work_folders import stored_config

FOUND = dataclasses.replace(TINY, name="found", arms=(), rewinding=rewinding_to(3))
# Of three classes: the classifier [3, 6] does not fit the source's [10, 6].
OTHER = dataclasses.replace(
    TINY,
    name="other",
    arms=("random-mask", "shuffled-mask"),
    training=dataclasses.replace(TINY.training, batch_size=6),
)
LAST = "layers.2.weight"
THEIRS = TransferConfig(weights="source")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("source") / "found"
    carry_out(FOUND, root)
    return root


def other(source: Path, root: Path, experiment: Experiment = OTHER) -> Session:
    """A checked session of the other task, whose folder is begun."""
    task = image_task()
    whole = with_source(experiment, source)
    one = check(session(whole, root, task, source=Run(source)))
    open_run(root, one.experiment, task.data.description())
    return one


def test_masks_are_those_of_the_same_seed_and_level(source: Path, tmp_path: Path) -> None:
    one = other(source, tmp_path / "other")
    find_tickets(one)
    for level in (1, 2):
        theirs, mine = (read_masks(run.level(level)) for run in (Run(source), one.run))
        for ticket in read_tickets(one.experiment, one.run, level):
            expected, found = theirs[ticket.id], mine[ticket.id]
            assert found[LAST].all()
            assert found[LAST].shape == (3, 6)
            fitting = [name for name in found if name != LAST]
            assert fitting
            assert all(torch.equal(found[name], expected[name]) for name in fitting)
            initial = tensors_of(new_network(one, ticket.id.seed))
            assert all(torch.equal(t, initial[name]) for name, t in ticket.whole.items())
            for arm in OTHER.arms:
                control = mine[dataclasses.replace(ticket.id, arm=arm)]
                assert kept(control) == kept(found)
                assert control[LAST].all()
                assert not torch.equal(control[fitting[0]], found[fitting[0]])
    counts = {(r.level, r.seed): r.kept for r in read_records(one.run.root) if r.arm == "ticket"}
    assert counts[1, 1] == kept(read_masks(one.run.level(1))[ticket.id])
    planned = plan(one).levels
    assert [round(level.density * 578) for level in planned] == [578, counts[1, 0], counts[2, 0]]
    again = dataclasses.replace(one, source=None)
    assert {r.arm for r in add_control(again, "inverted-mask")} == {"inverted-mask"}
    mine = read_masks(one.run.level(1, "inverted-mask"))
    assert all(mask[LAST].all() for mask in mine.values())


def test_weights_are_taken_too_where_they_fit(source: Path, tmp_path: Path) -> None:
    one = other(source, tmp_path / "other", dataclasses.replace(OTHER, transfer=THEIRS))
    find_tickets(one)
    for ticket in read_tickets(one.experiment, one.run, 2):
        theirs, own = (read_start(run, ticket.id) for run in (Run(source), one.run))
        assert ticket.whole.keys() == own.keys()
        for name, tensor in ticket.whole.items():
            fits = not name.startswith("layers.2.")
            assert torch.equal(tensor, (theirs if fits else own)[name]), name
        assert not torch.equal(theirs["layers.0.weight"], own["layers.0.weight"])


def test_a_run_with_its_own_masks_taken_back_is_itself(source: Path, tmp_path: Path) -> None:
    whole = with_source(FOUND, source)
    carry_out(whole, tmp_path / "again", source=Run(source))
    before, now = files(source), files(tmp_path / "again")
    same = [n for n in before if n.startswith(("level-", "start/")) and n.endswith("tensors")]
    assert len(same) == 13
    assert all(before[name] == now[name] for name in same)


def test_another_source_is_refused_and_a_longer_run_of_the_same_is_not(
    source: Path, tmp_path: Path
) -> None:
    short = dataclasses.replace(OTHER, levels=1)
    one = other(source, tmp_path / "other", short)
    find_tickets(one)
    before = files(one.run.root)
    changed = tmp_path / "found"
    carry_out(
        dataclasses.replace(FOUND, pruning=dataclasses.replace(FOUND.pruning, rate=0.4)), changed
    )
    with pytest.raises(LotteryError, match=r"transfer\.sha256 is '.*' there and '.*' now"):
        other(changed, one.run.root, short)
    with pytest.raises(LotteryError, match="name its folder with --masks-from"):
        require_source(one.experiment, None)
    assert files(one.run.root) == before
    assert len(find_tickets(other(source, one.run.root))) == 2 + 2 * 2 * 3


@pytest.mark.parametrize(
    ("experiment", "sentence"),
    [
        (dataclasses.replace(OTHER, seeds=(0, 7)), r"has no seed 7, .*; it has \[0, 1\]"),
        (dataclasses.replace(OTHER, levels=3), "no tickets of level 3, .* has levels 1 to 2"),
        (
            dataclasses.replace(OTHER, network=NetworkConfig(name="resnet", size={"depth": 8})),
            "a run of lenet-300-100, fits resnet: no parameter",
        ),
    ],
)
def test_what_does_not_fit_is_refused_first(
    experiment: Experiment, sentence: str, source: Path, tmp_path: Path
) -> None:
    with pytest.raises(LotteryError, match=sentence) as caught:
        other(source, tmp_path / "other", experiment)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "other").exists()


def test_weights_of_the_source_go_with_rewound_ones_alone() -> None:
    with pytest.raises(LotteryError, match="own unless rewinding.weights is start"):
        dataclasses.replace(OTHER, transfer=THEIRS, rewinding=rewinding_to(0, "keep"))
    with pytest.raises(LotteryError, match="transfer.weights = source takes the weights of anoth"):
        require_source(dataclasses.replace(OTHER, transfer=THEIRS), None)


def test_the_command_takes_masks_and_goes_on(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tiny.toml").write_text(TOML, encoding="utf-8")
    small = ("--seeds", "1", "--set", "data.options.train=200", "--set", "arms=[]", "--quiet")
    taken = ("--masks-from", source)
    done("prune", "tiny.toml", "--levels", "1", *small, *taken)
    run = Path("results/runs/tiny-from-found")
    stored = stored_config(run, RUN_FOLDER)
    assert stored.transfer.run == "found"
    assert len(stored.transfer.sha256) == 64
    assert "--masks-from" in refused("prune", run, "--levels", "2", "--quiet")
    assert "--masks-from" in refused("prune", run, "--levels", "2", "--dry-run")
    done("prune", run, "--levels", "2", "--quiet", *taken)
    records = json.loads(done("prune", run, "--quiet", "--json", *taken))
    theirs = {r.level: r.kept for r in read_records(source) if r.seed == 1}
    assert {r["level"]: r["kept"] for r in records} == theirs
    assert "lenet-300-100 on digits cut to 200 images; masks of found" in done("show", run)
    assert "is not a run" in refused("prune", "tiny.toml", "--masks-from", "nowhere")
