"""What a task asks of a network: the shapes at its two ends; torch-free."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, kw_only=True)
class ImageSpec:
    """Classification of images `[B, C, H, W]` into classes.

    Attributes:
        channels: C, 1 for grey images.
        height: H, in pixels.
        width: W, in pixels.
        classes: how many classes there are.
    """

    channels: int
    height: int
    width: int
    classes: int

    def __post_init__(self) -> None:
        _check_positive(self)


@dataclass(frozen=True, kw_only=True)
class TextSpec:
    """Prediction of the next token of a text.

    Attributes:
        vocabulary: how many tokens there are.
    """

    vocabulary: int

    def __post_init__(self) -> None:
        _check_positive(self)


Spec = ImageSpec | TextSpec


def _check_positive(spec: Spec) -> None:
    for field in fields(spec):
        value = getattr(spec, field.name)
        if value < 1:
            raise ValueError(f"{field.name} is at least 1, not {value}")
