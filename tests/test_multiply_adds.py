"""Multiply-adds, counted by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from lottery.measurements.multiply_adds import effective, trace
from nas.networks import build
from nas.normalised_weights import bear_zeros
from tests.test_normalised_weights import NORMALISED
from tests.tiny_runs import TINY, TINY_TEXT, digits, text


def counts_of(
    network: nn.Module, *inputs: Tensor | PackedSequence, **named: Tensor
) -> Mapping[str, int]:
    """Of a whole batch."""

    def run(module: nn.Module) -> int:
        module(*inputs, **named)
        return 1

    return trace(network, run).multiply_adds


def run_on(*shape: int, examples: int = 1) -> Mapping[str, int]:
    network = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, groups=2), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 5 * 6, 7)
    )

    def run(module: nn.Module) -> int:
        module(torch.zeros(shape))
        return examples

    return trace(network, run).multiply_adds


def test_a_convolution_and_a_linear_layer() -> None:
    # Each of the 4 x 5 x 6 outputs takes one input channel's 3 x 3 window; then 120 inputs to 7 outputs.
    assert run_on(1, 2, 5, 6) == {"0.weight": 4 * 5 * 6 * 9, "3.weight": 120 * 7}


def test_it_is_per_example() -> None:
    assert run_on(8, 2, 5, 6, examples=8) == run_on(1, 2, 5, 6)


def test_lenet() -> None:
    network = build(TINY.network.name, TINY.network.size, digits().spec, torch.Generator())
    assert trace(network, digits().run_example).multiply_adds == {
        "layers.0.weight": 64 * 8,
        "layers.1.weight": 8 * 6,
        "layers.2.weight": 6 * 10,
    }


def test_a_language_model_per_token_with_a_tied_decoder() -> None:
    spec = text().spec
    network = build(TINY_TEXT.network.name, TINY_TEXT.network.size, spec, torch.Generator())
    vocabulary = network.get_parameter("embedding.weight").shape[0]
    assert trace(network, text().run_example).multiply_adds == {
        "cores.0.weight_input": 4 * 5 * 5,
        "cores.0.weight_hidden": 4 * 5 * 5,
        "embedding.weight": 5 * vocabulary,
    }


def test_the_mode_of_the_network_and_torchs_settings_are_as_before() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    before = torch.backends.mha.get_fastpath_enabled()
    trace(network, lambda module: len(module(torch.zeros(1, 2))))
    assert network.training
    assert int(network.get_buffer("1.num_batches_tracked")) == 0
    assert torch.backends.mha.get_fastpath_enabled() is before
    with pytest.raises(RuntimeError, match="shapes"):
        trace(network, lambda module: len(module(torch.zeros(1, 3))))
    assert torch.backends.mha.get_fastpath_enabled() is before


def test_what_is_left_of_masked_parameters() -> None:
    counts = {"a": 1000, "b": 10, "": 5}
    assert effective(counts, {"a": 0.25, "b": 0.5}) == 250 + 5 + 5
    assert effective(counts, {"a": 0.0, "b": 0.0}) == 5
    assert effective(counts, {}) == 1015


def test_matrices_side_by_side_are_told_apart() -> None:
    # The cell joins the matrices that read the same state: every one of them still has its own.
    spec, hidden = text().spec, 4
    network = build("enas-lm", {"hidden": hidden}, spec, torch.Generator())
    counts = trace(network, text().run_example).multiply_adds
    assert "" not in counts
    nodes = {name: count for name, count in counts.items() if "weight_nodes" in name}
    assert len(nodes) == 8
    assert set(nodes.values()) == {2 * hidden * hidden}


# B sequences of T tokens, E wide; S tokens are attended to.
B, T, S, E = 2, 5, 7, 4


def tokens(width: int = E, length: int = T) -> Tensor:
    return torch.rand(B, length, width)


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


class Own(nn.Module):
    """Own code with a matrix `w [E, 6]`, a kernel `k [6, E, 3]` and a start `h [1, E]`."""

    def __init__(self, function: Callable[[Own, Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function
        self.w, self.k = nn.Parameter(torch.rand(E, 6)), nn.Parameter(torch.rand(6, E, 3))
        self.h, self.v = nn.Parameter(torch.rand(1, E)), nn.Parameter(torch.rand(E))
        self.mask = nn.Buffer(torch.ones(E, 6))
        self.sparse = nn.Buffer(torch.eye(T).to_sparse())

    def forward(self, x: Tensor) -> Tensor:
        """Of `x [B, T, E]`."""
        return self.function(self, x)


def flat(x: Tensor) -> Tensor:
    return x.flatten(0, 1)


OWN: dict[str, tuple[Callable[[Own, Tensor], Tensor], dict[str, int]]] = {
    "matmul": (lambda n, x: x @ n.w, {"w": B * T * E * 6}),
    "in place": (lambda n, x: torch.zeros(B * T, 6).addmm_(flat(x), n.w), {"w": B * T * E * 6}),
    "einsum": (lambda n, x: torch.einsum("bte,eo->bto", x, n.w), {"w": B * T * E * 6}),
    "bmm": (lambda n, x: torch.bmm(x, n.w.expand(B, E, 6)), {"w": B * T * E * 6}),
    "baddbmm": (
        lambda n, x: torch.baddbmm(torch.zeros(B, T, 6), x, n.w.repeat(B, 1, 1)),
        {"w": B * T * E * 6},
    ),
    "a part of it": (lambda n, x: x[..., 1:] @ n.w[1:, :4], {"w": B * T * (E - 1) * 4}),
    "masked by a buffer": (lambda n, x: x @ (n.w * n.mask), {"w": B * T * E * 6}),
    "masked by what is made": (
        lambda n, x: x @ (n.w * torch.ones(E, 6).tril()),
        {"w": B * T * E * 6},
    ),
    "of unit length": (lambda n, x: F.linear(x, F.normalize(n.w.T)), {"w": B * T * E * 6}),
    "a kernel": (
        lambda n, x: F.conv1d(x.mT, n.k),
        {"k": B * 6 * (T - 2) * (E * 3)},
    ),
    "a vector": (lambda n, x: x @ n.v, {"": B * T * E}),
    "attention": (
        lambda n, x: F.scaled_dot_product_attention(x, x, x, is_causal=True),
        {"": 2 * B * T * T * E},
    ),
    "attention by matmul": (lambda n, x: (x @ x.mT).softmax(-1) @ x, {"": 2 * B * T * T * E}),
    "in inference mode": (
        lambda n, x: torch.inference_mode()(lambda: F.linear(x, n.w.T))(),
        {"w": B * T * E * 6},
    ),
    "beside a sparse matrix": (
        lambda n, x: torch.sparse.mm(n.sparse, x[0]) @ n.w,
        {"w": T * E * 6},
    ),
    "a learned start": (lambda n, x: (n.h @ n.w) + flat(x) @ n.w, {"w": (1 + B * T) * E * 6}),
    "scaled activations": (lambda n, x: (x * n.h) @ n.w, {"w": B * T * E * 6}),
    "two factors": (lambda n, x: x @ (n.w @ n.w.T), {"w": E * 6 * E, "": B * T * E * E}),
    "written into": (lambda n, x: written(n, x) @ n.w.T, {"w": 2 * B * T * E * 6}),
}


def written(n: Own, x: Tensor) -> Tensor:
    found = torch.zeros(B, T, 6)
    for t in range(T):
        found[:, t] = x[:, t] @ n.w
    return found


@pytest.mark.parametrize("name", OWN)
def test_own_code(name: str) -> None:
    function, expected = OWN[name]
    assert counts_of(Own(function), tokens()) == expected


@pytest.mark.parametrize("safe", [False, True])
@pytest.mark.parametrize("name", NORMALISED)
def test_a_normalised_layer_counts_as_the_layer_by_the_parameter_behind_its_weight(
    name: str, safe: bool
) -> None:
    normalise, behind = NORMALISED[name]
    for width in (E, 1):
        layer = normalise(nn.Linear(width, 6))
        counts = counts_of(bear_zeros(layer) if safe else layer, tokens(width))
        assert counts == {behind: B * T * width * 6}
        assert effective(counts, {behind: 0.25}) == B * T * width * 6 // 4


def test_what_computes_an_orthogonal_weight_is_not_counted() -> None:
    layer = parametrizations.orthogonal(nn.Linear(E, 6))
    assert sum(counts_of(layer, tokens()).values()) == B * T * E * 6


def test_matrices_that_lie_in_one_memory_are_told_apart() -> None:
    # As cuDNN's recurrent layers have them.
    joined = torch.rand(E * 6 + 6 * 3)
    network = nn.Sequential(nn.Linear(E, 6, bias=False), nn.Linear(6, 3, bias=False))
    first, second = joined.split([E * 6, 6 * 3])
    network[0].weight = nn.Parameter(first.view(6, E))
    network[1].weight = nn.Parameter(second.view(3, 6))
    assert counts_of(network, tokens()) == {"0.weight": B * T * E * 6, "1.weight": B * T * 6 * 3}
