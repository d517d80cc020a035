"""Device, precision, and what is recorded of the machine."""

from __future__ import annotations

import ctypes
import platform
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import training.version
from tests.tiny_tasks import config, image_task, trained
from training.device import (
    backward_precision,
    check_precision,
    choose_device,
    environment,
    keep_freed_memory,
    matrix_precision,
)
from training.errors import LotteryError
from training.replicates import Replicates
from training.version import own_version

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("name", "present", "chosen"),
    [("cpu", False, "cpu"), ("cpu", True, "cpu"), ("auto", False, "cpu"), ("auto", True, "cuda")],
)
def test_auto_takes_cuda_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch, name: str, present: bool, chosen: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: present)
    assert choose_device(name) == torch.device(chosen)


def test_impossible_devices_say_what_is_possible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(LotteryError, match="no CUDA device here; use --device cpu or --device"):
        choose_device("cuda")
    with pytest.raises(
        LotteryError, match=r"no device 'gpu'; did you mean cpu\? Known: auto, cpu, cuda\."
    ):
        choose_device("gpu")


def test_precision_is_that_of_products_inside_the_context() -> None:
    a = torch.ones(2, 2)
    with matrix_precision("bf16", CPU):
        assert (a @ a).dtype == torch.bfloat16
    with matrix_precision("fp32", CPU):
        assert (a @ a).dtype == torch.float32
    assert (a @ a).dtype == torch.float32


def tf32_is_allowed() -> tuple[bool, bool]:
    """For products and for convolutions."""
    return torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32


def test_tf32_is_allowed_inside_and_put_back() -> None:
    before = tf32_is_allowed()
    with matrix_precision("tf32", torch.device("cuda")):
        assert tf32_is_allowed() == (True, True)
    assert tf32_is_allowed() == before
    with pytest.raises(ZeroDivisionError), backward_precision("tf32", CPU):
        assert tf32_is_allowed() == (True, True)
        raise ZeroDivisionError
    assert tf32_is_allowed() == before


@pytest.mark.parametrize("name", ["fp32", "bf16"])
def test_fp32_is_all_of_fp32_inside(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # torch's own default, TF32 in convolutions, comes back afterwards.
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    for context in (matrix_precision(name, CPU), backward_precision(name, CPU)):
        with context:
            assert tf32_is_allowed() == (False, False)
        assert tf32_is_allowed()[1]


class Noting(nn.Module):
    """A linear classifier that notes whether convolutions may be TF32, forward and backward."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(64, 3)
        self.noted: list[bool] = []

    def forward(self, images: Tensor) -> Tensor:
        """Logits `[B, 3]`."""
        logits: Tensor = self.layer(images.flatten(1))
        self.noted.append(torch.backends.cudnn.allow_tf32)
        if logits.requires_grad:
            logits.register_hook(lambda _: self.noted.append(torch.backends.cudnn.allow_tf32))
        return logits


def test_whoever_trains_in_fp32_gets_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    replicates = Replicates([Noting()], [0], "looped")
    trained(replicates, image_task(), config(3, 3))
    assert isinstance(replicates.network, Noting)
    # Three steps forward and back, and a look.
    assert replicates.network.noted == [False] * 7


def test_tf32_needs_cuda() -> None:
    for refused in (check_precision, matrix_precision):
        with pytest.raises(LotteryError, match="tf32 needs a CUDA device.* choose fp32 or bf16"):
            refused("tf32", CPU)
    for name in ("fp32", "bf16"):
        check_precision(name, CPU)
    check_precision("tf32", torch.device("cuda"))


@pytest.mark.cuda
def test_tf32_rounds_the_products_of_cuda() -> None:
    cuda = torch.device("cuda")
    # 1 + 2^-12 needs 12 bits of mantissa; TF32 has 10.
    a = torch.full((64, 64), 1 + 2.0**-12, device=cuda)
    eye = torch.eye(64, device=cuda)
    with matrix_precision("tf32", cuda):
        assert bool(((a @ eye) == 1).all())
    with matrix_precision("fp32", cuda):
        assert torch.equal(a @ eye, a)


def test_freed_memory_is_kept_where_the_library_can(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {}

    class Library:
        """Notes what it is asked."""

        def __init__(self, name: None) -> None:
            self.name = name

        def mallopt(self, parameter: int, value: int) -> None:
            """As in malloc.h."""
            settings[parameter] = value

    monkeypatch.setattr(ctypes, "CDLL", Library)
    monkeypatch.setattr(platform, "libc_ver", lambda: ("musl", "1"))
    keep_freed_memory()
    assert settings == {}
    monkeypatch.setattr(platform, "libc_ver", lambda: ("glibc", "2.35"))
    keep_freed_memory()
    # Map only what is above 1 GiB, never trim, grow by 256 MiB, one arena.
    assert settings == {-3: 2**30, -1: 2**31 - 1, -2: 2**28, -8: 1}


def test_the_environment_names_versions_device_and_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["lottery", "prune", "demo"])
    found = environment(CPU, "bf16")
    versions = found["versions"]
    assert isinstance(versions, dict)
    assert set(versions) == {"torch", "torchvision", "numpy", "scipy", "lottery"}
    assert torch.__version__.startswith(versions["torch"].split("+")[0])
    assert (found["device"], found["command"]) == ("cpu", ["prune", "demo"])
    assert found["threads"] == torch.get_num_threads()
    assert found["instructions"] == torch.backends.cpu.get_cpu_capability()
    assert found["precision"] == "bf16"


def test_the_environment_says_where_tf32_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    # What torch allows elsewhere is no matter.
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    nowhere = {"matrix products": False, "convolutions": False}
    assert environment(CPU, "fp32")["tf32"] == environment(CPU, "bf16")["tf32"] == nowhere
    assert environment(CPU, "tf32")["tf32"] == {"matrix products": True, "convolutions": True}


def test_a_tree_that_is_only_on_the_path_has_a_version(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> str:
        if name == "lottery":
            raise PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr(training.version, "version", absent)
    stated = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
    assert own_version() == stated["project"]["version"]
    versions = environment(CPU, "fp32")["versions"]
    assert isinstance(versions, dict)
    assert versions["lottery"] == stated["project"]["version"]


def test_a_machine_without_git_has_no_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: Any, **__: Any) -> None:
        raise FileNotFoundError("git")

    monkeypatch.setattr(subprocess, "run", absent)
    assert environment(CPU, "fp32")["revision"] is None


@pytest.mark.cuda
def test_the_environment_names_the_cuda_device() -> None:
    cuda = torch.device("cuda")
    assert environment(cuda, "fp32")["device"] == torch.cuda.get_device_name(cuda)
