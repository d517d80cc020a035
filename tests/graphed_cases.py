"""Trainings in which everything that a step may hold occurs, for the tests of graphs on a CPU and on CUDA."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from tests.tiny_tasks import config, half_masks, image_data, network, some_text, zero_pruned
from training.augmentation import Augmentation
from training.batching import Batching
from training.checkpoints import checkpoint_to_bytes, restore_checkpoint
from training.configs import AveragingConfig, OptimizerConfig, ScheduleConfig, TrainingConfig
from training.graphs import NO_GRAPH, GraphPolicy
from training.loop import begin, train
from training.replay import REPLAY, ReplayPolicy
from training.replicates import Replicates
from training.state import TrainingState
from training.steps import Steps
from training.tasks.image_classification import ImageClassification
from training.tasks.language_modelling import LanguageModelling
from training.tasks.settings import TextTraining
from training.tasks.task import Task

CPU = torch.device("cpu")
VARIED = TextTraining(
    activation=0.1, slowness=0.2, varied_windows=True, window_cap=2, window_deviation=1.0
)
COSINE = ScheduleConfig(name="cosine", warmup=Steps(iterations=4))


def images(device: torch.device) -> Task:
    """26 images in batches of 6, 4 steps per epoch, cropped, flipped and cut."""
    augmentation = Augmentation(crop_padding=1, flip=True, cutout=2)
    return ImageClassification(image_data().to(device), 6, augmentation)


def plain_images(device: torch.device) -> Task:
    """The same as they are."""
    return ImageClassification(image_data().to(device), 6)


def text(device: torch.device) -> Task:
    """92 tokens in 3 columns, in windows of 7 and at the end of each epoch of 2."""
    return LanguageModelling(some_text().to(device), 3, 7, 5)


def varied_text(device: torch.device) -> Task:
    """The same in windows of about 7 tokens."""
    return LanguageModelling(some_text().to(device), 3, 7, 5, VARIED)


def how(
    steps: int, every: int, optimizer: OptimizerConfig, parts: int = 1, tuned: int = 0
) -> TrainingConfig:
    """A training at a rate that changes with every step; with `tuned` steps of fine-tuning weights are averaged."""
    plain = dataclasses.replace(
        config(steps, every, optimizer), accumulation=parts, schedule=COSINE
    )
    if not tuned:
        return plain
    means = AveragingConfig(trigger="non-monotone", patience=1, finetune=Steps(iterations=tuned))
    # Merity et al. 2018 keep the rate; so high a one lets validation losses rise.
    return dataclasses.replace(plain, schedule=ScheduleConfig(), averaging=means)


@dataclass(frozen=True)
class Case:
    """What is trained, and how; `network` is one of the tiny networks."""

    network: str
    task: Callable[[torch.device], Task]
    how: TrainingConfig


ADAM = OptimizerConfig(name="adam", learning_rate=0.01, clip_norm=0.5)
ADAMW = OptimizerConfig(name="adamw", learning_rate=0.01, weight_decay=0.1, clip_norm=0.5)
MOMENTUM = OptimizerConfig(
    name="sgd", learning_rate=0.1, momentum=0.9, nesterov=True, weight_decay=0.01
)
AVERAGED = OptimizerConfig(name="sgd", learning_rate=20.0, weight_decay=1e-3, clip_norm=0.5)
CASES = {
    "LeNet with Adam and clipping": Case("lenet-300-100", plain_images, how(16, 5, ADAM)),
    "ResNet with momentum and augmentation": Case("resnet", images, how(16, 5, MOMENTUM)),
    "LeNet in parts": Case("lenet-300-100", images, how(14, 5, MOMENTUM, parts=3)),
    "AWD-LSTM with Adam": Case("awd-lstm", text, how(26, 7, ADAM)),
    "AWD-LSTM in parts": Case("awd-lstm", text, how(26, 7, ADAMW, parts=3)),
    "AWD-LSTM with NT-ASGD and varied windows": Case(
        "awd-lstm", varied_text, how(60, 3, AVERAGED, tuned=24)
    ),
    "ENAS cells": Case("enas-micro", images, how(14, 5, MOMENTUM)),
}


def begun(
    case: Case, seeds: tuple[int, ...], batching: Batching, device: torch.device = CPU
) -> tuple[TrainingState, Task, Mapping[str, Tensor]]:
    """A state before its first step, half of it pruned."""
    task = case.task(device)
    networks = [network(case.network, seed) for seed in seeds]
    replicates = Replicates(networks, seeds, batching)
    masks = half_masks(replicates)
    zero_pruned(replicates, masks)
    replicates = replicates.to(device)
    there = {name: mask.to(device) for name, mask in masks.items()}
    return begin(replicates, task, case.how, 0), task, there


class StopError(Exception):
    """Stands for a signal."""


def written(
    case: Case,
    seeds: tuple[int, ...],
    batching: Batching,
    graph: GraphPolicy = NO_GRAPH,
    replay: ReplayPolicy = REPLAY,
    device: torch.device = CPU,
    spoiled: int | None = None,
    stop: int = 0,
    data: bytes = b"",
) -> list[bytes]:
    """The checkpoint after every step.

    Args:
        case: what is trained.
        seeds: one per replicate.
        batching: stacked or looped.
        graph: when steps become graphs.
        replay: when steps are replayed.
        device: where.
        spoiled: a replicate that is infinite from the start.
        stop: after so many steps; 0 for none.
        data: a checkpoint to go on from.
    """
    state, task, masks = begun(case, seeds, batching, device)
    if spoiled is not None:
        next(iter(state.replicates.weights().values()))[spoiled].fill_(torch.inf)
    if data:
        restore_checkpoint(state, data, Path("checkpoint"))
    found: list[bytes] = []

    def note(state: TrainingState) -> None:
        found.append(checkpoint_to_bytes(state))
        if state.step == stop:
            raise StopError

    last = case.how.steps.iterations
    with contextlib.suppress(StopError):
        train(state, task, case.how, last, masks, note, replay=replay, graph=graph)
    return found
