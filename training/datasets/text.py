"""Text as token streams in memory: word level, vocabulary from the training split alone."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from training.specs import TextSpec

END = "<eos>"
UNKNOWN = "<unk>"


@dataclass(frozen=True, kw_only=True)
class TextData:
    """A data set of running text.

    Attributes:
        name: as in `lottery data`.
        fingerprint: SHA-256 of the raw text and the way it is cut.
        words: the vocabulary; a token is a position in it.
        train: tokens `[N]` int64 of the split that is trained on.
        validation: tokens of the split that chooses the early-stop step.
        test: tokens of the split that is read once and chooses nothing.
    """

    name: str
    fingerprint: str
    words: tuple[str, ...]
    train: Tensor
    validation: Tensor
    test: Tensor

    @property
    def spec(self) -> TextSpec:
        """What a network must take and give."""
        return TextSpec(vocabulary=len(self.words))

    def to(self, device: torch.device) -> TextData:
        """The same data on a device."""
        return TextData(
            name=self.name,
            fingerprint=self.fingerprint,
            words=self.words,
            train=self.train.to(device),
            validation=self.validation.to(device),
            test=self.test.to(device),
        )

    def facts(self) -> dict[str, object]:
        """What a run records of its data; `baselines` holds the unigram perplexity of each split."""
        splits = {"validation": self.validation, "test": self.test}
        unknown = self.words.index(UNKNOWN)
        return {
            "name": self.name,
            "fingerprint": self.fingerprint,
            "vocabulary": len(self.words),
            "tokens": {"train": len(self.train)} | {s: len(t) for s, t in splits.items()},
            "unknown": {s: int((t == unknown).sum()) for s, t in splits.items()},
            "baselines": [
                {
                    "name": "unigram",
                    "split": split,
                    "metric": "perplexity",
                    "value": unigram_perplexity(self.train, tokens, len(self.words)),
                }
                for split, tokens in splits.items()
            ],
        }


def unigram_perplexity(train: Tensor, tokens: Tensor, vocabulary: int) -> float:
    """The perplexity of word frequencies alone: what a model that has learned nothing else scores.

    Frequencies come from `train` with one added to each count.
    """
    counts = torch.bincount(train.cpu(), minlength=vocabulary).double() + 1
    return math.exp(-float((counts / counts.sum()).log()[tokens.cpu()].mean()))


def load_pydoc(root: Path | None, options: Mapping[str, int]) -> TextData:
    """Python's own documentation topics, embedded: about 65,000 words, `<eos>` after each line.

    Paragraphs that several topics repeat are read once, so that none is both trained and tested on. Of each ten
    paragraphs the ninth is for validation and the tenth for testing. Words seen fewer than `least_count` times in the
    training split are `<unk>`. The text differs between Python versions: the fingerprint is recorded.
    """
    from pydoc_data.topics import topics

    text = "\n\n".join(topics[name] for name in sorted(topics))
    paragraphs = list(dict.fromkeys(p.strip("\n") for p in text.split("\n\n") if p.strip()))
    places = {"train": range(8), "validation": (8,), "test": (9,)}
    splits = {
        split: [p for i, p in enumerate(paragraphs) if i % 10 in place]
        for split, place in places.items()
    }
    return text_data("pydoc", splits, options["least_count"])


def text_data(name: str, splits: Mapping[str, Sequence[str]], least_count: int) -> TextData:
    """Cut splits of paragraphs into words at white space and number them by frequency in the training split."""
    streams = {split: _words(paragraphs) for split, paragraphs in splits.items()}
    counts = Counter(streams["train"])
    kept = [
        word
        for word, count in counts.items()
        if word == END or (count >= least_count and word != UNKNOWN)
    ]
    words = (UNKNOWN, *sorted(kept, key=lambda word: (-counts[word], word)))
    number = {word: index for index, word in enumerate(words)}
    tokens = {
        split: torch.tensor([number.get(word, 0) for word in stream], dtype=torch.int64)
        for split, stream in streams.items()
    }
    raw = "\n\n".join(f"{split}\n" + "\n".join(splits[split]) for split in sorted(splits))
    digest = hashlib.sha256(f"{least_count}\n{raw}".encode())
    return TextData(name=name, fingerprint=digest.hexdigest(), words=words, **tokens)


def _words(paragraphs: Sequence[str]) -> list[str]:
    lines = (line.split() for paragraph in paragraphs for line in paragraph.splitlines())
    return [word for line in lines if line for word in (*line, END)]
