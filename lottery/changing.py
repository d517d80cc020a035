"""An experiment with another network; single fields are changed by `training.toml_text.override`; torch-free."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from lottery.experiments import Experiment, NetworkConfig
from nas.catalog.catalog import entry


def with_controls_named(experiment: Experiment, names: Sequence[str]) -> Experiment:
    """The experiment with more controls beside each level; the same one if it has them."""
    arms = (*experiment.arms, *(name for name in names if name not in experiment.arms))
    return dataclasses.replace(experiment, arms=arms)


def with_network(experiment: Experiment, network: str) -> Experiment:
    """The experiment with another network in its default sizes, and named after it; the same one if it is the same.

    Raises:
        LotteryError: there is no such network.
    """
    found = entry(network)
    if network == experiment.network.name:
        return experiment
    name = f"{experiment.name}-{re.sub('[^A-Za-z0-9._-]+', '-', network)}"
    kept = experiment.network if found.accepts else NetworkConfig(name=network)
    config = NetworkConfig(name=network, genotype=kept.genotype, found=kept.found)
    return dataclasses.replace(experiment, name=name, network=config)
