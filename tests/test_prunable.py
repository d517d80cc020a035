"""What may be pruned."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, prune

from lottery.pruning.prunable import left_whole, prunable_names
from nas.catalog.building import build
from nas.convolutional.auxiliary import AuxiliaryHead, counted_parameters
from nas.normalised_weights import bear_zeros
from tests.test_normalised_weights import NORMALISED
from training.errors import LotteryError
from training.specs import ImageSpec, TextSpec

IMAGES = ImageSpec(channels=1, height=8, width=8, classes=10)


def network(name: str, size: dict[str, object]) -> nn.Module:
    spec = TextSpec(vocabulary=9) if name in ("lstm", "enas-lm") else IMAGES
    return build(name, size, spec, torch.Generator())


def test_matrices_are_and_biases_are_not() -> None:
    names = prunable_names(network("lenet-300-100", {"widths": (8, 6)}), embeddings=False)
    assert names == ["layers.0.weight", "layers.1.weight", "layers.2.weight"]


def test_kernels_are_and_norms_are_not() -> None:
    small = network("resnet", {"depth": 8, "width": 2})
    norms = {
        f"{name}.{own}"
        for name, module in small.named_modules()
        if isinstance(module, nn.BatchNorm2d)
        for own, _ in module.named_parameters()
    }
    names = prunable_names(small, embeddings=False)
    assert norms
    assert not norms & set(names)
    assert {dict(small.named_parameters())[name].dim() for name in names} == {2, 4}


def test_a_tied_embedding_stands_once_and_only_when_asked_for() -> None:
    model = network("lstm", {"embedding": 4, "hidden": 5, "layers": 2})
    without, with_it = (prunable_names(model, embeddings=e) for e in (False, True))
    assert without == [
        "cores.0.weight_input",
        "cores.0.weight_hidden",
        "cores.1.weight_input",
        "cores.1.weight_hidden",
    ]
    assert with_it == ["embedding.weight", *without]


def test_frozen_weights_are_not() -> None:
    pair = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2))
    pair[0].requires_grad_(False)
    assert prunable_names(pair, embeddings=False) == ["1.weight"]


def test_nothing_to_prune_is_an_error() -> None:
    with pytest.raises(LotteryError, match=r"^BatchNorm1d has no weights to prune"):
        prunable_names(nn.BatchNorm1d(3), embeddings=False)


def test_norms_over_two_dimensions_and_scales_per_channel_are_not() -> None:
    network = nn.Sequential(nn.LayerNorm((3, 4)), nn.RMSNorm((3, 4)), nn.Linear(1, 3))
    network.register_parameter("scale", nn.Parameter(torch.ones(3, 1, 1)))
    network.register_parameter("matrix", nn.Parameter(torch.ones(3, 2)))
    # A linear layer from one feature has a matrix of one column.
    assert prunable_names(network, embeddings=False) == ["matrix", "2.weight"]


def test_an_auxiliary_head_is_not() -> None:
    head = AuxiliaryHead(2, (4, 4), 3, bias=True)
    network = nn.ModuleDict({"stem": nn.Conv2d(1, 2, 3), "head": head})
    assert prunable_names(network, embeddings=False) == ["stem.weight"]
    assert [*counted_parameters(network)] == ["stem.weight", "stem.bias"]


def test_a_bag_of_embeddings_is_an_embedding() -> None:
    network = nn.Sequential(nn.EmbeddingBag(5, 2), nn.Linear(2, 3))
    assert prunable_names(network, embeddings=False) == ["1.weight"]
    assert prunable_names(network, embeddings=True) == ["0.weight", "1.weight"]


def test_kernels_of_every_kind_of_layer_are() -> None:
    network = nn.Sequential(
        nn.Conv1d(2, 3, 4),
        nn.ConvTranspose2d(2, 3, 4),
        nn.Bilinear(2, 3, 4),
        nn.GRUCell(1, 3),
        nn.LSTM(1, 3),
        nn.MultiheadAttention(4, 2, add_bias_kv=True),
    )
    assert prunable_names(network, embeddings=False) == [
        *("0.weight", "1.weight", "2.weight", "3.weight_ih", "3.weight_hh"),
        *("4.weight_ih_l0", "4.weight_hh_l0", "5.in_proj_weight", "5.out_proj.weight"),
    ]


def test_of_what_no_layer_holds_only_matrices_are() -> None:
    network = nn.Sequential(nn.Linear(2, 3))
    for dimensions in range(5):
        # [], [5], [4, 5], [3, 4, 5], [2, 3, 4, 5]
        shape = range(6 - dimensions, 6)
        network.register_parameter(f"bare_{dimensions}", nn.Parameter(torch.ones([*shape])))
    assert prunable_names(network, embeddings=False) == ["bare_2", "0.weight"]


@pytest.mark.parametrize("safe", [False, True])
@pytest.mark.parametrize("name", NORMALISED)
def test_what_is_behind_a_normalised_weight_is_and_its_lengths_are_not(
    name: str, safe: bool
) -> None:
    normalise, behind = NORMALISED[name]
    # With one feature and with one for each output, lengths have the shape of the weight.
    layers = [nn.Linear(4, 3), nn.Linear(1, 3), nn.Conv2d(2, 3, 3), nn.ConvTranspose1d(2, 3, 3)]
    network = nn.Sequential(*(normalise(layer) for layer in layers))
    if safe:
        bear_zeros(network)
    assert prunable_names(network, embeddings=False) == [f"{i}.{behind}" for i in range(4)]
    assert left_whole(network, embeddings=False) == ""


def test_normalised_embeddings_and_attention_are_what_they_are_without() -> None:
    network = nn.Sequential(
        parametrizations.spectral_norm(nn.Embedding(5, 4)),
        parametrizations.weight_norm(nn.MultiheadAttention(4, 2), "in_proj_weight"),
    )
    attention = ["1.out_proj.weight", "1.parametrizations.in_proj_weight.original1"]
    assert {*prunable_names(network, embeddings=False)} == {*attention}
    table = "0.parametrizations.weight.original"
    assert {*prunable_names(network, embeddings=True)} == {table, *attention}


class Exponential(nn.Module):
    """Weights above 0."""

    def forward(self, weight: Tensor) -> Tensor:
        """A 0 becomes 1."""
        return weight.exp()


class Doubled(nn.Module):
    """Twice the weight."""

    def forward(self, weight: Tensor) -> Tensor:
        """A 0 stays 0."""
        return 2 * weight


def test_a_weight_that_is_not_0_where_its_parameter_is_stays_whole_and_is_named() -> None:
    layers = [nn.Linear(4, 3) for _ in range(4)]
    parametrize.register_parametrization(layers[0], "weight", Exponential())
    parametrize.register_parametrization(layers[1], "weight", Doubled())
    parametrizations.orthogonal(layers[2])
    network = nn.Sequential(*layers)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    assert prunable_names(network, embeddings=False) == [
        *("1.parametrizations.weight.original", "3.weight")
    ]
    sentence = left_whole(network, embeddings=False)
    assert sentence.startswith(
        "24 weights are never pruned, those of 0.parametrizations.weight.original, "
        "2.parametrizations.weight.original: "
    )
    assert all(torch.equal(before[name], t) for name, t in network.state_dict().items())


class Kernels(nn.Module):
    """Kernels that the module holds itself."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.kernels = nn.ParameterList(torch.rand(5, 3, 2, 2) for _ in range(count))
        self.scale = nn.Parameter(torch.ones(3, 1, 1))
        self.table = nn.Embedding(9, 4)
        self.fixed = nn.Parameter(torch.rand(2, 3, 4), requires_grad=False)


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (2, "120 weights are never pruned, those of kernels.0, kernels.1: no layer"),
        (
            5,
            "300 weights are never pruned, those of kernels.0, kernels.1, kernels.2 and 2 more: no",
        ),
    ],
)
def test_bare_kernels_are_left_out_and_said_to_be(count: int, words: str) -> None:
    network = Kernels(count)
    assert prunable_names(network, embeddings=False) == ["layer.weight"]
    sentence = left_whole(network, embeddings=False)
    assert sentence.startswith(words)
    assert sentence.endswith("put a kernel into a layer such as torch.nn.Conv2d to have it pruned.")
    assert left_whole(network.layer, embeddings=False) == ""


def test_masks_of_torch_are_refused_until_they_are_removed() -> None:
    network = nn.Sequential(nn.Linear(4, 3), nn.Conv2d(2, 3, 3))
    prune.l1_unstructured(network[1], "weight", 0.5)
    prune.random_unstructured(network[1], "weight", 0.5)
    words = (
        r"^1.weight of Sequential carries a mask of torch.nn.utils.prune; call "
        r"torch.nn.utils.prune.remove\(module, 'weight'\) where the network is made"
    )
    with pytest.raises(LotteryError, match=words):
        prunable_names(network, embeddings=False)
    prune.remove(network[1], "weight")
    assert prunable_names(network, embeddings=False) == ["0.weight", "1.weight"]


def test_the_positions_of_a_vision_transformer_are_not() -> None:
    spec = ImageSpec(channels=3, height=224, width=224, classes=10)
    with torch.device("meta"):
        network = build("torchvision/vit_b_32", {}, spec, torch.Generator())
    shapes = {name: p.dim() for name, p in network.named_parameters() if p.dim() > 1}
    left_out = shapes.keys() - set(prunable_names(network, embeddings=False))
    assert left_out == {"class_token", "encoder.pos_embedding"}


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_parametrization_of_a_weight_in_any_memory_layout(layout: torch.memory_format) -> None:
    def convolution(by: nn.Module) -> nn.Module:
        layer = nn.Conv2d(3, 4, 3).to(memory_format=layout)
        parametrize.register_parametrization(layer, "weight", by)
        return nn.Sequential(layer, nn.Linear(2, 2))

    assert prunable_names(convolution(Doubled()), embeddings=False) == [
        "0.parametrizations.weight.original",
        "1.weight",
    ]
    assert prunable_names(convolution(Exponential()), embeddings=False) == ["1.weight"]
