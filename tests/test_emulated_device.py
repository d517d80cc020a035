"""The CUDA path on a machine without a card: the same code on an emulated device, each part in a process of its own.

The device's name lasts for the process, so what is in `emulated_*.py` is run by a pytest of its own. The device relies
on what torch doesn't promise: each piece of that is tried here, and says so where a torch has changed it.
"""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils import backend_registration

PARTS = ("emulated_checks", "emulated_training", "emulated_pruning")


def another(cls: type, func: object, types: object, args: object, kwargs: object = None) -> Tensor:
    """Whatever is asked of a `Wrapper`, one more."""
    return wrapper()


class Wrapper(Tensor):
    """A tensor without memory of its own."""

    __torch_function__: Any = getattr(torch._C, "_disabled_torch_function_impl", None)
    __torch_dispatch__: Any = classmethod(another)


def wrapper() -> Tensor:
    made: Tensor = Tensor._make_wrapper_subclass(
        Wrapper, (2, 3), dtype=torch.float32, device=torch.device("meta")
    )
    return made


def takes_a_name_and_a_module() -> bool:
    setup = backend_registration._setup_privateuseone_for_python_backend
    return {"rename", "backend_module"} <= inspect.signature(setup).parameters.keys()


def lifting_is_a_switch() -> bool:
    before = torch._C._only_lift_cpu_tensors()
    torch._C._set_only_lift_cpu_tensors(True)
    after = torch._C._only_lift_cpu_tensors()
    torch._C._set_only_lift_cpu_tensors(before)
    return after and not before


def keys_can_be_excluded() -> bool:
    known: Any = torch._C.DispatchKey
    key = known.AutocastPrivateUse1
    with torch._C._ExcludeDispatchKeyGuard(torch._C.DispatchKeySet(key)):
        return torch._C._dispatch_tls_is_dispatch_key_excluded(key)


def parameters_of_other_kinds() -> bool:
    parameter: Any = nn.Parameter(wrapper())
    return type(parameter) is Wrapper and bool(parameter._is_param)


PIECES: Mapping[str, Callable[[], object]] = {
    "_setup_privateuseone_for_python_backend takes rename and backend_module": takes_a_name_and_a_module,
    "_DummyBackendModule is such a backend's module": lambda: (
        backend_registration._DummyBackendModule().device_count()
    ),
    "Tensor._make_wrapper_subclass makes a tensor without memory": lambda: (
        wrapper().shape == (2, 3)
    ),
    "_disabled_torch_function_impl leaves results as they are": lambda: (
        type(wrapper() + 1) is Wrapper
    ),
    "_set_only_lift_cpu_tensors is a switch": lifting_is_a_switch,
    "_ExcludeDispatchKeyGuard takes the key AutocastPrivateUse1": keys_can_be_excluded,
    "a Library of all operations takes a fallback that falls through": lambda: (
        {"fn", "dispatch_key"}
        <= inspect.signature(torch.library.Library.fallback).parameters.keys()
        and torch.library.fallthrough_kernel
    ),
    "a parameter of another kind of tensor is marked by _is_param": parameters_of_other_kinds,
    "fused optimizers know PrivateUse1": lambda: (
        torch._C._get_privateuse1_backend_name()
        in torch.utils._foreach_utils._get_fused_kernels_supported_devices()
    ),
    "a backward pass can be kept in its thread": lambda: torch.autograd.set_multithreading_enabled,
}


@pytest.mark.parametrize("what", PIECES)
def test_torch_still_has_what_the_device_relies_on(what: str) -> None:
    said = f"torch {torch.__version__} has changed: it no longer holds that {what}; look at tests/emulated_device.py"
    try:
        found = PIECES[what]()
    except (AttributeError, TypeError, RuntimeError, NotImplementedError) as error:
        raise AssertionError(said) from error
    assert found, said


@pytest.mark.parametrize("part", PARTS)
def test_on_an_emulated_device(part: str) -> None:
    path = Path(__file__).with_name(f"{part}.py")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--tb=short", str(path)]
    outside = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    done = subprocess.run(
        command, cwd=path.parents[1], env=outside, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
