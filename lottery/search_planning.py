"""What a search would do, before anything is done; torch-free."""

from __future__ import annotations

from nas.search.configs import SearchConfig
from nas.search.methods import method_of


def search_plan(config: SearchConfig) -> dict[str, str]:
    """What a search would do and how much of it, both in words, in the order of the doing."""
    derive = config.derive
    plan: dict[str, str] = {}
    if config.shared is not None:
        plan["training of the shared weights"] = str(config.shared.steps)
        plan["between two phases of the strategy"] = str(config.phase)
    plan |= method_of(config).plan(config)
    plan["architectures ranked"] = f"{derive.ranked} of {derive.sampled}"
    if derive.alone is not None:
        if config.shared is None:
            searching = method_of(config).trained_alone(config) * derive.alone_seeds
            plan["networks trained alone while searching"] = (
                f"{searching}, {derive.alone.steps} each"
            )
        number = (derive.random + derive.alone_best) * derive.alone_seeds
        plan["networks trained alone at the end"] = (
            f"{number} ({derive.random * derive.alone_seeds} of them random), {derive.alone.steps} each"
        )
    return plan
