"""The configuration of a search: frozen, keyword-only, checked dataclasses; torch-free."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Literal

from nas.genotypes.recurrent_encodings import ENAS_LM_ACTIVATIONS
from nas.search.controller_config import CONTROLLERS, ControllerConfig, SpaceName
from nas.search.derive_config import DeriveConfig
from nas.search.nao_config import NAO_DEFAULTS, NaoConfig
from nas.search.spaces import (
    NAO_CELL_OPERATIONS,
    CellSpace,
    LayerSpace,
    RecurrentSpace,
    Space,
)
from training.configs import DataConfig, TrainingConfig
from training.errors import LotteryError, require
from training.plain import resolved
from training.steps import Steps
from training.work_folders import FolderKind, require_name


@dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """One search for an architecture.

    Attributes:
        name: of the recipe or file.
        source: where its values come from.
        method: enas, nao or random.
        space: cell (two convolutional cells), layers (layer by layer), or recurrent.
        nodes: of a cell; None for the published number, 5 or, recurrent, 12 with the first.
        layers: of the layerwise space.
        words: enas, or NAO's operations without sharing (cell); of a recurrent cell enas has a first activation to
            choose and ends in the loose ends, nao begins with a tanh and ends in all nodes, as enas_lm's does too.
        network: what differs from the sizes of `network_of` in the catalog, for the shared and the stand-alone network.
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
    method: Literal["enas", "nao", "random"]
    space: SpaceName
    nodes: int | None = None
    layers: int = 12
    words: Literal["enas", "nao"] = "enas"
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
        layers = self.space == "layers" and self.words == "nao"
        require(not layers, "words", self.words, "enas for layers")
        # Its first node ends nothing, and something has to.
        begun = self.space == "recurrent" and self.words == "nao" and self.nodes == 1
        require(not begun, "nodes", self.nodes, "2 or more with the words of nao")
        recurrent = self.space == "recurrent"
        require(recurrent or self.initial is None, "initial", self.initial, "left out for images")
        target = self.nao_in_use.target
        require(recurrent or target == "reward", "nao.target", target, "reward for images")
        cells = self.space == "cell"
        split = self.nao_in_use.split_operations
        require(cells or not split, "nao.split_operations", split, "false but for cells")
        if self.shared is not None:
            parts = self.shared.accumulation
            require(parts == 1, "shared.accumulation", parts, "1 in a search")
            trigger = self.shared.averaging.trigger
            require(trigger == "never", "shared.averaging.trigger", trigger, "never in a search")
            return
        require(self.method != "enas", "shared", None, "given for enas")
        require(self.derive.alone is not None, "derive.alone", None, "given where shared is not")

    @property
    def sharing(self) -> bool:
        """Whether architectures share weights."""
        return self.shared is not None

    @property
    def controller_in_use(self) -> ControllerConfig:
        """The controller that was given, or the published one of the space."""
        return self.controller or CONTROLLERS[self.space]

    @property
    def nao_in_use(self) -> NaoConfig:
        """The settings of NAO that were given, or the published ones."""
        return self.nao or NAO_DEFAULTS[self.space, self.sharing]

    def resolved(self, steps_per_epoch: int) -> SearchConfig:
        """The same search with the steps of the shared weights in iterations and nothing left open.

        Equal meanings compare equal. Steps of `derive.alone`, whose batches may differ, stay as they are.

        Raises:
            LotteryError: there are too few phases for NAO to score its pool as often as it has to.
        """
        found = dataclasses.replace(
            self,
            shared=resolved(self.shared, steps_per_epoch),
            reward_batch=self.reward_batch or (self.shared.batch_size if self.shared else None),
            phase=resolved(self.phase, steps_per_epoch),
            controller=self.controller_in_use,
            nao=self.nao_in_use,
        )
        if self.method == "nao" and found.shared is not None:
            phases = -(-found.shared.steps.iterations // found.phase.iterations)
            needed = self.nao_in_use.every * self.nao_in_use.scorings
            if phases < needed:
                raise LotteryError(
                    f"NAO scores its pool {self.nao_in_use.scorings} times, every {self.nao_in_use.every} phases, "
                    f"which are {needed}; shared.steps = {self.shared and self.shared.steps} are {phases} phases of "
                    f"{self.phase}. Train longer, or lower phase, nao.every or nao.rounds."
                )
        return found


# A folder in which a search goes on.
SEARCH_FOLDER = FolderKind(
    name="search",
    subject="search",
    config=SearchConfig,
    command="lottery search",
    mendable=("source",),
)


def space_of(config: SearchConfig) -> Space:
    """The space that a search goes through."""
    nao = config.words == "nao"
    if config.space == "cell":
        nodes = config.nodes or CellSpace.nodes
        return (
            CellSpace(nodes=nodes, operations=NAO_CELL_OPERATIONS)
            if nao
            else CellSpace(nodes=nodes)
        )
    if config.space == "layers":
        return LayerSpace(layers=config.layers)
    nodes = config.nodes or RecurrentSpace.nodes
    if nao:
        activations = tuple(ENAS_LM_ACTIVATIONS.values())
        return RecurrentSpace(nodes=nodes, activations=activations, first="tanh", output="nodes")
    return RecurrentSpace(nodes=nodes)


def network_of(config: SearchConfig) -> str:
    """The network of the catalog that an architecture is when it stands alone."""
    return {"cell": "searched-cells", "layers": "searched-layers", "recurrent": "searched-rnn"}[
        config.space
    ]


def encoding_of(config: SearchConfig) -> str:
    """In which of `nas.genotypes.encodings.ENCODINGS` a search writes its genotypes."""
    nao = config.words == "nao"
    if config.space == "cell":
        return "NAO" if nao else "ENAS micro"
    if config.space == "layers":
        return "ENAS macro"
    return "enas_lm" if nao else "ENAS recurrent"
