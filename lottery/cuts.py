"""How a level's replicates are cut into chunks that fit into memory; torch-free."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, kw_only=True)
class Cut:
    """How replicates are cut into chunks, each of which is trained in one stack.

    Attributes:
        asked: for how many together, as `--replicates-at-once` said; None for as many as fit.
        device: whose memory they share, cpu or cuda.
        size: of a chunk at first.
        most: replicates of a chunk, since memory ran out with more; `size` where it never did.
    """

    asked: int | None
    device: str
    size: int
    most: int

    def chunks(self, count: int) -> list[range]:
        """So many replicates in chunks.

        Those of the first cut are halved where they are too large, so that each chunk lies within one of every cut
        that was made before memory ran out, and can go on from a part of its checkpoint.

        >>> Cut(asked=None, device="cuda", size=7, most=4).chunks(10)
        [range(0, 4), range(4, 7), range(7, 10)]
        """
        first = [
            range(start, min(start + self.size, count)) for start in range(0, count, self.size)
        ]
        return [part for chunk in first for part in _halved(chunk, self.most)]

    def below(self, chunk: range) -> Cut:
        """The cut in which a chunk that did not fit is halved."""
        return replace(self, most=_half(chunk))


def _halved(chunk: range, most: int) -> list[range]:
    if len(chunk) <= most:
        return [chunk]
    middle = chunk.start + _half(chunk)
    halves = (range(chunk.start, middle), range(middle, chunk.stop))
    return [part for half in halves for part in _halved(half, most)]


def _half(chunk: range) -> int:
    """Of an odd number the larger half."""
    return -(-len(chunk) // 2)
