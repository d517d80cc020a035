"""Compacted networks: dead units by hand, and outputs that are equal for any mask."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from lottery.measurements.compaction import compacted, dead_units
from lottery.pruning.masks import Mask, apply_mask, dense_mask, tensors_of
from lottery.pruning.prunable import prunable_names
from lottery.pruning.unit_tracing import trace_units
from nas.catalog.building import build
from tests.tiny_runs import digits
from training.errors import LotteryError
from training.seeded_draws import default_generator_seeded


def perceptron() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))


def convolutional() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Conv2d(4, 3, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(3, 3, 2),
        nn.Flatten(),
        nn.Linear(3, 2),
    )


def drawn(make: Callable[[], nn.Module]) -> nn.Module:
    with default_generator_seeded(1):
        return make().eval()


def dense(network: nn.Module) -> Mask:
    weights = dict(network.named_parameters())
    return dense_mask({name: weights[name] for name in prunable_names(network, False)})


def sizes(network: nn.Module) -> list[int]:
    return [len(p) for name, p in network.named_parameters() if p.dim() > 1]


def equal(network: nn.Module, mask: Mask, smaller: nn.Module, x: Tensor) -> None:
    network.load_state_dict(apply_mask(mask, tensors_of(network)))
    assert torch.allclose(smaller(x), network(x), rtol=1e-4, atol=1e-5)


def test_dead_units_by_hand() -> None:
    network = perceptron()
    mask = dense(network)
    units = trace_units(network, lambda one: one(torch.ones(1, 3)), [*mask])
    # Of the second layer nobody reads the first neuron, which alone reads the third of the first layer.
    mask["4.weight"][:, 0] = False
    mask["2.weight"][1:, 2] = False
    # Nothing makes the fourth of the first, which alone makes the last of the second.
    mask["0.weight"][3] = False
    mask["2.weight"][2, :3] = False
    dead = dead_units(units, mask)
    assert dead.unread.tolist() == [False, False, True, False, True, False, False, False]
    assert dead.constant.tolist() == [False, False, False, True, False, False, True, False]


def test_a_perceptron_by_hand() -> None:
    network = drawn(perceptron)
    mask, x = dense(network), torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    assert sizes(compacted(network, mask, x)) == [4, 3, 2]
    mask["4.weight"][:, 0] = False
    mask["2.weight"][1:, 2] = False
    mask["0.weight"][3] = False
    mask["2.weight"][2, :3] = False
    smaller = compacted(network, mask, x)
    # What is never read goes, and what is constant goes into a bias.
    assert sizes(smaller) == [2, 1, 2]
    equal(network, mask, smaller, x)


@given(st.integers(0, 10_000), st.floats(0.02, 0.9))
@settings(max_examples=25, deadline=None)
@pytest.mark.parametrize(
    ("make", "shape"), [(perceptron, (4, 3)), (convolutional, (4, 1, 4, 4))], ids=["fc", "conv"]
)
def test_outputs_are_equal_for_any_mask(
    make: Callable[[], nn.Module], shape: tuple[int, ...], seed: int, density: float
) -> None:
    source, network = torch.Generator().manual_seed(seed), drawn(make)
    mask = {n: torch.rand(m.shape, generator=source) < density for n, m in dense(network).items()}
    example, others = (torch.randn(shape, generator=source) for _ in range(2))
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.get_buffer("running_mean").uniform_(-1, 1, generator=source)
    smaller = compacted(network, mask, example)
    equal(network, mask, smaller, others)
    if density < 0.1:
        assert sum(sizes(smaller)) < sum(sizes(network))


@pytest.mark.parametrize(
    ("name", "size"), [("resnet", {"depth": 8, "width": 4}), ("enas-micro", {"channels": 2})]
)
def test_residual_and_searched_networks_become_smaller(name: str, size: dict[str, int]) -> None:
    network = build(name, size, digits().spec, torch.Generator()).eval()
    source, whole = torch.Generator().manual_seed(0), dense(network)
    mask = {n: torch.rand(m.shape, generator=source) < 0.02 for n, m in whole.items()}
    example, others = (torch.randn((2, 1, 8, 8), generator=source) for _ in range(2))
    smaller = compacted(network, mask, example)
    assert sum(sizes(smaller)) < 0.8 * sum(sizes(network))
    equal(network, mask, smaller, others)


class Counting(nn.Module):
    """Counts its channels itself."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        """The logits `[B, 2]`."""
        logits: Tensor = self.last(self.first(x) + x.new_zeros(len(x), 4))
        return logits


def test_what_counts_its_channels_itself_is_refused() -> None:
    network = drawn(Counting)
    mask = dense(network)
    mask["last.weight"][:, 1] = False
    with pytest.raises(LotteryError, match=r"Counting can't be compacted: The size of tensor"):
        compacted(network, mask, torch.ones(2, 3))
