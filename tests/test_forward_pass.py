"""Multiply-adds, counted by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from lottery.forward_pass import effective, trace
from nas.catalog.building import build
from nas.normalised_weights import bear_zeros
from tests.test_normalised_weights import NORMALISED
from tests.test_products import B, E, T, counts_of, tokens
from tests.tiny_runs import TINY, TINY_TEXT, digits, text


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


class Own(nn.Module):
    """Own code with a matrix `w [E, 6]`, a kernel `k [6, E, 3]` and a start `h [1, E]`."""

    def __init__(self, function: Callable[[Own, Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function
        self.w, self.k = nn.Parameter(torch.rand(E, 6)), nn.Parameter(torch.rand(6, E, 3))
        self.h, self.v = nn.Parameter(torch.rand(1, E)), nn.Parameter(torch.rand(E))
        self.mask = nn.Buffer(torch.ones(E, 6))
        self.plain = torch.ones(E, 6)
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
    "masked by a plain tensor": (lambda n, x: x @ (n.w * n.plain), {"w": B * T * E * 6}),
    "masked by numbers": (
        lambda n, x: x @ (n.w * torch.tensor([[1.0] * 6] * E)),
        {"w": B * T * E * 6},
    ),
    "of unit length": (lambda n, x: F.linear(x, F.normalize(n.w.T)), {"w": B * T * E * 6}),
    "a kernel": (
        lambda n, x: F.conv1d(x.mT, n.k),
        {"k": B * 6 * (T - 2) * (E * 3)},
    ),
    "a kernel, by the operation below": (
        lambda n, x: torch._convolution(
            x.mT, n.k, None, [1], [0], [1], False, [0], 1, False, False, False
        ),
        {"k": B * 6 * (T - 2) * (E * 3)},
    ),
    "addbmm": (
        lambda n, x: torch.addbmm(torch.zeros(T, 6), x, n.w.expand(B, E, 6)),
        {"w": B * T * E * 6},
    ),
    "addbmm in place": (
        lambda n, x: torch.zeros(T, 6).addbmm_(x, n.w.expand(B, E, 6)),
        {"w": B * T * E * 6},
    ),
    "baddbmm in place": (
        lambda n, x: torch.zeros(B, T, 6).baddbmm_(x, n.w.repeat(B, 1, 1)),
        {"w": B * T * E * 6},
    ),
    "with an activation at once": (
        lambda n, x: torch._addmm_activation(torch.zeros(6), flat(x), n.w),
        {"w": B * T * E * 6},
    ),
    "a vector": (lambda n, x: x @ n.v, {"": B * T * E}),
    "added to a vector": (
        lambda n, x: torch.addmv(torch.zeros(T), x[0], n.v),
        {"": T * E},
    ),
    "added to a vector in place": (
        lambda n, x: torch.zeros(T).addmv_(x[0], n.v),
        {"": T * E},
    ),
    "two vectors": (lambda n, x: x[0, 0] @ n.v + torch.vdot(x[1, 1], n.v), {"": 2 * E}),
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
    "filled up with zeros": (
        lambda n, x: x @ torch.cat([n.w, torch.zeros(E, 2)], 1),
        {"w": B * T * E * 6, "": B * T * E * 2},
    ),
    "of constants that are joined": (
        lambda n, x: torch.cat([torch.ones(9, E)] * 2)[:3] @ n.w,
        {"w": 3 * E * 6},
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
