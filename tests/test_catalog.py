"""The catalog: lookup, consistency, and sizes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from nas.catalog.catalog import NETWORKS, entry, is_drawn, is_known
from nas.catalog.designed_images import DESIGNED
from nas.catalog.designed_text import LSTMS
from nas.catalog.entry import check_size, genotype_of
from nas.catalog.genotype_networks import GENOTYPE_NETWORKS
from nas.catalog.searched_images import SEARCHED
from nas.catalog.searched_text import TEXT
from nas.catalog.sizes import MAX_DEPTH, MAX_SIZE, Count, Counts, Probability, depth, seed, switch
from nas.genotypes.encodings import ENCODINGS
from nas.genotypes.published import ENAS_MICRO
from nas.genotypes.random_genotypes import random_cells
from training.errors import LotteryError
from training.specs import ImageSpec, TextSpec


def test_names_are_unique() -> None:
    entries = (*SEARCHED, *DESIGNED, *TEXT, *LSTMS, *GENOTYPE_NETWORKS)
    assert [found.name for found in entries] == [*NETWORKS]


def test_entries_are_consistent() -> None:
    for name, found in NETWORKS.items():
        assert found.name == name
        assert found.origin in ("searched", "designed")
        assert found.task in ("images", "text")
        assert found.task == ("text" if isinstance(found.spec, TextSpec) else "images")
        drawn = "seed" in found.sizes
        assert drawn == (found.drawn is not None)
        needs = found.origin == "searched" and not found.accepts
        assert (found.genotype is not None) == needs
        assert bool(found.encoding) == (needs or drawn)
        assert found.encoding in ("", *ENCODINGS)
        assert found.source
        for result in found.published:
            assert result.what
            assert any(sign.isdigit() for sign in result.value)
            assert result.source
        assert check_size(found, {}) == {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in found.defaults.items()
        }


def test_lookup_offers_near_names() -> None:
    assert entry("awd-lstm").defaults["hidden"] == 1150
    with pytest.raises(LotteryError, match="no network 'awd-lstn'; did you mean awd-lstm"):
        entry("awd-lstn")


def test_networks_from_outside_have_entries() -> None:
    residual, own = entry("torchvision/resnet18"), entry("some.module:make")
    assert (residual.origin, residual.task, residual.name) == (
        "designed",
        "images",
        "torchvision/resnet18",
    )
    assert (own.origin, own.task, own.name) == ("own", "any", "some.module:make")
    assert residual.spec == ImageSpec(channels=3, height=224, width=224, classes=1000)
    assert own.spec is None
    assert own.builder is None
    assert not is_known(own.name)
    assert not is_known(residual.name)
    with pytest.raises(LotteryError, match="resnet18 has no sizes, so 'depth' can't be set"):
        check_size(residual, {"depth": 3})


def test_sizes_of_an_own_network_pass_as_they_are() -> None:
    given = {"width": 0, "rate": 1.5, "shape": (2, -1)}
    assert check_size(entry("m:f"), given) == {"width": 0, "rate": 1.5, "shape": [2, -1]}


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
        ("resnet", {"depth": 6002}, "from 1 to 1,202"),
        ("resnet", {"depth": 10**18}, "is 1000000000000000000, but"),
        ("random-macro", {"layers": 1203}, "from 1 to 1,202"),
        ("awd-lstm", {"layers": 10**6}, "from 1 to 1,202"),
        ("lenet-300-100", {"widths": [1] * 1203}, "..., but it must be a list of whole"),
        (
            "enas-micro",
            {"auxiliary": 2},
            "is 2, but it must be one of the whole numbers from 0 to 1",
        ),
        ("random-micro", {"seed": -1}, "from 0 to"),
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


def test_sizes_know_what_they_can_be() -> None:
    for name, found in NETWORKS.items():
        for key, size in found.sizes.items():
            # A default is possible.
            size.checked(f"{key} of {name}", size.default)
    assert (depth(3).least, depth(3).most, depth(2, least=0).least) == (1, MAX_DEPTH, 0)
    assert (switch(1), seed(4)) == (Count(1, 0, 1), Count(4, 0, MAX_SIZE))
    assert Count(3).checked("width", MAX_SIZE) == MAX_SIZE
    assert Counts((3,)).checked("widths", (5, 4)) == [5, 4]
    assert Probability(0.5).checked("dropout", 0) == 0.0
    message = "^The size width of mine is 4, but it must be one of the whole numbers from 1 to 3.$"
    with pytest.raises(LotteryError, match=message):
        Count(2, 1, 3).checked("width of mine", 4)


def test_the_catalog_is_torch_free() -> None:
    code = "import sys, nas.catalog.catalog, training.specs; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_drawn_genotype_is_a_function_of_sizes() -> None:
    found = entry("random-micro")
    sizes = check_size(found, {"seed": 3, "nodes": 2})
    assert genotype_of(found, sizes) == random_cells(3, 2)
    assert genotype_of(found, found.defaults) == random_cells(0, 5)
    assert genotype_of(entry("enas-micro"), {}) == ENAS_MICRO


def test_what_is_drawn_stands_in_the_catalog_and_not_in_the_name() -> None:
    assert {name for name in NETWORKS if is_drawn(name)} == {
        "random-micro",
        "random-macro",
        "random-rnn",
    }
    assert not is_drawn("random-forests:make")
    assert not is_drawn("")
    assert genotype_of(entry("resnet"), entry("resnet").defaults) is None
    for drawn in filter(None, (each.drawn for each in NETWORKS.values())):
        assert set(drawn.sizes) <= {"seed", "nodes", "layers"}
