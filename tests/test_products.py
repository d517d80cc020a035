"""Layers of torch, counted by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from lottery.forward_pass import trace
from lottery.products import PRODUCTS

# B sequences of T tokens, E wide; S tokens are attended to.
B, T, S, E = 2, 5, 7, 4


def tokens(width: int = E, length: int = T) -> Tensor:
    return torch.rand(B, length, width)


def counts_of(
    network: nn.Module, *inputs: Tensor | PackedSequence, **named: Tensor
) -> Mapping[str, int]:
    """Of a whole batch."""

    def run(module: nn.Module) -> int:
        module(*inputs, **named)
        return 1

    return trace(network, run).multiply_adds


# A layer, what it reads, and what its parameters take; "" stands for products of activations.
LAYERS: dict[str, tuple[Callable[[], nn.Module], tuple[Tensor, ...], dict[str, int]]] = {
    "linear": (lambda: nn.Linear(E, 6), (tokens(),), {"weight": B * T * E * 6}),
    "linear of one feature": (lambda: nn.Linear(1, 6), (tokens(1),), {"weight": B * T * 6}),
    "linear without a bias, of a vector": (
        lambda: nn.Linear(E, 6, bias=False),
        (torch.rand(E),),
        {"weight": E * 6},
    ),
    "bilinear": (
        lambda: nn.Bilinear(3, 4, 5),
        (torch.rand(B, 3), torch.rand(B, 4)),
        {"weight": B * 5 * 3 * 4},
    ),
    # An output element takes a kernel; lengths 9 -> 5, sides (4, 5, 6) -> (3, 4, 5).
    "conv1d, grouped and strided": (
        lambda: nn.Conv1d(4, 6, 3, stride=2, padding=1, groups=2),
        (torch.rand(B, 4, 9),),
        {"weight": B * 6 * 5 * (4 // 2 * 3)},
    ),
    "conv3d": (
        lambda: nn.Conv3d(2, 3, 2),
        (torch.rand(B, 2, 4, 5, 6),),
        {"weight": B * 3 * (3 * 4 * 5) * (2 * 2 * 2 * 2)},
    ),
    "depthwise": (
        lambda: nn.Conv2d(4, 4, 3, groups=4, dilation=2),
        (torch.rand(B, 4, 9, 9),),
        {"weight": B * 4 * (5 * 5) * (3 * 3)},
    ),
    # Transposed, an input element gives to a kernel.
    "transposed 1d": (
        lambda: nn.ConvTranspose1d(4, 6, 3, stride=2),
        (torch.rand(B, 4, 9),),
        {"weight": B * 4 * 9 * (6 * 3)},
    ),
    "transposed 2d, grouped": (
        lambda: nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2),
        (torch.rand(B, 4, 5, 5),),
        {"weight": B * 4 * (5 * 5) * (6 // 2 * 3 * 3)},
    ),
    "transposed 3d": (
        lambda: nn.ConvTranspose3d(2, 3, 2),
        (torch.rand(B, 2, 4, 5, 6),),
        {"weight": B * 2 * (4 * 5 * 6) * (3 * 2 * 2 * 2)},
    ),
    "lstm, two layers": (
        lambda: nn.LSTM(3, 4, num_layers=2),
        (torch.rand(T, B, 3),),
        {
            "weight_ih_l0": T * B * (4 * 4) * 3,
            "weight_hh_l0": T * B * (4 * 4) * 4,
            "weight_ih_l1": T * B * (4 * 4) * 4,
            "weight_hh_l1": T * B * (4 * 4) * 4,
        },
    ),
    "lstm, both ways and projected": (
        lambda: nn.LSTM(3, 4, bidirectional=True, proj_size=2, batch_first=True),
        (tokens(3),),
        {
            f"weight_{kind}_l0{way}": T * B * size
            for kind, size in {"ih": 16 * 3, "hh": 16 * 2, "hr": 2 * 4}.items()
            for way in ("", "_reverse")
        },
    ),
    "gru, both ways, two layers": (
        lambda: nn.GRU(3, 4, num_layers=2, bidirectional=True),
        (torch.rand(T, B, 3),),
        {
            f"weight_{kind}_l{layer}{way}": T * B * 3 * 4 * width
            for layer, kind, width in ((0, "ih", 3), (0, "hh", 4), (1, "ih", 2 * 4), (1, "hh", 4))
            for way in ("", "_reverse")
        },
    ),
    "rnn": (
        lambda: nn.RNN(3, 4, nonlinearity="relu"),
        (torch.rand(T, B, 3),),
        {"weight_ih_l0": T * B * 4 * 3, "weight_hh_l0": T * B * 4 * 4},
    ),
    "lstm cell": (
        lambda: nn.LSTMCell(3, 4),
        (torch.rand(B, 3),),
        {"weight_ih": B * 16 * 3, "weight_hh": B * 16 * 4},
    ),
    "gru cell": (
        lambda: nn.GRUCell(3, 4),
        (torch.rand(B, 3), torch.rand(B, 4)),
        {"weight_ih": B * 12 * 3, "weight_hh": B * 12 * 4},
    ),
    "rnn cell": (
        lambda: nn.RNNCell(3, 4),
        (torch.rand(B, 3),),
        {"weight_ih": B * 4 * 3, "weight_hh": B * 4 * 4},
    ),
    # Every pair of tokens: queries by keys, and that by values.
    "attention to itself": (
        lambda: nn.MultiheadAttention(E, 2, batch_first=True),
        (tokens(),) * 3,
        {
            "in_proj_weight": B * T * (3 * E) * E,
            "out_proj.weight": B * T * E * E,
            "": 2 * B * T * T * E,
        },
    ),
    "attention to others of other widths": (
        lambda: nn.MultiheadAttention(E, 2, kdim=3, vdim=6, batch_first=True, add_bias_kv=True),
        (tokens(), tokens(3, S), tokens(6, S)),
        {
            "q_proj_weight": B * T * E * E,
            "k_proj_weight": B * S * E * 3,
            "v_proj_weight": B * S * E * 6,
            "out_proj.weight": B * T * E * E,
            "": 2 * B * T * (S + 1) * E,
        },
    ),
    "transformer layer": (
        lambda: nn.TransformerEncoderLayer(E, 2, 8, batch_first=True),
        (tokens(),),
        {
            "self_attn.in_proj_weight": B * T * (3 * E) * E,
            "self_attn.out_proj.weight": B * T * E * E,
            "linear1.weight": B * T * 8 * E,
            "linear2.weight": B * T * E * 8,
            "": 2 * B * T * T * E,
        },
    ),
    "transformer layer that reads another": (
        lambda: nn.TransformerDecoderLayer(E, 2, 8, batch_first=True),
        (tokens(), tokens(length=S)),
        {
            "self_attn.in_proj_weight": B * T * (3 * E) * E,
            "self_attn.out_proj.weight": B * T * E * E,
            "multihead_attn.in_proj_weight": B * (T * E + S * 2 * E) * E,
            "multihead_attn.out_proj.weight": B * T * E * E,
            "linear1.weight": B * T * 8 * E,
            "linear2.weight": B * T * E * 8,
            "": 2 * B * T * T * E + 2 * B * T * S * E,
        },
    ),
    "embedding": (lambda: nn.Embedding(9, 3), (torch.ones(B, T, dtype=torch.int64),), {}),
    "bag": (lambda: nn.EmbeddingBag(9, 3), (torch.ones(B, T, dtype=torch.int64),), {}),
    "norm": (lambda: nn.LayerNorm((T, E)), (tokens(),), {}),
}


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@pytest.mark.parametrize("name", LAYERS)
def test_a_layer(name: str) -> None:
    layer, inputs, expected = LAYERS[name]
    assert counts_of(layer(), *inputs) == expected


def test_a_packed_batch_has_as_many_tokens_as_its_sequences() -> None:
    packed = pack_padded_sequence(torch.rand(5, 2, 3), torch.tensor([5, 2]))
    expected = {"weight_ih_l0": 7 * 16 * 3, "weight_hh_l0": 7 * 16 * 4}
    assert counts_of(nn.LSTM(3, 4), packed) == expected


def test_a_transformer_with_padding_counts_it() -> None:
    layer = nn.TransformerEncoderLayer(E, 2, 8, batch_first=True)
    padding = torch.zeros(B, T, dtype=torch.bool)
    padding[0, 3:] = True
    with_padding = counts_of(
        nn.TransformerEncoder(layer, 1), tokens(), src_key_padding_mask=padding
    )
    expected = LAYERS["transformer layer"][2]
    assert with_padding == {f"layers.0.{n}" if n else n: c for n, c in expected.items()}


aten = torch.ops.aten


# What only other devices call, by what they would call it with.
@pytest.mark.parametrize(
    "operation",
    [
        aten._scaled_dot_product_flash_attention,
        aten._scaled_dot_product_flash_attention_for_cpu,
        aten._scaled_dot_product_efficient_attention,
        aten._scaled_dot_product_cudnn_attention,
        aten._scaled_dot_product_fused_attention_overrideable,
    ],
    ids=str,
)
def test_attention_of_any_device(operation: Callable[..., object]) -> None:
    # Three heads of 4 features, and values of 6.
    queries, keys, values = (
        torch.rand(B, 3, length, width) for length, width in ((T, 4), (S, 4), (S, 6))
    )
    products = PRODUCTS[operation]([queries, keys, values], None)
    assert [product.multiply_adds for product in products] == [
        B * 3 * T * S * 4,
        B * 3 * T * S * 6,
    ]


@pytest.mark.parametrize("operation", [aten._cudnn_rnn, aten.miopen_rnn], ids=str)
@pytest.mark.parametrize("shape", [(T, B, 3), (T * B, 3)], ids=["whole", "packed"])
def test_recurrent_layers_of_any_device(
    operation: Callable[..., object], shape: tuple[int, ...]
) -> None:
    layer = nn.LSTM(3, 4)
    products = PRODUCTS[operation]([torch.rand(shape), [*layer.parameters()]], None)
    counts = [product.multiply_adds for product in products]
    assert counts == [T * B * 16 * 3, T * B * 16 * 4]
