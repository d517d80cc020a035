"""Multiply-adds, counted by hand."""

from __future__ import annotations

import torch
from torch import nn

from lottery.measurements.multiply_adds import effective, multiply_adds
from nas.networks import build
from tests.tiny_runs import TINY, TINY_TEXT, digits, text


def run_on(*shape: int, examples: int = 1) -> dict[str, int]:
    network = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, groups=2), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 5 * 6, 7)
    )

    def run(module: nn.Module) -> int:
        module(torch.zeros(shape))
        return examples

    return multiply_adds(network, run)


def test_a_convolution_and_a_linear_layer() -> None:
    # Each of the 4 x 5 x 6 outputs takes one input channel's 3 x 3 window; then 120 inputs to 7 outputs.
    assert run_on(1, 2, 5, 6) == {"0.weight": 4 * 5 * 6 * 9, "3.weight": 120 * 7}


def test_it_is_per_example() -> None:
    assert run_on(8, 2, 5, 6, examples=8) == run_on(1, 2, 5, 6)


def test_lenet() -> None:
    network = build(TINY.network.name, TINY.network.size, digits().spec, torch.Generator())
    assert multiply_adds(network, digits().run_example) == {
        "layers.0.weight": 64 * 8,
        "layers.1.weight": 8 * 6,
        "layers.2.weight": 6 * 10,
    }


def test_a_language_model_per_token_with_a_tied_decoder() -> None:
    spec = text().spec
    network = build(TINY_TEXT.network.name, TINY_TEXT.network.size, spec, torch.Generator())
    vocabulary = network.get_parameter("embedding.weight").shape[0]
    assert multiply_adds(network, text().run_example) == {
        "cores.0.weight_input": 4 * 5 * 5,
        "cores.0.weight_hidden": 4 * 5 * 5,
        "embedding.weight": 5 * vocabulary,
    }


def test_the_mode_of_the_network_is_as_before() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    multiply_adds(network, lambda module: len(module(torch.zeros(1, 2))))
    assert network.training
    assert int(network.get_buffer("1.num_batches_tracked")) == 0


def test_what_is_left_of_masked_parameters() -> None:
    counts = {"a": 1000, "b": 10, "": 5}
    assert effective(counts, {"a": 0.25, "b": 0.5}) == 250 + 5 + 5
    assert effective(counts, {"a": 0.0, "b": 0.0}) == 5
    assert effective(counts, {}) == 1015


def test_matrices_side_by_side_are_told_apart() -> None:
    # The cell joins the matrices that read the same state: every one of them still has its own.
    spec, hidden = text().spec, 4
    network = build("enas-lm", {"hidden": hidden}, spec, torch.Generator())
    counts = multiply_adds(network, text().run_example)
    assert "" not in counts
    nodes = {name: count for name, count in counts.items() if "weight_nodes" in name}
    assert len(nodes) == 8
    assert set(nodes.values()) == {2 * hidden * hidden}
