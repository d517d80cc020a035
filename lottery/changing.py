"""An experiment with another network; single fields are changed by `training.toml_text.override`; torch-free."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

from lottery.experiments import Experiment, NetworkConfig
from nas.catalog.catalog import entry


def with_controls_named(experiment: Experiment, names: Sequence[str]) -> Experiment:
    """The experiment with more controls beside each level; the same one if it has them."""
    arms = (*experiment.arms, *(name for name in names if name not in experiment.arms))
    return dataclasses.replace(experiment, arms=arms)


def with_masks_from(experiment: Experiment, run: Path | None) -> Experiment:
    """The experiment with the run that its masks are taken from, and named after it; the same one where it has it."""
    name = "" if run is None else run.resolve().name
    if name in ("", experiment.transfer.run):
        return experiment
    transfer = dataclasses.replace(experiment.transfer, run=name)
    return dataclasses.replace(experiment, name=f"{experiment.name}-from-{name}", transfer=transfer)


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
