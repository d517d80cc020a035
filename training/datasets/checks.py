"""Whether files are what their source publishes: counts and sums."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

# Files beyond so many are counted, not listed.
MOST_FILES = 12


@dataclass(frozen=True, kw_only=True)
class Published:
    """What a data set holds as its source publishes it.

    Attributes:
        counts: split -> images or words; of images those to validate with are among those to train on.
        sums: file -> the MD5 that torchvision publishes of it; there is none of an unpacked file.
    """

    counts: Mapping[str, int]
    sums: Mapping[str, str] = field(default_factory=dict)


def as_published(
    published: Published, counts: Mapping[str, int], unit: str, paths: Sequence[Path]
) -> str:
    """Whether files hold what their source publishes: as much of it and, where sums are known, the same bytes.

    Args:
        published: what the source publishes.
        counts: of what was read, without a limit, by split as there.
        unit: what is counted, in the plural.
        paths: the files that it was read from.

    Returns:
        `yes` or `no`, and in brackets what was compared.
    """
    found, wanted = _listed(counts), _listed(published.counts)
    if found != wanted:
        return f"no ({found} {unit}, not {wanted})"
    if not published.sums:
        return f"yes ({found} {unit})"
    summed = [path for path in paths if path.name in published.sums]
    for path in summed:
        md5, right = _sum(path, "md5"), published.sums[path.name]
        if md5 != right:
            return f"no (the MD5 of {path.name} is {md5}, not {right})"
    if len(summed) < len(paths):
        return f"yes ({found} {unit}; no MD5 is published of files in this form)"
    return f"yes ({found} {unit}, and every file's MD5)"


def file_sums(paths: Sequence[Path]) -> dict[str, str]:
    """The SHA-256 of each file; of many files one sum, of their names and content."""
    if len(paths) <= MOST_FILES:
        return {str(path): _sum(path, "sha256") for path in paths}
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.parent.name}/{path.name} {_sum(path, 'sha256')}\n".encode())
    return {f"{len(paths):,} files": digest.hexdigest()}


def _listed(counts: Mapping[str, int]) -> str:
    return (" and " if len(counts) == 2 else ", ").join(f"{n:,}" for n in counts.values())


def _sum(path: Path, algorithm: str) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(
            stream, lambda: hashlib.new(algorithm, usedforsecurity=False)
        ).hexdigest()
