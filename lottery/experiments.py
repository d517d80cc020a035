"""An experiment: the frozen configuration of one run; torch-free."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from lottery.identity import TICKET, ReplicateId
from lottery.pruning.config import PruningConfig
from training.configs import DataConfig, TrainingConfig
from training.errors import LotteryError, require
from training.plain import resolved
from training.steps import Steps
from training.work_folders import FolderKind, require_name

# Far more than leave a weight of any network, at any rate that is worth a training.
MOST_LEVELS = 1000
MOST_COPIES = 1000


@dataclass(frozen=True, kw_only=True)
class FoundBy:
    """The search that a network comes from.

    Attributes:
        run: name of the search's run directory.
        method: enas, nao or random.
        seed: of the search.
        rank: among what it found, from 1.
    """

    run: str
    method: str
    seed: int
    rank: int


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """Which network, see `lottery networks`.

    Attributes:
        name: in the catalog.
        size: what differs from the catalog's sizes.
        genotype: as text, of a network such as searched-cells, whose genotype is given.
        found: by which search, where it comes from a run of `lottery search`.
    """

    name: str
    size: dict[str, int | float | tuple[int, ...]] = field(default_factory=dict)
    genotype: str = ""
    found: FoundBy | None = None


@dataclass(frozen=True, kw_only=True)
class RewindingConfig:
    """What the survivors of a pruning start from.

    Attributes:
        step: the rewind step of the dense training; 0 is initialisation.
        weights: start (rewound to that step) or keep (as trained).
        schedule: rewind (the learning rates from that step on, again) or continue (the last one, for as many steps).
        optimizer_state: fresh, or rewind (the momenta of that step, those of pruned weights 0; for the controls too).
    """

    step: Steps = field(default_factory=Steps)
    weights: Literal["start", "keep"] = "start"
    schedule: Literal["rewind", "continue"] = "rewind"
    optimizer_state: Literal["fresh", "rewind"] = "fresh"

    def __post_init__(self) -> None:
        require(
            self.optimizer_state == "fresh" or self.weights == "start",
            "optimizer_state",
            self.optimizer_state,
            "fresh unless weights is start, as momenta belong to the weights of the same step",
        )


@dataclass(frozen=True, kw_only=True)
class TransferConfig:
    """Another run whose tickets are trained here, see `lottery.transfer`.

    Attributes:
        run: name of its directory, as --masks-from names it; "" for masks of this run's own.
        sha256: of what is taken from it.
        weights: own (tickets start from this run's rewind step) or source (from that run's, where they fit).
    """

    run: str = ""
    sha256: str = ""
    weights: Literal["own", "source"] = "own"


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One run: a network is trained, pruned, rewound and trained again, beside its controls.

    Attributes:
        name: of the recipe or file.
        source: where its values come from.
        seeds: one ticket each; everything random is a function of the seed.
        copies: of each seed's ticket; they begin every level alike, with the mask and the weights of copy 0, and differ
            in noise alone: data order, augmentation, dropout.
        levels: how often is pruned.
        arms: controls that are trained beside the ticket at each level above 0, see `lottery control --help`.
        margin: how much worse than dense still counts as matching, in the metric's own terms; None for its default.
        network: which network.
        data: which data.
        training: how it is trained.
        pruning: what goes.
        rewinding: what the rest starts from.
        transfer: another run that the masks are taken from; there is none unless the command line names one.
    """

    name: str
    source: str = ""
    seeds: tuple[int, ...]
    copies: int = 1
    levels: int
    arms: tuple[str, ...] = ()
    margin: float | None = None
    network: NetworkConfig
    data: DataConfig
    training: TrainingConfig
    pruning: PruningConfig = PruningConfig()
    rewinding: RewindingConfig = RewindingConfig()
    transfer: TransferConfig = TransferConfig()

    def __post_init__(self) -> None:
        require_name(self.name)
        require(0 <= self.levels <= MOST_LEVELS, "levels", self.levels, f"0 to {MOST_LEVELS:,}")
        require(bool(self.seeds), "seeds", "none", "at least one")
        require(1 <= self.copies <= MOST_COPIES, "copies", self.copies, f"1 to {MOST_COPIES:,}")
        distinct = len(set(self.seeds)) == len(self.seeds) and len(set(self.arms)) == len(self.arms)
        if not distinct:
            raise LotteryError("A seed or an arm is named twice; name each once.")
        in_range = all(-(2**31) <= seed < 2**31 for seed in self.seeds)
        require(in_range, "seeds", list(self.seeds), "within 32 bits")
        require(self.margin is None or self.margin >= 0, "margin", self.margin, "0 or more")
        rewound = (self.rewinding.weights, self.rewinding.optimizer_state) == ("start", "fresh")
        require(
            self.transfer.weights == "own" or rewound,
            "transfer.weights",
            self.transfer.weights,
            "own unless rewinding.weights is start and rewinding.optimizer_state fresh",
        )

    @property
    def tickets(self) -> tuple[ReplicateId, ...]:
        """The tickets of every level."""
        return tuple(
            ReplicateId(TICKET, seed, copy) for seed in self.seeds for copy in range(self.copies)
        )

    @property
    def originals(self) -> tuple[ReplicateId, ...]:
        """Those tickets from which masks are made: copy 0 of each seed."""
        return tuple(one for one in self.tickets if one == one.original)

    def first_step(self, level: int) -> int:
        """The step that a level's training begins at: the dense network's at 0, the others' at the rewind step."""
        return self.rewinding.step.iterations if level > 0 else 0

    def level_steps(self, level: int) -> int:
        """Steps of each training at a level."""
        return self.training.steps.iterations - self.first_step(level)

    def replicates_at(self, level: int) -> int:
        """How many networks are trained at a level."""
        return len(self.tickets) * (1 + len(self.arms) * (level > 0))

    def resolved(self, steps_per_epoch: int) -> Experiment:
        """The same experiment with every number of steps in iterations, so that equal meanings compare equal.

        Raises:
            LotteryError: the rewind step, or the fine-tuning, begins too late.
        """
        found = resolved(self, steps_per_epoch)
        last, rewound = found.training.steps.iterations, found.rewinding.step.iterations
        require(
            rewound < last, "rewinding.step", self.rewinding.step, f"before the last step, {last}"
        )
        require(
            found.training.averaging.finetune.iterations < last - rewound,
            "training.averaging.finetune",
            self.training.averaging.finetune,
            f"less than the {last - rewound} steps after the rewind step",
        )
        return found


# A folder in which an experiment is carried out.
RUN_FOLDER = FolderKind(
    name="run",
    subject="experiment",
    config=Experiment,
    command="lottery prune",
    mendable=("source",),
    extendable=("levels",),
)
