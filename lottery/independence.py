"""The rule of every stack, tried: a replicate is the same alone, also after a resume, as beside others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lottery.masks import Tensors, row, stack_tensors
from lottery.starts import tensors_of
from training.attributes import LENGTH, attributes
from training.batching import Batching
from training.errors import LotteryError
from training.replicates import Replicates
from training.tasks.task import Batch, Carry, Task

STEPS = 2
# Examples of a step: few, to be fast, and enough to normalise over.
EXAMPLES = 4
# Rounding of a few steps of a stack, in another order of sums; what this looks for is larger.
_RELATIVE, _ABSOLUTE = 1e-3, 1e-5
_BUFFER = "keep it in a buffer (register_buffer)"


@dataclass(frozen=True)
class _Seen:
    """What came of a step of one replicate: its loss, then those in evaluation mode, and its buffers."""

    loss: Tensor
    evaluated: Tensor
    buffers: Tensors


def check_attributes(one: nn.Module, again: nn.Module, other: nn.Module, name: str) -> None:
    """Refuse what follows from the seed and is neither parameter nor buffer: a stack has one network's for all.

    Args:
        one: a network.
        again: the same, built anew from the same seed.
        other: the same, built from another seed.
        name: for messages.

    Raises:
        LotteryError: there is such a thing.
    """
    first, second, third = (attributes(network) for network in (one, again, other))
    for path, leaf in first.items():
        if path in second and not _same(leaf, second[path]):
            # A number that tells instances apart, such as a count of layers, decides nothing.
            if isinstance(leaf, Tensor):
                raise LotteryError(
                    f"{name} does not repeat: built twice from one seed, it differs in {path}; draw it "
                    "from torch's generator, and keep it in a buffer (register_buffer)."
                )
        elif path in third and not _same(leaf, third[path]):
            raise LotteryError(
                f"{name} has another {path} with each seed, which is neither parameter nor buffer, so "
                f"that replicates could not have their own; {_BUFFER}."
            )


def check_independence(
    networks: Sequence[nn.Module],
    seeds: Sequence[int],
    name: str,
    task: Task,
    batching: Batching,
) -> None:
    """Train two replicates a few steps beside each other, and each alone, begun anew at every step from its tensors.

    Args:
        networks: the first seed's, the same built anew, and the second seed's; on the task's device.
        seeds: of both.
        name: for messages.
        task: gives losses and examples.
        batching: stacked or looped.

    Raises:
        LotteryError: they differ, or the network keeps count of something that is neither parameter nor buffer.
    """
    one, *alone = networks
    starts = [tensors_of(network) for network in alone]
    together = _together(one, starts, seeds, name, task, batching)
    if _differs(together, _each_alone(alone, starts, seeds, task, batching)):
        repeated = _together(one, starts, seeds, name, task, batching)
        losses = [f"{float(seen[0][0].loss):.6g}" for seen in (together, repeated)]
        if _differs(together, repeated):
            raise LotteryError(
                f"{name} does not repeat: twice with the same weights, seeds and steps, it does not do the "
                f"same (losses at the first step {losses[0]} and {losses[1]}); use torch.nn.Dropout or "
                "the modules of training.noise, which draw by seed and step."
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
) -> list[list[_Seen]]:
    """By step, what comes of each replicate in one stack that goes on."""
    replicates = Replicates([network] * len(seeds), seeds, batching)
    replicates.load(stack_tensors(starts))
    carry = task.first_carry(replicates, _examples(task))
    held, before = [_attributes(replicates)], dict(replicates.network.named_buffers()).keys()
    steps = []
    for step in range(STEPS):
        losses, evaluated, carry = _step(replicates, task, step, carry)
        if new := dict(replicates.network.named_buffers()).keys() ^ before:
            raise LotteryError(
                f"{name} makes its buffer {min(new)} only while it runs; give it its shape in the "
                "constructor."
            )
        held.append(_attributes(replicates))
        buffers = _buffers(replicates)
        steps.append([_Seen(losses[r], evaluated[r], row(buffers, r)) for r in range(len(seeds))])
    for made, first, last in zip(held[0], held[1], held[-1], strict=True):
        if path := _changed(made, first, last):
            raise LotteryError(
                f"{name} changes its {path} while it runs, which is neither parameter nor buffer, so that "
                f"replicates might share it and a resumed run would not know it; {_BUFFER}, or leave it as "
                "it is."
            )
    return steps


def _each_alone(
    networks: Sequence[nn.Module],
    starts: Sequence[Tensors],
    seeds: Sequence[int],
    task: Task,
    batching: Batching,
) -> list[list[_Seen]]:
    """By step, what comes of each replicate alone, of which nothing but tensors and what is carried goes on."""
    columns = []
    for network, start, seed in zip(networks, starts, seeds, strict=True):
        tensors, carry, column = start, None, []
        for step in range(STEPS):
            replicates = Replicates([network], [seed], batching)
            replicates.load(stack_tensors([tensors]))
            if carry is None:
                carry = task.first_carry(replicates, _examples(task))
            losses, evaluated, carry = _step(replicates, task, step, carry)
            tensors = row(replicates.tensors(), 0)
            column.append(_Seen(losses[0], evaluated[0], row(_buffers(replicates), 0)))
        columns.append(column)
    return [list(seen) for seen in zip(*columns, strict=True)]


def _step(
    replicates: Replicates, task: Task, step: int, carry: Carry
) -> tuple[Tensor, Tensor, Carry]:
    """A step of plain gradient descent on a few examples: losses `[R]` of it and in evaluation mode, and the carry."""
    batch = _few(task, replicates, step)
    replicates.train()
    replicates.advance(step)
    losses, after = replicates(task.loss, carry, *batch)
    trained = [p for p in replicates.parameters() if p.requires_grad]
    gradients = torch.autograd.grad(losses.sum(), trained, allow_unused=True)
    with torch.no_grad():
        for parameter, gradient in zip(trained, gradients, strict=True):
            if gradient is not None:
                parameter.sub_(gradient, alpha=0.1)
        replicates.eval()
        evaluated, _ = replicates(task.score, carry, *batch)
    return losses.detach(), evaluated, after


def _buffers(replicates: Replicates) -> Tensors:
    """A copy of all persistent buffers `[R, ...]`."""
    weights = replicates.weights()
    return {n: t.clone() for n, t in replicates.tensors().items() if n not in weights}


def _few(task: Task, replicates: Replicates, step: int) -> Batch:
    """A step's batch cut to its first examples."""
    batch = task.batches(replicates.noise_seeds)(step)
    return tuple(t.narrow(task.example_dimension + 1, 0, _examples(task)) for t in batch)


def _examples(task: Task) -> int:
    return min(EXAMPLES, task.batch_size)


def _attributes(replicates: Replicates) -> list[dict[str, str | Tensor]]:
    """Of each module."""
    tables = [attributes(network) for network in replicates.networks]
    return [
        {p: v.detach().clone() if isinstance(v, Tensor) else v for p, v in table.items()}
        for table in tables
    ]


def _changed(
    made: dict[str, str | Tensor], first: dict[str, str | Tensor], last: dict[str, str | Tensor]
) -> str | None:
    """Where something changed that was there from the beginning, or a number that goes on changing.

    What is first made while the network runs may be of use to whoever looks at it, such as the last attention.

    Args:
        made: before the first step.
        first: after it.
        last: after the last step.
    """
    for path, leaf in made.items():
        may_change = path.startswith(f"{LENGTH}(") or (isinstance(leaf, str) and leaf == "None")
        if not may_change and not _same(leaf, last.get(path, leaf)):
            return path
    for path, leaf in first.items():
        if isinstance(leaf, str) and not _same(leaf, last.get(path, leaf)):
            return path
    return None


def _same(one: str | Tensor, other: str | Tensor) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    return isinstance(one, str) and one == other


def _differs(one: list[list[_Seen]], other: list[list[_Seen]]) -> bool:
    return not all(
        _is_close(a.loss, b.loss)
        and _is_close(a.evaluated, b.evaluated)
        and all(_is_close(buffer, b.buffers[name]) for name, buffer in a.buffers.items())
        for step, same_step in zip(one, other, strict=True)
        for a, b in zip(step, same_step, strict=True)
    )


def _is_close(one: Tensor, other: Tensor) -> bool:
    if one.is_complex():
        one, other = torch.view_as_real(one), torch.view_as_real(other)
    return torch.allclose(
        one.double(), other.double(), rtol=_RELATIVE, atol=_ABSOLUTE, equal_nan=True
    )
