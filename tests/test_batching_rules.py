"""Every rule gives torch's own results and gradients, and is the one that is used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import vmap

from training.batching import Batching
from training.batching_rules import RULES, BatchingRules
from training.device import matrix_precision
from training.noise import generator
from training.replicates import Replicates

R, B = 3, 4
Call = Callable[..., Tensor]
Case = tuple[Call, tuple[tuple[int, ...], ...]]


def _running(
    images: Tensor, mean: Tensor, variance: Tensor, weight: Tensor, bias: Tensor
) -> Tensor:
    return F.batch_norm(images, mean.detach(), variance.detach().square() + 0.5, weight, bias)


# A call for one network, and the shapes of what it is given.
CASES: dict[str, Case] = {
    "linear of rows": (F.linear, ((B, 5), (6, 5), (6,))),
    "linear of sequences": (F.linear, ((7, B, 5), (6, 5), (6,))),
    "linear without bias": (F.linear, ((7, B, 5), (6, 5))),
    "convolution": (
        lambda x, w, b: F.conv2d(x, w, b, padding=1),
        ((B, 2, 6, 5), (4, 2, 3, 3), (4,)),
    ),
    "convolution without bias": (F.conv2d, ((B, 2, 6, 5), (4, 2, 3, 3))),
    "strided, dilated": (
        lambda x, w: F.conv2d(x, w, stride=2, padding=2, dilation=2),
        ((B, 2, 7, 8), (4, 2, 3, 3)),
    ),
    "same size": (lambda x, w: F.conv2d(x, w, padding="same"), ((B, 2, 6, 5), (4, 2, 3, 3))),
    "depthwise": (
        lambda x, w, b: F.conv2d(x, w, b, groups=4, padding=1),
        ((B, 4, 6, 5), (4, 1, 3, 3), (4,)),
    ),
    "batch norm of the batch": (
        lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True),
        ((B, 3, 4, 5), (3,), (3,)),
    ),
    "batch norm without scale": (
        lambda x: F.batch_norm(x, None, None, training=True),
        ((B, 3, 4, 5),),
    ),
    "batch norm of features": (
        lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True),
        ((B, 3), (3,), (3,)),
    ),
    "batch norm of running values": (_running, ((B, 3, 4, 5), (3,), (3,), (3,), (3,))),
    "average pool": (
        lambda x: F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False),
        ((B, 3, 7, 6),),
    ),
    "max pool": (lambda x: F.max_pool2d(x, 3, 2, padding=1), ((B, 3, 7, 6),)),
    "max pool, rounded up": (lambda x: F.max_pool2d(x, 2, ceil_mode=True), ((B, 3, 7, 5),)),
}


def draw(shape: tuple[int, ...], number: int) -> Tensor:
    return torch.randn(shape, generator=generator(0, "case", number))


def one_by_one(call: Call, tensors: list[Tensor], dims: tuple[int | None, ...]) -> Tensor:
    rows = []
    for r in range(R):
        given = [t if d is None else t.select(d, r) for t, d in zip(tensors, dims, strict=True)]
        rows.append(call(*given))
    return torch.stack(rows)


def result_and_gradients(run: Callable[[], Tensor], tensors: list[Tensor]) -> list[Tensor]:
    out = run()
    grad = draw(tuple(out.shape), 99)
    return [out, *torch.autograd.grad(out, tensors, grad, materialize_grads=True)]


@pytest.mark.parametrize("name", CASES)
def test_a_rule_gives_what_each_replicate_alone_gives(name: str) -> None:
    check_case(name, shared_input=False)


@pytest.mark.parametrize("name", [name for name, (_, shapes) in CASES.items() if len(shapes) > 1])
def test_a_rule_takes_an_input_that_replicates_share(name: str) -> None:
    check_case(name, shared_input=True)


def check_case(name: str, *, shared_input: bool) -> None:
    call, shapes = CASES[name]
    dims: tuple[int | None, ...] = (None if shared_input else 0, *(0,) * (len(shapes) - 1))
    tensors = [
        draw(shape if d is None else (R, *shape), i).requires_grad_()
        for i, (shape, d) in enumerate(zip(shapes, dims, strict=True))
    ]

    def stacked() -> Tensor:
        with BatchingRules():
            out: Tensor = vmap(call, in_dims=dims)(*tensors)
        return out

    ours = result_and_gradients(stacked, tensors)
    alone = result_and_gradients(lambda: one_by_one(call, tensors, dims), tensors)
    for mine, expected in zip(ours, alone, strict=True):
        torch.testing.assert_close(mine, expected, rtol=1e-5, atol=1e-5)


def test_replicates_need_not_come_first() -> None:
    x, w, b = draw((B, R, 2, 6, 5), 0), draw((4, R, 2, 3, 3), 1), draw((4, R), 2)
    with BatchingRules():
        ours = vmap(F.conv2d, in_dims=(1, 1, 1))(x, w, b)
    expected = one_by_one(F.conv2d, [x, w, b], (1, 1, 1))
    torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5)


def test_batch_norm_keeps_each_replicate_its_running_values() -> None:
    images = draw((R, B, 3, 4, 5), 0) * 2 + 1
    means, variances = torch.zeros(R, 3), torch.ones(R, 3)

    def call(x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        return F.batch_norm(x, mean, variance, training=True, momentum=0.25)

    with BatchingRules():
        vmap(call)(images, means, variances)
    # 3/4 of the old value and 1/4 of the batch's, with the variance's unbiased divisor.
    torch.testing.assert_close(means, 0.25 * images.mean((1, 3, 4)))
    torch.testing.assert_close(variances, 0.75 + 0.25 * images.var((1, 3, 4)))


def test_a_shared_weight_under_bf16_gives_what_each_replicate_alone_gives() -> None:
    x, w, b = draw((R, 7, B, 5), 0), draw((R, 6, 5), 1), draw((R, 6), 2)
    with torch.autocast("cpu", torch.bfloat16):
        with BatchingRules():
            ours = vmap(F.linear)(x, w, b)
        expected = one_by_one(F.linear, [x, w, b], (0, 0, 0))
    assert ours.dtype == torch.bfloat16
    torch.testing.assert_close(ours, expected, rtol=2e-2, atol=2e-2)


LAYERS: dict[str, tuple[Callable[..., Any], nn.Module, tuple[int, ...]]] = {
    "linear": (F.linear, nn.Linear(5, 6), (7, B, 5)),
    "conv2d": (F.conv2d, nn.Conv2d(2, 3, 3), (B, 2, 5, 5)),
    "batch_norm": (F.batch_norm, nn.BatchNorm2d(2), (B, 2, 5, 5)),
    "avg_pool2d": (F.avg_pool2d, nn.AvgPool2d(2), (B, 2, 5, 5)),
    "max_pool2d": (F.max_pool2d, nn.MaxPool2d(2), (B, 2, 5, 5)),
}


def test_every_rule_has_a_layer_here() -> None:
    assert {function for function, _, _ in LAYERS.values()} == set(RULES)


@pytest.mark.parametrize("name", LAYERS)
def test_the_layers_of_torch_reach_their_rules(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    function, layer, shape = LAYERS[name]
    calls = []

    def spy(*args: Any, **kwargs: Any) -> Any:
        calls.append(name)
        return function(*args, **kwargs)

    monkeypatch.setitem(RULES, function, spy)
    with BatchingRules():
        layer(torch.randn(shape))
    assert calls == [name]
    layer(torch.randn(shape))
    assert calls == [name]


class Mixed(nn.Module):
    """A convolution, a norm and a linear layer with a bias."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(36, 2)
        )

    def forward(self, images: Tensor) -> Tensor:
        """Logits `[B, 2]`."""
        logits: Tensor = self.layers(images)
        return logits


def precisions(batching: Batching, device: torch.device) -> list[torch.dtype]:
    """Of what each layer gives under bf16, and of the logits' gradient, of two replicates that go back once."""
    replicates = Replicates([Mixed().to(device) for _ in range(2)], [0, 1], batching)
    found = []
    for layer in replicates.network.modules():
        layer.register_forward_hook(lambda *given: found.append(given[-1].dtype))
    images = torch.randn(2, B, 1, 5, 5, device=device)
    with matrix_precision("bf16", device):
        logits = replicates(lambda network, x: network(x), images)
    logits.float().square().sum().backward()
    for leaf in replicates.parameters():
        assert leaf.grad is not None
        assert leaf.grad.dtype == torch.float32
        assert bool(leaf.grad.isfinite().all())
    return [*found, logits.dtype]


def test_stacked_bf16_has_the_precisions_of_a_network_alone() -> None:
    cpu = torch.device("cpu")
    assert precisions("stacked", cpu) == precisions("looped", cpu) == [torch.bfloat16] * 8


@pytest.mark.cuda
def test_stacked_bf16_has_the_precisions_of_a_network_alone_on_cuda() -> None:
    cuda = torch.device("cuda")
    assert precisions("stacked", cuda) == precisions("looped", cuda)


def test_a_stack_enters_the_rules_on_any_device(monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    for function in (F.linear, F.conv2d, F.batch_norm):

        def spy(*args: Any, ruled: Callable[..., Any] = function, **kwargs: Any) -> Any:
            called.append(ruled)
            return ruled(*args, **kwargs)

        monkeypatch.setitem(RULES, function, spy)
    replicates = Replicates([Mixed().to("meta")] * 2, [0, 1], "stacked")
    images = torch.empty(2, B, 1, 5, 5, device="meta")
    assert replicates(lambda network, x: network(x), images).shape == (2, B, 2)
    assert called == [F.conv2d, F.batch_norm, F.linear]
