"""The cycle: train, prune the least, rewind the rest, and repeat, beside controls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import nn

from lottery.controls import Draw, check_control, contestant
from lottery.disk_use import KeepWeights, drop_weights, what_to_keep
from lottery.experiments import Experiment
from lottery.forward_pass import ForwardPass, trace
from lottery.levels import Replicate, Stack
from lottery.progress import Watcher
from lottery.pruning.masks import Mask, Tensors, apply_mask, dense_mask
from lottery.pruning.prunable import left_whole, prunable_names
from lottery.pruning.selection import LayerKinds, unpruned
from lottery.records import TICKET, Record, read_records
from lottery.runs import Run, end_level
from lottery.stacks import train_stack
from lottery.starts import pruned_tickets, tensors_of
from nas.catalog.building import build
from nas.catalog.outside_networks import Factory
from nas.convolutional.auxiliary import counted_parameters
from training.batching import Batching
from training.errors import LotteryError
from training.noise import generator
from training.tasks.task import Task


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a run needs besides its experiment: nothing here changes what comes out, but for rounding.

    Attributes:
        task: with its data on the device.
        batching: stacked, looped, or None for the default, see `choose_batching`.
        at_once: how many replicates are trained in one stack; None for as many as fit, see `fitting`.
        watcher: is told how it goes.
        factory: makes the network, where that is the user's own.
        keep_weights: whether every level's trained weights stay on disk, or the newest one's; None for all, unless
            that is much.
    """

    task: Task
    batching: Batching | None = None
    at_once: int | None = None
    watcher: Watcher = field(default_factory=Watcher)
    factory: Factory | None = None
    keep_weights: KeepWeights | None = None


def find_tickets(experiment: Experiment, run: Run, setting: Setting) -> list[Record]:
    """Train, prune the smallest weights, rewind the rest, and repeat (Frankle & Carbin 2019; Frankle et al. 2020).

    Every finished level is taken from disk, so this is also how a stopped run goes on.

    Args:
        experiment: with its steps resolved; see `lottery.checks`.
        run: opened for it, and locked.
        setting: task and device.

    Returns:
        Every record of the run.

    Raises:
        LotteryError: stopped on request (exit code 75), or a file of the run is damaged.
    """
    setting.watcher.begin(run.name, replicate_steps(experiment))
    network = new_network(experiment, setting, experiment.seeds[0])
    whole = left_whole(network, experiment.pruning.embeddings)
    if whole:
        setting.watcher.notice(whole)
    lean = _is_lean(experiment, setting)
    for level in range(experiment.levels + 1):
        place, arms = run.level(level), (TICKET, *(experiment.arms if level > 0 else ()))
        # What an earlier call has finished is left as that left it.
        new = not run.is_done(place)
        train_level(experiment, run, setting, level=level, arms=arms, place=place)
        if lean and new and level > 0:
            drop_weights(run, run.level(level - 1))
    return read_records(run.root)


def add_control(experiment: Experiment, run: Run, setting: Setting, arm: str) -> list[Record]:
    """Train one more control beside every finished level of a run.

    Returns:
        The records of that arm.

    Raises:
        LotteryError: see `control_levels`.
    """
    levels = control_levels(experiment, run, arm)
    total = len(levels) * len(experiment.seeds) * level_steps(experiment, 1)
    setting.watcher.begin(f"{run.name}, {arm}", total)
    lean = _is_lean(experiment, setting)
    for level in levels:
        place = run.level(level, arm)
        new = not run.is_done(place)
        train_level(experiment, run, setting, level=level, arms=(arm,), place=place)
        if lean and new and level < levels[-1]:
            drop_weights(run, place)
    return [record for record in read_records(run.root) if record.arm == arm]


def control_levels(experiment: Experiment, run: Run, arm: str) -> list[int]:
    """The levels beside which one more control is trained: every finished one that is pruned.

    Raises:
        LotteryError: there is no such control, or the run has it already, or has no pruned level.
    """
    check_control(experiment, arm)
    if arm in experiment.arms:
        raise LotteryError(f"{run.root} has the arm {arm} at every level already.")
    levels = [n for n in range(1, experiment.levels + 1) if run.is_done(run.level(n))]
    if not levels:
        raise LotteryError(
            f"{run.root} has no finished level above 0; finish it first with the command that began it."
        )
    return levels


def train_level(
    experiment: Experiment,
    run: Run,
    setting: Setting,
    *,
    level: int,
    arms: Sequence[str],
    place: str,
) -> None:
    """Train the given arms of a level in one stack, unless their records are there."""
    count = len(arms) * len(experiment.seeds)
    setting.watcher.level(level, experiment.levels, arms, count)
    if run.is_done(place):
        # A process may have been killed between its records and this.
        end_level(run, level, place)
        setting.watcher.steps(count * level_steps(experiment, level))
        return
    passed = forward_pass(experiment, setting)
    tickets = (
        pruned_tickets(experiment, run, level, passed.kinds)
        if level > 0
        else dense_tickets(experiment, setting)
    )
    replicates = [
        replicate(experiment, setting, tickets[seed], passed.kinds, level=level, arm=arm, seed=seed)
        for arm in arms
        for seed in experiment.seeds
    ]
    train_stack(_stack(experiment, run, setting, replicates, passed, level=level, place=place))


def dense_tickets(experiment: Experiment, setting: Setting) -> dict[int, tuple[Mask, Tensors]]:
    """Level 0 by seed: the mask that keeps everything and the initial tensors."""
    tickets = {}
    for seed in experiment.seeds:
        network = new_network(experiment, setting, seed)
        weights = dict(network.named_parameters())
        names = prunable_names(network, experiment.pruning.embeddings)
        tickets[seed] = (
            dense_mask({name: weights[name] for name in names}),
            tensors_of(network),
        )
    return tickets


def replicate(
    experiment: Experiment,
    setting: Setting,
    ticket: tuple[Mask, Tensors],
    kinds: LayerKinds,
    *,
    level: int,
    arm: str,
    seed: int,
) -> Replicate:
    """One replicate of an arm before its training, made from its seed's ticket: the mask and the whole network."""

    def network(source: torch.Generator) -> Tensors:
        return tensors_of(_built(experiment, setting, source))

    mask, whole = ticket
    if arm == TICKET:
        return Replicate(arm=arm, seed=seed, mask=mask, start=apply_mask(mask, whole))
    draw = Draw(
        generator=generator(seed, f"control {arm}", level),
        network=network,
        unpruned=unpruned(mask, experiment.pruning, kinds),
    )
    mask, start = contestant(arm, mask, whole, draw)
    return Replicate(arm=arm, seed=seed, mask=mask, start=start)


def new_network(experiment: Experiment, setting: Setting, seed: int) -> nn.Module:
    """A network with a seed's initial weights, on the CPU."""
    return _built(experiment, setting, generator(seed, "initial weights"))


def forward_pass(experiment: Experiment, setting: Setting) -> ForwardPass:
    """What a forward pass on the task does with the network's parameters."""
    network = new_network(experiment, setting, experiment.seeds[0]).to(setting.task.device)
    return trace(network, setting.task.run_example)


def _built(experiment: Experiment, setting: Setting, source: torch.Generator) -> nn.Module:
    config = experiment.network
    spec = setting.task.spec
    return build(config.name, config.size, spec, source, setting.factory, config.genotype)


def level_steps(experiment: Experiment, level: int) -> int:
    """Steps of training at a level: the dense network takes all, the others those after the rewind step."""
    steps = experiment.training.steps.iterations
    return steps if level == 0 else steps - experiment.rewinding.step.iterations


def replicate_steps(experiment: Experiment) -> int:
    """Steps of training in a whole run, each replicate's counted."""
    seeds, arms = len(experiment.seeds), 1 + len(experiment.arms)
    pruned = experiment.levels * arms * level_steps(experiment, 1)
    return seeds * (level_steps(experiment, 0) + pruned)


def _is_lean(experiment: Experiment, setting: Setting) -> bool:
    """Whether only the newest level's trained weights stay on disk."""
    network = new_network(experiment, setting, experiment.seeds[0])
    return what_to_keep(experiment, network, setting.keep_weights) == "newest"


def _stack(
    experiment: Experiment,
    run: Run,
    setting: Setting,
    replicates: Sequence[Replicate],
    passed: ForwardPass,
    *,
    level: int,
    place: str,
) -> Stack:
    network = new_network(experiment, setting, experiment.seeds[0])
    network.to(setting.task.device)
    return Stack(
        experiment=experiment,
        run=run,
        task=setting.task,
        watcher=setting.watcher,
        batching=setting.batching,
        at_once=setting.at_once,
        level=level,
        place=place,
        replicates=tuple(replicates),
        network=network,
        multiply_adds=passed.multiply_adds,
        parameters=sum(p.numel() for p in counted_parameters(network).values()),
    )
