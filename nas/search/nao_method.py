"""NAO as a search method; torch-free."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nas.search.method import Method
from nas.search.nao_config import NAO_DEFAULTS, NaoConfig
from nas.search.spaces import space_entry, space_of
from training.errors import LotteryError, require
from training.specs import TextSpec

if TYPE_CHECKING:
    from nas.search.configs import SearchConfig


def nao_of(config: SearchConfig) -> NaoConfig:
    """The settings that a search is given, or the published ones of its space; defaults where none were published."""
    return config.nao or NAO_DEFAULTS.get((config.space, config.sharing), NaoConfig())


def _check(config: SearchConfig) -> None:
    nao = nao_of(config)
    text = space_entry(config.space).kind == TextSpec.kind
    require(text or nao.target == "reward", "nao.target", nao.target, "reward for images")
    split = nao.split_operations
    require(
        space_of(config).has_kernels or not split,
        "nao.split_operations",
        split,
        "false but for cells",
    )


def _check_phases(config: SearchConfig, phases: int) -> None:
    nao = nao_of(config)
    needed = nao.every * nao.scorings
    if config.shared is not None and phases < needed:
        raise LotteryError(
            f"NAO scores its pool {nao.scorings} times, every {nao.every} phases, which are {needed}; shared.steps = "
            f"{config.shared.steps} are {phases} phases of {config.phase}. Train longer, or lower phase, nao.every or "
            "nao.rounds."
        )


def _phases(config: SearchConfig) -> int:
    return nao_of(config).scorings


def _trained_alone(config: SearchConfig) -> int:
    nao = nao_of(config)
    return nao.pool + nao.rounds * (nao.new + nao.random)


def _plan(config: SearchConfig) -> dict[str, str]:
    nao = nao_of(config)
    new = f"{nao.new} new and {nao.random} random" if nao.random else f"{nao.new} new"
    return {"rounds": f"{nao.rounds}, a pool of {nao.pool}, {new} in each"}


NAO = Method(
    title="NAO",
    summary="embeddings of architectures are moved to where a predictor promises more (Luo et al. 2018)",
    module="nas.search.nao",
    section="nao",
    settings=nao_of,
    check=_check,
    check_phases=_check_phases,
    phases=_phases,
    trained_alone=_trained_alone,
    plan=_plan,
)
