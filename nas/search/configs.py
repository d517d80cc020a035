"""The configuration of a search: frozen, keyword-only, checked dataclasses; torch-free."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Literal

from nas.search.controller_config import ControllerConfig
from nas.search.derive_config import DeriveConfig
from nas.search.methods import METHODS, all_settings, method_of, phases_of
from nas.search.nao_config import NaoConfig
from nas.search.spaces import dialect_of, space_entry
from training.configs import DataConfig, TrainingConfig
from training.errors import require
from training.plain import resolved
from training.specs import TextSpec
from training.steps import Steps
from training.work_folders import FolderKind, require_name


@dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """One search for an architecture.

    Attributes:
        name: of the recipe or file.
        source: where its values come from.
        method: a name of `nas.search.methods.METHODS`.
        space: a name of `nas.search.spaces.SPACES`.
        nodes: of a cell; None for the published number, 5 or, recurrent, 12 with the first.
        layers: of the layerwise space.
        words: whose, see `SpaceEntry.dialects`: enas, or NAO's operations without sharing (cell); of a recurrent cell
            enas has a first activation to choose and ends in the loose ends, nao begins with a tanh and ends in all
            nodes, as enas_lm's does too.
        network: what differs from the sizes of `nas.search.spaces.network_of` in the catalog, for the shared and the
            stand-alone network.
        data: which data; the test split is never read.
        shared: how the shared weights are trained, for `steps` in all; every `eval_every` steps their losses are
            looked at. None for no sharing: each architecture is trained from scratch as `derive.alone` says, which ENAS
            can't.
        phase: steps of theirs between two phases of the strategy.
        samples: architectures per step of the shared weights; the paper's M (Pham et al. 2018, section 2.2), which is 1
            there.
        initial: the shared weights of a recurrent space are uniform within this at first: 0.04 in NAO-WS; None for what
            ENAS's release and the stand-alone network begin with, 0.1 up to 300 units and 0.04 beyond 400.
        unread_weights: whether momentum and weight decay move the weights that no architecture of a step reads, as in
            ENAS, NAO_pytorch and NAO-WS, or these stay as they are, as in enas_lm, whose weight decay covers the
            sampled path only.
        shown: architectures that are scored after each phase, for whoever watches.
        reward_batch: images, or columns of text, that an architecture is scored on at once; None for those of a step of
            the shared weights, as in ENAS. NAO_pytorch takes 500.
        reward_dropout: whether the shared network drops while the strategy's rewards are taken, as in ENAS's search for
            cells, which has no evaluation mode; the ranking at the end is without.
        reward_constant: of a language model's reward, constant / perplexity (Pham et al. 2018, section 3.1).
        seed: everything random is a function of it.
        exploded: nothing is learned from a loss above so many times that of a uniform guess, or not finite; where half
            of the losses are so, or a weight isn't finite, the shared weights are rolled back.
        rollback_rate: by what the learning rate of the shared weights is multiplied at each rollback.
        most_rollbacks: before the search gives up.
        controller: of ENAS; None for the published one of the space.
        nao: of NAO; None for the published settings of the space, with or without sharing.
        derive: how the search ends.
        retraining: the recipe that trains what was found.
    """

    name: str
    source: str = ""
    method: str
    space: str
    nodes: int | None = None
    layers: int = 12
    words: str = "enas"
    network: dict[str, int | float | tuple[int, ...]] = field(default_factory=dict)
    data: DataConfig
    shared: TrainingConfig | None = None
    phase: Steps = Steps(epochs=1)
    samples: int = 1
    initial: float | None = None
    unread_weights: Literal["move", "stay"] = "move"
    shown: int = 10
    reward_batch: int | None = None
    reward_dropout: bool = False
    reward_constant: float = 80.0
    seed: int = 0
    exploded: float = 10.0
    rollback_rate: float = 0.5
    most_rollbacks: int = 5
    controller: ControllerConfig | None = None
    nao: NaoConfig | None = None
    derive: DeriveConfig = field(default_factory=DeriveConfig)
    retraining: str = ""

    def __post_init__(self) -> None:
        require_name(self.name)
        require(self.nodes is None or 1 <= self.nodes <= 64, "nodes", self.nodes, "1 to 64")
        require(1 <= self.layers <= 64, "layers", self.layers, "1 to 64")
        require(0 <= self.seed < 2**30, "seed", self.seed, "from 0 to 2**30 - 1")
        require(self.phase != Steps(), "phase", self.phase, "at least 1it")
        require(self.samples >= 1, "samples", self.samples, "1 or more")
        require(self.shown >= 0, "shown", self.shown, "0 or more")
        initial = self.initial
        require(initial is None or initial > 0, "initial", initial, "above 0")
        batch = self.reward_batch
        require(batch is None or batch >= 1, "reward_batch", batch, "1 or more")
        require(self.reward_constant > 0, "reward_constant", self.reward_constant, "above 0")
        require(self.exploded > 1, "exploded", self.exploded, "above 1")
        rate = self.rollback_rate
        require(0 < rate <= 1, "rollback_rate", rate, "above 0 and at most 1")
        require(self.most_rollbacks >= 0, "most_rollbacks", self.most_rollbacks, "0 or more")
        self._check_together()

    def _check_together(self) -> None:
        method, fewest = method_of(self), dialect_of(self).fewest_nodes
        enough = self.nodes is None or self.nodes >= fewest
        require(enough, "nodes", self.nodes, f"{fewest} or more with the words of {self.words}")
        kind, initial = space_entry(self.space).kind, self.initial
        fits = initial is None or kind == TextSpec.kind
        require(fits, "initial", initial, f"left out for {kind}")
        for each in METHODS.values():
            each.check(self)
        if self.shared is not None:
            parts = self.shared.accumulation
            require(parts == 1, "shared.accumulation", parts, "1 in a search")
            trigger = self.shared.averaging.trigger
            require(trigger == "never", "shared.averaging.trigger", trigger, "never in a search")
            return
        require(not method.needs_sharing, "shared", None, f"given for {self.method}")
        require(self.derive.alone is not None, "derive.alone", None, "given where shared is not")

    @property
    def sharing(self) -> bool:
        """Whether architectures share weights."""
        return self.shared is not None

    def resolved(self, steps_per_epoch: int) -> SearchConfig:
        """The same search with the steps of the shared weights in iterations and nothing left open.

        Equal meanings compare equal. Steps of `derive.alone`, whose batches may differ, stay as they are.

        Raises:
            LotteryError: there are too few phases for what the method does.
        """
        found = dataclasses.replace(
            self,
            shared=resolved(self.shared, steps_per_epoch),
            reward_batch=self.reward_batch or (self.shared.batch_size if self.shared else None),
            phase=resolved(self.phase, steps_per_epoch),
            **all_settings(self),
        )
        method_of(self).check_phases(self, phases_of(found))
        return found


# A folder in which a search goes on.
SEARCH_FOLDER = FolderKind(
    name="search",
    subject="search",
    config=SearchConfig,
    command="lottery search",
    mendable=("source",),
)
