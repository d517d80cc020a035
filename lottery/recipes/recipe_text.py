"""A recipe as the text of a file to edit; torch-free."""

from __future__ import annotations

from typing import Any

from lottery.experiments import Experiment
from nas.catalog.catalog import entry
from nas.search.configs import SearchConfig, network_of
from training.plain import to_plain
from training.toml_text import to_toml


def experiment_text(experiment: Experiment) -> str:
    """An experiment as TOML text; the catalog's sizes of its network stand there as comments."""
    sizes = to_plain(entry(experiment.network.name).defaults)
    return to_toml(experiment, {"network": {"size": sizes}})


def search_text(config: SearchConfig) -> str:
    """A search as TOML text; the catalog's sizes and the published settings of its method stand there as comments."""
    otherwise: dict[str, Any] = {"network": to_plain(entry(network_of(config)).defaults)}
    if config.method == "enas":
        otherwise["controller"] = to_plain(config.controller_in_use)
    if config.method == "nao":
        otherwise["nao"] = to_plain(config.nao_in_use)
    return to_toml(config, otherwise)
