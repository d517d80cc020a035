"""What a task asks of a network, the shapes at its two ends, and how that is said; torch-free."""

from __future__ import annotations

import abc
from dataclasses import dataclass, fields
from typing import Any, ClassVar


@dataclass(frozen=True, kw_only=True)
class Spec(abc.ABC):
    """Abstract: the shapes of one kind of data. Its fields are whole numbers of at least 1.

    Attributes:
        kind: the kind in one word, by which data sets, tasks and networks are matched.
        unit: what a split is counted in, in the plural.
        limits: the options of a data set that cut a split short, where they are not 0.
    """

    kind: ClassVar[str]
    unit: ClassVar[str]
    limits: ClassVar[tuple[str, ...]]

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value < 1:
                raise ValueError(f"{field.name} is at least 1, not {value}")

    @property
    @abc.abstractmethod
    def outputs(self) -> int:
        """Among how many classes or words a network chooses."""

    @property
    def pixels(self) -> int:
        """Of an image; 0 where there are none."""
        return 0

    def description(self) -> dict[str, Any]:
        """What data of this kind record of it, as JSON values: `kind`, `counted in` (the unit) and `limits`."""
        return {"kind": self.kind, "counted in": self.unit, "limits": [*self.limits]}

    @property
    @abc.abstractmethod
    def inputs_in_words(self) -> str:
        """What a network takes."""

    @property
    @abc.abstractmethod
    def in_words(self) -> str:
        """All that the size of a network follows from."""


@dataclass(frozen=True, kw_only=True)
class ImageSpec(Spec):
    """Classification of images `[B, C, H, W]` into classes.

    Attributes:
        channels: C, 1 for grey images.
        height: H, in pixels.
        width: W, in pixels.
        classes: how many classes there are.
    """

    kind: ClassVar[str] = "images"
    unit: ClassVar[str] = "images"
    limits: ClassVar[tuple[str, ...]] = ("train", "test")

    channels: int
    height: int
    width: int
    classes: int

    @property
    def outputs(self) -> int:
        """The classes."""
        return self.classes

    @property
    def pixels(self) -> int:
        """Height times width."""
        return self.height * self.width

    @property
    def inputs_in_words(self) -> str:
        """See `Spec.inputs_in_words`: "images of 3 x 32 x 32"."""
        return f"images of {self.channels} x {self.height} x {self.width}"

    @property
    def in_words(self) -> str:
        """See `Spec.in_words`: "images of 3 x 32 x 32, 10 classes"."""
        return f"{self.inputs_in_words}, {self.classes:,} classes"


@dataclass(frozen=True, kw_only=True)
class TextSpec(Spec):
    """Prediction of the next token of a text.

    Attributes:
        vocabulary: how many tokens there are.
    """

    kind: ClassVar[str] = "text"
    unit: ClassVar[str] = "tokens"
    limits: ClassVar[tuple[str, ...]] = ("train", "validation", "test")

    vocabulary: int

    @property
    def outputs(self) -> int:
        """The vocabulary."""
        return self.vocabulary

    @property
    def inputs_in_words(self) -> str:
        """See `Spec.inputs_in_words`: "text of 10,000 words"."""
        return f"text of {self.vocabulary:,} words"

    @property
    def in_words(self) -> str:
        """See `Spec.in_words`: "a vocabulary of 10,000"."""
        return f"a vocabulary of {self.vocabulary:,}"
