"""Whether images are large enough for a network that halves them."""

from __future__ import annotations

from training.errors import LotteryError
from training.specs import ImageSpec


def check_halvings(
    spec: ImageSpec, halvings: int, network: str, remedy: str = "a smaller network such as resnet"
) -> None:
    """Refuse images of which halving leaves nothing.

    Args:
        spec: of the images.
        halvings: how often the network halves both sides.
        network: for the message.
        remedy: what to choose instead, besides larger images.

    Raises:
        LotteryError: a side has fewer than 2^halvings pixels.
    """
    least = 2**halvings
    if min(spec.height, spec.width) < least:
        raise LotteryError(
            f"Images of {spec.height} x {spec.width} pixels are too small for {network}, which "
            f"halves them {halvings} times; choose images of at least {least} x {least} or {remedy}."
        )
