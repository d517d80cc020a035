"""What the replicates of a level start from: the tickets that the level before it leaves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import nn

from lottery.experiments import Experiment
from lottery.levels import read_masks, read_weights
from lottery.pruning.criteria import Evidence, criterion
from lottery.pruning.masks import Mask, Tensors
from lottery.pruning.selection import LayerKinds, prune_level
from lottery.records import TICKET, ReplicateId
from lottery.rewinding import rewind
from lottery.runs import Run
from training.checkpoints import tensors_from_bytes
from training.noise import generator
from training.storage import damaged


def pruned_tickets(
    experiment: Experiment, run: Run, level: int, kinds: LayerKinds
) -> dict[int, tuple[Mask, Tensors]]:
    """A level above 0 by seed: the ticket's mask, and the whole network that it is taken from.

    A level that is done knows its masks. Else each is pruned from the ticket that was trained at the level before.

    Raises:
        LotteryError: a file of the run is damaged, or the trained weights that this needs were removed.
    """
    if run.is_done(run.level(level)):
        return finished_tickets(experiment, run, level)
    return _newly_pruned(experiment, run, level, kinds)


def finished_tickets(
    experiment: Experiment, run: Run, level: int
) -> dict[int, tuple[Mask, Tensors]]:
    """What `pruned_tickets` gives of a level that is done.

    Raises:
        LotteryError: a file of the run is damaged, or the trained weights that this needs were removed.
    """
    here, before = run.level(level), run.level(level - 1)
    masks = _tickets(read_masks(run, here), experiment, run.root / here)
    if experiment.rewinding.weights == "start":
        return {seed: (mask, read_start(run, seed)) for seed, mask in masks.items()}
    finals = _tickets(read_weights(run, before), experiment, run.root / before)
    return {seed: (mask, finals[seed]) for seed, mask in masks.items()}


def _newly_pruned(
    experiment: Experiment, run: Run, level: int, kinds: LayerKinds
) -> dict[int, tuple[Mask, Tensors]]:
    pruning, before = experiment.pruning, run.level(level - 1)
    masks = _tickets(read_masks(run, before), experiment, run.root / before)
    finals = _tickets(read_weights(run, before), experiment, run.root / before)
    tickets = {}
    for seed in experiment.seeds:
        evidence = Evidence(
            start=read_start(run, seed),
            final=finals[seed],
            mask=masks[seed],
            generator=generator(seed, "criterion", level),
        )
        scores = criterion(pruning.criterion)(evidence)
        mask = prune_level(scores, evidence.mask, level, pruning, kinds)
        tickets[seed] = (mask, rewind(evidence.start, evidence.final, experiment.rewinding))
    return tickets


def _tickets(
    held: Mapping[ReplicateId, Tensors], experiment: Experiment, path: Path
) -> dict[int, Tensors]:
    """The tickets' part of what a level holds of each replicate, by seed."""
    missing = [seed for seed in experiment.seeds if ReplicateId(TICKET, seed) not in held]
    if missing:
        raise damaged(path, f"it has no ticket of seed {missing[0]}")
    return {seed: held[ReplicateId(TICKET, seed)] for seed in experiment.seeds}


def read_start(run: Run, seed: int) -> Tensors:
    """A seed's tensors at the rewind step."""
    name = run.start(seed)
    return tensors_from_bytes(run.folder.read(name), run.root / name)[0]


def read_start_optimizer(run: Run, seed: int) -> Tensors:
    """What a seed's optimizer remembered at the rewind step."""
    name = run.start_optimizer(seed)
    return tensors_from_bytes(run.folder.read(name), run.root / name)[0]


def tensors_of(network: nn.Module) -> Tensors:
    """Parameters and persistent buffers by name, as `Replicates.tensors` names them."""
    parameters = dict(network.named_parameters())
    persistent = network.state_dict().keys()
    buffers = {name: b for name, b in network.named_buffers() if name in persistent}
    return {name: tensor.detach().clone() for name, tensor in (parameters | buffers).items()}
