"""Which replicate of a level is meant; torch-free."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass

TICKET = "ticket"


@dataclass(frozen=True, order=True)
class ReplicateId:
    """Which replicate of a level: copies of a seed differ in noise alone (data order, augmentation, dropout).

    They begin every level alike: with the mask and the weights of copy 0.

    >>> str(ReplicateId("ticket", 3)), str(ReplicateId("ticket", 3, copy=1))
    ('ticket, seed 3', 'ticket, seed 3, copy 1')

    Attributes:
        arm: `ticket` or a control's name.
        seed: of the initial weights and all else that is drawn before training.
        copy: 0 unless an experiment has several copies of each seed.
    """

    arm: str
    seed: int
    copy: int = 0

    @property
    def original(self) -> ReplicateId:
        """Copy 0, from which the others have their mask and weights."""
        return dataclasses.replace(self, copy=0)

    @property
    def noise_seed(self) -> int:
        """Of data order, augmentation and dropout: the seed itself for copy 0, another for each other copy."""
        if self.copy == 0:
            return self.seed
        digest = hashlib.sha256(f"{self.seed}:copy:{self.copy}".encode()).digest()
        return int.from_bytes(digest[:4], "little", signed=True)

    def __str__(self) -> str:
        named = f"{self.arm}, seed {self.seed}"
        return f"{named}, copy {self.copy}" if self.copy else named
