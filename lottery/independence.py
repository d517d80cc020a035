"""The rule of every stack, tried: a replicate is the same alone, also after a resume, as beside others."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lottery.attribute_checks import check_unchanged, copied_attributes
from lottery.pruning.masks import Tensors, row, stack_tensors, tensors_of
from training.batching import Batching
from training.configs import TrainingConfig
from training.device import matrix_precision
from training.differentiation import Differentiator
from training.errors import LotteryError
from training.replicates import Replicates
from training.tasks.task import Batch, Carry, Task

STEPS = 2
# Examples of a step: few, to be fast, and enough to normalise over.
EXAMPLES = 4
# Rounding of a few steps of a stack, in another order of sums; what this looks for is larger.
_RELATIVE, _ABSOLUTE = 1e-3, 1e-5
# Of the way that a parameter moved.
_SHARE = 0.25


@dataclass(frozen=True)
class _Seen:
    """What came of a step of one replicate: losses in training and evaluation, how weights have moved, and buffers."""

    loss: Tensor
    evaluated: Tensor
    moved: Tensors
    buffers: Tensors


def check_independence(
    networks: Sequence[nn.Module],
    seeds: Sequence[int],
    name: str,
    task: Task,
    batching: Batching,
    config: TrainingConfig,
) -> None:
    """Train two replicates a few steps beside each other, and each alone, begun anew at every step from its tensors.

    Alone a replicate is looped, which is the network as it stands: a stack has to agree with that.

    Args:
        networks: the first seed's, the same built anew, and the second seed's; on the task's device.
        seeds: of both.
        name: for messages.
        task: gives losses and examples.
        batching: stacked or looped.
        config: of the training, but for its precision.

    Raises:
        LotteryError: they differ, or the network keeps count of something that is neither parameter nor buffer.
    """
    one, *alone = networks
    starts = [tensors_of(network) for network in alone]
    together = _together(one, starts, seeds, name, task, batching, config)
    if _differs(together, _each_alone(alone, starts, seeds, task, config)):
        repeated = _together(one, starts, seeds, name, task, batching, config)
        losses = [f"{float(seen[0][0].loss):.6g}" for seen in (together, repeated)]
        if _differs(together, repeated):
            raise LotteryError(
                f"{name} does not repeat: twice with the same weights, seeds and steps, it does not do the "
                f"same (losses at the first step {losses[0]} and {losses[1]}); use torch.nn.Dropout or "
                "the modules of training.dropout, which draw by seed and step."
            )
        raise LotteryError(
            f"{name} does not follow from its parameters, buffers and seed alone: replicates that are trained "
            "beside each other differ from the same ones trained alone, or after a resume; keep all that "
            "forward changes in buffers (register_buffer), and all that a seed decides too."
        )


def _together(
    network: nn.Module,
    starts: Sequence[Tensors],
    seeds: Sequence[int],
    name: str,
    task: Task,
    batching: Batching,
    config: TrainingConfig,
) -> list[list[_Seen]]:
    """By step, what comes of each replicate in one stack that goes on."""
    replicates = Replicates([network] * len(seeds), seeds, batching)
    replicates.load(stack_tensors(starts))
    carry = task.first_carry(replicates, _examples(task))
    states = [copied_attributes(replicates.networks)]
    before = dict(replicates.network.named_buffers()).keys()
    steps = []
    for step in range(STEPS):
        losses, evaluated, carry = _step(replicates, task, config, step, carry)
        if new := dict(replicates.network.named_buffers()).keys() ^ before:
            raise LotteryError(
                f"{name} makes its buffer {min(new)} only while it runs; give it its shape in the "
                "constructor."
            )
        states.append(copied_attributes(replicates.networks))
        steps.append(_seen(replicates, starts, losses, evaluated))
    for made, first, last in zip(states[0], states[1], states[-1], strict=True):
        check_unchanged(made, first, last, name)
    return steps


def _each_alone(
    networks: Sequence[nn.Module],
    starts: Sequence[Tensors],
    seeds: Sequence[int],
    task: Task,
    config: TrainingConfig,
) -> list[list[_Seen]]:
    """By step, what comes of each replicate alone, of which nothing but tensors and what is carried goes on."""
    columns = []
    for network, start, seed in zip(networks, starts, seeds, strict=True):
        tensors, carry, column = start, None, []
        for step in range(STEPS):
            replicates = Replicates([network], [seed], "looped")
            replicates.load(stack_tensors([tensors]))
            if carry is None:
                carry = task.first_carry(replicates, _examples(task))
            losses, evaluated, carry = _step(replicates, task, config, step, carry)
            tensors = row(replicates.tensors(), 0)
            column += _seen(replicates, [start], losses, evaluated)
        columns.append(column)
    return [list(seen) for seen in zip(*columns, strict=True)]


def _step(
    replicates: Replicates, task: Task, config: TrainingConfig, step: int, carry: Carry
) -> tuple[Tensor, Tensor, Carry]:
    """A step of plain gradient descent on a few examples: losses `[R]` of it and in evaluation mode, and the carry."""
    batch = _few(task, replicates, step)
    replicates.train()
    # What bf16 rounds would hide what this looks for.
    plain = dataclasses.replace(config, accumulation=1, precision="fp32")
    losses, after = Differentiator(replicates, task, plain, 1)(carry, batch, step, 0.0)
    with torch.no_grad():
        for parameter in replicates.parameters():
            if parameter.grad is not None:
                parameter.sub_(parameter.grad, alpha=0.1)
        replicates.eval()
        with matrix_precision("fp32", task.device):
            evaluated, _ = replicates(task.score, carry, *batch)
    return losses, evaluated, after


def _seen(
    replicates: Replicates, starts: Sequence[Tensors], losses: Tensor, evaluated: Tensor
) -> list[_Seen]:
    """What came of a step, with copies of all that goes on changing, by replicate."""
    weights = replicates.weights()
    buffers = {n: t.clone() for n, t in replicates.tensors().items() if n not in weights}
    return [
        _Seen(
            losses[r],
            evaluated[r],
            {name: weight[r] - start[name] for name, weight in weights.items()},
            row(buffers, r),
        )
        for r, start in enumerate(starts)
    ]


def _few(task: Task, replicates: Replicates, step: int) -> Batch:
    """A step's batch cut to its first examples."""
    batch = task.batches(replicates.noise_seeds)(step)
    return tuple(t.narrow(task.example_dimension + 1, 0, _examples(task)) for t in batch)


def _examples(task: Task) -> int:
    return min(EXAMPLES, task.batch_size)


def _differs(one: list[list[_Seen]], other: list[list[_Seen]]) -> bool:
    return not all(
        _is_close(a.loss, b.loss)
        and _is_close(a.evaluated, b.evaluated)
        and all(_is_close(tensor, b.buffers[name]) for name, tensor in a.buffers.items())
        and all(_moved_alike(tensor, b.moved[name]) for name, tensor in a.moved.items())
        for step, same_step in zip(one, other, strict=True)
        for a, b in zip(step, same_step, strict=True)
    )


def _is_close(one: Tensor, other: Tensor) -> bool:
    if one.is_complex():
        one, other = torch.view_as_real(one), torch.view_as_real(other)
    return torch.allclose(
        one.double(), other.double(), rtol=_RELATIVE, atol=_ABSOLUTE, equal_nan=True
    )


def _moved_alike(one: Tensor, other: Tensor) -> bool:
    """Whether a parameter moved as it did elsewhere, as a whole: a ReLU near 0 passes a gradient on in one alone."""
    apart, far = (float(torch.linalg.vector_norm(t.double())) for t in (one - other, other))
    # What is no number is in both, or the losses tell.
    return not apart > _SHARE * far + _ABSOLUTE * one.numel() ** 0.5
