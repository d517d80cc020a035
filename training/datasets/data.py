"""What every data set answers, whatever it holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch

from training.datasets.checks import Published
from training.specs import Spec

Options = Mapping[str, int]


class Data(Protocol):
    """A data set in memory, cut into the splits `train`, `validation` and `test`."""

    @property
    def name(self) -> str:
        """As in `lottery data`."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the raw data and of the way they are cut."""

    @property
    def spec(self) -> Spec:
        """What a network must take and give."""

    def to(self, device: torch.device) -> Data:
        """The same data on a device."""

    def splits(self) -> Mapping[str, Any]:
        """Each split by its name; `len` of one is how many examples or tokens it has."""

    def description(self) -> dict[str, Any]:
        """What a run records of its data, as JSON values.

        Among them `name`, `fingerprint`, those of `Spec.description`, `baselines` (what is scored without a network:
        name, split, metric, value) and `notices` (sentences for whoever trains on the data).
        """

    def details(self) -> dict[str, Any]:
        """What `lottery data` says beyond the description, as JSON values."""

    def as_published(self, published: Published, paths: Sequence[Path]) -> str:
        """Whether this is what its source publishes, see `training.datasets.checks.as_published`."""
