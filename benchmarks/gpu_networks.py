"""The networks that are measured on a card, as published, with how they are trained; torch-free."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field

from nas.catalog.sizes import SizeValue
from training.configs import OptimizerConfig
from training.specs import ImageSpec, Spec, TextSpec

MNIST = ImageSpec(channels=1, height=28, width=28, classes=10)
CIFAR = ImageSpec(channels=3, height=32, width=32, classes=10)
WORDS, FEW_WORDS = TextSpec(vocabulary=10_000), TextSpec(vocabulary=50)
# Replicates of which one after the other is measured too.
MOST_LOOPED = 16


@dataclass(frozen=True, kw_only=True)
class Case:
    """A network and how it is trained.

    Attributes:
        network: in the catalog.
        sizes: that differ from the catalog's.
        tiny: sizes for a rehearsal.
        spec: of the data.
        batch: images, or columns of text.
        images: to train on; an epoch is longer than what is timed.
        window: words of a column.
        windows: of text.
        optimizer: as the recipe's.
        counts: of replicates.
        masked: whether half of every matrix and kernel is pruned.
        widths: of the embedding and each layer, of the plain language model.
        limit: seconds that all of it may take on a card.
    """

    network: str
    sizes: Mapping[str, SizeValue] = field(default_factory=dict)
    tiny: Mapping[str, SizeValue]
    spec: Spec
    batch: int
    images: int = 20_000
    window: int = 0
    windows: int = 300
    optimizer: OptimizerConfig
    counts: tuple[int, ...]
    masked: bool = False
    widths: tuple[int, ...] = ()
    limit: float


def _sgd(rate: float, *, clip: float | None = None, momentum: float = 0.9) -> OptimizerConfig:
    return OptimizerConfig(name="sgd", learning_rate=rate, momentum=momentum, clip_norm=clip)


ADAM = OptimizerConfig(name="adam", learning_rate=1.2e-3)
# In the order of what they are worth.
CASES: dict[str, Case] = {
    "lenet": Case(
        network="lenet-300-100",
        tiny={"widths": (8, 6)},
        spec=MNIST,
        batch=60,
        images=55_000,
        optimizer=ADAM,
        counts=(1, 16, 128),
        masked=True,
        limit=40,
    ),
    "resnet": Case(
        network="resnet",
        tiny={"depth": 8, "width": 2},
        spec=CIFAR,
        batch=128,
        optimizer=_sgd(0.1),
        counts=(1, 16, 4),
        masked=True,
        limit=40,
    ),
    "awd-lstm": Case(
        network="awd-lstm",
        tiny={"embedding": 6, "hidden": 8, "layers": 2},
        spec=WORDS,
        batch=20,
        window=70,
        optimizer=_sgd(30.0, clip=0.25, momentum=0.0),
        counts=(1, 5, 15),
        widths=(400, 1150, 1150, 400),
        limit=45,
    ),
    "conv-6": Case(
        network="conv-6",
        tiny={"blocks": (2, 2, 2), "widths": (4, 4)},
        spec=CIFAR,
        batch=60,
        optimizer=dataclasses.replace(ADAM, learning_rate=3e-4),
        counts=(1, 16, 4),
        masked=True,
        limit=30,
    ),
    "on-lstm": Case(
        network="on-lstm",
        tiny={"embedding": 6, "hidden": 8, "layers": 2, "chunk": 2},
        spec=WORDS,
        batch=20,
        window=70,
        optimizer=_sgd(30.0, clip=0.25, momentum=0.0),
        counts=(1, 4),
        widths=(400, 1150, 1150, 400),
        limit=35,
    ),
    "naonet-a": Case(
        network="naonet-a",
        sizes={"channels": 36, "drop_path": 0.2, "dropout": 0.4, "auxiliary": 1},
        tiny={"channels": 2, "normal_cells": 1},
        spec=CIFAR,
        batch=128,
        optimizer=_sgd(0.025, clip=5.0),
        counts=(1, 4),
        limit=45,
    ),
    "enas-rnn": Case(
        network="enas-rnn",
        tiny={"hidden": 6},
        spec=WORDS,
        batch=64,
        window=35,
        optimizer=_sgd(20.0, clip=0.25, momentum=0.0),
        counts=(1, 4),
        widths=(748, 748),
        limit=25,
    ),
    "nao-rnn": Case(
        network="nao-rnn",
        tiny={"hidden": 6},
        spec=WORDS,
        batch=64,
        window=35,
        optimizer=_sgd(20.0, clip=0.25, momentum=0.0),
        counts=(1, 4),
        widths=(850, 850),
        limit=25,
    ),
    "enas-micro": Case(
        network="enas-micro",
        sizes={"drop_path": 0.4, "dropout": 0.2, "auxiliary": 1},
        tiny={"channels": 2, "normal_cells": 1},
        spec=CIFAR,
        batch=144,
        optimizer=dataclasses.replace(_sgd(0.05), nesterov=True, weight_decay=4e-4),
        counts=(1, 4),
        limit=30,
    ),
}
# The plain language model of a rehearsal: widths of the embedding and each layer.
TINY_WIDTHS = {
    "awd-lstm": (6, 8, 6),
    "on-lstm": (10, 20, 10),
    "enas-rnn": (6, 6),
    "nao-rnn": (6, 6),
}


def rehearsed(case: Case) -> Case:
    """The same at a size at which a step takes next to no time."""
    return dataclasses.replace(
        case,
        sizes={**case.sizes, **case.tiny},
        spec=FEW_WORDS if case.window else case.spec,
        batch=2,
        images=40,
        windows=20,
        window=3 if case.window else 0,
        counts=(2,),
        widths=TINY_WIDTHS.get(case.network, ()),
    )
