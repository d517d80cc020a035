"""Tasks, networks and configurations that are small enough to train many times in a second."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from nas.catalog.building import build
from training.batching import Batching
from training.configs import OptimizerConfig, TrainingConfig
from training.datasets.images import ImageData, LabelledImages
from training.datasets.text import TextData, text_data
from training.dropout import Dropout
from training.loop import Hook, begin, train
from training.noise import generator
from training.replay import REPLAY, ReplayPolicy
from training.replicates import Replicates
from training.specs import ImageSpec
from training.state import TrainingState
from training.steps import Steps
from training.tasks.image_classification import ImageClassification
from training.tasks.language_modelling import LanguageModelling
from training.tasks.task import Task

IMAGES = ImageSpec(channels=1, height=8, width=8, classes=3)
DROPOUTS = {"dropout_embedding": 0.1, "dropout_input": 0.2, "dropout_output": 0.2}
# Every dropout that a network has is on.
SIZES: dict[str, dict[str, object]] = {
    "lenet-300-100": {"widths": [8, 6]},
    "resnet": {"depth": 8, "width": 2},
    "enas-micro": {"channels": 2, "normal_cells": 1, "reductions": 1},
    "awd-lstm": {
        "embedding": 5,
        "hidden": 6,
        "layers": 2,
        "dropout_hidden": 0.2,
        "dropconnect": 0.3,
        **DROPOUTS,
    },
    "enas-lm": {"hidden": 5, "dropout_cell_input": 0.2, "dropout_cell_state": 0.2, **DROPOUTS},
}
TEXT_NETWORKS = ("awd-lstm", "enas-lm")
ADAM = OptimizerConfig(name="adam", learning_rate=0.01, clip_norm=0.5)


def random_images(count: int, draw: torch.Generator) -> LabelledImages:
    """Noise, with labels that say which of three rows is bright."""
    labels = torch.randint(IMAGES.classes, (count,), generator=draw)
    images = torch.randn(count, 1, 8, 8, generator=draw)
    images[torch.arange(count), 0, labels] += 1.0
    return LabelledImages(images, labels)


def image_data() -> ImageData:
    """26 images to train on, 9 to validate, 8 to test."""
    draw = generator(0, "tiny images")
    return ImageData(
        name="tiny-images",
        fingerprint="",
        spec=IMAGES,
        train=random_images(26, draw),
        validation=random_images(9, draw),
        test=random_images(8, draw),
        mean=(0.0,),
        deviation=(1.0,),
    )


def some_text() -> TextData:
    """Lines of three of six words: 92 tokens to train on, 24 to validate, 20 to test."""
    draw = generator(0, "tiny text")

    def lines(count: int) -> list[str]:
        numbers = torch.randint(6, (count, 3), generator=draw).tolist()
        return [" ".join(f"word{number}" for number in line) for line in numbers]

    splits = {"train": lines(23), "validation": lines(6), "test": lines(5)}
    return text_data("tiny-text", splits, least_count=2)


def image_task() -> ImageClassification:
    """Batches of 6: 4 steps per epoch, 2 images left over."""
    return ImageClassification(image_data(), batch_size=6)


def text_task() -> LanguageModelling:
    """3 columns of 30 tokens, windows of 7: 5 steps per epoch, the last window short."""
    return LanguageModelling(some_text(), batch_size=3, sequence=7, evaluation_columns=5)


def task_for(name: str) -> Task:
    """The tiny task that a network is for."""
    return text_task() if name in TEXT_NETWORKS else image_task()


def network(name: str, seed: int) -> nn.Module:
    """A small network of the catalog with dropout, initialised from a seed."""
    built = build(name, SIZES[name], task_for(name).spec, generator(seed, "initial weights"))
    return built if name in TEXT_NETWORKS else nn.Sequential(Dropout(0.2), built)


def stack(name: str, seeds: Sequence[int], batching: Batching = "stacked") -> Replicates:
    """One replicate per seed."""
    return Replicates([network(name, seed) for seed in seeds], seeds, batching)


def gradients_by_name(replicates: Replicates) -> dict[str, Tensor]:
    """What a backward pass left of every parameter, `[R, ...]`."""
    found = {}
    for name, leaves in replicates.leaves().items():
        grads = [leaf.grad for leaf in leaves if leaf.grad is not None]
        assert len(grads) == len(leaves), name
        found[name] = grads[0] if replicates.batching == "stacked" else torch.stack(grads)
    return found


def config(steps: int = 6, every: int = 3, optimizer: OptimizerConfig = ADAM) -> TrainingConfig:
    """Some steps, with looks at the validation split."""
    return TrainingConfig(
        steps=Steps(iterations=steps),
        batch_size=6,
        eval_every=Steps(iterations=every),
        optimizer=optimizer,
    )


def half_masks(replicates: Replicates) -> dict[str, Tensor]:
    """A mask for every matrix and convolution that keeps about half, another one per replicate."""
    return {
        name: torch.rand(tensor.shape, generator=generator(7, name)) < 0.5
        for name, tensor in replicates.tensors().items()
        if tensor.dim() > 2
    }


def zero_pruned(replicates: Replicates, masks: Mapping[str, Tensor]) -> None:
    """Put the pruned weights to 0, as a training wants to find them."""
    held = replicates.tensors()
    replicates.load({n: t * masks[n] if n in masks else t for n, t in held.items()})


def no_hook(_: TrainingState) -> None:
    """Do nothing after a step."""


def trained(
    replicates: Replicates,
    task: Task,
    how: TrainingConfig,
    masks: Mapping[str, Tensor] | None = None,
    hook: Hook = no_hook,
    replay: ReplayPolicy = REPLAY,
) -> TrainingState:
    """Train from the first step to the last."""
    state = begin(replicates, task, how, 0)
    train(state, task, how, how.steps.iterations, masks or {}, hook, replay=replay)
    return state
