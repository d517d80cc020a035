"""The only door to shared-weight networks: from a space and sizes to all weights of its architectures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
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
from training.seeded_draws import default_generator_seeded
from training.specs import ImageSpec, Spec, TextSpec

__all__ = ["SharedNetwork", "shared_network"]


@dataclass(frozen=True, kw_only=True)
class Sharing:
    """How the architectures of a space share weights.

    Attributes:
        space: its name, in words.
        kind: of the data that its networks are for, as their spec has it.
        sized_as: the network of the catalog whose sizes its networks take.
        make: from the spec, the space, the sizes and `SearchConfig.initial` to the shared weights.
    """

    space: str
    kind: str
    sized_as: str
    make: Callable[[Any, Any, dict[str, Any], float | None], SharedNetwork]


SHARING: dict[type[CellSpace | LayerSpace | RecurrentSpace], Sharing] = {
    CellSpace: Sharing(
        space="cell",
        kind=ImageSpec.kind,
        sized_as="enas-micro",
        make=lambda spec, space, sizes, _: SharedCells(spec, space, **sizes),
    ),
    LayerSpace: Sharing(
        space="layer",
        kind=ImageSpec.kind,
        sized_as="enas-macro",
        make=lambda spec, space, sizes, _: SharedLayers(spec, space, **sizes),
    ),
    RecurrentSpace: Sharing(
        space="recurrent",
        kind=TextSpec.kind,
        sized_as="enas-rnn",
        make=SharedLanguageModel,
    ),
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
    sharing = SHARING[type(space)]
    checked = check_size(entry(sharing.sized_as), sizes)
    checked.pop("drop_path", None)
    _check_kind(space, spec)
    seed = int(torch.randint(2**63 - 1, (), generator=generator, device=generator.device))
    with default_generator_seeded(seed):
        network = sharing.make(spec, space, checked, initial)
    replace_all_batch_norm_modules_(network)
    return network.to(memory_format=torch.channels_last)


def _check_kind(space: Space, spec: Spec) -> None:
    if spec.kind == SHARING[type(space)].kind:
        return
    right = " or ".join(each.space for each in SHARING.values() if each.kind == spec.kind)
    others = f"choose a {right} space, or other data" if right else "choose other data"
    raise LotteryError(f"A search through {type(space).__name__} is not for {spec.kind}; {others}.")
