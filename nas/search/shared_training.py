"""Training shared weights: other architectures at every step."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor

from nas.search.configs import SearchConfig
from nas.search.optimizer_states import optimizer_tensors, restore_optimizer, start_momentum
from nas.search.shared import shared_network
from nas.search.shared_weights import SharedNetwork
from nas.search.space import Choices, Space
from nas.search.spaces import space_of
from training.configs import TrainingConfig
from training.convolutions import convolving
from training.device import backward_precision, matrix_precision
from training.dropout import Draws
from training.network_tensors import copy_tensors
from training.noise import generator
from training.optimizers import make_optimizer, schedule_factor, set_learning_rate
from training.tasks.task import Carry, Task


class SharedTraining:
    """The shared weights, their optimizer, and how far they are.

    Weights that no architecture of a step reads have a gradient of 0, so that momentum and weight decay move them; or
    they have none and stay (see `SearchConfig.unread_weights`). Of a weight that is read in part all has a gradient, 0
    elsewhere, so that both move the whole. The gradient is clipped by its whole norm, before weight decay is added; in
    the TensorFlow releases after.

    Some recurrent cells amplify their state whatever the weights are. Nothing is learned from a step of which a loss
    explodes: weights and optimizer stay, the state starts anew, and the step is counted. That is decided on the device:
    a step waits for nothing.

    Args:
        shared: on the task's device.
        space: of its architectures.
        task: what is learned; of text the state is carried from window to window, whatever the architectures.
        config: how, with its steps resolved.
        seed: of noise and data order.
        exploded: a loss above so many times a uniform guess's counts as exploded.
        move_unread: whether momentum and weight decay move what no architecture of a step reads.

    Attributes:
        draws: gives it noise.
        losses: of each step since the last `take_losses`; NaN where it exploded.
    """

    def __init__(
        self,
        shared: SharedNetwork,
        space: Space,
        task: Task,
        config: TrainingConfig,
        seed: int,
        exploded: float,
        *,
        move_unread: bool = True,
    ) -> None:
        self.shared = shared
        self.space = space
        self.task = task
        self.config = config
        self.seed = seed
        self.move_unread = move_unread
        self.most_loss = exploded * max(1.0, math.log(task.spec.outputs))
        self.step = 0
        self.rate = 1.0
        self.losses: list[Tensor] = []
        self.carry = self._first_carry()
        self._batch = task.batches([seed])
        self.draws = Draws(shared.drawing())
        self._weights = [*shared.parameters()]
        self._convolving = convolving(shared)
        self.optimizer = make_optimizer(config.optimizer, self._weights)
        start_momentum(self.optimizer)

    def take_step(self, architectures: Sequence[Choices]) -> None:
        """Train the paths of some architectures by the mean of their losses on the next batch.

        Each draws noise of its own. Of a text, all begin with the carried state, and that of the last is carried on.
        """
        self._begin_step()
        batch = [tensor[0] for tensor in self._batch(self.step)]
        losses, carry = [], self.carry
        for number, choices in enumerate(architectures):
            self._set_noise(self.step * len(architectures) + number)
            loss, carry = self._loss(choices, batch)
            # One at a time, so that memory does not grow with their number.
            with backward_precision(self.config.precision, self.task.device):
                (loss / len(architectures)).backward()
            losses.append(loss.detach())
        together = torch.stack(losses)
        exploded = ~(together.double() <= self.most_loss).all()
        self._descend(exploded)
        self.losses.append(together.mean().masked_fill(exploded, math.nan))
        anew = self._first_carry()
        self.carry = tuple(torch.where(exploded, *pair) for pair in zip(anew, carry, strict=True))
        self.step += 1

    def _begin_step(self) -> None:
        config, step, task = self.config, self.step, self.task
        per_epoch, total = task.steps_per_epoch, config.steps.iterations
        rate = schedule_factor(config.schedule, step, total, per_epoch)
        rate *= config.optimizer.learning_rate * task.rate_factor(step) * self.rate
        set_learning_rate(self.optimizer, rate)
        if step % per_epoch == 0:
            self.carry = self._first_carry()
        use_mode(self.shared, training=True)
        self.optimizer.zero_grad(set_to_none=not self.move_unread)
        if self.move_unread:
            for parameter in self._weights:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)

    def _set_noise(self, number: int) -> None:
        progress = min(1.0, (self.step + 1) / self.config.steps.iterations)
        self.draws.give(self.seed, number, progress)

    def _loss(self, choices: Choices, batch: Sequence[Tensor]) -> tuple[Tensor, Carry]:
        path = partial(self.shared, self.space.genotype(choices))
        with matrix_precision(self.config.precision, self.task.device), self._convolving():
            return self.task.loss(path, self.carry, *batch)

    def _descend(self, exploded: Tensor) -> None:
        limit = self.config.optimizer.clip_norm
        if limit is not None:
            torch.nn.utils.clip_grad_norm_(self._weights, limit)
        # Where it is 1, fused optimizers leave everything as it is, as they do for a scaler of gradients.
        cast(Any, self.optimizer).found_inf = exploded.float()
        self.optimizer.step()

    @property
    def unstable(self) -> int:
        """How many steps since the last `take_losses` exploded."""
        return int(torch.stack(self.losses).isnan().sum()) if self.losses else 0

    def is_sound(self) -> bool:
        """Whether the weights are finite, and fewer than half of the steps since the last `take_losses` exploded."""
        norms = torch._foreach_norm([p.detach() for p in self._weights])
        sound = torch.stack(norms).isfinite().all()
        if self.losses:
            exploded = torch.stack(self.losses).isnan().sum()
            sound = sound & ((exploded == 0) | (2 * exploded < len(self.losses)))
        return bool(sound)

    def take_losses(self) -> float:
        """The mean loss since this was last called, of the steps that were learned from."""
        mean = float(self._learned_losses().double().mean())
        self.losses.clear()
        return mean

    def _learned_losses(self) -> Tensor:
        """Of the steps that did not explode, `[N]`."""
        losses = torch.stack(self.losses) if self.losses else torch.empty(0)
        return losses[~losses.isnan()]

    def tensors(self) -> dict[str, Tensor]:
        """Weights, optimizer, carry and losses, by name; with `values` the whole state."""
        tensors = {f"shared/{name}": p.detach() for name, p in self.shared.named_parameters()}
        tensors |= {f"optimizer/{k}": t for k, t in optimizer_tensors(self.optimizer).items()}
        tensors |= {f"carry/{index}": tensor for index, tensor in enumerate(self.carry)}
        losses = self._learned_losses()
        return tensors | ({"losses": losses} if len(losses) else {})

    def values(self) -> dict[str, Any]:
        """Step, rate, and how many steps exploded."""
        return {"step": self.step, "rate": self.rate, "unstable": self.unstable}

    def restore(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        """Take up the state that gave the tensors and values.

        Raises:
            KeyError, ValueError, RuntimeError: they are of other shared weights.
        """
        device = self.task.device
        groups: dict[str, dict[str, Tensor]] = {
            name: {} for name in ("shared", "optimizer", "carry", "losses")
        }
        for key, tensor in tensors.items():
            group, _, name = key.partition("/")
            groups[group][name] = tensor
        weights = {name: p.detach() for name, p in self.shared.named_parameters()}
        copy_tensors(weights, groups["shared"])
        restore_optimizer(self.optimizer, groups["optimizer"])
        carried = groups["carry"]
        self.carry = tuple(carried[str(index)].to(device) for index in range(len(carried)))
        learned = [loss.to(device) for row in groups["losses"].values() for loss in row]
        lost = torch.full((values["unstable"],), math.nan, device=device)
        self.losses = [*learned, *lost.unbind(0)]
        self.step, self.rate = values["step"], values["rate"]

    def _first_carry(self) -> Carry:
        return self.shared.initial_state(self.task.batch_size)


def use_mode(shared: SharedNetwork, *, training: bool) -> None:
    """Put shared weights into training or evaluation mode; walking all modules takes longer than a small one's step."""
    if shared.training != training:
        shared.train(training)


def shared_training(config: SearchConfig, task: Task) -> SharedTraining | None:
    """The training of a search's shared weights before its first step; None for a search without."""
    if config.shared is None:
        return None
    space = space_of(config)
    source = generator(config.seed, "shared weights")
    shared = shared_network(space, config.network, task.spec, source, config.initial)
    return SharedTraining(
        shared.to(task.device),
        space,
        task,
        config.shared,
        config.seed,
        config.exploded,
        move_unread=config.unread_weights == "move",
    )
