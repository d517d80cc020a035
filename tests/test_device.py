"""Device, precision, and what is recorded of the machine."""

from __future__ import annotations

import ctypes
import platform
import subprocess
import sys
from typing import Any

import pytest
import torch

from training.device import choose_device, environment, keep_freed_memory, matrix_precision
from training.errors import LotteryError

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
    with pytest.raises(LotteryError, match="no device 'gpu'; possible: auto, cpu, cuda"):
        choose_device("gpu")


def test_precision_is_that_of_products_inside_the_context() -> None:
    a = torch.ones(2, 2)
    with matrix_precision("bf16", CPU):
        assert (a @ a).dtype == torch.bfloat16
    with matrix_precision("fp32", CPU):
        assert (a @ a).dtype == torch.float32
    assert (a @ a).dtype == torch.float32


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
    found = environment(CPU)
    versions = found["versions"]
    assert isinstance(versions, dict)
    assert set(versions) == {"torch", "torchvision", "numpy", "scipy", "lottery"}
    assert torch.__version__.startswith(versions["torch"].split("+")[0])
    assert (found["device"], found["command"]) == ("cpu", ["prune", "demo"])
    assert found["threads"] == torch.get_num_threads()


def test_a_machine_without_git_has_no_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: Any, **__: Any) -> None:
        raise FileNotFoundError("git")

    monkeypatch.setattr(subprocess, "run", absent)
    assert environment(CPU)["revision"] is None


@pytest.mark.cuda
def test_the_environment_names_the_cuda_device() -> None:
    cuda = torch.device("cuda")
    assert environment(cuda)["device"] == torch.cuda.get_device_name(cuda)
