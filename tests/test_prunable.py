"""What may be pruned."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lottery.prunable import prunable_names
from nas.auxiliary import AuxiliaryHead
from nas.networks import build, counted_parameters
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


def test_the_kernel_of_a_normalised_layer_is_and_its_lengths_are_not() -> None:
    network = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Conv2d(2, 3, 3)))
    assert prunable_names(network, embeddings=False) == ["0.parametrizations.weight.original1"]


def test_the_positions_of_a_vision_transformer_are_not() -> None:
    spec = ImageSpec(channels=3, height=224, width=224, classes=10)
    with torch.device("meta"):
        network = build("torchvision/vit_b_32", {}, spec, torch.Generator())
    shapes = {name: p.dim() for name, p in network.named_parameters() if p.dim() > 1}
    left_out = shapes.keys() - set(prunable_names(network, embeddings=False))
    assert left_out == {"class_token", "encoder.pos_embedding"}
