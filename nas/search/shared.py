"""The only door to shared-weight networks: from a space and sizes to all weights of its architectures."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch.func import replace_all_batch_norm_modules_

from nas.catalog.catalog import entry
from nas.catalog.entry import check_size
from nas.search.shared_weights import SharedNetwork
from nas.search.space import Space
from nas.search.spaces import SPACES, space_entry
from training.errors import LotteryError
from training.seeded_draws import default_generator_seeded
from training.specs import Spec

__all__ = ["SharedNetwork", "shared_network"]


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
        sizes: what differs from those of `SpaceEntry.sized_as` in the catalog; drop_path is that of stand-alone
            networks and has no effect here.
        spec: what the task asks for.
        generator: the initial weights are a function of its state; it is advanced. torch's global
            generators are left as they were.
        initial: of a recurrent space, see `SearchConfig`.

    Raises:
        LotteryError: a size is unknown or impossible, or the space is for another kind of task.
    """
    known = space_entry(space.name)
    checked = check_size(entry(known.sized_as), sizes)
    checked.pop("drop_path", None)
    if initial is not None:
        checked["initial"] = initial
    _check_kind(space.name, spec)
    seed = int(torch.randint(2**63 - 1, (), generator=generator, device=generator.device))
    with default_generator_seeded(seed):
        network = known.load()(spec, space, **checked)
    replace_all_batch_norm_modules_(network)
    return network.to(memory_format=torch.channels_last)


def _check_kind(space: str, spec: Spec) -> None:
    if spec.kind == SPACES[space].kind:
        return
    right = [name for name, each in SPACES.items() if each.kind == spec.kind]
    others = (
        f"choose the space {' or '.join(right)}, or other data" if right else "choose other data"
    )
    raise LotteryError(f"A search through the space {space} is not for {spec.kind}; {others}.")
