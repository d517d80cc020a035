"""Text as token streams in memory: words or characters, vocabulary from the training split alone."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from training.datasets.checks import Published, as_published
from training.datasets.vocabulary import UNKNOWN, Cutting, numbered, vocabulary
from training.errors import ExitCode, LotteryError
from training.specs import TextSpec

# The largest exponent of a perplexity: little more is beyond fp64.
MOST_NATS = 700.0
# Characters to a word, on average, beyond which a perplexity per word would say nothing.
_MOST_CHARACTERS = 50
# So many of the most frequent tokens are shown.
_SHOWN = 10
# So many tokens are alike in no two texts by chance.
_TELLING = 100


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
        word_counts: words of each split, ends of line among them: as many as tokens, unless those are characters.
        characters: whether a token is a character.
    """

    name: str
    fingerprint: str
    words: tuple[str, ...]
    train: Tensor
    validation: Tensor
    test: Tensor
    word_counts: Mapping[str, int]
    characters: bool

    @property
    def spec(self) -> TextSpec:
        """What a network must take and give."""
        return TextSpec(vocabulary=len(self.words))

    def to(self, device: torch.device) -> TextData:
        """The same data on a device."""
        return dataclasses.replace(
            self,
            train=self.train.to(device),
            validation=self.validation.to(device),
            test=self.test.to(device),
        )

    def splits(self) -> dict[str, Tensor]:
        """The tokens of each split."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    def tokens_per_word(self, split: str) -> float:
        """1 of words; of characters about 5.5, by which losses per token are those per word."""
        return len(self.splits()[split]) / self.word_counts[split]

    def description(self) -> dict[str, Any]:
        """What a run records of its data; `baselines` holds what word frequencies alone score."""
        unknown = self.words.index(UNKNOWN)
        scores = {split: self._unigram(split) for split in ("validation", "test")}
        return {
            "name": self.name,
            "fingerprint": self.fingerprint,
            **self.spec.description(),
            "cut into": "characters" if self.characters else "words",
            "vocabulary": len(self.words),
            "tokens": {split: len(tokens) for split, tokens in self.splits().items()},
            "words": dict(self.word_counts),
            "unknown": {s: int((tokens == unknown).sum()) for s, tokens in self.splits().items()},
            "baselines": [
                {"name": "unigram", "split": split, "metric": metric, "value": of_split[metric]}
                for metric in scores["test"]
                for split, of_split in scores.items()
            ],
            "notices": self._notices(),
        }

    def details(self) -> dict[str, Any]:
        """What is checked of text.

        Returns:
            `unknown (%)`, of each split's tokens; `predictions`, how many tokens an evaluation predicts of a split:
            each one once; `most frequent`, the tokens that stand most often in the training split, and how often.
        """
        unknown, splits = self.words.index(UNKNOWN), self.splits()
        counts = torch.bincount(self.train, minlength=len(self.words))
        largest = counts.topk(min(_SHOWN, len(counts)))
        return {
            "unknown (%)": {
                split: round(100 * float((tokens == unknown).double().mean()), 2)
                for split, tokens in splits.items()
            },
            "predictions": {split: len(splits[split]) for split in ("validation", "test")},
            "most frequent": {
                self.words[index]: count
                for index, count in zip(
                    largest.indices.tolist(), largest.values.tolist(), strict=True
                )
            },
        }

    def as_published(self, published: Published, paths: Sequence[Path]) -> str:
        """See `training.datasets.checks.as_published`."""
        return as_published(published, self.word_counts, "words", paths)

    def _unigram(self, split: str) -> dict[str, float]:
        """What word frequencies alone score: the perplexity per word and, of characters, bits per character."""
        loss = unigram_loss(self.train, self.splits()[split], len(self.words))
        exponent = min(loss * self.tokens_per_word(split), MOST_NATS)
        bits = {"bits per character": loss / math.log(2)} if self.characters else {}
        return {"perplexity": math.exp(exponent), **bits}

    def _notices(self) -> list[str]:
        """What whoever trains on the data should know: one sentence for each split that another holds already."""
        names = {"train": "training", "validation": "validation", "test": "test"}
        return [
            f"The {names[second]} text of {self.name} is the {names[first]} text, so its perplexity says "
            "nothing of new text."
            for first, second in itertools.combinations(names, 2)
            if _begins_alike(self.splits()[first], self.splits()[second])
        ]


def _begins_alike(first: Tensor, second: Tensor) -> bool:
    """Whether two texts are one, but for where they are cut short."""
    length = min(len(first), len(second))
    return length >= _TELLING and torch.equal(first[:length], second[:length])


def unigram_loss(train: Tensor, tokens: Tensor, vocabulary: int) -> float:
    """The loss per token, in nats, of frequencies alone: what a model that has learned nothing else scores.

    Frequencies come from `train` with one added to each count.
    """
    counts = torch.bincount(train.cpu(), minlength=vocabulary).double() + 1
    return -float((counts / counts.sum()).log()[tokens.cpu()].mean())


def text_data(
    name: str,
    splits: Mapping[str, Sequence[str]],
    least_count: int,
    cutting: Cutting | None = None,
) -> TextData:
    """Cut splits of paragraphs into tokens and number them by frequency in the training split.

    Args:
        name: as in `lottery data`.
        splits: `train`, `validation` and `test`: paragraphs of one or several lines.
        least_count: tokens that stand fewer times in the training split are `<unk>`.
        cutting: how; words of lines that are not blank where None.

    Raises:
        LotteryError: text of characters has hardly any words.
    """
    cutting = cutting or Cutting()
    words = vocabulary(cutting.pieces("train", splits["train"]), least_count)
    raw = "\n\n".join(f"{split}\n" + "\n".join(splits[split]) for split in sorted(splits))
    digest = hashlib.sha256(f"{cutting.key(least_count)}\n{raw}".encode())
    data = TextData(
        name=name,
        fingerprint=digest.hexdigest(),
        words=words,
        word_counts={split: cutting.words(split, text) for split, text in splits.items()},
        characters=cutting.characters,
        **{split: numbered(cutting.pieces(split, text), words) for split, text in splits.items()},
    )
    for split in ("validation", "test"):
        if data.tokens_per_word(split) > _MOST_CHARACTERS:
            raise LotteryError(
                f"The {split} text of {name} has a word per {data.tokens_per_word(split):,.0f} "
                f"characters, and perplexity per word needs one per {_MOST_CHARACTERS} at least; "
                "put blanks between its words or break its lines.",
                ExitCode.BAD_DATA,
            )
    return data
