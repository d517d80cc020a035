"""What can be chosen by name is in the table from which help and errors are made, and in it alone."""

from __future__ import annotations

from typing import get_args, get_type_hints

import pytest

from lottery.machine import STORE_WEIGHTS, StoreWeights
from tests.commands import done, refused
from training.batching import Batching
from training.choices import BATCHINGS, DEVICES, PRECISIONS, PRODUCTS
from training.configs import OptimizerConfig, TrainingConfig
from training.matrix_libraries import AUTO, LIBRARIES
from training.optimizers import OPTIMIZERS


def test_tables_and_types_name_the_same() -> None:
    assert tuple(PRODUCTS) == (AUTO, *LIBRARIES)
    assert tuple(BATCHINGS) == get_args(Batching)
    assert tuple(STORE_WEIGHTS) == get_args(StoreWeights)
    assert tuple(PRECISIONS) == get_args(get_type_hints(TrainingConfig)["precision"])
    assert tuple(OPTIMIZERS) == get_args(get_type_hints(OptimizerConfig)["name"])


@pytest.mark.parametrize("table", [DEVICES, PRODUCTS, PRECISIONS, BATCHINGS, STORE_WEIGHTS])
def test_help_says_what_each_means(table: dict[str, str]) -> None:
    text = " ".join(done("prune", "--help").split())
    for name, meaning in table.items():
        assert f"{name} ({meaning})" in text


def test_what_there_is_not_is_refused_with_what_there_is() -> None:
    told = refused("prune", "demo-digits-resnet", "--device", "cude", "--dry-run")
    assert told == "There is no device 'cude'; did you mean cuda? Known: auto, cpu, cuda."
