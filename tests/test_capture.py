"""What a capture can hold, and that anything else is never replayed."""

from __future__ import annotations

import copy
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._higher_order_ops.out_dtype import out_dtype

from training.capturable import value_obstacle
from training.capture import Observed, capture
from training.replay import REPLAY, Replayed


def double(x: Tensor) -> Tensor:
    return 2 * x


def obstacle(function: Callable[..., Any], *inputs: Any) -> str:
    return capture(function, inputs)[1].obstacle


def test_a_capture_by_hand() -> None:
    weight = nn.Parameter(torch.tensor([1.0, 2.0]))

    def function(x: Tensor) -> tuple[Tensor, None]:
        return torch.add(x.view(2), weight.detach(), alpha=3), None

    outputs, captured = capture(function, [torch.tensor([1.0, 1.0])])
    assert outputs[0].tolist() == [4.0, 7.0]
    (add,) = captured.operations
    (x,), (w,) = captured.inputs, captured.constants
    assert (add.target, add.args, add.kwargs) == (torch.ops.aten.add.Tensor, [x, w], {"alpha": 3})
    assert captured.outputs == [add.result, None]
    assert captured.constants[w] is weight
    assert captured.obstacle == ""


class Plain(Tensor):
    """A kind of tensor of one's own."""


@torch.library.custom_op("tests::halved", mutates_args=())
def halved(x: Tensor) -> Tensor:
    """An operation of one's own."""
    return x / 2


def typed(x: Tensor) -> Tensor:
    """An operation that takes another one."""
    product: Tensor = out_dtype(torch.ops.aten.mm.default, torch.int32, x.char(), x.char())
    return product


SQUARE = torch.eye(2)
OBSTACLES: dict[str, tuple[Callable[..., Any], Sequence[Any], str]] = {
    "of another library": (halved, [SQUARE], "tests.halved.default is none of torch's own"),
    "of higher order": (typed, [SQUARE], "out_dtype is none of torch's own"),
    "memory": (copy.deepcopy, [SQUARE], "gives a tensor another shape in place"),
    "a sparse tensor": (lambda x: x.to_sparse() @ x, [SQUARE], "in the layout torch.sparse_coo"),
    "a kind of tensor": (double, [SQUARE.as_subclass(Plain)], "there is a Plain"),
    "a number": (lambda x: x * x.sum().item(), [SQUARE], "aten._local_scalar_dense.default gives"),
    "exchanged memory": (lambda x: x * (x.__dlpack__() is not None), [SQUARE], "__dlpack__"),
    "one tensor twice": (torch.add, [SQUARE, SQUARE], "two arguments are one tensor"),
    "a generator": (
        lambda x: x + torch.rand(2, generator=torch.Generator().manual_seed(0)),
        [SQUARE],
        "draws from a generator",
    ),
}


@pytest.mark.parametrize("name", OBSTACLES)
def test_what_is_not_known_is_an_obstacle_and_called(name: str) -> None:
    function, inputs, expected = OBSTACLES[name]
    assert expected in obstacle(function, *inputs)
    calls = []

    def counted(*given: Any) -> Any:
        calls.append(name)
        return function(*given)

    watched = Replayed(counted, lambda: None, REPLAY.fewest_calls)
    for _ in range(4):
        assert torch.equal(watched(*inputs).to_dense(), function(*inputs).to_dense())
    assert len(calls) == 4


def test_only_known_kinds_of_values_can_be_replayed() -> None:
    known = (None, True, 1, 1.0, 1j, "a", torch.float32, torch.device("cpu"), torch.strided)
    assert not any(map(value_obstacle, (*known, torch.channels_last, SQUARE, nn.Parameter(SQUARE))))
    unknown = (object(), torch.Generator(), SQUARE.untyped_storage(), torch.add, b"a")
    assert all(map(value_obstacle, unknown))


def test_another_structure_of_what_is_returned_is_another_capture() -> None:
    one, other = (capture(f, [SQUARE])[1] for f in (lambda x: (2 * x,), lambda x: [2 * x]))
    assert not one.is_like(other)
    assert one.is_like(capture(lambda x: (2 * x,), [SQUARE])[1])


def test_an_operation_of_higher_order_is_carried_out_while_it_is_observed() -> None:
    with Observed():
        assert typed(SQUARE).tolist() == [[1, 0], [0, 1]]


def test_neither_a_capture_nor_a_trace_loads_the_compiler() -> None:
    """That would take seconds, before the first step."""
    code = """
import sys, torch
from lottery.forward_pass import trace
from training.capture import capture
network = torch.nn.Linear(2, 2)
capture(lambda x: network(x).sum().backward(), [torch.ones(1, 2)])
trace(network, lambda own: len(own(torch.ones(1, 2))))
sys.exit("torch._dynamo" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
