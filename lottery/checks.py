"""What is refused before a run begins, so that none fails late."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from torch import nn

from lottery.batching import choose_batching, faster_batching
from lottery.controls import REDRAWN, check_control
from lottery.cycle import Setting, forward_pass, new_network
from lottery.experiments import Experiment
from lottery.outside_checks import try_network
from lottery.pruning.criteria import criterion
from lottery.pruning.prunable import prunable_names
from lottery.pruning.selection import LayerKinds
from nas.catalog.catalog import is_known
from training.batching import Batching
from training.errors import LotteryError


def check(experiment: Experiment, setting: Setting) -> Setting:
    """Refuse an experiment that could not be carried out to its end, before anything is written.

    Returns:
        The setting, in which the batching of a network from outside is what was found to be faster.

    Raises:
        LotteryError: an unknown control, criterion, network or size, nothing to prune, or a network from outside that
            can't be trained on the task.
    """
    criterion(experiment.pruning.criterion)
    for arm in experiment.arms:
        check_control(experiment, arm)
    network = new_network(experiment, setting, experiment.seeds[0])
    names = prunable_names(network, experiment.pruning.embeddings)
    training, outside = experiment.training, not is_known(experiment.network.name)
    # Normalisation over one image alone is impossible.
    alone = training.batch_size == training.accumulation and _normalises(network)
    if alone or outside:
        setting = dataclasses.replace(setting, batching=_tried(experiment, setting, network))
    if experiment.pruning.output_rate is not None:
        _check_output_layer(experiment, forward_pass(experiment, setting).kinds, names)
    return setting


def _tried(experiment: Experiment, setting: Setting, network: nn.Module) -> Batching | None:
    """Try a network; how it is to be batched, where that was found out and not asked for."""
    name, task, config = experiment.network.name, setting.task, experiment.training
    seed, count = experiment.seeds[0], _largest_stack(experiment, setting)

    def attempt(batching: Batching) -> None:
        try_network(
            network,
            lambda seed: new_network(experiment, setting, seed),
            name,
            task,
            batching,
            config,
            seed=seed,
            may_start_alike=len(experiment.seeds) == 1 and not REDRAWN & {*experiment.arms},
        )

    attempt(choose_batching(setting.batching, name, network, task, count))
    if setting.batching is not None or is_known(name) or count == 1:
        return setting.batching
    try:
        attempt("stacked")
    except LotteryError:
        # Looped it can be trained, as was tried before.
        return "looped"
    return faster_batching(network, task, config, count)


def _largest_stack(experiment: Experiment, setting: Setting) -> int:
    count = len(experiment.seeds) * (1 + len(experiment.arms) * (experiment.levels > 0))
    return min(count, setting.at_once or count)


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
