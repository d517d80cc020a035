"""From a batch to losses and gradients: the part of a step that repeats, captured at first and then replayed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from training.attributes import attributes
from training.batching import has_torch_recurrence
from training.configs import TrainingConfig
from training.device import backward_precision, matrix_precision
from training.optimizers import own_memory
from training.replay import REPLAY, Replayed, ReplayPolicy
from training.replicates import Replicates
from training.tasks.parts import cut, join
from training.tasks.task import Batch, Carry, Task

Gradients = list[Tensor]
Part = Callable[[Carry, Batch], tuple[Tensor, Carry, Gradients]]


class Differentiator:
    """Leaves a batch's gradients, the mean over its parts, where the optimizer finds them.

    Args:
        replicates: in training mode.
        task: that they are trained on.
        config: how.
        steps: that are to come.
        replay: when steps are replayed; no number follows from it.
    """

    def __init__(
        self,
        replicates: Replicates,
        task: Task,
        config: TrainingConfig,
        steps: int,
        replay: ReplayPolicy = REPLAY,
    ) -> None:
        self._replicates = replicates
        self._device = task.device
        self._example_dimension = task.example_dimension
        self._config = config
        self._trained = [p for p in replicates.parameters() if p.requires_grad]
        self._of_part = _of_part(replicates, self._trained, task, config)
        self._replayed: Replayed | None = None
        # Torch's own recurrent modules choose slower kernels while they are captured.
        if (task.few_shapes or replay.varied) and not has_torch_recurrence(replicates):
            calls = steps * config.accumulation
            state = partial(_plain_state, replicates)
            self._of_part = self._replayed = Replayed(self._of_part, state, calls, replay)

    def __call__(
        self, carry: Carry, batch: Batch, step: int, progress: float
    ) -> tuple[Tensor, Carry]:
        """The losses `[R]` of a step, and what is carried on.

        Args:
            carry: what is carried in.
            batch: of all replicates.
            step: its number; its parts draw different noise.
            progress: the share of training that is done, which scheduled drop-path follows.
        """
        self.go_to(step, progress)
        return self.next(carry, batch)

    def go_to(self, step: int, progress: float) -> None:
        """Say which step `next` is of, and how far training is."""
        self._replicates.go_to(step * self._config.accumulation, progress)

    def next(self, carry: Carry, batch: Batch) -> tuple[Tensor, Carry]:
        """As calling it, of the step that it has been told: nothing but tensors decides over what it does."""
        # The next gradients can lie where these did, in the cache.
        for parameter in self._trained:
            parameter.grad = None
        losses, carries, total = [], [], Gradients()
        for before, part in self._parts(carry, batch):
            self._replicates.draw()
            # Around what is replayed too, which calls nothing that would enter it.
            with backward_precision(self._config.precision, self._device):
                loss, after, gradients = self._of_part(before, part)
            if total:
                torch._foreach_add_(total, gradients)
            else:
                total = gradients
            losses.append(loss)
            carries.append(after)
        for parameter, gradient in zip(self._trained, total, strict=True):
            parameter.grad = gradient
        return losses[0] if len(losses) == 1 else torch.stack(losses).mean(0), join(carries)

    def replays(self, carry: Carry, batch: Batch) -> bool:
        """Whether all parts of such a batch would be replayed."""
        known = self._replayed
        return known is not None and all(known.replays(*one) for one in self._parts(carry, batch))

    def _parts(self, carry: Carry, batch: Batch) -> list[tuple[Carry, Batch]]:
        return cut(carry, batch, self._example_dimension, self._config.accumulation)


def _of_part(
    replicates: Replicates, trained: Sequence[nn.Parameter], task: Task, config: TrainingConfig
) -> Part:
    def of_part(carry: Carry, part: Batch) -> tuple[Tensor, Carry, Gradients]:
        for parameter in trained:
            parameter.grad = None
        with matrix_precision(config.precision, task.device):
            loss, after = replicates(task.loss, carry, *part)
        (loss.sum() / config.accumulation).backward()
        # A parameter that a loss passes by has a gradient of 0, as it would beside replicates whose losses don't.
        left = [torch.zeros_like(p) if p.grad is None else p.grad for p in trained]
        others = (*replicates.stacked.values(), *tree_leaves((carry, part, after)))
        return loss.detach(), after, own_memory(left, others)

    return of_part


def saved_bytes(network: nn.Module, task: Task, config: TrainingConfig) -> int:
    """Bytes that one replicate's forward pass keeps for its backward pass, besides its own tensors and the batch."""
    replicates = Replicates([network], [0], "looped").train()
    replicates.advance(0)
    whole = task.first_carry(replicates), task.batches([0])(0)
    carry, part = cut(*whole, task.example_dimension, config.accumulation)[0]
    saved: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        if tensor.layout is torch.strided:
            storage = tensor.untyped_storage()
            seen = min(tensor.nbytes, storage.nbytes())
            saved[storage.data_ptr()] = max(seen, saved.get(storage.data_ptr(), 0))
        return tensor

    saving = torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor)
    with saving, matrix_precision(config.precision, task.device):
        outputs = replicates(task.loss, carry, *part)
    for tensor in (*replicates.parameters(), *replicates.buffers(), *tree_leaves(whole)):
        saved.pop(tensor.untyped_storage().data_ptr(), None)
    del outputs  # Until here it kept what was saved, so that no two have one address.
    return sum(saved.values())


def _plain_state(replicates: Replicates) -> object:
    """What networks may follow from besides tensors, such as a count of their calls; tensors are in a capture."""
    values = attributes(replicates.networks)
    texts = {path: leaf for path, leaf in values.items() if not isinstance(leaf, Tensor)}
    return texts, replicates.assigned
