"""Where and how precisely is computed: device, precision, and what was used, in one place."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import torch

from training.choices import DEVICES
from training.errors import LotteryError, chosen
from training.matrix_libraries import library_in_use
from training.repeatable import repeating
from training.version import own_version

# glibc's malloc.h: M_MMAP_THRESHOLD, M_TRIM_THRESHOLD and M_TOP_PAD in bytes, and M_ARENA_MAX: one arena, as those of
# other threads, such as the one that runs backward passes, never keep blocks of more than 64 MB.
_MALLOC = {-3: 2**30, -1: 2**31 - 1, -2: 2**28, -8: 1}


def choose_device(name: str) -> torch.device:
    """The device that a name stands for; `auto` takes CUDA where there is one.

    Raises:
        LotteryError: CUDA is asked for and there is none, or the name is unknown.
    """
    chosen("device", name, DEVICES)
    present = torch.cuda.is_available()
    if name == "cuda" and not present:
        raise LotteryError("There is no CUDA device here; use --device cpu or --device auto.")
    return torch.device("cuda" if present and name != "cpu" else "cpu")


def check_precision(name: str, device: torch.device) -> None:
    """Refuse a precision that a device does not have.

    Raises:
        LotteryError: TF32 is asked for on a CPU.
    """
    if name == "tf32" and device.type != "cuda":
        raise LotteryError(
            f"training.precision = tf32 needs a CUDA device, and this is {device.type}; "
            "choose fp32 or bf16."
        )


def matrix_precision(name: str, device: torch.device) -> contextlib.AbstractContextManager[None]:
    """A context for forward passes: matrix products and convolutions in `bf16`, `tf32` or full `fp32`.

    Weights stay fp32.

    Raises:
        LotteryError: TF32 is asked for on a CPU.
    """
    check_precision(name, device)
    return _forward_precision(name, device)


@contextlib.contextmanager
def _forward_precision(name: str, device: torch.device) -> Iterator[None]:
    bf16 = name == "bf16"
    with (
        backward_precision(name, device),
        torch.autocast(device.type, torch.bfloat16, enabled=bf16, cache_enabled=False),
    ):
        yield


@contextlib.contextmanager
def backward_precision(name: str, device: torch.device) -> Iterator[None]:
    """A context for backward passes and whatever else computes on a device; bf16 is taken from the forward pass.

    Inside, fp32 is TF32 (10 bits of mantissa) in products and convolutions where that is the name, and all of fp32
    otherwise, which torch's own default is not for convolutions. What is computed repeats bit for bit.
    """
    products, convolutions = torch.backends.cuda.matmul, torch.backends.cudnn
    before = products.allow_tf32, convolutions.allow_tf32
    products.allow_tf32 = convolutions.allow_tf32 = name == "tf32"
    try:
        with repeating(device):
            yield
    finally:
        products.allow_tf32, convolutions.allow_tf32 = before


def now(device: torch.device) -> float:
    """Seconds, once the device has done all that it was asked to."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def physical_memory() -> int:
    """This machine's memory, in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def keep_freed_memory() -> None:
    """Have the C library keep freed memory for the next step instead of giving it back to the system.

    Temporaries of tens of megabytes, such as logits, are otherwise mapped and zeroed afresh at every step, which is a
    third of a small language model's time. It sets a property of the process and is for commands to call; a C library
    without the setting is left as it is.
    """
    if platform.libc_ver()[0] == "glibc":
        library = ctypes.CDLL(None)
        for parameter, value in _MALLOC.items():
            library.mallopt(parameter, value)


def environment(device: torch.device, precision: str) -> dict[str, object]:
    """What a run records of the machine: versions, device, precision, threads, command and git revision.

    `instructions` are those of the CPU that torch uses, such as AVX2; they too decide over rounding.
    """
    names = ("torch", "torchvision", "numpy", "scipy")
    tf32 = precision == "tf32"
    on_cuda = device.type == "cuda"
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {name: version(name) for name in names} | {"lottery": own_version()},
        "device": torch.cuda.get_device_name(device) if on_cuda else "cpu",
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "products": library_in_use(),
        "precision": precision,
        "tf32": {"matrix products": tf32, "convolutions": tf32},
        "command": sys.argv[1:],
        "revision": _git_revision(),
    }


def _git_revision() -> str | None:
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
            timeout=5,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
