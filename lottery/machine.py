"""Where and how an experiment is carried out; torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from training.batching import Batching

StoreWeights = Literal["all", "newest"]
# Whose trained weights stay on disk, with what that means.
STORE_WEIGHTS: Mapping[str, str] = MappingProxyType(
    {"all": "every level's", "newest": "the newest level's"}
)


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Where and how an experiment is carried out, which changes nothing of what comes out but for rounding.

    Attributes:
        device: auto, cpu or cuda.
        products: what multiplies matrices of fp32 on a CPU: auto, mkl or onednn.
        data_root: where data files are.
        batching: stacked or looped; None for the measured best.
        replicates_at_once: trained in one stack; None for as many as fit: measured on CUDA, estimated on a CPU.
        store_weights: whose trained weights stay on disk; None for all, unless that is much.
        replay: whether steps are replayed without the program that chose their operations, see `training.replay`.
        graph: whether replayed steps are launched as graphs on CUDA, see `training.graphs`.
    """

    device: str = "auto"
    products: str = "auto"
    data_root: Path | None = None
    batching: Batching | None = None
    replicates_at_once: int | None = None
    store_weights: StoreWeights | None = None
    replay: bool = True
    graph: bool = True


DEFAULT_MACHINE = Machine()
