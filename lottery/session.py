"""A session: an experiment, its run, and what it takes to carry it out."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import nn

from lottery.experiments import Experiment
from lottery.forward_pass import ForwardPass, trace
from lottery.machine import StoreWeights
from lottery.progress import Watcher
from lottery.runs import Run
from nas.catalog.building import build
from nas.catalog.outside_networks import Factory
from nas.convolutional.auxiliary import counted_parameters
from training.batching import Batching
from training.differentiation import saved_bytes
from training.graphs import GRAPH, GraphPolicy
from training.network_tensors import copied
from training.noise import generator
from training.replay import REPLAY, ReplayPolicy
from training.tasks.task import Task


@dataclass(frozen=True, kw_only=True)
class Session:
    """An experiment, its run, and what it takes to carry it out.

    But for rounding, nothing but the first three and the factory changes what comes out.

    Attributes:
        experiment: with its steps resolved.
        run: where its files go.
        task: with its data on the device.
        batching: stacked, looped, or None for the default, see `lottery.batching`.
        at_once: how many replicates are trained in one stack; None for as many as fit, see `lottery.memory`.
        store_weights: whether every level's trained weights stay on disk, or the newest one's; None for all, unless
            that is much.
        replay: when steps are replayed.
        graph: when steps that are replayed become graphs.
        watcher: is told how it goes.
        factory: makes the network, where that is the user's own.
    """

    experiment: Experiment
    run: Run
    task: Task
    batching: Batching | None = None
    at_once: int | None = None
    store_weights: StoreWeights | None = None
    replay: ReplayPolicy = REPLAY
    graph: GraphPolicy = GRAPH
    watcher: Watcher = field(default_factory=Watcher)
    factory: Factory | None = None

    @cached_property
    def network(self) -> nn.Module:
        """One network on the device, built once: it gives the structure of all, and is never trained itself."""
        return new_network(self, self.experiment.seeds[0]).to(self.task.device)

    @cached_property
    def forward_pass(self) -> ForwardPass:
        """What a forward pass on the task does with the network's parameters."""
        return trace(copied(self.network), self.task.run_example)

    @cached_property
    def saved_bytes(self) -> int:
        """What one replicate's forward pass keeps for its backward pass."""
        return saved_bytes(self.network, self.task, self.experiment.training)

    @cached_property
    def parameters(self) -> int:
        """How many the dense network has."""
        return sum(p.numel() for p in counted_parameters(self.network).values())


def with_batching(session: Session, batching: Batching | None) -> Session:
    """The same session, batched so, with the network that was built for it: that does not follow from the batching."""
    found = replace(session, batching=batching)
    # Where `cached_property` looks for it.
    vars(found)["network"] = session.network
    return found


def new_network(session: Session, seed: int) -> nn.Module:
    """A network with a seed's initial weights, on the CPU."""
    return drawn_network(session, generator(seed, "initial weights"))


def drawn_network(session: Session, source: torch.Generator) -> nn.Module:
    """A network whose initial weights are drawn from a generator, on the CPU."""
    config, spec = session.experiment.network, session.task.spec
    return build(config.name, config.size, spec, source, session.factory, config.genotype)
