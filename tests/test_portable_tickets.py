"""The portable ticket: out of a run, into a file, and into a network."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save

from lottery.identity import TICKET, ReplicateId
from lottery.mask_files import pack_masks
from lottery.portable_tickets import build_ticket, load_ticket, save_ticket, ticket_of
from lottery.pruning.masks import kept
from lottery.runs import Run
from lottery.ticket_files import read_start
from tests.tiny_runs import TINY, carry_out, digits
from training.checkpoints import tensors_to_bytes
from training.errors import ExitCode, LotteryError
from training.specs import ImageSpec


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    root = tmp_path_factory.mktemp("tickets") / "a"
    carry_out(TINY, root)
    return Run(root)


def test_a_ticket_is_the_start_times_the_mask(run: Run) -> None:
    ticket = ticket_of(run, level=2, seed=1)
    assert kept(ticket.mask) == 155
    start = read_start(run, ReplicateId(TICKET, 1))
    for name, mask in ticket.mask.items():
        assert torch.equal(ticket.start[name], start[name] * mask)


def test_what_is_saved_comes_back_and_can_be_built(run: Run, tmp_path: Path) -> None:
    ticket = ticket_of(run, level=1, seed=0)
    save_ticket(ticket, tmp_path / "t.safetensors")
    found = load_ticket(tmp_path / "t.safetensors")
    assert (found.network, found.origin) == (ticket.network, "tiny, level 1, seed 0")
    assert list(found.mask) == list(ticket.mask)
    assert all(torch.equal(found.mask[name], m) for name, m in ticket.mask.items())
    network = build_ticket(found, digits().spec)
    for name, tensor in network.named_parameters():
        assert torch.equal(tensor, ticket.start[name])


def test_a_ticket_that_does_not_fit_is_refused(run: Run) -> None:
    other = ImageSpec(channels=1, height=9, width=8, classes=10)
    with pytest.raises(
        LotteryError, match=r"layers.0.weight is \(8, 64\) and the network's is \(8, 72\)"
    ):
        build_ticket(ticket_of(run, level=1, seed=0), other)


def test_every_flipped_byte_is_noticed(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "t.safetensors"
    save_ticket(ticket_of(run, level=1, seed=0), path)
    data = path.read_bytes()
    for place in [*range(0, 700, 7), *range(700, len(data), 101), len(data) - 1]:
        broken = bytearray(data)
        broken[place] ^= 0x10
        path.write_bytes(broken)
        with pytest.raises(LotteryError) as error:
            load_ticket(path)
        assert error.value.exit_code in (ExitCode.BAD_DATA, ExitCode.ERROR)


@pytest.mark.parametrize(
    ("level", "seed", "words"), [(0, 0, "count from 1"), (3, 0, "level 3"), (1, 9, "no seed 9")]
)
def test_what_a_run_does_not_have_is_refused(run: Run, level: int, seed: int, words: str) -> None:
    with pytest.raises(LotteryError, match=words):
        ticket_of(run, level, seed)


def signed(description: object, tensors: dict[str, torch.Tensor]) -> bytes:
    """A file whose SHA-256 is right, whatever it holds."""
    digest = hashlib.sha256(json.dumps(description, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().tobytes())
    return tensors_to_bytes(tensors, {"ticket": description, "sha256": digest.hexdigest()})


DEEP = "[" * 100_000 + "]" * 100_000
FACTS = {"origin": "x", "network": {"name": "lenet-300-100"}}


@pytest.mark.parametrize("state", ["5", "[1]", "null", '"text"', "{}", '{"ticket": 5}', DEEP, "{"])
def test_a_state_that_is_no_tickets_is_refused(tmp_path: Path, state: str) -> None:
    path = tmp_path / "t.safetensors"
    path.write_bytes(save({".masks": torch.zeros(1)}, {"state": state}))
    with pytest.raises(LotteryError, match="is damaged: ") as caught:
        load_ticket(path)
    assert caught.value.exit_code is ExitCode.BAD_DATA


@pytest.mark.parametrize(
    "description", [5, [1], {}, {"origin": 3}, {"origin": "x"}, {"origin": "x", "network": [1]}]
)
def test_descriptions_that_are_no_tickets_are_refused(tmp_path: Path, description: object) -> None:
    path = tmp_path / "t.safetensors"
    masks = torch.frombuffer(bytearray(pack_masks({})), dtype=torch.uint8)
    path.write_bytes(signed(description, {".masks": masks}))
    with pytest.raises(LotteryError):
        load_ticket(path)


def test_masks_that_are_of_no_weights_are_refused(tmp_path: Path) -> None:
    path, bits = tmp_path / "t.safetensors", np.ones((2, 3), np.bool_)
    masks = torch.frombuffer(bytearray(pack_masks({"w": bits})), dtype=torch.uint8)
    for weights in ({}, {"w": torch.ones(3, 2)}):
        path.write_bytes(signed(FACTS, {".masks": masks, **weights}))
        with pytest.raises(LotteryError, match="its mask of w is of no weights"):
            load_ticket(path)
    path.write_bytes(signed(FACTS, {".masks": masks, "w": torch.ones(2, 3)}))
    assert load_ticket(path).origin == "x"
    for other in (torch.zeros(3), torch.zeros(0), masks[:20]):
        path.write_bytes(signed(FACTS, {".masks": other, "w": torch.ones(2, 3)}))
        with pytest.raises(LotteryError, match="is not a mask file"):
            load_ticket(path)
