"""Small trainings of every kind of network, on a CPU as on an emulated device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import pytest
import torch
from torch import Tensor, nn

from nas.catalog.building import build
from tests.emulated_device import EmulatedTensor
from tests.tiny_tasks import SIZES, half_masks, image_data, some_text, zero_pruned
from training.augmentation import Augmentation
from training.batching import Batching
from training.checkpoints import checkpoint_to_bytes
from training.configs import AveragingConfig, OptimizerConfig, TrainingConfig
from training.dropout import Dropout
from training.loop import begin, train
from training.noise import generator
from training.replay import ReplayPolicy
from training.replicates import Replicates
from training.state import TrainingState
from training.steps import Steps
from training.tasks.image_classification import ImageClassification
from training.tasks.language_modelling import LanguageModelling
from training.tasks.settings import TextTraining
from training.tasks.task import Task

Precision = Literal["fp32", "bf16"]
CPU = torch.device("cpu")
SEEDS = (0, 1)
STEPS, STOP, TUNED = 5, 2, 2
NETWORKS: dict[str, dict[str, object]] = {
    "lenet-300-100": SIZES["lenet-300-100"],
    "conv-4": {"blocks": [2, 3], "widths": [5]},
    "resnet": SIZES["resnet"],
    "searched-cells": SIZES["enas-micro"],
    "awd-lstm": SIZES["awd-lstm"],
    "on-lstm": {**SIZES["awd-lstm"], "embedding": 6, "chunk": 3},
    "searched-rnn": SIZES["enas-lm"],
}
# Two cells of two nodes: separable convolutions, both pools and an identity; a recurrent cell of four.
GENOTYPES = {
    "searched-cells": "0 2 0 0 0 4 0 1 1 0 1 0 0 3 0 2",
    "searched-rnn": "0  0 1  1 2  1 3",
}
TEXT = ("awd-lstm", "on-lstm", "searched-rnn")
OPTIMIZERS: dict[str, OptimizerConfig] = {
    "sgd": OptimizerConfig(
        name="sgd", learning_rate=0.05, momentum=0.9, weight_decay=1e-3, clip_norm=0.5
    ),
    "adam": OptimizerConfig(name="adam", learning_rate=0.01, clip_norm=0.5),
    "adamw": OptimizerConfig(name="adamw", learning_rate=0.01, weight_decay=0.1, clip_norm=0.5),
    # At such a rate losses rise soon, so that averages begin.
    "nt-asgd": OptimizerConfig(name="sgd", learning_rate=5.0, clip_norm=0.5),
}
AVERAGED = AveragingConfig(trigger="non-monotone", patience=1, finetune=Steps(iterations=TUNED))


@dataclass(frozen=True, kw_only=True)
class Case:
    """One way to train one network."""

    network: str
    optimizer: str
    batching: Batching
    precision: Precision
    restored: bool
    accumulation: int
    replayed: bool

    def __str__(self) -> str:
        flags = {
            "restored": self.restored,
            "parts": self.accumulation > 1,
            "replayed": self.replayed,
        }
        chosen = (self.network, self.optimizer, self.batching, self.precision)
        return "-".join([*chosen, *(name for name, on in flags.items() if on)])


def cases() -> Iterator[Case]:
    """Every network with every optimizer, and all else in turns, so that every two values meet."""
    for n, network in enumerate(NETWORKS):
        for o, optimizer in enumerate(OPTIMIZERS):
            yield Case(
                network=network,
                optimizer=optimizer,
                batching=("stacked", "looped")[(n + o) % 2],
                precision=("fp32", "bf16")[(n // 2 + o // 2) % 2],
                restored=(n // 2 + o) % 2 == 1,
                accumulation=3 if o == (n + n // 2) % 4 else 1,
                replayed=(n // 4 + o + o // 2) % 2 == 1,
            )


CASES = tuple(cases())


@contextmanager
def any_device() -> Iterator[None]:
    """Inside, a CPU computes in the ways of any device, not in those of its own, and steps on one are replayed."""
    ways = (
        *("nas.recurrent.cells.is_fused", "training.convolutions._is_concerned"),
        *("training.rows.channels_last", "training.batching_rules.channels_last"),
    )
    with pytest.MonkeyPatch.context() as patch:
        for way in ways:
            patch.setattr(way, lambda _: False)
        patch.setattr("training.capturable._TENSORS", (Tensor, nn.Parameter, EmulatedTensor))
        yield


def task_on(network: str, device: torch.device) -> Task:
    """The task that a network is for."""
    if network in TEXT:
        text = some_text().to(device)
        settings = TextTraining(activation=2.0, slowness=1.0)
        return LanguageModelling(text, 6, 4, evaluation_columns=5, settings=settings)
    augmentation = Augmentation(crop_padding=1, flip=True, cutout=3)
    return ImageClassification(image_data().to(device), 6, augmentation)


def every(case: Case) -> int:
    """Steps between validations, of which averaging needs many."""
    return 1 if case.optimizer == "nt-asgd" else 2


def config_of(case: Case) -> TrainingConfig:
    """How it is trained."""
    return TrainingConfig(
        steps=Steps(iterations=STEPS),
        batch_size=6,
        eval_every=Steps(iterations=every(case)),
        optimizer=OPTIMIZERS[case.optimizer],
        precision=case.precision,
        accumulation=case.accumulation,
        averaging=AVERAGED if case.optimizer == "nt-asgd" else AveragingConfig(),
    )


class Training:
    """One case on one device."""

    def __init__(self, case: Case, device: torch.device) -> None:
        self.case, self.config, self.task = case, config_of(case), task_on(case.network, device)
        networks = [self._network(seed).to(device) for seed in SEEDS]
        self.replicates = Replicates(networks, SEEDS, case.batching)
        masks = half_masks(self.replicates)
        self.masks = {name: mask.to(device) for name, mask in masks.items()}
        zero_pruned(self.replicates, self.masks)
        self.state = begin(self.replicates, self.task, self.config, 0)

    def _network(self, seed: int) -> nn.Module:
        name, source = self.case.network, generator(seed, "initial weights")
        genotype = GENOTYPES.get(name, "")
        built = build(name, NETWORKS[name], self.task.spec, source, genotype=genotype)
        return built if name in TEXT else nn.Sequential(Dropout(0.2), built)

    def run(self, hook: Any = lambda state: None) -> bytes:
        """Train to the last step; the state there."""
        policy = ReplayPolicy(enabled=self.case.replayed, fewest_calls=1)
        train(self.state, self.task, self.config, STEPS, self.masks, hook, replay=policy)
        return checkpoint_to_bytes(self.state)

    def run_to(self, step: int) -> bytes:
        """Train until a step, as whoever is stopped there; the state there."""

        def stop(state: TrainingState) -> None:
            if state.step == step:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            self.run(stop)
        return checkpoint_to_bytes(self.state)
