"""What a network keeps in neither parameters nor buffers, which no replicate of a stack has for itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from training.attributes import LENGTH, attributes
from training.errors import LotteryError

# What `training.attributes.attributes` finds.
Attributes = Mapping[str, str | Tensor]
_BUFFER = "keep it in a buffer (register_buffer)"


def check_attributes(one: nn.Module, again: nn.Module, other: nn.Module, name: str) -> None:
    """Refuse what follows from the seed and is neither parameter nor buffer: a stack has one network's for all.

    Args:
        one: a network.
        again: the same, built anew from the same seed.
        other: the same, built from another seed.
        name: for messages.

    Raises:
        LotteryError: there is such a thing.
    """
    first, second, third = (attributes(network) for network in (one, again, other))
    for path, leaf in first.items():
        if path in second and not _same(leaf, second[path]):
            # A number that tells instances apart, such as a count of layers, decides nothing.
            if isinstance(leaf, Tensor):
                raise LotteryError(
                    f"{name} does not repeat: built twice from one seed, it differs in {path}; draw it "
                    "from torch's generator, and keep it in a buffer (register_buffer)."
                )
        elif path in third and not _same(leaf, third[path]):
            raise LotteryError(
                f"{name} has another {path} with each seed, which is neither parameter nor buffer, so "
                f"that replicates could not have their own; {_BUFFER}."
            )


def copied_attributes(networks: Iterable[nn.Module]) -> list[Attributes]:
    """Those of each module as they are now."""
    tables = [attributes(network) for network in networks]
    return [
        {p: v.detach().clone() if isinstance(v, Tensor) else v for p, v in table.items()}
        for table in tables
    ]


def check_unchanged(made: Attributes, first: Attributes, last: Attributes, name: str) -> None:
    """Refuse a network that changes, while it runs, what is neither parameter nor buffer.

    What is first made while it runs may be of use to whoever reads it, such as the last attention.

    Args:
        made: what a module has before its first step.
        first: after it.
        last: after its last step.
        name: for messages.

    Raises:
        LotteryError: something changed that was there from the beginning, or a number goes on changing.
    """
    if path := _changed(made, first, last):
        raise LotteryError(
            f"{name} changes its {path} while it runs, which is neither parameter nor buffer, so that "
            f"replicates might share it and a resumed run would not know it; {_BUFFER}, or leave it as "
            "it is."
        )


def _changed(made: Attributes, first: Attributes, last: Attributes) -> str | None:
    """Where something changed that was there from the beginning, or a number that goes on changing."""
    for path, leaf in made.items():
        may_change = path.startswith(f"{LENGTH}(") or (isinstance(leaf, str) and leaf == "None")
        if not may_change and not _same(leaf, last.get(path, leaf)):
            return path
    for path, leaf in first.items():
        if isinstance(leaf, str) and not _same(leaf, last.get(path, leaf)):
            return path
    return None


def _same(one: str | Tensor, other: str | Tensor) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    return isinstance(one, str) and one == other
