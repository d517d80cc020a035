"""What a run takes on disk, and how much of it stays."""

from __future__ import annotations

from torch import nn

from lottery.experiments import Experiment
from lottery.machine import StoreWeights
from lottery.pruning.masks import tensors_of
from lottery.pruning.prunable import prunable_names
from lottery.runs import LevelFiles

# Bytes beyond which only the newest level's trained weights stay, unless the user says otherwise.
MUCH = 2 * 10**9


def run_bytes(experiment: Experiment, network: nn.Module, store: StoreWeights) -> int:
    """Bytes of a finished run's tensors: tickets, masks, starting weights, and the trained weights that stay.

    Args:
        experiment: with its steps resolved.
        network: one of its networks.
        store: whether every level's trained weights stay, or the newest one's.
    """
    tensors = tensors_of(network)
    each = sum(tensor.nbytes for tensor in tensors.values())
    names = prunable_names(network, experiment.pruning.embeddings)
    mask = -(-sum(tensors[name].numel() for name in names) // 8)
    tickets = len(experiment.originals)
    levels = [experiment.replicates_at(level) for level in range(experiment.levels + 1)]
    trained = sum(levels if store == "all" else levels[-1:])
    starts = tickets * (1 + _rewound_momenta(experiment))
    # Where weights are not those of the rewind step, each level's tickets hold what they start from.
    stored = experiment.rewinding.weights == "keep" or experiment.transfer.weights == "source"
    ticket = mask + (each if stored else 0)
    masks = sum(levels) * mask + experiment.levels * tickets * ticket
    return masks + (starts + trained) * each


def _rewound_momenta(experiment: Experiment) -> int:
    """How many averages of each weight are kept to be rewound."""
    rewinding, optimizer = experiment.rewinding, experiment.training.optimizer
    if rewinding.optimizer_state == "fresh" or not rewinding.step.iterations:
        return 0
    return int(optimizer.momentum > 0) if optimizer.name == "sgd" else 2


def stored_weights(
    experiment: Experiment, network: nn.Module, asked: StoreWeights | None
) -> StoreWeights:
    """Whose trained weights stay: as the user says, or all of them unless that is `MUCH`."""
    if asked is not None:
        return asked
    return "all" if run_bytes(experiment, network, "all") <= MUCH else "newest"


def drop_weights(files: LevelFiles) -> None:
    """Remove the trained weights of a finished level, or of an arm that was added to one."""
    files.run.folder.remove(files.weights)
