"""A recipe as the text of a file to edit; torch-free."""

from __future__ import annotations

from lottery.experiments import Experiment
from nas.catalog.catalog import entry
from nas.search.configs import SearchConfig
from nas.search.spaces import network_of
from training.plain import to_plain
from training.toml_text import to_toml


def experiment_text(experiment: Experiment) -> str:
    """An experiment as TOML text; the catalog's sizes of its network stand there as comments."""
    sizes = to_plain(entry(experiment.network.name).defaults)
    return to_toml(experiment, {"network": {"size": sizes}})


def search_text(config: SearchConfig) -> str:
    """A search as TOML text; the catalog's sizes of its network stand there as comments."""
    return to_toml(config, {"network": to_plain(entry(network_of(config)).defaults)})
