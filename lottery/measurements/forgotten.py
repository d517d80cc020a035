"""Forgotten examples: what the dense network of the same seed gets right and a pruned one wrong, and the reverse.

Hooker et al. 2019 (arXiv 1911.05248), section 2.2, call an image pruning-identified whose most frequent label among
pruned networks is another than among dense ones. Here it is one that most dense networks get right and most tickets
wrong, which is the part of those that pruning costs; of text, where nothing is right or wrong, a word's mean loss.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from lottery.exemplars import Exemplar, Exemplars, write_exemplars
from lottery.identity import TICKET, ReplicateId
from lottery.levels import read_scores
from lottery.measurements.measuring import Measurement, TrainedLevel, tell
from lottery.readings import Reading
from lottery.records import read_records
from lottery.session import Session
from training.datasets.images import ImageData
from training.datasets.text import TextData
from training.specs import TextSpec

# So many images or words are kept of a level: a figure shows no more.
SHOWN = 24
# A word that stands less often in the test text tells of chance.
LEAST_OCCURRENCES = 5

OF_IMAGES = ("forgotten (%)", "learned (%)")
OF_TEXT = ("rise of loss", "tokens whose loss rises (%)")


@dataclass(frozen=True, kw_only=True)
class ForgottenSettings:
    """Nothing can be set: predictions are those of the early-stop weights on the test split."""


def check(session: Session, settings: ForgottenSettings) -> None:
    """Every run keeps its predictions."""


def measure(session: Session, trained: TrainedLevel, settings: ForgottenSettings) -> list[Reading]:
    """How much each network of a level forgot and learned; the examples that most tickets lose go into the run.

    Raises:
        LotteryError: stopped on request, or a file of the run is damaged.
    """
    dense, own = _scores(session, 0), _scores(session, trained.level)
    tell(session, len(trained.tensors))
    if trained.level == 0:
        return []
    lost_at_first = _diverged(session)
    pairs = {
        one: (dense[unpruned], scores)
        for one, scores in own.items()
        if (unpruned := ReplicateId(TICKET, one.seed, one.copy)) not in lost_at_first
        and one not in trained.diverged
    }
    tickets = [pair for one, pair in pairs.items() if one.arm == TICKET]
    if tickets:
        write_exemplars(session.run.folder, forgotten_examples(session, trained.level, tickets))
    metrics, compare = (OF_TEXT, rises) if _is_text(session) else (OF_IMAGES, exchanged)
    return [
        reading
        for one in own
        for reading in _readings(
            trained.level, one, metrics, compare(*pairs[one]) if one in pairs else ()
        )
    ]


def exchanged(dense: Tensor, pruned: Tensor) -> tuple[float, float]:
    """`OF_IMAGES`: the shares of images, in percent, that a pruned network lost and gained.

    Args:
        dense: which images the dense network gets right, 1 or 0, `[N]`.
        pruned: likewise of the pruned one.
    """
    before, after = dense.bool(), pruned.bool()
    forgotten, learned = before & ~after, ~before & after
    return 100 * float(forgotten.double().mean()), 100 * float(learned.double().mean())


def rises(dense: Tensor, pruned: Tensor) -> tuple[float, float]:
    """`OF_TEXT`: a pruned network's mean rise of loss per token, in nats, and of which share of tokens, in percent.

    Args:
        dense: the dense network's loss of each token, `[N]`.
        pruned: likewise of the pruned one.
    """
    rise = pruned.double() - dense.double()
    return float(rise.mean()), 100 * float((rise > 0).double().mean())


def forgotten_examples(
    session: Session, level: int, pairs: Sequence[tuple[Tensor, Tensor]]
) -> Exemplars:
    """What tickets of a level do worse on than the dense networks, over the seeds.

    Args:
        session: whose data they are.
        level: of the tickets.
        pairs: the scores `[N]` of each dense network and of its ticket.
    """
    dense = torch.stack([before for before, _ in pairs]).double().mean(0)
    pruned = torch.stack([after for _, after in pairs]).double().mean(0)
    of_kind = _words if _is_text(session) else _images
    return of_kind(session, level, len(pairs), dense, pruned)


def most_lost(dense: Tensor, pruned: Tensor) -> list[int]:
    """The images that more than half of the dense networks get right and more than half of the tickets wrong.

    Those of which they differ most come first, of equal ones the first of the split.
    """
    chosen = ((dense > 0.5) & (pruned < 0.5)).nonzero().flatten()
    order = (pruned - dense)[chosen].argsort(stable=True)
    indices: list[int] = chosen[order].tolist()
    return indices


def _images(
    session: Session, level: int, networks: int, dense: Tensor, pruned: Tensor
) -> Exemplars:
    data = cast("ImageData", session.task.data)
    test, lost = data.test, most_lost(dense, pruned)
    shown = tuple(
        Exemplar(
            index=index,
            label=str(int(test.labels[index])),
            dense=float(dense[index]),
            pruned=float(pruned[index]),
            pixels=base64.b64encode(pixels(data, test.images[index])).decode(),
        )
        for index in lost[:SHOWN]
    )
    spec = data.spec
    return Exemplars(
        level=level,
        unit="images",
        networks=networks,
        found=len(lost),
        among=len(test),
        shape=(spec.height, spec.width, spec.channels),
        shown=shown,
    )


def pixels(data: ImageData, image: Tensor) -> bytes:
    """A normalised image `[C, H, W]` as bytes `[H, W, C]`, black 0 and white 255."""
    mean, deviation = (torch.tensor(v)[:, None, None] for v in (data.mean, data.deviation))
    scaled = 255 * (image.cpu() * deviation + mean)
    return scaled.round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).numpy().tobytes()


def _words(session: Session, level: int, networks: int, dense: Tensor, pruned: Tensor) -> Exemplars:
    """The words whose mean loss rises, most first."""
    data = cast("TextData", session.task.data)
    tokens, size = data.test.cpu(), len(data.words)
    counts = torch.bincount(tokens, minlength=size)
    before, after = (
        torch.bincount(tokens, weights=losses, minlength=size) / counts.clamp(min=1)
        for losses in (dense, pruned)
    )
    often, rise = counts >= LEAST_OCCURRENCES, after - before
    risen = (often & (rise > 0)).nonzero().flatten()
    order: list[int] = risen[(-rise[risen]).argsort(stable=True)].tolist()
    shown = tuple(
        Exemplar(
            index=word, label=data.words[word], dense=float(before[word]), pruned=float(after[word])
        )
        for word in order[:SHOWN]
    )
    return Exemplars(
        level=level,
        unit="words",
        networks=networks,
        found=len(order),
        among=int(often.count_nonzero()),
        shape=(),
        shown=shown,
    )


def _is_text(session: Session) -> bool:
    return session.task.spec.kind == TextSpec.kind


def _scores(session: Session, level: int) -> dict[ReplicateId, Tensor]:
    """What every network of a level scored on each example, those of added arms too."""
    found = dict[ReplicateId, Tensor]()
    for files in session.run.finished(level):
        found |= read_scores(files)
    return found


def _diverged(session: Session) -> set[ReplicateId]:
    """The dense networks that diverged."""
    records = read_records(session.run.root)
    return {r.replicate for r in records if r.level == 0 and r.diverged_at is not None}


def _readings(
    level: int, one: ReplicateId, metrics: Sequence[str], values: Sequence[float]
) -> Iterator[Reading]:
    """What was compared; nothing of a pair of which one diverged."""
    for metric, value in zip(metrics, values or [math.nan] * len(metrics), strict=True):
        yield Reading(
            level=level,
            arm=one.arm,
            seed=one.seed,
            copy=one.copy,
            other="test",
            at="best",
            metric=metric,
            x=None,
            value=value if math.isfinite(value) else None,
        )


def steps(session: Session, settings: ForgottenSettings) -> int:
    """One for each network."""
    return 1


FORGOTTEN = Measurement(
    summary="what the dense network of the same seed gets right and each network wrong (Hooker et al. 2019)",
    settings=ForgottenSettings,
    words={},
    check=check,
    steps=steps,
    measure=measure,
)
