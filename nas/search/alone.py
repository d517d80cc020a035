"""Stand-alone scores: networks of single architectures, trained from scratch for a short budget."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import torch
from torch import nn

from nas.catalog.building import build
from nas.convolutional.auxiliary import counted_parameters
from nas.genotypes.encodings import ENCODINGS
from nas.search.configs import SearchConfig
from nas.search.space import Choices
from nas.search.spaces import encoding_of, network_of, space_of
from nas.search.watching import SearchWatcher
from training.batching import default_batching
from training.errors import chosen
from training.folders import Folder
from training.loop import begin, train
from training.noise import generator
from training.replay import REPLAY, ReplayPolicy
from training.replicates import Replicates
from training.state import TrainingState
from training.stopping import stopped
from training.storage import parse_json, to_json
from training.tasks.catalog import load_task
from training.tasks.task import Task

# First seed and choices as text -> the score of each seed.
SCORES = "standalone.json"


class Alone(Protocol):
    """Architectures -> per architecture the score of each seed's network."""

    def __call__(self, architectures: Sequence[Choices], first: int) -> list[tuple[float, ...]]:
        """Train them, with the seeds from `first` on, but for those that were trained so before."""


def load_tasks(config: SearchConfig, root: Path | None, device: torch.device) -> tuple[Task, Task]:
    """The task of the shared weights, and that of the stand-alone networks, whose batches may differ.

    Args:
        config: of the search.
        root: the folder of data files, or None.
        device: where to train.
    """
    shared, alone = config.shared, config.derive.alone
    if shared is None or alone is None:
        one = shared or alone
        if one is None:
            raise ValueError("neither shared nor derive.alone is given")
        task = load_task(config.data, one, root, device)
        return task, task
    task = load_task(config.data, shared, root, device)
    same = (shared.batch_size, shared.text) == (alone.batch_size, alone.text)
    alike = same and shared.auxiliary_weight == alone.auxiliary_weight
    return task, task if alike else load_task(config.data, alone, root, device)


def genotype_text(config: SearchConfig, choices: Choices) -> str:
    """An architecture as text, in `encoding_of`."""
    encoding = chosen("encoding", encoding_of(config), ENCODINGS)
    return encoding.print(space_of(config).genotype(choices))


def alone_network(config: SearchConfig, choices: Choices, task: Task, seed: int) -> nn.Module:
    """The stand-alone network of an architecture with a seed's initial weights, on the CPU."""
    text = f"{encoding_of(config)}: {genotype_text(config, choices)}"
    source = generator(seed, "initial weights")
    return build(network_of(config), config.network, task.spec, source, genotype=text)


def parameters_of(config: SearchConfig, choices: Choices, task: Task) -> int:
    """How many parameters the stand-alone network of an architecture has."""
    counted = counted_parameters(alone_network(config, choices, task, config.seed))
    return sum(parameter.numel() for parameter in counted.values())


def train_alone(
    config: SearchConfig,
    choices: Choices,
    task: Task,
    first: int,
    stop: Callable[[], None],
    replay: ReplayPolicy = REPLAY,
) -> tuple[float, ...]:
    """Train an architecture's network from scratch, once per seed, side by side.

    Args:
        config: of which `derive.alone` says how.
        choices: the architecture.
        task: with the batches that `derive.alone` asks for.
        first: of its seeds.
        stop: is called after every step and may raise.
        replay: when steps are replayed; no number follows from it.

    Returns:
        Each seed's reward on the validation split at its step of least validation loss; 0 for one that never was
        finite.
    """
    training = config.derive.alone
    if training is None:
        raise ValueError("derive.alone is None")
    seeds = [first + number for number in range(config.derive.alone_seeds)]
    networks = [alone_network(config, choices, task, seed).to(task.device) for seed in seeds]
    batching = default_batching(networks[0], task.spec, task.device, len(seeds))
    state = begin(Replicates(networks, seeds, batching), task, training, 0)
    last = training.steps.count(task.steps_per_epoch)
    train(state, task, training, last, {}, lambda _: stop(), replay=replay)
    return tuple(_reward(state, task, r, config.reward_constant) for r in range(len(seeds)))


def _reward(state: TrainingState, task: Task, r: int, constant: float) -> float:
    best = next((one for one in state.validations if one.step == state.best_step[r]), None)
    value = best.metric[r] if best is not None and state.best_loss[r] < math.inf else None
    if value is None:
        return 0.0
    return value / 100.0 if task.metric.higher_is_better else constant / value


class KeptScores:
    """Trains architectures alone, and keeps their scores in the search's folder, so that none is trained twice.

    Args:
        config: of the search.
        task: for stand-alone training.
        folder: of the search.
        watcher: is told how it goes, and may ask to stop.
        replay: when steps are replayed; no number follows from it.
    """

    def __init__(
        self,
        config: SearchConfig,
        task: Task,
        folder: Folder,
        watcher: SearchWatcher,
        replay: ReplayPolicy,
    ) -> None:
        self.config = config
        self.task = task
        self.folder = folder
        self.watcher = watcher
        self.replay = replay
        self._scores: dict[str, list[float]] = {}
        if folder.holds(SCORES):
            self._scores = parse_json(folder.read(SCORES), folder.path(SCORES))

    def __call__(self, architectures: Sequence[Choices], first: int) -> list[tuple[float, ...]]:
        """See `Alone`.

        Raises:
            LotteryError: stopped on request; what was finished is kept.
        """
        scores: list[tuple[float, ...]] = []
        for choices in architectures:
            key = f"{first}: {' '.join(map(str, choices))}"
            if key not in self._scores:
                trained = train_alone(
                    self.config, choices, self.task, first, self._stop_if_asked, self.replay
                )
                self._scores[key] = list(trained)
                self.folder.write(SCORES, to_json(self._scores))
            scores.append(tuple(self._scores[key]))
            self.watcher.alone(len(scores), len(architectures))
        return scores

    def _stop_if_asked(self) -> None:
        if self.watcher.stop_requested():
            raise stopped("while networks are trained alone", self.folder.root)
