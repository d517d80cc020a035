"""Genotypes as values: what they hold, and what they refuse."""

from __future__ import annotations

import dataclasses

import pytest

from nas.genotypes.values import (
    MAX_LAYERS,
    CellGraph,
    ConvCellGenotype,
    Layer,
    LayerwiseGenotype,
    RecurrentGenotype,
    loose_ends,
    recurrent_loose_ends,
    unread_nodes,
)

IDENTITIES = ((0, "identity"), (0, "identity"))


def test_loose_ends_are_what_no_node_reads() -> None:
    # Node 2 reads 1 twice, node 3 reads 2 and 1: 0 and 3 are left over.
    nodes = (((1, "identity"), (1, "max-3x3")), ((2, "identity"), (1, "identity")))
    assert loose_ends(nodes) == (0, 3)
    assert loose_ends(nodes[:1]) == (0, 2)
    assert recurrent_loose_ends([(0, "tanh"), (0, "relu")]) == (1, 2)
    assert recurrent_loose_ends([]) == (0,)


def test_a_node_may_be_read_and_concatenated() -> None:
    nodes = (IDENTITIES, ((2, "none"), (1, "dilated-5x5")))
    assert CellGraph(nodes=nodes, output=(2, 3)).output == (2, 3)
    assert unread_nodes(nodes, (3,)) == ()
    assert unread_nodes(nodes, (0, 2)) == (3,)


def test_a_node_without_use_is_refused() -> None:
    with pytest.raises(ValueError, match=r"nothing reads the nodes \(3,\)"):
        CellGraph(nodes=(IDENTITIES, IDENTITIES), output=(2,))
    with pytest.raises(ValueError, match=r"nothing reads the nodes \(1,\)"):
        RecurrentGenotype(first="tanh", nodes=((0, "relu"), (0, "tanh")), output=(2,))


def test_cells_are_checked() -> None:
    with pytest.raises(ValueError, match="0 to 1, not 2"):
        CellGraph(nodes=(((2, "identity"), (0, "identity")),), output=(2,))
    with pytest.raises(ValueError, match="0 to 1, not -1"):
        CellGraph(nodes=(((-1, "identity"), (0, "identity")),), output=(2,))
    with pytest.raises(ValueError, match="'tanh' is none of"):
        CellGraph(nodes=(((0, "tanh"), (0, "identity")),), output=(2,))
    with pytest.raises(ValueError, match="a cell has 1 to 64 nodes, not 0"):
        CellGraph(nodes=(), output=(0,))
    for output in ((), (2, 0), (2, 2)):
        with pytest.raises(ValueError, match="ascending and not empty"):
            CellGraph(nodes=(IDENTITIES,), output=output)
    with pytest.raises(ValueError, match="0 to 2, not 3"):
        CellGraph(nodes=(IDENTITIES,), output=(2, 3))


def test_layers_are_checked() -> None:
    stem_only = Layer(operation="max-3x3", skips=())
    joined = Layer(operation="separable-5x5", skips=(0, 1))
    assert LayerwiseGenotype(layers=(stem_only, stem_only, joined)).layers[2] is joined
    with pytest.raises(ValueError, match="layer 2 has no skip from output 1"):
        LayerwiseGenotype(layers=(stem_only, joined))
    with pytest.raises(ValueError, match="layer 1 has no skip from output -1"):
        LayerwiseGenotype(layers=(Layer(operation="max-3x3", skips=(-1,)),))
    with pytest.raises(ValueError, match=f"1 to {MAX_LAYERS} layers, not 65"):
        LayerwiseGenotype(layers=(stem_only,) * 65)
    with pytest.raises(ValueError, match=r"skips are ascending, not \(1, 1\)"):
        Layer(operation="max-3x3", skips=(1, 1))
    with pytest.raises(ValueError, match="'identity' is none of"):
        Layer(operation="identity", skips=())


def test_recurrent_cells_are_checked() -> None:
    with pytest.raises(ValueError, match="0 to 0, not 1"):
        RecurrentGenotype(first="tanh", nodes=((1, "relu"),), output=(1,))
    with pytest.raises(ValueError, match="'max-3x3' is none of"):
        RecurrentGenotype(first="max-3x3", nodes=(), output=(0,))
    for output in ((), (1, 0), (0, 2)):
        with pytest.raises(ValueError):
            RecurrentGenotype(first="tanh", nodes=((0, "relu"),), output=output)


def test_genotypes_are_values() -> None:
    cell = CellGraph(nodes=(IDENTITIES,), output=(1, 2))
    genotype = ConvCellGenotype(normal=cell, reduction=cell)
    copied = dataclasses.replace(genotype, normal=dataclasses.replace(cell))
    assert copied == genotype
    assert len({genotype, copied}) == 1
    assert dataclasses.replace(cell, output=(2,)) != cell
