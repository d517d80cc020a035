"""A network from outside is tried on its task before anything is written."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from lottery.attribute_checks import check_attributes
from lottery.independence import check_independence
from nas.catalog.outside_networks import their_code
from training.batching import Batching
from training.configs import TrainingConfig
from training.device import matrix_precision
from training.differentiation import Differentiator
from training.errors import LotteryError
from training.network_tensors import copied
from training.noise import torch_seeded
from training.replicates import Replicates
from training.tasks.parts import cut
from training.tasks.task import Task

_OURS = (
    "use torch.nn.Dropout or the modules of training.dropout, which draw by seed and step, and "
    "torch's initial weights"
)


def try_network(
    network: nn.Module,
    make: Callable[[int], nn.Module],
    name: str,
    task: Task,
    batching: Batching,
    config: TrainingConfig,
    *,
    seed: int,
    may_start_alike: bool = False,
) -> None:
    """Run a network on a few examples, train it on a part of a batch, and compare replicates of it alone and together.

    Args:
        network: on any device; is moved to the task's.
        make: from a seed to the network with its initial weights.
        name: for messages.
        task: that it shall be trained on.
        batching: that it shall be trained with.
        config: that it shall be trained with.
        seed: that the network was made from; one beside it is tried too.
        may_start_alike: whether every seed may give the same initial weights.

    Raises:
        LotteryError: it fails, gives something else than logits, sees what it shall predict, does not repeat, or a
            replicate of it would not be the same alone as beside others, or has gradients that no optimizer takes.
    """
    # The largest seed has none after it.
    beside = seed ^ 1
    others = "mend the network, or choose other data or another one"
    with their_code(f"{name} can't be tried", others):
        again = make(seed)
        _check_repeats(network, again, name)
        other = make(beside)
        if not may_start_alike:
            _check_seeded(network, other, name)
        check_attributes(network, again, other, name)
        networks = [one.to(task.device) for one in (network, again, other)]
    told = their_code(f"{name} can't take {task.spec.inputs_in_words}", others)
    with told, torch.no_grad(), torch_seeded(task.device, seed, 0):
        task.check_evaluated(copied(network).eval())
    advice = others if batching == "looped" else "try --batching looped"
    with their_code(f"{name} can't be trained {batching}", advice), _one_value_told(name):
        with _no_global_draws(name):
            _train_part(network, name, task, batching, config)
        check_independence(networks, [seed, beside], name, task, batching, config)


def _check_repeats(one: nn.Module, again: nn.Module, name: str) -> None:
    first, second = one.state_dict(), again.state_dict()
    differ = [
        key
        for key in [*first, *second]
        if key not in first or key not in second or not _equal(first[key], second[key])
    ]
    if differ:
        raise LotteryError(
            f"{name} does not repeat: built twice from one seed, it differs in {differ[0]}; {_OURS}."
        )


def _check_seeded(one: nn.Module, other: nn.Module, name: str) -> None:
    if all(map(torch.equal, one.parameters(), other.parameters())):
        raise LotteryError(
            f"{name} starts from the same weights with every seed, so that its replicates and controls would "
            "be copies; draw initial weights from torch's generator without seeding it, or, to go on from "
            "trained weights, take one seed and no control of new weights."
        )


def _equal(one: object, other: object) -> bool:
    """Whether two entries of a state dict are the same; what is no tensor is not compared."""
    if not isinstance(one, Tensor) or not isinstance(other, Tensor):
        return type(one) is type(other)
    return torch.equal(one, other)


def _train_part(
    network: nn.Module, name: str, task: Task, batching: Batching, config: TrainingConfig
) -> None:
    """One part of a batch, forward and back as training has it, and scored."""
    replicates = Replicates([network], [0], batching).train()
    for own, leaves in replicates.leaves().items():
        for leaf in leaves:
            if leaf.requires_grad:
                leaf.register_hook(partial(_check_layout, f"{name} gives {own}"))
    carry, batch = task.first_carry(replicates), task.batches([0])(0)
    carry, batch = cut(carry, batch, task.example_dimension, config.accumulation)[0]
    alone = dataclasses.replace(config, accumulation=1)
    steps = config.steps.count(task.steps_per_epoch)
    Differentiator(replicates, task, alone, steps)(carry, batch, 0, 0.0)
    with torch.no_grad(), matrix_precision(config.precision, task.device):
        replicates.eval()(task.score, carry, *batch)


def _check_layout(what: str, gradient: Tensor) -> None:
    if gradient.layout is not torch.strided:
        raise LotteryError(
            f"{what} a gradient in the layout {gradient.layout}, and masks, clipping and optimizers take "
            "whole ones; leave out sparse=True."
        )


@contextmanager
def _one_value_told(name: str) -> Iterator[None]:
    """Say what torch's normalisation over a batch of one image means."""
    try:
        yield
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise LotteryError(
            f"{name} normalises over a batch, which here is one image alone; choose a larger "
            "training.batch_size or a smaller training.accumulation, so that at least two images are "
            "trained at once."
        ) from error


@contextmanager
def _no_global_draws(name: str) -> Iterator[None]:
    """Refuse draws that no seed of ours decides; torch's generators are set before each forward pass."""
    before = _generator_states()
    yield
    after = _generator_states()
    for whose in before:
        if before[whose] != after[whose]:
            raise LotteryError(
                f"{name} draws from {whose} global generator while it trains, so no run of it could "
                f"be repeated; {_OURS}."
            )


def _generator_states() -> dict[str, object]:
    """Whose global generator -> its state, as a value that can be compared."""
    kind, key, *rest = np.random.get_state(legacy=True)
    return {
        "numpy's": (kind, np.asarray(key).tolist(), rest),
        "Python's": random.getstate(),
    }
