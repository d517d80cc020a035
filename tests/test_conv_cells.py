"""Convolutional cells: wirings, weights, drop-path, the auxiliary head, and stacks of replicates."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from nas.convolutional.cells import Cell, CellNetwork
from nas.convolutional.wirings import WIRINGS
from nas.genotypes import published
from nas.genotypes.values import CellGraph, ConvCellGenotype
from tests.tiny_tasks import gradients_by_name
from training.batching import Batching
from training.dropout import Dropout, DropPath, set_noise
from training.errors import LotteryError
from training.replicates import Replicates
from training.specs import ImageSpec

SPEC = ImageSpec(channels=3, height=8, width=8, classes=5)
CIFAR = ImageSpec(channels=3, height=32, width=32, classes=10)
SAME = "identity"
# Node 2 = state 0 + state 1, node 3 = state 0 + state 0; both are loose.
SUMS = CellGraph(nodes=(((0, SAME), (1, SAME)), ((0, SAME), (0, SAME))), output=(2, 3))


def small(
    wiring: str = "enas",
    seed: int = 0,
    *,
    spec: ImageSpec = SPEC,
    genotype: ConvCellGenotype = published.ENAS_MICRO,
    normal_cells: int = 1,
    reductions: int = 1,
    drop_path: float = 0.0,
    dropout: float = 0.0,
    auxiliary: int = 0,
) -> CellNetwork:
    torch.manual_seed(seed)
    return CellNetwork(
        spec,
        genotype=genotype,
        wiring=wiring,
        channels=4,
        normal_cells=normal_cells,
        reductions=reductions,
        drop_path=drop_path,
        dropout=dropout,
        auxiliary=auxiliary,
    )


def cell(
    graph: CellGraph,
    inputs: tuple[int, int],
    channels: int,
    *,
    stride: int = 1,
    older_is_larger: bool = False,
    wiring: str = "enas",
    drop_path: float = 0.0,
) -> Cell:
    return Cell(
        graph,
        inputs,
        channels,
        stride=stride,
        older_is_larger=older_is_larger,
        wiring=WIRINGS[wiring],
        drop_path=drop_path,
    )


def weights(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


# What the releases' own modules have, run under torch 2: `NetworkCIFAR` of quark0/darts with 20
# cells, which is 6 normal cells a stage, and `NASNetworkCIFAR` of renqianluo/NAO_pytorch.
@pytest.mark.parametrize(
    ("wiring", "genotype", "channels", "normal_cells", "expected"),
    [
        ("darts", published.DARTS_V1, 36, 6, 3_169_414),
        ("darts", published.DARTS_V2, 36, 6, 3_349_342),
        ("darts", published.NASNET_A, 36, 6, 3_830_950),
        ("darts", published.AMOEBANET_A, 36, 6, 3_145_078),
        ("darts", published.PNASNET_5, 36, 6, 4_481_110),
        ("nao", published.NAONET_A, 36, 6, 11_470_150),
        ("nao", published.NAONET_A, 128, 6, 144_576_394),
        ("nao", published.NAONET_B, 36, 6, 2_921_302),
        ("nao", published.NAO_V2, 36, 6, 4_387_654),
        ("nao", published.NAO_WS_CNN, 36, 5, 2_301_310),
        ("nao", published.ENAS_MICRO, 36, 5, 3_729_430),
        ("nao", published.ENAS_MICRO, 36, 6, 4_394_710),
        ("nao", published.ENAS_MICRO_PAPER, 36, 5, 3_270_718),
        # By hand from the line of NAO: `layer_base` adds c^2 + 2 c to 5 cells of 36 channels and 6
        # each of 72 and 144, which is 164,952, and the classifier loses its 10 biases.
        ("enas", published.ENAS_MICRO, 36, 5, 3_894_372),
        # Published as 4.6 M (Pham et al. 2018, table 2) and 2.5 M (Luo et al. 2018, table 1).
        ("enas", published.ENAS_MICRO, 36, 6, 4_587_372),
        ("enas", published.NAO_WS_CNN, 36, 5, 2_466_252),
    ],
)
def test_weights_of_the_releases(
    wiring: str, genotype: ConvCellGenotype, channels: int, normal_cells: int, expected: int
) -> None:
    with torch.device("meta"):
        network = CellNetwork(
            CIFAR,
            genotype=genotype,
            wiring=wiring,
            channels=channels,
            normal_cells=normal_cells,
            reductions=2,
            drop_path=0.0,
            dropout=0.0,
            auxiliary=0,
        )
    assert weights(network) == expected


# Behind the second reduction: 4 loose ends of 144 channels in DARTS_V1, 3 in NASNet-A; the ENAS
# head stands one cell further, behind 5 ends, and has no biases.
@pytest.mark.parametrize(
    ("wiring", "genotype", "expected"),
    [
        ("darts", published.DARTS_V1, 476_426),
        ("darts", published.NASNET_A, 457_994),
        ("nao", published.NAONET_A, 476_426),
        ("enas", published.ENAS_MICRO, 476_416 + 144 * 128),
    ],
)
def test_weights_of_the_auxiliary_heads(
    wiring: str, genotype: ConvCellGenotype, expected: int
) -> None:
    with torch.device("meta"):
        network = CellNetwork(
            CIFAR,
            genotype=genotype,
            wiring=wiring,
            channels=36,
            normal_cells=1,
            reductions=2,
            drop_path=0.2,
            dropout=0.4,
            auxiliary=1,
        )
    assert network.auxiliary is not None
    assert weights(network.auxiliary) == expected


def test_cell_adds_edges_and_concatenates_its_output() -> None:
    module = cell(SUMS, (3, 3), channels=3).eval()
    older, newer = torch.randn(2, 2, 3, 4, 4)
    state_1 = module.newer(newer)
    # Equal channels: the older input is not calibrated, the newer one passes its base layer only.
    torch.testing.assert_close(module(older, newer), torch.cat([older + state_1, 2 * older], 1))


def test_nao_leaves_inputs_of_equal_channels_alone_and_darts_calibrates_both() -> None:
    older, newer = torch.randn(2, 2, 3, 4, 4)
    expected = torch.cat([older + newer, 2 * older], 1)
    assert torch.equal(cell(SUMS, (3, 3), 3, wiring="nao")(older, newer), expected)
    assert not list(cell(SUMS, (3, 3), 3, wiring="nao").parameters())
    # A 1x1 convolution and a norm each: 9 + 6.
    assert weights(cell(SUMS, (3, 3), 3, wiring="darts")) == 2 * 15


@pytest.mark.parametrize("wiring", WIRINGS)
def test_inputs_are_calibrated_and_loose_inputs_reduced(wiring: str) -> None:
    # State 0 is loose in a reduction cell: it must come out at half the size.
    graph = CellGraph(nodes=(((1, "max-3x3"), (1, "average-3x3")),), output=(0, 2))
    module = cell(graph, (5, 7), 6, stride=2, older_is_larger=True, wiring=wiring)
    out = module(torch.randn(2, 5, 15, 13), torch.randn(2, 7, 8, 7))
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


@pytest.mark.parametrize("wiring", WIRINGS)
@pytest.mark.parametrize(
    "genotype", [published.NAONET_A, published.DARTS_V2, published.AMOEBANET_A]
)
@pytest.mark.parametrize("size", [(8, 8), (28, 28), (5, 9)])
def test_any_genotype_takes_any_wiring_and_size(
    wiring: str, genotype: ConvCellGenotype, size: tuple[int, int]
) -> None:
    spec = ImageSpec(channels=1, height=size[0], width=size[1], classes=3)
    network = small(wiring, spec=spec, genotype=genotype, reductions=2, auxiliary=1)
    logits, auxiliary = network(torch.randn(2, 1, *size))
    assert logits.shape == auxiliary.shape == (2, 3)
    assert network.eval()(torch.randn(2, 1, *size)).shape == (2, 3)


@pytest.mark.parametrize(("wiring", "rectified"), [("enas", True), ("nao", False)])
def test_the_head_averages_and_classifies(wiring: str, rectified: bool) -> None:
    network = small(wiring, reductions=0)
    seen: list[Tensor] = []
    network.cells[-1].register_forward_hook(lambda module, args, out: seen.append(out))
    logits = network(torch.randn(2, 3, 8, 8))
    features = (seen[0].relu() if rectified else seen[0]).mean((2, 3))
    assert (network.classifier.bias is None) == (wiring == "enas")
    torch.testing.assert_close(logits, network.classifier(features))


def test_a_network_without_cells_classifies_its_stem() -> None:
    network = small(normal_cells=0, reductions=0)
    assert network(torch.randn(2, 3, 8, 8)).shape == (2, 5)


# With one normal cell a stage the cells are: normal, reduction, normal, reduction, normal.
@pytest.mark.parametrize(("wiring", "index"), [("enas", 4), ("nao", 3), ("darts", 3)])
def test_the_auxiliary_head_reads_the_cell_of_the_release(wiring: str, index: int) -> None:
    network = small(wiring, reductions=2, auxiliary=1)
    assert network.auxiliary is not None
    seen: list[Tensor] = []
    network.cells[index].register_forward_hook(lambda module, args, out: seen.append(out))
    network.auxiliary.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    network(torch.randn(2, 3, 8, 8))
    assert seen[1] is seen[0]


def test_an_auxiliary_head_behind_a_last_reduction() -> None:
    network = small("enas", normal_cells=0, reductions=2, auxiliary=1)
    assert network.auxiliary_cell == 1
    assert network(torch.randn(2, 3, 8, 8))[1].shape == (2, 5)


def test_the_auxiliary_head_changes_neither_weights_nor_logits() -> None:
    images = torch.randn(2, 3, 8, 8)
    without, with_head = small("darts"), small("darts", auxiliary=1)
    own = {name for name in with_head.state_dict() if name.startswith("auxiliary.")}
    assert with_head.state_dict().keys() - own == without.state_dict().keys()
    with_head.load_state_dict(without.state_dict(), strict=False)
    assert torch.equal(with_head.eval()(images), without.eval()(images))


@pytest.mark.parametrize(
    ("wiring", "normal", "reducing", "rates"),
    [
        # One separable convolution and three identities a cell; all of them read an input.
        ("enas", 1, 1, [0.1, 0.2, 0.3]),
        ("nao", 4, 4, [0.1, 0.2, 0.3]),
        ("darts", 1, 4, [0.3, 0.3, 0.3]),
    ],
)
def test_drop_path_acts_where_and_as_strongly_as_released(
    wiring: str, normal: int, reducing: int, rates: list[float]
) -> None:
    graph = CellGraph(
        nodes=(((0, "separable-3x3"), (1, SAME)), ((0, SAME), (0, SAME))), output=(2, 3)
    )
    genotype = ConvCellGenotype(normal=graph, reduction=graph)
    network = small(wiring, genotype=genotype, drop_path=0.3)
    paths = [[m for m in c.modules() if isinstance(m, DropPath)] for c in network.cells]
    assert [len(of_cell) for of_cell in paths] == [normal, reducing, normal]
    for of_cell, rate in zip(paths, rates, strict=True):
        assert all(path.p == pytest.approx(rate) for path in of_cell)


def test_nothing_is_drawn_where_rates_are_zero() -> None:
    modules = list(small(reductions=2, auxiliary=1).modules())
    assert not any(isinstance(module, DropPath | Dropout) for module in modules)


def test_dropped_paths_leave_whole_examples_out() -> None:
    graph = CellGraph(nodes=(((0, SAME), (0, SAME)),), output=(2,))
    module = cell(graph, (2, 2), 2, wiring="nao", drop_path=0.5)
    set_noise(module, seed=1, step=0, progress=1.0)
    ones = torch.ones(64, 2, 3, 3)
    out = module(ones, ones)
    # Two paths, each dropped or doubled: every example is 0, 2 or 4 throughout.
    assert torch.equal(out, out[:, :1, :1, :1].expand_as(out))
    assert set(out.unique().tolist()) == {0.0, 2.0, 4.0}
    assert torch.equal(module.eval()(ones, ones), 2 * ones)


def test_dropout_stands_before_the_classifier() -> None:
    network = small(dropout=0.9)
    seen: list[Tensor] = []
    network.classifier.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    set_noise(network, seed=1, step=0)
    network(torch.randn(8, 3, 8, 8))
    assert (seen[0] == 0.0).float().mean() > 0.7


@pytest.mark.parametrize("wiring", WIRINGS)
def test_gradients_reach_every_weight(wiring: str) -> None:
    network = small(wiring, genotype=published.NAONET_A, reductions=2, auxiliary=1)
    logits, auxiliary = network(torch.randn(4, 3, 8, 8))
    torch.autograd.backward(logits.square().sum() + auxiliary.square().sum())
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_images_too_small() -> None:
    with pytest.raises(
        LotteryError, match="8 x 8 pixels are too small for .*16 x 16 or fewer reductions"
    ):
        small(reductions=4)


def test_an_auxiliary_head_needs_a_reduction() -> None:
    with pytest.raises(LotteryError, match="give at least 1 reduction, or auxiliary 0"):
        small(reductions=0, auxiliary=1)


@pytest.mark.parametrize("wiring", WIRINGS)
def test_channels_last_is_kept(wiring: str) -> None:
    network = small(wiring, genotype=published.DARTS_V2).to(memory_format=torch.channels_last)
    kept: list[bool] = []
    for module in network.cells:
        module.register_forward_hook(
            lambda module, args, out: kept.append(
                out.is_contiguous(memory_format=torch.channels_last)
            )
        )
    network(torch.randn(2, 3, 8, 8).to(memory_format=torch.channels_last))
    assert kept == [True, True, True]


def gradients_of(
    networks: list[CellNetwork], seeds: list[int], images: Tensor, batching: Batching
) -> tuple[Tensor, dict[str, Tensor]]:
    """Logits of both heads, and what a step would see, of a stack half-way through training."""
    replicates = Replicates(networks, seeds, batching)
    replicates.advance(3, progress=0.5)
    logits = torch.cat(replicates(lambda network, x: network(x), images), dim=-1)
    torch.autograd.backward(logits.square().sum())
    return logits.detach(), gradients_by_name(replicates)


@pytest.mark.parametrize("wiring", WIRINGS)
@pytest.mark.parametrize("batching", ["stacked", "looped"])
def test_a_replicate_of_three_is_the_one_that_is_alone(wiring: str, batching: Batching) -> None:
    seeds = [1, 2, 3]
    genotype = ConvCellGenotype(
        normal=published.NAONET_A.normal, reduction=published.DARTS_V2.reduction
    )
    networks = [
        small(wiring, s, genotype=genotype, drop_path=0.5, dropout=0.3, auxiliary=1) for s in seeds
    ]
    images = torch.randn(3, 6, 3, 8, 8)
    logits, gradients = gradients_of(networks, seeds, images, batching)
    alone, own = gradients_of(networks[1:2], seeds[1:2], images[1:2], "looped")
    torch.testing.assert_close(logits[1], alone[0], rtol=1e-3, atol=1e-4)
    for name, gradient in own.items():
        near = gradients[name][1]
        # Through a norm over few pixels, sums in another order differ by more than one rounding.
        assert (near - gradient[0]).norm() <= 1e-3 * gradient[0].norm() + 1e-4, name


def test_a_genotype_whose_cell_has_one_loose_end() -> None:
    chain = CellGraph(nodes=(((0, SAME), (1, "max-3x3")), ((2, SAME), (1, SAME))), output=(3,))
    genotype = ConvCellGenotype(normal=chain, reduction=chain)
    network = small(genotype=genotype, normal_cells=2)
    assert network(torch.randn(2, 3, 8, 8)).shape == (2, 5)
