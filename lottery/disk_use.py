"""What a run takes on disk, and how much of it stays."""

from __future__ import annotations

from typing import Literal

from torch import nn

from lottery.experiments import Experiment
from lottery.pruning.prunable import prunable_names
from lottery.runs import Run
from lottery.starts import tensors_of

KeepWeights = Literal["all", "newest"]
# Bytes beyond which only the newest level's trained weights stay, unless the user says otherwise.
MUCH = 2 * 10**9


def run_bytes(experiment: Experiment, network: nn.Module, keep: KeepWeights) -> int:
    """Bytes of a finished run's tensors: masks of all levels, starting weights, and the trained weights that stay.

    Args:
        experiment: with its steps resolved.
        network: one of its networks.
        keep: whether every level's trained weights stay, or the newest one's.
    """
    tensors = tensors_of(network)
    each = sum(tensor.nbytes for tensor in tensors.values())
    names = prunable_names(network, experiment.pruning.embeddings)
    mask = -(-sum(tensors[name].numel() for name in names) // 8)
    seeds, arms = len(experiment.seeds), 1 + len(experiment.arms)
    levels = [seeds, *[seeds * arms] * experiment.levels]
    trained = sum(levels if keep == "all" else levels[-1:])
    starts = seeds * (1 + _rewound_momenta(experiment))
    return sum(levels) * mask + (starts + trained) * each


def _rewound_momenta(experiment: Experiment) -> int:
    """How many averages of each weight are kept to be rewound."""
    rewinding, optimizer = experiment.rewinding, experiment.training.optimizer
    if rewinding.optimizer_state == "fresh" or not rewinding.step.iterations:
        return 0
    return int(optimizer.momentum > 0) if optimizer.name == "sgd" else 2


def what_to_keep(
    experiment: Experiment, network: nn.Module, keep: KeepWeights | None
) -> KeepWeights:
    """Whose trained weights stay: as the user says, or all of them unless that is `MUCH`."""
    if keep is not None:
        return keep
    return "all" if run_bytes(experiment, network, "all") <= MUCH else "newest"


def drop_weights(run: Run, place: str) -> None:
    """Remove the trained weights of a finished level, or of an arm that was added to one."""
    run.folder.remove(run.weights(place))
