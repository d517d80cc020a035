"""The end of a search: what it found, ranked, and what the ranking is worth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Literal

from nas.search.alone import Alone, genotype_text, parameters_of
from nas.search.configs import SearchConfig
from nas.search.evaluate import SharedScorer
from nas.search.random_search import different, draws
from nas.search.records import SearchRecord
from nas.search.space import Choices
from nas.search.spaces import encoding_of, space_of
from nas.search.strategy import Candidate, Strategy
from training.tasks.task import Task


@dataclass(frozen=True, kw_only=True)
class Ending:
    """What the end of a search needs.

    Attributes:
        run: name of its directory.
        config: with its steps resolved.
        task: of the stand-alone networks.
        strategy: that has learned all that it will.
        scorer: with shared weights; None without.
        alone: trains networks from scratch.
        order: of the validation minibatches, another one than any phase had.
        stop: is called after every score and may raise.
    """

    run: str
    config: SearchConfig
    task: Task
    strategy: Strategy
    scorer: SharedScorer | None
    alone: Alone
    order: int
    stop: Callable[[], None]


def derived(ending: Ending) -> list[SearchRecord]:
    """The architectures that a search ends with: the found ones by rank, then random ones.

    With shared weights every suggestion is scored on some minibatches, the same for all, and the best of them on the
    whole validation split; so are as many random architectures. Without shared weights a suggestion's score is what it
    reached when the search trained it from scratch.

    Then the best found and the random ones are trained from scratch, with seeds that nothing was chosen by: what these
    networks reach says what the scores are worth, what a strategy's predictions are, and whether searching helped.
    """
    derive = ending.config.derive
    source = draws(ending.config.seed, "random sample")
    sample = different(space_of(ending.config), derive.random, source)
    drawn = [
        Candidate(choices=choices, round=0, details={} if reward is None else {"predicted": reward})
        for choices, reward in zip(sample, ending.strategy.predictions(sample), strict=True)
    ]
    found, scores = _found(ending)
    scores |= _whole(ending, sample)
    trained = [candidate.choices for candidate in found[: derive.alone_best]] + sample
    standalone: dict[Choices, tuple[float, ...]] = {}
    if derive.alone is not None:
        fresh = ending.config.seed + derive.alone_seeds
        standalone = dict(zip(trained, ending.alone(trained, fresh), strict=True))
    groups: list[tuple[Literal["found", "random"], Sequence[Candidate]]] = [
        ("found", found),
        ("random", drawn),
    ]
    return [
        _record(ending, candidate, origin, rank if origin == "found" else None, scores, standalone)
        for origin, group in groups
        for rank, candidate in enumerate(group, start=1)
    ]


def _found(ending: Ending) -> tuple[list[Candidate], dict[Choices, float]]:
    """The suggestions that are kept, the best first, and what they score with the shared weights."""
    derive, scorer = ending.config.derive, ending.scorer
    if scorer is None:
        return _found_alone(ending)
    suggested = ending.strategy.candidates(derive.sampled)
    first: dict[Choices, float] = {}
    for candidate in suggested:
        numbers = range(derive.minibatches)
        choices = candidate.choices
        first[choices] = mean(scorer.minibatch(choices, ending.order, n) for n in numbers)
        ending.stop()
    kept = sorted(suggested, key=lambda candidate: -first[candidate.choices])[: derive.ranked]
    scores = _whole(ending, [candidate.choices for candidate in kept])
    return sorted(kept, key=lambda candidate: -scores[candidate.choices]), scores


def _found_alone(ending: Ending) -> tuple[list[Candidate], dict[Choices, float]]:
    """The suggestions by what they reached when the search trained them; those that it has not are trained now."""
    suggested = ending.strategy.candidates(ending.config.derive.sampled)
    choices = [candidate.choices for candidate in suggested]
    trained = ending.alone(choices, ending.config.seed)
    scores = {row: mean(by_seed) for row, by_seed in zip(choices, trained, strict=True)}
    ranked = sorted(suggested, key=lambda candidate: -scores[candidate.choices])
    return ranked[: ending.config.derive.ranked], scores


def _whole(ending: Ending, architectures: Sequence[Choices]) -> dict[Choices, float]:
    """What architectures score with the shared weights on the whole validation split."""
    scores: dict[Choices, float] = {}
    if ending.scorer is None:
        return scores
    for choices in architectures:
        scores[choices] = ending.scorer.whole(choices)
        ending.stop()
    return scores


def _record(
    ending: Ending,
    candidate: Candidate,
    origin: Literal["found", "random"],
    rank: int | None,
    scores: Mapping[Choices, float],
    standalone: Mapping[Choices, tuple[float, ...]],
) -> SearchRecord:
    config, choices = ending.config, candidate.choices
    by_seed = standalone.get(choices, ())
    return SearchRecord(
        run=ending.run,
        method=config.method,
        space=config.space,
        origin=origin,
        rank=rank,
        choices=choices,
        genotype=genotype_text(config, choices),
        encoding=encoding_of(config),
        parameters=parameters_of(config, choices, ending.task),
        round=candidate.round,
        score=scores.get(choices),
        standalone=mean(by_seed) if by_seed else None,
        standalone_by_seed=by_seed,
        details=dict(candidate.details),
    )
