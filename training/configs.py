"""Configurations: frozen, keyword-only, checked dataclasses; torch-free."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from training.errors import require
from training.steps import Steps
from training.tasks.settings import AUXILIARY_WEIGHT, TextTraining, check_auxiliary_weight


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """An optimizer of torch and its settings.

    Attributes:
        name: sgd, adam or adamw.
        learning_rate: before the schedule.
        momentum: of sgd.
        nesterov: whether sgd's momentum looks ahead.
        weight_decay: added to the gradient (sgd, adam) or decoupled (adamw).
        beta1: decay of adam's mean.
        beta2: decay of adam's variance.
        epsilon: of adam.
        clip_norm: largest norm of a replicate's gradient; None for no clipping.
    """

    name: Literal["sgd", "adam", "adamw"]
    learning_rate: float
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    clip_norm: float | None = None

    def __post_init__(self) -> None:
        require(self.learning_rate > 0, "learning_rate", self.learning_rate, "above 0")
        require(0 <= self.momentum < 1, "momentum", self.momentum, "from 0 to below 1")
        require(not self.nesterov or self.momentum > 0, "nesterov", True, "false without momentum")
        require(self.weight_decay >= 0, "weight_decay", self.weight_decay, "0 or more")
        require(0 <= self.beta1 < 1, "beta1", self.beta1, "from 0 to below 1")
        require(0 <= self.beta2 < 1, "beta2", self.beta2, "from 0 to below 1")
        require(self.epsilon > 0, "epsilon", self.epsilon, "above 0")
        require(
            self.clip_norm is None or self.clip_norm > 0, "clip_norm", self.clip_norm, "above 0"
        )


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig:
    """How the learning rate goes over the steps.

    Attributes:
        name: constant, step (times `factor` at each milestone) or cosine (to `least` at the last step).
        warmup: steps of linear rise from 0, before the schedule's own value applies.
        milestones: of the step schedule.
        factor: of the step schedule.
        restart: steps of the cosine's first period, after which it starts anew (Loshchilov & Hutter 2017, arXiv
            1608.03983, section 3); 0 for one period over the whole training.
        restart_factor: how many times as long as the one before each further period is.
        least: share of the learning rate that the cosine ends at.
    """

    name: Literal["constant", "step", "cosine"] = "constant"
    warmup: Steps = Steps()
    milestones: tuple[Steps, ...] = ()
    factor: float = 0.1
    restart: Steps = Steps()
    restart_factor: int = 2
    least: float = 0.0

    def __post_init__(self) -> None:
        require(0 < self.factor <= 1, "factor", self.factor, "above 0 and at most 1")
        require(0 <= self.least <= 1, "least", self.least, "from 0 to 1")
        require(self.restart_factor >= 1, "restart_factor", self.restart_factor, "1 or more")
        require(
            bool(self.milestones) == (self.name == "step"),
            "milestones",
            [str(milestone) for milestone in self.milestones],
            "given with the step schedule, and only with it",
        )
        cosine = self.name == "cosine"
        require(
            cosine or self.restart == Steps(), "restart", self.restart, "0it unless name is cosine"
        )
        require(cosine or self.least == 0, "least", self.least, "0 unless name is cosine")


@dataclass(frozen=True, kw_only=True)
class AveragingConfig:
    """When a replicate's weights are averaged over the steps (NT-ASGD, Merity et al. 2018, section 3).

    Attributes:
        trigger: never, or once a validation loss is above the least of all but the latest `patience` before it.
        patience: how many validations are no argument.
        finetune: the last so many steps start from the best weights, averaged at once, and are over for a replicate
            whose losses trigger again (awd-lstm-lm, finetune.py).
    """

    trigger: Literal["never", "non-monotone"] = "never"
    patience: int = 5
    finetune: Steps = Steps()

    def __post_init__(self) -> None:
        require(self.patience >= 1, "patience", self.patience, "1 or more")
        require(
            self.trigger != "never" or self.finetune == Steps(),
            "finetune",
            self.finetune,
            "0it unless trigger is non-monotone",
        )


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How a network is trained.

    Attributes:
        steps: from the first step to the last.
        batch_size: examples, or columns of text, per step.
        eval_every: steps between two validations.
        optimizer: and its learning rate.
        schedule: of the learning rate.
        precision: fp32, or of matrix products and convolutions bf16 or, on CUDA, tf32 (weights stay fp32).
        accumulation: into how many equal parts a step's batch is cut, one after the other, where it would not fit.
        auxiliary_weight: of the loss of each auxiliary classifier, for networks that have one.
        text: what language models are trained with in addition.
        averaging: of the weights over the steps.
    """

    steps: Steps
    batch_size: int
    eval_every: Steps
    optimizer: OptimizerConfig
    schedule: ScheduleConfig = ScheduleConfig()
    precision: Literal["fp32", "bf16", "tf32"] = "fp32"
    accumulation: int = 1
    auxiliary_weight: float = AUXILIARY_WEIGHT
    text: TextTraining = TextTraining()
    averaging: AveragingConfig = AveragingConfig()

    def __post_init__(self) -> None:
        require(self.steps != Steps(), "steps", self.steps, "at least 1it")
        require(self.batch_size >= 1, "batch_size", self.batch_size, "1 or more")
        require(self.eval_every != Steps(), "eval_every", self.eval_every, "at least 1it")
        require(
            self.accumulation >= 1 and self.batch_size % self.accumulation == 0,
            "accumulation",
            self.accumulation,
            f"a divisor of batch_size, {self.batch_size}",
        )
        check_auxiliary_weight(self.auxiliary_weight)
        require(
            self.averaging.trigger == "never"
            or (self.optimizer.name == "sgd" and self.optimizer.momentum == 0),
            "averaging.trigger",
            self.averaging.trigger,
            "never unless optimizer is sgd without momentum",
        )


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which data, and how they are cut.

    Attributes:
        name: of the data set, see `lottery data`.
        options: settings of that data set, such as `validation` (examples) or `sequence` (tokens per window).
    """

    name: str
    options: dict[str, int] = field(default_factory=dict)
