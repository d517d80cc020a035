"""Convolutional cells: shapes, wiring, and running under vmap."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from nas.catalog import ENAS_MICRO
from nas.conv_cells import Cell, CellNetwork
from nas.genotypes import CONV_OPERATIONS, CellGraph, ConvCellGenotype
from nas.operations import OPERATIONS, FactorizedReduction
from training.errors import LotteryError
from training.specs import ImageSpec

SPEC = ImageSpec(channels=3, height=8, width=8, classes=5)


def small(seed: int = 0, reductions: int = 1) -> CellNetwork:
    torch.manual_seed(seed)
    return CellNetwork(SPEC, genotype=ENAS_MICRO, channels=4, normal_cells=1, reductions=reductions)


def test_every_operation_has_a_constructor() -> None:
    assert OPERATIONS.keys() == CONV_OPERATIONS


@pytest.mark.parametrize("word", sorted(OPERATIONS))
def test_operations_keep_channels_and_divide_the_size(word: str) -> None:
    x = torch.randn(2, 6, 7, 8)
    assert OPERATIONS[word](6, 1)(x).shape == (2, 6, 7, 8)
    assert OPERATIONS[word](6, 2)(x).shape == (2, 6, 4, 4)


def test_average_pool_does_not_count_the_border() -> None:
    ones = torch.ones(1, 1, 4, 4)
    assert torch.equal(OPERATIONS["average-3x3"](1, 1)(ones), ones)


def test_separable_convolution_is_relu_depthwise_pointwise_norm_twice() -> None:
    module = OPERATIONS["separable-5x5"](4, 2)
    assert isinstance(module, nn.Sequential)
    kinds = [type(layer) for layer in module]
    assert kinds == [nn.ReLU, nn.Conv2d, nn.Conv2d, nn.BatchNorm2d] * 2
    strides = [layer.stride for layer in module if isinstance(layer, nn.Conv2d)]
    assert strides == [(2, 2), (1, 1), (1, 1), (1, 1)]
    # 4 x 25 depthwise, 4 x 4 pointwise, 4 + 4 of the norm, twice; no bias.
    assert sum(p.numel() for p in module.parameters()) == 2 * (100 + 16 + 8)


def test_factorized_reduction_sees_even_and_odd_pixels() -> None:
    module = FactorizedReduction(1, 2).eval()
    with torch.no_grad():
        module.even.weight.fill_(1.0)
        module.odd.weight.fill_(1.0)
        out = module(torch.arange(16.0).view(1, 1, 4, 4)) * (1.0 + module.norm.eps) ** 0.5
    # Rows of four: the even pixels are 0 2 / 8 10, those one below and to the right 5 7 / 13 15.
    expected = torch.tensor([[[[0.0, 2.0], [8.0, 10.0]], [[5.0, 7.0], [13.0, 15.0]]]])
    torch.testing.assert_close(out, expected)


def test_cell_adds_edges_and_concatenates_loose_ends() -> None:
    # Node 2 = state 0 + state 1, node 3 = state 0 + state 0; both are loose.
    same = "identity"
    graph = CellGraph(nodes=(((0, same), (1, same)), ((0, same), (0, same))))
    cell = Cell(graph, (3, 3), channels=3, stride=1, older_is_larger=False).eval()
    older, newer = torch.randn(2, 2, 3, 4, 4)
    state_1 = cell.newer(newer)
    # Equal channels: the older input is not calibrated, the newer one passes its base layer only.
    torch.testing.assert_close(cell(older, newer), torch.cat([older + state_1, 2 * older], 1))


def test_inputs_are_calibrated_and_loose_inputs_reduced() -> None:
    # State 0 is loose in a reduction cell: it must come out at half the size.
    graph = CellGraph(nodes=(((1, "max-3x3"), (1, "average-3x3")),))
    cell = Cell(graph, (5, 7), channels=6, stride=2, older_is_larger=True)
    out = cell(torch.randn(2, 5, 16, 16), torch.randn(2, 7, 8, 8))
    assert out.shape == (2, 12, 4, 4)


@pytest.mark.parametrize(("reductions", "size"), [(0, 8), (1, 4), (2, 2)])
def test_stages(reductions: int, size: int) -> None:
    network = small(reductions=reductions)
    assert len(network.cells) == 2 * reductions + 1
    seen: list[Tensor] = []
    network.cells[-1].register_forward_hook(lambda module, args, out: seen.append(out))
    assert network(torch.randn(2, 3, 8, 8)).shape == (2, 5)
    # Channels double at each reduction; the normal cell has five loose ends.
    assert seen[0].shape == (2, 5 * 4 * 2**reductions, size, size)


def test_the_head_rectifies_averages_and_classifies() -> None:
    network = small(reductions=0)
    seen: list[Tensor] = []
    network.cells[-1].register_forward_hook(lambda module, args, out: seen.append(out))
    logits = network(torch.randn(2, 3, 8, 8))
    features = seen[0].clamp(min=0).mean((2, 3))
    torch.testing.assert_close(logits, features @ network.classifier.weight.t())


def test_images_too_small() -> None:
    with pytest.raises(LotteryError, match="8 x 8 pixels can't be halved 4 times"):
        small(reductions=4)


def test_channels_last_is_kept() -> None:
    network = small().to(memory_format=torch.channels_last)
    kept: list[bool] = []
    for cell in network.cells:
        cell.register_forward_hook(
            lambda module, args, out: kept.append(
                out.is_contiguous(memory_format=torch.channels_last)
            )
        )
    network(torch.randn(2, 3, 8, 8).to(memory_format=torch.channels_last))
    assert kept == [True, True, True]


def test_stacked_equals_looped_in_training_with_buffers() -> None:
    networks: list[nn.Module] = [small(seed) for seed in (1, 2, 3)]
    images = torch.randn(3, 4, 3, 8, 8)
    parameters, buffers = stack_module_state(networks)
    base = networks[0]

    def forward(p: dict[str, Tensor], b: dict[str, Tensor], x: Tensor) -> Tensor:
        out: Tensor = functional_call(base, (p, b), (x,))
        return out

    stacked = vmap(forward)(parameters, buffers, images)
    gradients = torch.autograd.grad(stacked.square().sum(), list(parameters.values()))
    for r, network in enumerate(networks):
        logits = network(images[r])
        torch.testing.assert_close(stacked[r], logits, rtol=1e-4, atol=1e-4)
        own = torch.autograd.grad(logits.square().sum(), list(network.parameters()))
        for mine, all_of_them in zip(own, gradients, strict=True):
            torch.testing.assert_close(all_of_them[r], mine, rtol=1e-3, atol=1e-2)
        for name, buffer in network.named_buffers():
            torch.testing.assert_close(buffers[name][r], buffer, rtol=1e-4, atol=1e-5)


def test_a_genotype_whose_cell_has_one_loose_end() -> None:
    chain = CellGraph(nodes=(((0, "identity"), (1, "max-3x3")), ((2, "identity"), (1, "identity"))))
    network = CellNetwork(
        SPEC,
        genotype=ConvCellGenotype(normal=chain, reduction=chain),
        channels=3,
        normal_cells=2,
        reductions=1,
    )
    assert network(torch.randn(2, 3, 8, 8)).shape == (2, 5)
