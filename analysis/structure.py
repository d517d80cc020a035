"""Where pruning went: density layer by layer, and gate by gate."""

from __future__ import annotations

import pandas as pd

from lottery.identity import TICKET


def density_per_layer(layers: pd.DataFrame) -> pd.DataFrame:
    """Mean kept weights and density of each layer of the tickets, per run and level.

    Args:
        layers: as `Study.layers`.

    Returns:
        columns run, network, level, name, kept, total, density (mean over seeds), n; the layers in
        the network's order.
    """
    return _means(layers, ["run", "network", "level", "name"])


def density_per_gate(gates: pd.DataFrame) -> pd.DataFrame:
    """The same of each gate of each matrix of the tickets' recurrent layers.

    Args:
        gates: as `Study.gates`.

    Returns:
        columns run, network, level, name, gate, kept, total, density (mean over seeds), n; the
        matrices in the network's order, the gates in that of a matrix's rows.
    """
    return _means(gates, ["run", "network", "level", "name", "gate"])


def _means(rows: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    tickets = rows[rows["arm"] == TICKET]
    grouped = tickets.groupby(keys, sort=False, as_index=False)
    return grouped.agg(
        kept=("kept", "mean"),
        total=("total", "first"),
        density=("density", "mean"),
        n=("seed", "nunique"),
    )
