"""What a small recipe changes of the published one, and how its source says so; torch-free."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lottery.experiments import Experiment, NetworkConfig, PruningConfig
from nas.catalog.catalog import entry
from training.configs import OptimizerConfig, ScheduleConfig, TrainingConfig
from training.steps import Steps

Sizes = Mapping[str, int | float | tuple[int, ...]]
# A training of a few hundred steps has no time for the noise of one of 600 epochs.
_MOST_NOISE = 0.1

_OPTIMIZERS = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW"}


def quieter(size: Sizes, most: float = _MOST_NOISE) -> dict[str, int | float | tuple[int, ...]]:
    """Sizes with every probability of dropping at most `most`."""
    return {k: min(v, most) if isinstance(v, float) else v for k, v in size.items()}


def at_same_share(place: Steps, training: TrainingConfig, steps: int) -> Steps:
    """A place of a training where the same share of `steps` steps is over.

    Epochs and iterations are never mixed in a recipe, so that one epoch counts as one step here.
    """
    return Steps(iterations=round(place.count(1) * steps / training.steps.count(1)))


def shortened(training: TrainingConfig, steps: int) -> ScheduleConfig:
    """The schedule over fewer steps: each place at the same share of the training, no restarts."""
    schedule = training.schedule
    return ScheduleConfig(
        name=schedule.name,
        warmup=at_same_share(schedule.warmup, training, steps),
        milestones=tuple(at_same_share(m, training, steps) for m in schedule.milestones),
        factor=schedule.factor,
    )


def source_of(full: Experiment, changes: Sequence[str]) -> str:
    """The source of a small recipe: what is otherwise in it, and where the rest is from."""
    return (
        f"this project: {full.name}, to be tried in minutes, with {'; '.join(changes)}. "
        f"{full.name} is from {full.source}"
    )


def changed_sizes(full: NetworkConfig, made: NetworkConfig) -> list[str]:
    """Each size of the network that differs."""
    sizes = {**entry(full.name).defaults, **full.size}
    return [
        f"{name} {_in_words(value)} in place of {_in_words(sizes[name])}"
        for name, value in made.size.items()
        if value != sizes[name]
    ]


def changed_optimizer(full: OptimizerConfig, made: OptimizerConfig) -> list[str]:
    """The optimizer where it differs, and what of it is left out."""
    if made == full:
        return []
    dropped = {
        "Nesterov momentum" if full.nesterov else "momentum": full.momentum and not made.momentum,
        "weight decay": full.weight_decay and not made.weight_decay,
        "clipping": full.clip_norm and not made.clip_norm,
    }
    without = listed([what for what, is_lost in dropped.items() if is_lost])
    found = [
        f"{_OPTIMIZERS[made.name]} at learning rate {made.learning_rate:g}"
        f"{f' without {without}' if without else ''} in place of "
        f"{_OPTIMIZERS[full.name]} at {full.learning_rate:g}"
    ]
    if made.clip_norm and full.clip_norm and made.clip_norm != full.clip_norm:
        found.append(f"norm clipped at {made.clip_norm:g} in place of {full.clip_norm:.2g}")
    return found


def changed_schedule(full: ScheduleConfig) -> list[str]:
    """Where a schedule over fewer steps has its places."""
    if full.restart != Steps():
        return ["one cosine to 0 in place of warm restarts"]
    moved = {"warm-up": full.warmup != Steps(), "milestones": bool(full.milestones)}
    places = listed([what for what, is_there in moved.items() if is_there])
    return [f"{places} at the same share of the training"] if places else []


def changed_rate(full: PruningConfig, made: PruningConfig) -> str:
    """The rate of pruning, and which layers keep their own."""
    own = {"convolutions": made.convolution_rate, "output layer": made.output_rate}
    kept = listed([what for what, rate in own.items() if rate is not None])
    changed = f"{100 * made.rate:g} % per level in place of {100 * full.rate:g} %"
    return f"{changed}, {kept} at the recipe's own rate" if kept else changed


def listed(words: Sequence[str]) -> str:
    """Words as a sentence lists them: a, b and c."""
    *others, last = words or [""]
    return f"{', '.join(others)} and {last}" if others else last


def _in_words(size: int | float | tuple[int, ...]) -> str:
    return str(list(size)) if isinstance(size, tuple) else f"{size:g}"
