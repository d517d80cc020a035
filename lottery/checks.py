"""What is refused before a run begins, so that none fails late."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from lottery.batching import choose_batching, faster_batching
from lottery.controls import CONTROLS, check_control
from lottery.experiments import Experiment
from lottery.outside_checks import try_network
from lottery.own_pieces import NOTHING_OWN, OwnPieces, criterion_named, is_own
from lottery.own_trials import try_own
from lottery.pruning.config import PruningConfig
from lottery.pruning.groups import LayerKinds
from lottery.pruning.prunable import prunable_names
from lottery.pruning.schedules import SCHEDULES
from lottery.pruning.scopes import SCOPES
from lottery.scoring import check_scores
from lottery.session import Session, new_network, with_batching
from lottery.transfer import check_source
from nas.catalog.catalog import is_known
from training.batching import Batching
from training.errors import LotteryError, chosen, is_out_of_memory, require
from training.specs import ImageSpec

# Others say how many weights stay from the shape of a kernel.
UNIT_SCOPES = ("global", "layerwise", "uniform")


def check(session: Session) -> Session:
    """Refuse an experiment that could not be carried out to its end, before anything is written.

    Returns:
        The session, in which the batching of a network from outside is what was found to be faster.

    Raises:
        LotteryError: an unknown control, criterion, scope, schedule, network or size, nothing to prune, masks of
            another run that don't fit, a network from outside that can't be trained on the task, or a criterion or
            control of the user's own that gives something else than is asked of it.
    """
    experiment = session.experiment
    check_names(experiment, session.own)
    if experiment.pruning.structure == "units":
        _check_units_of(session)
    network = session.network
    names = prunable_names(network, experiment.pruning.embeddings)
    training, outside = experiment.training, not is_known(experiment.network.name)
    # Normalisation over one image alone is impossible.
    alone = training.batch_size == training.accumulation and _normalises(network)
    if alone or outside:
        session = with_batching(session, _tried(session))
    if experiment.pruning.output_rate is not None:
        _check_output_layer(experiment, session.forward_pass.kinds, names)
    if experiment.transfer.run:
        check_source(session)
    else:
        check_scores(session)
    try_own(session)
    return session


def check_names(experiment: Experiment, own: OwnPieces = NOTHING_OWN) -> None:
    """Refuse what needs no data to be refused: unknown controls, and what `check_pruning` does.

    Raises:
        LotteryError: one of these.
    """
    check_pruning(experiment, own)
    for arm in experiment.arms:
        check_control(experiment, arm, own)


def check_pruning(experiment: Experiment, own: OwnPieces = NOTHING_OWN) -> None:
    """Refuse a criterion, scope or schedule that there is not, or settings that these can't follow.

    Raises:
        LotteryError: one of these.
    """
    config = experiment.pruning
    criterion_named(config.criterion, own)
    chosen("scope", config.scope, SCOPES).check(config)
    chosen("schedule", config.schedule, SCHEDULES).check(config, experiment.levels)
    if config.structure == "units":
        _check_units(config)


def _check_units(config: PruningConfig) -> None:
    """Refuse what has no meaning for units: of the output layer and of embeddings there are none that could go."""
    scope, what = config.scope, f"one of {', '.join(UNIT_SCOPES)} where structure is units"
    require(scope in UNIT_SCOPES, "pruning.scope", scope, what)
    rate, embeddings = config.output_rate, config.embeddings
    whole = "left out where structure is units, as the output's units always stay"
    require(rate is None, "pruning.output_rate", rate, whole)
    require(not embeddings, "pruning.embeddings", embeddings, "false where structure is units")


def _check_units_of(session: Session) -> None:
    """Refuse networks of which no units are known."""
    kind, name = session.task.spec.kind, session.experiment.network.name
    if kind != ImageSpec.kind:
        raise LotteryError(
            "pruning.structure = units prunes channels and neurons of networks for images, and "
            f"{name} is for {kind}; use pruning.structure = weights."
        )
    if session.units is not None and not session.units.layers:
        raise LotteryError(
            f"pruning.structure = units finds no channels or neurons of {name} that could go: behind each stands the "
            "output, or something that mixes all; use pruning.structure = weights."
        )


def _tried(session: Session) -> Batching | None:
    """Try a network; how it is to be batched, where that was found out and not asked for."""
    experiment, task = session.experiment, session.task
    name, config, seed = experiment.network.name, experiment.training, experiment.seeds[0]
    count = _largest_stack(session)
    redrawn = any(CONTROLS[arm].draws_weights for arm in experiment.arms if not is_own(arm))

    def attempt(batching: Batching) -> None:
        try_network(
            # What it is tried with is not what is trained.
            new_network(session, seed),
            lambda seed: new_network(session, seed),
            name,
            task,
            batching,
            config,
            seed=seed,
            may_start_alike=len(experiment.seeds) == 1 and not redrawn,
        )

    attempt(choose_batching(session, count))
    if session.batching is not None or is_known(name) or count == 1:
        return session.batching
    # Looped it can be trained, as was tried before; how many fit together is found out when they are.
    try:
        attempt("stacked")
        return faster_batching(session.network, task, config, count, session.replay)
    except LotteryError:
        return "looped"
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return "looped"


def _largest_stack(session: Session) -> int:
    count = session.experiment.replicates_at(session.experiment.levels)
    return min(count, session.at_once or count)


def _check_output_layer(experiment: Experiment, kinds: LayerKinds, names: Sequence[str]) -> None:
    if not kinds.output.intersection(names):
        layer = ", ".join(sorted(kinds.output)) or "which has no weights"
        raise LotteryError(
            f"pruning.output_rate can't be used with {experiment.network.name}: its output layer, {layer}, is not "
            "among what is pruned, see pruning.embeddings; leave it out."
        )


def _normalises(network: nn.Module) -> bool:
    """Whether a network normalises over its batch."""
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
    return any(isinstance(module, kinds) for module in network.modules())
