"""What a ticket costs: intervals and bytes by hand, and every form of the networks of a run."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import nn

from lottery.measurements.cost import COST, CostSettings, sparse_bytes, with_sparse_layers
from lottery.measurements.latency import Latency, interval_of_median, latencies, speed_up
from lottery.measurements.measuring import measure_levels
from lottery.pruning.config import PruningConfig
from lottery.records import read_records
from tests.tiny_runs import TINY, TINY_TEXT, carry_out, session, text
from training.errors import LotteryError

UNITS = dataclasses.replace(
    TINY, seeds=(0,), arms=(), levels=1, pruning=PruningConfig(rate=0.5, structure="units")
)


def test_intervals_by_hand() -> None:
    """All six lie on one side of the median in 2 of 64 cases; eight or nine of nine in 20 of 512."""
    six = interval_of_median([3.0, 1.0, 2.0, 6.0, 5.0, 4.0])
    assert six == Latency(low=1.0, median=3.5, high=6.0)
    nine = interval_of_median([9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0])
    assert nine == Latency(low=2.0, median=5.0, high=8.0)
    with pytest.raises(LotteryError, match=r"repeats = 5 .* 6 or more"):
        CostSettings(repeats=5)


def test_no_factor_is_given_where_intervals_overlap() -> None:
    dense = Latency(low=4.0, median=5.0, high=6.0)
    assert speed_up(Latency(low=2.0, median=2.5, high=3.9), dense) == 2.0
    assert speed_up(Latency(low=7.0, median=10.0, high=11.0), dense) == 0.5
    assert speed_up(Latency(low=2.0, median=2.5, high=4.0), dense) is None
    assert speed_up(dense, dense) is None


def test_a_file_holds_a_bit_for_each_weight_and_the_values_that_are_kept() -> None:
    tensors = {"w": torch.ones(80, 100), "bias": torch.ones(80)}
    mask = {"w": torch.zeros(80, 100, dtype=torch.bool)}
    mask["w"][:5] = True
    # 8,000 bits, 500 values and 80 of the bias, beside the names and shapes.
    least = 1000 + 4 * 500 + 4 * 80
    assert least < len(sparse_bytes(tensors, mask)) < least + 700


def test_sparse_layers_give_the_same() -> None:
    first, last = nn.Linear(4, 3), nn.Linear(3, 2, bias=False)
    network = nn.Sequential(first, nn.ReLU(), last)
    mask = {"0.weight": torch.rand(3, 4) < 0.5, "2.weight": torch.rand(2, 3) < 0.5}
    with torch.no_grad():
        first.weight.mul_(mask["0.weight"])
        last.weight.mul_(mask["2.weight"])
    sparse, images = with_sparse_layers(network, mask), torch.randn(5, 4)
    assert sparse is not None
    assert torch.allclose(sparse(images), network(images), atol=1e-6)
    assert with_sparse_layers(network, {}) is None
    found = latencies({"a": network, "b": sparse}, images, 6)
    assert all(0 < one.low <= one.median <= one.high for one in found.values())


def test_a_run_says_what_its_networks_cost(tmp_path: Path) -> None:
    carry_out(UNITS, tmp_path / "tiny")
    one = session(UNITS, tmp_path / "tiny")
    readings = measure_levels(one, "cost", COST, CostSettings(batch=3, repeats=6), [0, 1])
    found = {(r.level, r.other, r.metric): r.value for r in readings}
    record = next(r for r in read_records(tmp_path / "tiny") if r.level == 1)
    assert found[1, "dense", "multiply-adds"] == 620
    # What goes with whole units is as much as is cut out.
    assert found[1, "masked", "multiply-adds"] == record.kept
    assert found[1, "compacted", "multiply-adds"] == record.kept
    assert found[0, "compacted", "multiply-adds"] == 620
    size = {form: found[1, form, "bytes"] for form in ("dense", "masked", "compacted")}
    assert size["compacted"] is not None
    assert size["dense"] is not None
    # 620 weights and 24 biases against those that are kept.
    assert size["dense"] - size["compacted"] >= 4 * (620 - record.kept)
    forms = {r.other.split(",")[0] for r in readings if r.metric == "latency (ms)"}
    assert forms == {"dense", "masked", "compacted", "sparse"}
    for (level, other, metric), value in found.items():
        if metric == "latency (ms)":
            low, high = (found[level, other, f"latency {end} (ms)"] for end in ("low", "high"))
            assert low is not None
            assert high is not None
            assert value is not None
            assert 0 < low <= value <= high


def test_text_is_refused() -> None:
    with pytest.raises(LotteryError, match=r"awd-lstm is for text; lottery show gives"):
        COST.check(session(TINY_TEXT, task=text()), CostSettings())
