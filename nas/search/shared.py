"""The only door to shared-weight networks: from a space and sizes to all weights of its architectures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch.func import replace_all_batch_norm_modules_

from nas.catalog.catalog import entry
from nas.catalog.entry import check_size
from nas.search.shared_cells import SharedCells
from nas.search.shared_layers import SharedLayers
from nas.search.shared_recurrent import SharedLanguageModel
from nas.search.shared_weights import SharedNetwork
from nas.search.spaces import CellSpace, LayerSpace, RecurrentSpace, Space
from training.errors import LotteryError
from training.specs import ImageSpec, Spec, TextSpec

__all__ = ["SharedNetwork", "shared_network"]

# The networks whose sizes a space's networks take.
SIZED_AS: dict[type[CellSpace | LayerSpace | RecurrentSpace], str] = {
    CellSpace: "enas-micro",
    LayerSpace: "enas-macro",
    RecurrentSpace: "enas-rnn",
}


def shared_network(
    space: Space,
    sizes: Mapping[str, object],
    spec: Spec,
    generator: torch.Generator,
    initial: float | None = None,
) -> SharedNetwork:
    """The shared weights of a space, initialised.

    Kernels lie with channels last in memory, which is the faster layout on a CPU.

    Args:
        space: of the architectures.
        sizes: what differs from those of enas-micro, enas-macro or enas-rnn in the catalog; drop_path is that of
            stand-alone networks and has no effect here.
        spec: what the task asks for.
        generator: the initial weights are a function of its state; it is advanced. torch's global
            generators are left as they were.
        initial: of a recurrent space, see `SearchConfig`.

    Raises:
        LotteryError: a size is unknown or impossible, or the space is for another kind of task.
    """
    checked = check_size(entry(SIZED_AS[type(space)]), sizes)
    checked.pop("drop_path", None)
    seed = int(torch.randint(2**63 - 1, (), generator=generator, device=generator.device))
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed: it would seed CUDA too, which the fork does not restore.
        torch.default_generator.manual_seed(seed)
        network = _new(space, checked, spec, initial)
    replace_all_batch_norm_modules_(network)
    return network.to(memory_format=torch.channels_last)


def _new(space: Space, sizes: dict[str, Any], spec: Spec, initial: float | None) -> SharedNetwork:
    match space, spec:
        case CellSpace(), ImageSpec():
            return SharedCells(spec, space, **sizes)
        case LayerSpace(), ImageSpec():
            return SharedLayers(spec, space, **sizes)
        case RecurrentSpace(), TextSpec():
            return SharedLanguageModel(spec, space, sizes, initial)
    given, right = (
        ("text", "a recurrent") if isinstance(spec, TextSpec) else ("images", "a cell or layer")
    )
    raise LotteryError(
        f"A search through {type(space).__name__} is not for {given}; choose {right} space, or other data."
    )
