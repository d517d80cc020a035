"""The cache pointer as a measurement: what remembering the text just read gains each replicate of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, cast

from lottery.batching import choose_batching
from lottery.cycle import Setting, new_network
from lottery.experiments import Experiment
from lottery.levels import read_weights
from lottery.measurements.continuous_cache import Cache, cached_losses
from lottery.pruning.masks import Tensors, stack_tensors
from lottery.records import read_records
from lottery.runs import Run
from training.datasets.text import MOST_NATS, TextData
from training.errors import ExitCode, LotteryError
from training.replicates import Replicates
from training.specs import TextSpec
from training.storage import parse_json, to_json

SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class PointerResult:
    """One replicate's perplexity of one column of text; None where it diverged.

    Attributes:
        arm: of the replicate.
        seed: of the replicate.
        plain: without the cache.
        pointer: with it.
    """

    arm: str
    seed: int
    plain: float | None
    pointer: float | None


def measure_pointer(
    experiment: Experiment, run: Run, setting: Setting, *, level: int, split: str, cache: Cache
) -> list[PointerResult]:
    """The perplexity of every replicate of a finished level with the cache and without, at its last step.

    It is written to the run too, beside what was measured with other settings.

    Args:
        experiment: with its steps resolved.
        run: opened for it, and locked.
        setting: task and device.
        level: of pruning.
        split: "validation" or "test".
        cache: its settings.

    Raises:
        LotteryError: no text, no such level, a window that no token of the text is preceded by, or stopped on request.
    """
    if setting.task.spec.kind != TextSpec.kind:
        raise LotteryError(f"{run.root} learned no text, and a pointer points at words.")
    text = cast(TextData, setting.task.data)
    tokens = len(text.splits()[split])
    if cache.window > tokens - 2:
        raise LotteryError(
            f"A window of {cache.window:,} tokens is too large for the {tokens:,} of the {split} text, none of which "
            f"comes after it; choose at most {max(1, tokens - 2):,}."
        )
    held = dict(_trained(run, level))
    replicates = _stacked(experiment, setting, held)
    told = _teller(setting, run, tokens * len(held), len(held))
    losses = cached_losses(replicates, text, split, cache, experiment.training.precision, told)
    per_word = text.tokens_per_word(split)
    plain, pointer = (
        (loss.mean(1) * per_word).clamp(max=MOST_NATS).exp().tolist() for loss in losses
    )
    lost = {
        (r.arm, r.seed)
        for r in read_records(run.root)
        if r.diverged_at is not None and r.level == level
    }
    results = [
        PointerResult(arm=arm, seed=seed, plain=plain[r], pointer=pointer[r])
        if (arm, seed) not in lost
        else PointerResult(arm=arm, seed=seed, plain=None, pointer=None)
        for r, (arm, seed) in enumerate(held)
    ]
    _write(run, level, {"split": split, **asdict(cache)}, results)
    return results


def _trained(run: Run, level: int) -> Iterator[tuple[tuple[str, int], Tensors]]:
    """The trained tensors of a level's replicates, also of the arms that were added to it, by (arm, seed)."""
    places = run.finished(level)
    if not places:
        raise LotteryError(
            f"{run.root} has no finished level {level}; lottery show {run.root} lists those that it has."
        )
    for place in places:
        yield from read_weights(run, place).items()


def _stacked(
    experiment: Experiment, setting: Setting, held: dict[tuple[str, int], Tensors]
) -> Replicates:
    task = setting.task
    network = new_network(experiment, setting, experiment.seeds[0]).to(task.device)
    name = experiment.network.name
    batching = choose_batching(setting.batching, name, network, task, len(held))
    replicates = Replicates([network] * len(held), [seed for _, seed in held], batching)
    stacked = stack_tensors(held.values())
    replicates.load({name: tensor.to(task.device) for name, tensor in stacked.items()})
    return replicates.eval()


def _teller(setting: Setting, run: Run, total: int, count: int) -> Callable[[int], None]:
    """Tells the watcher of each block, and stops where that was asked for."""
    setting.watcher.begin(f"{run.name}, pointer", total)

    def told(tokens: int) -> None:
        setting.watcher.steps(tokens * count)
        if setting.watcher.stop_requested():
            raise LotteryError(
                "Stopped; nothing was written, and the same command measures again.",
                ExitCode.RESUMABLE,
            )

    return told


def _write(run: Run, level: int, settings: dict[str, Any], results: list[PointerResult]) -> None:
    """Put results into the run's file of a level, in the place of those of the same settings."""
    name = run.measurement("pointer", level)
    held = []
    if run.folder.holds(name):
        held = parse_json(run.folder.read(name), run.root / name)["measurements"]
    others = [one for one in held if any(one[key] != value for key, value in settings.items())]
    found = {**settings, "weights": "end", "replicates": [asdict(result) for result in results]}
    value = {"schema": SCHEMA, "level": level, "measurements": [*others, found]}
    run.folder.write(name, to_json(value))
