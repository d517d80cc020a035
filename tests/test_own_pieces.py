"""Criteria and controls of one's own: named on the command line, tried first, and carried through whole runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from lottery.checks import check, check_names
from lottery.experiments import RUN_FOLDER
from lottery.levels import read_masks, read_weights
from lottery.own_code import own_control, own_criterion
from lottery.own_pieces import OwnPieces
from lottery.pruning.evidence import Criterion, Evidence
from lottery.pruning.masks import Mask, Tensors
from lottery.rivals import Draw
from lottery.runs import Run
from tests.commands import done, refused
from tests.tiny_runs import TINY, TOML, carry_out, files, session
from training.errors import LotteryError
from training.work_folders import stored_config

NAME = "m:one"
ALONE = dataclasses.replace(
    TINY, levels=1, arms=(), pruning=dataclasses.replace(TINY.pruning, criterion=NAME)
)
BESIDE = dataclasses.replace(TINY, levels=1, arms=(NAME,))
CODE = """\
from lottery.pruning.evidence import Criterion

def scores(evidence):
    return {name: evidence.final[name].abs() for name in evidence.mask}

whole = Criterion(summary="the same", scores=scores, needs=("final",))

def control(mask, whole, draw):
    return {name: m.flip(0) for name, m in mask.items()}, whole
"""


def magnitude(evidence: Evidence) -> Tensors:
    return {name: evidence.final[name].abs() for name in evidence.mask}


def flipped(mask: Mask, whole: Tensors, draw: Draw) -> tuple[Mask, Tensors]:
    return {name: m.flip(0) for name, m in mask.items()}, whole


def with_criterion(found: object) -> OwnPieces:
    return OwnPieces(criteria={NAME: own_criterion(NAME, found)})


def with_control(found: object) -> OwnPieces:
    return OwnPieces(controls={NAME: own_control(NAME, found)})


def tensors(root: Path) -> dict[str, bytes]:
    return {name: data for name, data in files(root).items() if name.endswith(".safetensors")}


@pytest.mark.parametrize(
    "found", [magnitude, Criterion(summary="", scores=magnitude, needs=("final",))]
)
def test_ones_own_magnitude_is_magnitude(found: object, tmp_path: Path) -> None:
    one = check(session(ALONE, own=with_criterion(found)))
    carry_out(ALONE, tmp_path / "own", own=one.own)
    plain = dataclasses.replace(ALONE, pruning=TINY.pruning)
    carry_out(plain, tmp_path / "plain")
    assert tensors(tmp_path / "own") == tensors(tmp_path / "plain")


def test_a_control_trains_beside_the_ticket_and_its_pruned_weights_are_0(tmp_path: Path) -> None:
    one = check(session(BESIDE, own=with_control(flipped)))
    records = carry_out(BESIDE, tmp_path / "own", own=one.own)
    arms = {(record.level, record.arm): record for record in records}
    assert arms[1, NAME].kept == arms[1, "ticket"].kept
    masks, weights = (read(Run(tmp_path / "own").level(1)) for read in (read_masks, read_weights))
    for one_id, mask in masks.items():
        ticket = masks[dataclasses.replace(one_id, arm="ticket")]
        for name, m in mask.items():
            assert torch.equal(m, ticket[name] if one_id.arm == "ticket" else ticket[name].flip(0))
            assert not weights[one_id][name][~m].any()


def test_code_that_changes_what_it_is_shown_changes_nothing_else(tmp_path: Path) -> None:
    def greedy(mask: Mask, whole: Tensors, draw: Draw) -> tuple[Mask, Tensors]:
        given = flipped(mask, {name: t.clone() for name, t in whole.items()}, draw)
        for tensor in (*mask.values(), *whole.values()):
            tensor.zero_()
        return given

    def eager(evidence: Evidence) -> Tensors:
        given = magnitude(evidence)
        for mask in evidence.mask.values():
            mask.zero_()
        return given

    both = dataclasses.replace(ALONE, arms=(NAME,))
    for root, criterion, control in (("a", magnitude, flipped), ("b", eager, greedy)):
        own = OwnPieces(
            criteria=with_criterion(criterion).criteria, controls=with_control(control).controls
        )
        carry_out(both, tmp_path / root, own=own)
    assert tensors(tmp_path / "a") == tensors(tmp_path / "b")


def scoring(change: Callable[[Tensor], object]) -> Callable[[Evidence], dict[str, object]]:
    return lambda evidence: {name: change(evidence.final[name].abs()) for name in evidence.mask}


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (3, "m:one is int, but a criterion must be a function"),
        (lambda evidence: 1 / 0, r"The criterion m:one failed \(ZeroDivisionError"),
        (lambda evidence: None, "The criterion m:one gave NoneType, but it is called with"),
        (lambda evidence: {}, "The criterion m:one gave nothing for .*real numbers of shape"),
        (scoring(lambda t: t[0]), r"shape \[8, 64\] for .* of shape \[1, 8, 64\]"),
        (scoring(lambda t: t / 0), "not all finite"),
        (scoring(lambda t: t + torch.rand(t.shape)), "does not repeat: .* Evidence.uniform"),
    ],
)
def test_a_criterion_is_tried_first(found: object, sentence: str) -> None:
    with pytest.raises(LotteryError, match=sentence) as caught:
        check(session(ALONE, own=with_criterion(found)))
    assert "\n" not in str(caught.value)


def drawing(mask: Mask, whole: Tensors, draw: Draw) -> tuple[Mask, Tensors]:
    return mask, {name: t + torch.rand(t.shape) for name, t in whole.items()}


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (3, "m:one is int, but a control must be a function"),
        (lambda mask, whole, draw: 1 / 0, r"The control m:one failed \(ZeroDivisionError"),
        (lambda mask, whole, draw: mask, "The control m:one gave dict, but it is called with"),
        (lambda mask, whole, draw: ({}, whole), r"gave \[\], but it must give a tensor for each"),
        (lambda m, whole, draw: ({n: t[:1] for n, t in m.items()}, whole), "of shape .* for"),
        (lambda m, w, draw: (m, {n: t / 0 for n, t in w.items()}), "not all finite for"),
        (lambda m, w, draw: ({n: t.float() for n, t in m.items()}, w), "torch.float32 of shape"),
        (drawing, "does not repeat: .* Draw.generator"),
    ],
)
def test_a_control_is_tried_first(found: object, sentence: str) -> None:
    with pytest.raises(LotteryError, match=sentence) as caught:
        check(session(BESIDE, own=with_control(found)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("experiment", "kind"), [(ALONE, "criterion"), (BESIDE, "control")])
def test_what_the_command_line_does_not_name_is_refused(experiment: object, kind: str) -> None:
    assert isinstance(experiment, type(TINY))
    with pytest.raises(LotteryError, match=rf"The {kind} m:one is code .* add --{kind} m:one\."):
        check_names(experiment)


def test_the_commands_ask_for_the_names_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("pieces_of_a_test.py").write_text(CODE, encoding="utf-8")
    Path("tiny.toml").write_text(TOML, encoding="utf-8")
    code = "pieces_of_a_test"
    named = ("--criterion", f"{code}:whole", "--control", f"{code}:control")
    small = ("--seeds", "0", "--set", "training.steps=4", "--quiet", "--out", "run")
    done("prune", "tiny.toml", "--levels", "1", *small, *named)
    stored = stored_config(Path("run"), RUN_FOLDER)
    assert stored.pruning.criterion == f"{code}:whole"
    assert stored.arms == ("reinitialised", "random-mask", f"{code}:control")
    assert "add --criterion" in refused("prune", "run", "--levels", "2", "--quiet")
    granted = ("--criterion", f"{code}:whole")
    assert "add --control" in refused("prune", "run", "--levels", "2", "--quiet", *granted)
    only_set = ("--set", f"pruning.criterion={code}:scores", "--quiet", "--out", "other")
    assert "add --criterion" in refused("prune", "tiny.toml", *only_set)
    done("prune", "run", "--levels", "2", "--quiet", *named)
    assert f"{code}:control" in done("show", "run")
    Path("more_of_a_test.py").write_text(CODE, encoding="utf-8")
    done("control", "run", "more_of_a_test:control", "--quiet", *named)
    assert "more_of_a_test:control" in done("show", "run")
