"""What the replicates of a level start from: the tickets that the level before it leaves."""

from __future__ import annotations

from torch import nn

from lottery.criteria import Evidence, criterion
from lottery.experiments import Experiment
from lottery.levels import read_masks, read_weights
from lottery.masks import Mask, Tensors
from lottery.pruning import SCOPES
from lottery.records import TICKET
from lottery.rewinding import rewind
from lottery.runs import Run
from training.checkpoints import tensors_from_bytes
from training.noise import generator
from training.storage import damaged


def pruned_tickets(experiment: Experiment, run: Run, level: int) -> dict[int, tuple[Mask, Tensors]]:
    """A level above 0 by seed: the ticket's mask, and the whole network that it is taken from.

    Each is pruned from the ticket that was trained at the level before; that level's files must be there.
    """
    pruning = experiment.pruning
    before = run.level(level - 1)
    masks, finals = read_masks(run, before), read_weights(run, before)
    tickets = {}
    for seed in experiment.seeds:
        if (TICKET, seed) not in masks or (TICKET, seed) not in finals:
            raise damaged(run.root / before, f"it has no ticket of seed {seed}")
        evidence = Evidence(
            start=read_start(run, seed),
            final=finals[TICKET, seed],
            mask=masks[TICKET, seed],
            generator=generator(seed, "criterion", level),
        )
        scores = criterion(pruning.criterion)(evidence)
        mask = SCOPES[pruning.scope](scores, evidence.mask, level, pruning)
        tickets[seed] = (mask, rewind(evidence.start, evidence.final, experiment.rewinding))
    return tickets


def read_start(run: Run, seed: int) -> Tensors:
    """A seed's tensors at the rewind step."""
    name = run.start(seed)
    return tensors_from_bytes(run.folder.read(name), run.root / name)[0]


def tensors_of(network: nn.Module) -> Tensors:
    """Parameters and persistent buffers by name, as `Replicates.tensors` names them."""
    parameters = dict(network.named_parameters())
    persistent = network.state_dict().keys()
    buffers = {name: b for name, b in network.named_buffers() if name in persistent}
    return {name: tensor.detach().clone() for name, tensor in (parameters | buffers).items()}
