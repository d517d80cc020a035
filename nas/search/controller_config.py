"""Settings of ENAS's controller, and the published ones by space; torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from training.configs import OptimizerConfig
from training.errors import require

# utils.py (get_train_ops) of melodyguan/enas.
RELEASE_ADAM = OptimizerConfig(name="adam", learning_rate=1e-3, beta1=0.0, epsilon=1e-3)


@dataclass(frozen=True, kw_only=True)
class ControllerConfig:
    """ENAS's controller and how it learns; `CONTROLLERS` has the published values of each space.

    Attributes:
        hidden: units of its LSTM.
        initial: weights are uniform within this at first.
        temperature: logits are divided by it.
        tanh: then bounded by it, tanh(logit) times this; None for no bound.
        operation_tanh_divisor: of that bound, for operations.
        convolution_bias: what the learnt bias of convolutions starts at, among the operations of a cell.
        fixed_bias: is added to convolutions and taken from all else, in the normal cell, and stays.
        locality: by how much of (distance)^2 / 6 the logit of an input is lowered, in a recurrent cell.
        entropy: weight of a sample's entropy in its reward.
        entropy_of: the whole distribution's, or -p log p of what was sampled.
        baseline_decay: of the moving average of rewards that is taken from each.
        skip_target: the share of skips that the controller is drawn to.
        skip_weight: of the Kullback-Leibler divergence from that share, in the loss.
        samples: architectures per update.
        updates: per phase, which comes after each epoch of the shared weights.
        optimizer: of its weights; with `clip_norm`, the norm of the whole gradient is at most that.
        epsilon_first: whether adam's epsilon is added to the root of its variance before that is corrected for its
            start, as TensorFlow does and so all releases of ENAS (see `corrected_epsilon` in `nas.search.enas`), or
            after, as in torch, where an epsilon of 1e-3 makes the first step 16 to 32 times as long.
    """

    hidden: int = 100
    initial: float = 0.1
    temperature: float = 1.0
    tanh: float | None = None
    operation_tanh_divisor: float = 1.0
    convolution_bias: float = 0.0
    fixed_bias: float = 0.0
    locality: float = 0.0
    entropy: float = 1e-4
    entropy_of: Literal["distribution", "sampled"] = "sampled"
    baseline_decay: float = 0.99
    skip_target: float = 0.4
    skip_weight: float = 0.0
    samples: int = 10
    updates: int = 100
    optimizer: OptimizerConfig = RELEASE_ADAM
    epsilon_first: bool = True

    def __post_init__(self) -> None:
        for name in ("hidden", "samples", "updates"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "1 or more")
        for name in ("initial", "temperature", "operation_tanh_divisor"):
            require(getattr(self, name) > 0, name, getattr(self, name), "above 0")
        for name in ("locality", "entropy", "skip_weight"):
            require(getattr(self, name) >= 0, name, getattr(self, name), "0 or more")
        require(self.tanh is None or self.tanh > 0, "tanh", self.tanh, "above 0")
        decay = self.baseline_decay
        require(0 <= decay < 1, "baseline_decay", decay, "from 0 to below 1")
        require(0 < self.skip_target < 1, "skip_target", self.skip_target, "between 0 and 1")


# The flags of melodyguan/enas (cifar10_micro_search.sh, cifar10_macro_search.sh, ptb_search.sh) and what its
# controllers have as constants (micro_controller.py, general_controller.py, ptb_enas_controller.py). All three learn by
# TensorFlow's Adam with beta1 = 0 and epsilon = 1e-3 (utils.py, get_train_ops). Their `clip_mode` does nothing, as that
# function returns the gradients from before the clipping.
CONTROLLERS: Mapping[str, ControllerConfig] = {
    "cell": ControllerConfig(
        hidden=64,
        tanh=1.1,
        operation_tanh_divisor=2.5,
        convolution_bias=10.0,
        fixed_bias=0.25,
        entropy=1e-4,
        entropy_of="distribution",
        samples=10,
        updates=30,
        optimizer=OptimizerConfig(name="adam", learning_rate=3.5e-3, beta1=0.0, epsilon=1e-3),
    ),
    "layers": ControllerConfig(
        hidden=64, tanh=1.5, entropy=1e-4, skip_weight=0.8, samples=20, updates=50
    ),
    "recurrent": ControllerConfig(
        hidden=100,
        temperature=5.0,
        tanh=2.5,
        locality=1.0,
        entropy=1e-3,
        samples=10,
        updates=100,
    ),
}
