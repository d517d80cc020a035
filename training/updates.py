"""One step of training: from a batch to changed weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

from torch import Tensor

from training.averaging import DeviceMeans, update_means
from training.configs import TrainingConfig
from training.differentiation import Differentiator
from training.graphed import Graphed
from training.graphs import GraphPolicy
from training.optimizers import (
    clip_per_replicate,
    gradient_masks,
    gradients,
    mask_gradients,
    rate_on_device,
    set_learning_rate,
    trained_parameters,
)
from training.replay import ReplayPolicy
from training.state import TrainingState
from training.tasks.task import Batch, Carry, Task

# From a batch, the learning rate and the share of training that is done to the losses `[R]` before the step.
TakeStep = Callable[[Batch, float, float], Tensor]


def step_taker(
    state: TrainingState,
    task: Task,
    config: TrainingConfig,
    masks: Mapping[str, Tensor],
    steps: int,
    replay: ReplayPolicy,
    graph: GraphPolicy,
) -> TakeStep:
    """What takes a state's next step; the loop counts it.

    Args:
        state: changed in place.
        task: what is learned.
        config: how.
        masks: bool `[R, ...]` by parameter name, for the prunable parameters.
        steps: that are to come.
        replay: when steps are replayed.
        graph: when steps that are replayed become graphs.
    """
    backend = graph.backend(task.device)
    means: DeviceMeans | None = None
    if backend is not None:
        most = max(replay.most_forms, graph.most_forms)
        replay = dataclasses.replace(replay, most_forms=most, varied=True)
        rate_on_device(state.optimizer)
    if backend is not None or task.device.type == "cuda":
        means = DeviceMeans(state.averages, state.replicates)
    update = _Update(state, task, config, masks, steps, replay, means)
    step = update if backend is None else Graphed(update, backend, graph)

    def take_step(batch: Batch, rate: float, progress: float) -> Tensor:
        update.go_to(rate, progress)
        losses, state.carry = step(state.carry, batch)
        return losses

    return take_step


class _Update:
    """Gradients, masks, clipping, the optimizer's step, and the means of weights.

    What a graph has to be told comes by tensors: the learning rate, which draws are next, and with `means` what they
    give to the latest weights. On CUDA so do they without graphs, as both would round otherwise.
    """

    def __init__(
        self,
        state: TrainingState,
        task: Task,
        config: TrainingConfig,
        masks: Mapping[str, Tensor],
        steps: int,
        replay: ReplayPolicy,
        means: DeviceMeans | None,
    ) -> None:
        self._state = state
        self._clip_norm = config.optimizer.clip_norm
        self._masked = gradient_masks(state.replicates, masks)
        self._trained = trained_parameters(state.replicates)
        self._differentiate = Differentiator(state.replicates, task, config, steps, replay)
        self._means = means

    def go_to(self, rate: float, progress: float) -> None:
        """Tell it of the state's next step what is no tensor."""
        set_learning_rate(self._state.optimizer, rate)
        self._differentiate.go_to(self._state.step, progress)
        if self._means is not None:
            self._means.go_to(self._state.step + 1)

    def __call__(self, carry: Carry, batch: Batch) -> tuple[Tensor, Carry]:
        """The losses `[R]`, and what is carried on."""
        state = self._state
        losses, after = self._differentiate.next(carry, batch)
        mask_gradients(self._masked)
        if self._clip_norm is not None:
            clip_per_replicate(gradients(state.replicates, self._trained), self._clip_norm)
        state.optimizer.step()
        if self._means is None:
            update_means(state.averages, state.replicates, state.step + 1)
        else:
            self._means.update()
        return losses, after

    def replays(self, carry: Carry, batch: Batch) -> bool:
        """Whether it would be nothing but operations on tensors."""
        return self._differentiate.replays(carry, batch)

    @property
    def variant(self) -> bool:
        """What else decides which operations it is made of: whether there are means."""
        return self._means is not None and self._means.running
