"""Random search at the budget of another search; torch-free."""

from __future__ import annotations

import dataclasses

from nas.search.configs import SearchConfig
from nas.search.methods import BASELINE, learning, method_of, no_settings
from training.errors import LotteryError, enumerated


def random_rivals(config: SearchConfig, per_epoch: int, alone_per_epoch: int) -> list[SearchConfig]:
    """Random search at the budget of another search, with its shared weights and without; all else is the same.

    With shared weights these are trained as long, on architectures drawn uniformly. Without, architectures are trained
    from scratch: as many as take the examples that the shared weights were trained on, or that the search itself
    trained. What a strategy's own phases cost is not counted.

    Args:
        config: of the search.
        per_epoch: steps of the shared weights per epoch.
        alone_per_epoch: steps of a network that is trained alone per epoch.

    Raises:
        LotteryError: the search is random itself, or trains nothing alone.
    """
    alone = config.derive.alone
    if config.method == BASELINE or alone is None:
        titles = enumerated((method.title for method in learning().values()), "or")
        raise LotteryError(
            f"--against-random goes with a search by {titles} that trains networks alone; {config.name} "
            f"is {'random itself' if config.method == BASELINE else 'without derive.alone'}."
        )
    plain = dataclasses.replace(
        config,
        source=f"this project: random search at the budget of {config.name}: {config.source}",
        method=BASELINE,
        **no_settings(),
    )
    if config.shared is None:
        trained = method_of(config).trained_alone(config)
    else:
        seen = config.shared.steps.count(per_epoch) * config.shared.batch_size
        each = alone.steps.count(alone_per_epoch) * alone.batch_size * config.derive.alone_seeds
        trained = max(1, round(seen / each))
    derive = config.derive
    ranked = min(derive.ranked, trained)
    budget = dataclasses.replace(
        derive, sampled=trained, ranked=ranked, alone_best=min(derive.alone_best, ranked)
    )
    by_itself = dataclasses.replace(
        plain, name=f"{config.name}-random-alone", shared=None, derive=budget
    )
    if config.shared is None:
        return [by_itself]
    return [dataclasses.replace(plain, name=f"{config.name}-random"), by_itself]
