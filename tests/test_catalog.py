"""The catalog: published cells, lookup, and sizes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from nas.catalog import ENAS_LM, ENAS_MICRO, ENAS_RNN, MAX_SIZE, NETWORKS, check_size, entry
from nas.genotypes import print_enas_lm, print_enas_rnn
from training.errors import LotteryError


def test_enas_micro_cell() -> None:
    # The release writes out which nodes are concatenated: 2 to 6, and 2, 4, 5, 6.
    assert ENAS_MICRO.normal.output == (2, 3, 4, 5, 6)
    assert ENAS_MICRO.reduction.output == (2, 4, 5, 6)
    assert ENAS_MICRO.normal.nodes[0] == ((0, "average-3x3"), (0, "separable-3x3"))
    assert ENAS_MICRO.reduction.nodes[1] == ((0, "max-3x3"), (0, "average-3x3"))


def test_enas_recurrent_cells() -> None:
    assert len(ENAS_RNN.nodes) + 1 == 12
    assert ENAS_RNN.output == (3, 4, 7, 9, 10, 11)
    assert print_enas_rnn(ENAS_RNN) == "0 0 0 1 1 2 1 2 0 2 0 5 1 1 0 6 1 8 1 8 1 8 1"
    assert len(ENAS_LM.nodes) == 8
    assert ENAS_LM.output == (1, 2, 3, 4, 5, 6, 7, 8)
    assert print_enas_lm(ENAS_LM) == "0 2 1 0 2 1 2 2 4 0 5 0 3 2 6 2"


def test_entries_are_consistent() -> None:
    for name, found in NETWORKS.items():
        assert found.name == name
        assert found.origin in ("searched", "designed")
        assert found.task in ("images", "text")
        assert (found.genotype is not None) == (found.origin == "searched")
        assert check_size(found, {}) == {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in found.sizes.items()
        }


def test_lookup_offers_near_names() -> None:
    assert entry("awd-lstm").sizes["hidden"] == 1150
    with pytest.raises(LotteryError, match="no network 'awd-lstn'; did you mean awd-lstm"):
        entry("awd-lstn")


def test_given_sizes_overlay_the_defaults() -> None:
    assert check_size(entry("resnet"), {"width": 8}) == {"depth": 20, "width": 8}
    assert check_size(entry("lenet-300-100"), {"widths": (20, 10)}) == {"widths": [20, 10]}
    assert check_size(entry("awd-lstm"), {"dropconnect": 0})["dropconnect"] == 0.0
    assert check_size(entry("enas-micro"), {"reductions": 0})["reductions"] == 0


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("resnet", {"widht": 8}, "no size of resnet 'widht'; did you mean width"),
        ("resnet", {"width": 0}, "size width of resnet is 0, but it must be one of the whole"),
        ("resnet", {"width": 8.0}, "is 8.0"),
        ("resnet", {"width": True}, "is True"),
        ("resnet", {"width": "8"}, "is '8'"),
        ("resnet", {"width": MAX_SIZE + 1}, "from 1 to 65,536"),
        ("enas-micro", {"reductions": -1}, "from 0 to"),
        ("awd-lstm", {"dropout_input": 1.0}, "a probability, from 0 to below 1"),
        ("awd-lstm", {"dropout_input": float("nan")}, "is nan"),
        ("awd-lstm", {"dropout_input": -0.1}, "is -0.1"),
        ("awd-lstm", {"dropout_input": False}, "is False"),
        ("awd-lstm", {"dropout_input": None}, "is None"),
        ("lenet-300-100", {"widths": []}, "a list of whole numbers from 1"),
        ("lenet-300-100", {"widths": 300}, "is 300"),
        ("lenet-300-100", {"widths": [300, 0]}, "such as [300, 100]"),
    ],
)
def test_impossible_sizes(name: str, given: dict[str, object], message: str) -> None:
    with pytest.raises(LotteryError) as caught:
        check_size(entry(name), given)
    assert message in str(caught.value)


def test_the_catalog_is_torch_free() -> None:
    code = "import sys, nas.catalog, training.specs; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
