"""Measurements by name."""

from __future__ import annotations

from lottery.measurements.connectivity import CONNECTIVITY
from lottery.measurements.cost import COST
from lottery.measurements.early_bird import EARLY_BIRD
from lottery.measurements.forgotten import FORGOTTEN
from lottery.measurements.measuring import Measurement
from lottery.measurements.pointer import POINTER
from lottery.measurements.supermask import SUPERMASK

MEASUREMENTS: dict[str, Measurement] = {
    "pointer": POINTER,
    "connectivity": CONNECTIVITY,
    "supermask": SUPERMASK,
    "cost": COST,
    "forgotten": FORGOTTEN,
    "early-bird": EARLY_BIRD,
}
