"""What `lottery data` says of a data set beyond what a run records: files, classes, copies, words."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from training.datasets.catalog import DataEntry
from training.datasets.corpora import CORPORA
from training.datasets.images import ImageData
from training.datasets.raw_images import Published
from training.datasets.text import TextData
from training.datasets.vocabulary import UNKNOWN

# Files beyond so many are counted, not listed.
MOST_FILES = 12
# So many of the most frequent tokens are shown.
SHOWN = 10


def whereabouts(entry: DataEntry, root: Path | None) -> str:
    """Where a data set was looked for, and whether it is there."""
    if entry.embedded:
        return "embedded"
    if entry.own_root:
        return "name it with --data-root"
    if root is None:
        return f"no data root: {entry.place} in --data-root or LOTTERY_DATA"
    paths = entry.paths(root)
    missing = [path for path in paths if not path.is_file()]
    return f"missing: {missing[0]}" if missing else f"found in {paths[0].parent}"


def file_sums(paths: Sequence[Path]) -> dict[str, str]:
    """The SHA-256 of each file; of many files one sum, of their names and content."""
    if len(paths) <= MOST_FILES:
        return {str(path): _sum(path) for path in paths}
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.parent.name}/{path.name} {_sum(path)}\n".encode())
    return {f"{len(paths):,} files": digest.hexdigest()}


def as_published(published: Published, data: ImageData, paths: Sequence[Path]) -> str:
    """Whether files hold what their source publishes: as many images and, where sums are known, the same bytes.

    Args:
        published: what the source publishes.
        data: what was read, without a limit.
        paths: the files that it was read from.

    Returns:
        `yes` or `no`, and in brackets what was compared.
    """
    held = f"{len(data.train) + len(data.validation):,} and {len(data.test):,}"
    wanted = f"{published.train:,} and {published.test:,}"
    if held != wanted:
        return f"no ({held} images, not {wanted})"
    summed = [path for path in paths if path.name in published.sums]
    for path in summed:
        found, right = _md5(path), published.sums[path.name]
        if found != right:
            return f"no (the MD5 of {path.name} is {found}, not {right})"
    if len(summed) < len(paths):
        return f"yes ({held} images; no MD5 is published of files in this form)"
    return f"yes ({held} images, and every file's MD5)"


def image_facts(data: ImageData) -> dict[str, object]:
    """What is checked of images besides what a run records.

    Returns:
        `shape` (of images, and how many classes); `images per class` of each split, by label; `labels`, the
        least and the largest of each split.
    """
    splits = {"train": data.train, "validation": data.validation, "test": data.test}
    return {
        "shape": asdict(data.spec),
        "images per class": {
            name: torch.bincount(split.labels, minlength=data.spec.classes).tolist()
            for name, split in splits.items()
        },
        "labels": {name: _range(split.labels) for name, split in splits.items()},
    }


def text_facts(data: TextData) -> dict[str, object]:
    """What is checked of text.

    Returns:
        `unknown (%)`, of each split's tokens; `predictions`, how many tokens an evaluation predicts of a split: each
        one once; `most frequent`, the tokens that stand most often in the training split, and how often; for data
        sets whose counts of words are published `as published`, yes or no, and in brackets what was compared.
    """
    unknown = data.words.index(UNKNOWN)
    counts = torch.bincount(data.train, minlength=len(data.words))
    largest = counts.topk(min(SHOWN, len(counts)))
    facts: dict[str, object] = {
        "unknown (%)": {
            split: round(100 * float((tokens == unknown).double().mean()), 2)
            for split, tokens in data.splits().items()
        },
        "predictions": {split: len(data.splits()[split]) for split in ("validation", "test")},
        "most frequent": {
            data.words[index]: count
            for index, count in zip(largest.indices.tolist(), largest.values.tolist(), strict=True)
        },
    }
    published = CORPORA[data.name].tokens if data.name in CORPORA else None
    if published:
        held, wanted = (
            ", ".join(f"{count:,}" for count in counted.values())
            for counted in (data.word_counts, published)
        )
        facts["as published"] = (
            f"yes ({held} words)" if held == wanted else f"no ({held} words, not {wanted})"
        )
    return facts


def _sum(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _md5(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _range(labels: Tensor) -> dict[str, int]:
    return {"least": int(labels.min()), "largest": int(labels.max())}
