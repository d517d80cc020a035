"""Where pruning went: density layer by layer."""

from __future__ import annotations

import pandas as pd

from lottery.records import TICKET


def density_per_layer(layers: pd.DataFrame) -> pd.DataFrame:
    """Mean kept weights and density of each layer of the tickets, per run and level.

    Args:
        layers: as from `tables.read_layers`.

    Returns:
        columns run, network, level, name, kept, total, density (mean over seeds), n; the layers in
        the network's order.
    """
    tickets = layers[layers["arm"] == TICKET]
    keys = ["run", "network", "level", "name"]
    grouped = tickets.groupby(keys, sort=False, as_index=False)
    return grouped.agg(
        kept=("kept", "mean"),
        total=("total", "first"),
        density=("density", "mean"),
        n=("seed", "nunique"),
    )
