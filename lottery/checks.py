"""What is refused before a run begins, so that none fails late."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from lottery.batching import choose_batching
from lottery.controls import REDRAWN, check_control
from lottery.criteria import criterion
from lottery.cycle import Setting, forward_pass, new_network
from lottery.experiments import Experiment
from lottery.prunable import prunable_names
from lottery.pruning import LayerKinds
from lottery.trial import try_network
from nas.catalog import is_known
from training.batching import Batching
from training.errors import LotteryError


def check(experiment: Experiment, setting: Setting) -> None:
    """Refuse an experiment that could not be carried out to its end, before anything is written.

    Raises:
        LotteryError: an unknown control, criterion, network or size, nothing to prune, or a network from outside that
            can't be trained on the task.
    """
    criterion(experiment.pruning.criterion)
    for arm in experiment.arms:
        check_control(experiment, arm)
    network = new_network(experiment, setting, experiment.seeds[0])
    names = prunable_names(network, experiment.pruning.embeddings)
    training = experiment.training
    # Normalisation over one image alone is impossible.
    alone = training.batch_size == training.accumulation and _normalises(network)
    if alone or not is_known(experiment.network.name):
        try_network(
            network,
            lambda seed: new_network(experiment, setting, seed),
            experiment.network.name,
            setting.task,
            _batching(experiment, setting, network),
            training,
            seed=experiment.seeds[0],
            may_start_alike=len(experiment.seeds) == 1 and not REDRAWN & {*experiment.arms},
        )
    if experiment.pruning.output_rate is not None:
        _check_output_layer(experiment, forward_pass(experiment, setting).kinds, names)


def _batching(experiment: Experiment, setting: Setting, network: nn.Module) -> Batching:
    """How the largest stack of a run will be batched."""
    count = len(experiment.seeds) * (1 + len(experiment.arms) * (experiment.levels > 0))
    count = min(count, setting.at_once or count)
    name = experiment.network.name
    return choose_batching(setting.batching, name, network, setting.task, count)


def _check_output_layer(experiment: Experiment, kinds: LayerKinds, names: Sequence[str]) -> None:
    if not kinds.output.intersection(names):
        layer = ", ".join(sorted(kinds.output)) or "which has no weights"
        raise LotteryError(
            f"pruning.output_rate can't be used with {experiment.network.name}: its output layer, {layer}, is not "
            "among what is pruned, see pruning.embeddings; leave it out."
        )


def _normalises(network: nn.Module) -> bool:
    """Whether a network normalises over its batch."""
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
    return any(isinstance(module, kinds) for module in network.modules())
