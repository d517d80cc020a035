"""Random genotypes: one worked draw, repeatable, and spread as the docstring says."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import pytest

from nas.genotypes.convolutional_encodings import print_enas_macro, print_enas_micro
from nas.genotypes.random_genotypes import random_cells, random_layers, random_recurrent
from nas.genotypes.recurrent_encodings import print_enas_rnn
from nas.genotypes.values import LAYER_OPERATIONS, MAX_LAYERS, MAX_NODES
from training.errors import LotteryError


def test_worked_draws() -> None:
    # Random(0) gives .844 .758 .421 .259 .511 .405 .784 .303 .477 .583 and so on. The first edge
    # reads state floor(.844 x 2) by operation floor(.758 x 5).
    assert print_enas_micro(random_cells(0, 2)) == "1 3 0 1 1 2 2 1 0 2 1 2 0 3 1 1"
    # Operation floor(.844 x 6); floor(.758 x 6) and no skip, as .421 >= .4; and so on.
    assert print_enas_macro(random_layers(0, 4)) == "5 4 0 1 0 0 4 1 0 0"
    # Activation floor(.844 x 4); state floor(.758 x 1), activation floor(.421 x 4); state
    # floor(.259 x 2), activation floor(.511 x 4); and so on.
    assert print_enas_rnn(random_recurrent(0, 5)) == "3 0 1 0 2 1 3 1 1"


def test_a_seed_names_one_genotype() -> None:
    assert random_cells(3, 5) == random_cells(3, 5)
    assert random_layers(3, 12) == random_layers(3, 12)
    assert random_recurrent(3, 12) == random_recurrent(3, 12)
    assert len({random_cells(seed, 5) for seed in range(200)}) == 200
    assert len({random_layers(seed, 12) for seed in range(200)}) == 200
    assert len({random_recurrent(seed, 12) for seed in range(200)}) == 200


def test_more_layers_continue_fewer() -> None:
    assert random_layers(5, 12).layers == random_layers(5, 24).layers[:12]


def test_edges_are_uniform() -> None:
    nodes = [random_cells(seed, 3).reduction.nodes[2] for seed in range(2000)]
    edges = Counter(edge for node in nodes for edge in node)
    # 4 states x 5 operations, 4,000 draws: 200 expected, standard deviation 13.8.
    assert len(edges) == 20
    assert all(130 < count < 270 for count in edges.values())


def test_skips_are_on_in_two_of_five() -> None:
    layers = [layer for seed in range(200) for layer in random_layers(seed, 12).layers]
    # 66 possible skips in each of 200 networks: 0.4 with standard deviation 0.0043.
    assert 0.38 < sum(len(layer.skips) for layer in layers) / (66 * 200) < 0.42
    operations = Counter(layer.operation for layer in layers)
    # 400 expected of each, standard deviation 18.3.
    assert operations.keys() == LAYER_OPERATIONS
    assert all(310 < count < 490 for count in operations.values())


def test_recurrent_nodes_are_uniform() -> None:
    cells = [random_recurrent(seed, 4) for seed in range(2000)]
    # 3 states x 4 activations: 167 expected of each, standard deviation 12.4.
    last = Counter(cell.nodes[-1] for cell in cells)
    assert len(last) == 12
    assert all(110 < count < 225 for count in last.values())
    # 4 activations: 500 expected of each, standard deviation 19.4.
    first = Counter(cell.first for cell in cells)
    assert len(first) == 4
    assert all(410 < count < 590 for count in first.values())


def test_limits() -> None:
    assert len(random_recurrent(0, MAX_NODES).nodes) + 1 == MAX_NODES
    assert random_recurrent(0, 1).output == (0,)
    assert len(random_cells(0, MAX_NODES).normal.nodes) == MAX_NODES
    assert len(random_layers(0, MAX_LAYERS).layers) == MAX_LAYERS
    for nodes in (0, MAX_NODES + 1):
        with pytest.raises(LotteryError, match=f"can't have {nodes} nodes; give 1 to 64 of them"):
            random_cells(0, nodes)
        with pytest.raises(LotteryError, match=f"can't have {nodes} nodes; give 1 to 64 of them"):
            random_recurrent(0, nodes)
    with pytest.raises(LotteryError, match="can't have 65 layers; give 1 to 64 of them"):
        random_layers(0, MAX_LAYERS + 1)


def test_genotypes_need_no_torch() -> None:
    code = (
        "import sys, nas.genotypes.random_genotypes, nas.catalog.searched_images, nas.catalog.searched_text; "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
