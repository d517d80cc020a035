"""From a batch to losses and gradients: the part of a step that repeats, captured at first and then replayed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

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
Differentiate = Callable[[Carry, Batch, int, float], tuple[Tensor, Carry]]


def differentiator(
    replicates: Replicates,
    task: Task,
    config: TrainingConfig,
    steps: int,
    replay: ReplayPolicy = REPLAY,
) -> Differentiate:
    """The function that leaves a batch's gradients, the mean over its parts, where the optimizer finds them.

    It takes what is carried in, the batch, the number of the step (whose parts draw different noise), and the share of
    training that is done, which scheduled drop-path follows. It returns the losses `[R]` and what is carried on.

    Args:
        replicates: in training mode.
        task: that they are trained on.
        config: how.
        steps: that are to come.
        replay: when steps are replayed; no number follows from it.
    """
    trained = [parameter for parameter in replicates.parameters() if parameter.requires_grad]
    of_part = _of_part(replicates, trained, task, config)
    # Torch's own recurrent modules choose slower kernels while they are captured.
    if task.few_shapes and not has_torch_recurrence(replicates):
        calls = steps * config.accumulation
        of_part = Replayed(of_part, lambda: _plain_state(replicates), calls, replay)

    def differentiate(
        carry: Carry, batch: Batch, step: int, progress: float
    ) -> tuple[Tensor, Carry]:
        # The next gradients can lie where these did, in the cache.
        for parameter in trained:
            parameter.grad = None
        losses, carries, total = [], [], Gradients()
        parts = cut(carry, batch, task.example_dimension, config.accumulation)
        for draw, (before, part) in enumerate(parts, step * config.accumulation):
            replicates.advance(draw, progress)
            # Around what is replayed too, which calls nothing that would enter it.
            with backward_precision(config.precision, task.device):
                loss, after, gradients = of_part(before, part)
            if total:
                torch._foreach_add_(total, gradients)
            else:
                total = gradients
            losses.append(loss)
            carries.append(after)
        for parameter, gradient in zip(trained, total, strict=True):
            parameter.grad = gradient
        return losses[0] if len(losses) == 1 else torch.stack(losses).mean(0), join(carries)

    return differentiate


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
