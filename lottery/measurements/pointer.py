"""The cache pointer as a measurement: what remembering the text just read gains each replicate of a level."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

from lottery.batching import new_replicates
from lottery.measurements.continuous_cache import Cache, cached_losses
from lottery.measurements.measuring import Measurement, TrainedLevel, in_parts, tell
from lottery.readings import Reading
from lottery.session import Session
from training.datasets.text import MOST_NATS, TextData
from training.errors import LotteryError
from training.specs import TextSpec


@dataclass(frozen=True, kw_only=True)
class PointerSettings(Cache):
    """The settings of a cache, and which text is read; settings are chosen on validation.

    Attributes:
        split: "validation" or "test".
    """

    split: Literal["validation", "test"] = "validation"


def _text(session: Session) -> TextData:
    """The text that a run learned.

    Raises:
        LotteryError: it learned something else.
    """
    if session.task.spec.kind != TextSpec.kind:
        raise LotteryError(
            f"{session.run.root} learned {session.experiment.data.name}, which is no text, and a pointer points at "
            "words; name a run of a language model."
        )
    return cast("TextData", session.task.data)


def check(session: Session, settings: PointerSettings) -> None:
    """Refuse a run that learned no text, and a window that no token of the text is preceded by."""
    tokens = len(_text(session).splits()[settings.split])
    if settings.window > tokens - 2:
        raise LotteryError(
            f"A window of {settings.window:,} tokens is too large for the {tokens:,} of the {settings.split} text, "
            f"none of which comes after it; choose at most {max(1, tokens - 2):,}."
        )


def measure(session: Session, trained: TrainedLevel, settings: PointerSettings) -> list[Reading]:
    """The perplexity of every replicate of a level with the cache and without, of one column of text.

    Raises:
        LotteryError: stopped on request, or the network gives no states that a cache could remember.
    """
    found = list[Reading]()
    for part in in_parts(session, trained):
        found += _of_some(session, part, settings)
    return found


def _of_some(session: Session, trained: TrainedLevel, settings: PointerSettings) -> list[Reading]:
    text, ids = _text(session), [*trained.tensors]
    replicates = new_replicates(session, ids, trained.tensors.values()).eval()
    precision = session.experiment.training.precision

    def told(tokens: int) -> None:
        tell(session, tokens * len(ids))

    losses = cached_losses(replicates, text, settings.split, settings, precision, told)
    per_word = text.tokens_per_word(settings.split)
    plain, pointer = (
        (loss.mean(1) * per_word).clamp(max=MOST_NATS).exp().tolist() for loss in losses
    )
    return [
        Reading(
            level=trained.level,
            arm=one.arm,
            seed=one.seed,
            copy=one.copy,
            other=settings.split,
            at="end",
            metric=metric,
            x=None,
            value=None if one in trained.diverged else values[r],
        )
        for metric, values in (("plain perplexity", plain), ("pointer perplexity", pointer))
        for r, one in enumerate(ids)
    ]


def steps(session: Session, settings: PointerSettings) -> int:
    """The tokens of the text."""
    return len(_text(session).splits()[settings.split])


POINTER = Measurement(
    summary="perplexity of a language model with a continuous cache (Grave et al. 2017), and without",
    settings=PointerSettings,
    words={
        "window": "how many tokens are remembered; awd-lstm-lm has 3785 for WikiText-2",
        "share": "of the cache in the mixture; 0.1279 for WikiText-2",
        "flatness": "how much like contexts count for more, 0 counts words; 0.662 for WikiText-2",
        "split": "validation or test; settings are chosen on validation",
    },
    check=check,
    steps=steps,
    measure=measure,
)
