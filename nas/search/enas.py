"""ENAS: a controller that learns from rewards which architectures to draw (Pham et al. 2018, arXiv 1802.03268)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

import torch
from torch import Tensor

from nas.search.configs import SearchConfig
from nas.search.controller import Controller
from nas.search.controller_config import ControllerConfig
from nas.search.controller_draws import Sample
from nas.search.enas_method import controller_of
from nas.search.optimizer_states import optimizer_tensors, restore_optimizer
from nas.search.space import Choices, Space
from nas.search.spaces import space_of
from nas.search.strategy import Candidate, Evaluate, Strategy
from training.noise import generator
from training.optimizers import make_optimizer

# Proposals are drawn so many at once, as a walk through the decisions takes as long for one.
_BLOCK = 32
# A controller that has settled draws few architectures again and again: up to so many draws for each one asked for.
_TRIES = 10


class Enas(Strategy):
    """Trains a controller by REINFORCE with a moving-average baseline; it lives on the CPU.

    Args:
        space: that is searched.
        config: of the controller.
        seed: of all draws.
    """

    def __init__(self, space: Space, config: ControllerConfig, seed: int) -> None:
        self.space = space
        self.config = config
        self.seed = seed
        self.controller = Controller(space, config, generator(seed, "controller"))
        self.optimizer = make_optimizer(config.optimizer, self.controller.parameters())
        self.baseline = 0.0
        self.epochs = 0
        self._block: tuple[int, list[Choices]] | None = None

    def propose(self, step: int) -> Choices:
        """See `Strategy.propose`: one draw of the controller."""
        block, index = divmod(step, _BLOCK)
        if self._block is None or self._block[0] != block:
            self._block = block, self._draw("architecture", block, _BLOCK)
        return self._block[1][index]

    def after_epoch(self, epoch: int, evaluate: Evaluate) -> dict[str, float]:
        """See `Strategy.after_epoch`: the controller's phase."""
        rewards, entropies = [], []
        for number in range(self.config.updates):
            uniform = self._uniform("controller", self.config.samples, epoch, number)
            sample = self.controller.sample(uniform)
            scored = evaluate(rows(sample.choices))
            self._update(sample, scored)
            rewards += scored
            entropies += sample.entropy.tolist()
        self.epochs = epoch + 1
        self._block = None
        return {"reward": mean(rewards), "baseline": self.baseline, "entropy": mean(entropies)}

    def _update(self, sample: Sample, scored: Sequence[float]) -> None:
        """One step of Adam on what was drawn and what it was worth."""
        bonus = [self.config.entropy * entropy for entropy in sample.entropy.tolist()]
        rewards = [reward + more for reward, more in zip(scored, bonus, strict=True)]
        decay = self.config.baseline_decay
        advantages, self.baseline = against_baseline(rewards, self.baseline, decay)
        loss = reinforce(sample, advantages, self.config.skip_weight)
        self.optimizer.zero_grad()
        loss.backward()
        limit = self.config.optimizer.clip_norm
        if limit is not None:
            torch.nn.utils.clip_grad_norm_(self.controller.parameters(), limit)
        self._correct_epsilon()
        self.optimizer.step()

    def _correct_epsilon(self) -> None:
        """Have the next step of Adam add its epsilon where the configuration says."""
        how = self.config.optimizer
        if how.name == "sgd" or not self.config.epsilon_first:
            return
        state = self.optimizer.state.get(self.controller.start, {})
        step = int(state["step"]) + 1 if state else 1
        for group in self.optimizer.param_groups:
            group["eps"] = corrected_epsilon(how.epsilon, how.beta2, step)

    def candidates(self, count: int) -> list[Candidate]:
        """See `Strategy.candidates`: draws of the controller as it is, which has no order for them."""
        found: dict[Choices, Choices] = {}
        for number in range(_TRIES):
            if len(found) >= count:
                break
            for choices in self._draw("candidates", number, count):
                found.setdefault(self.space.canonical(choices), choices)
        last = max(0, self.epochs - 1)
        return [Candidate(choices=choices, round=last) for choices in list(found.values())[:count]]

    @torch.no_grad()
    def _draw(self, purpose: str, number: int, count: int) -> list[Choices]:
        sample = self.controller.sample(self._uniform(purpose, count, self.epochs, number))
        return rows(sample.choices)

    def _uniform(self, purpose: str, count: int, *numbers: int) -> Tensor:
        """Draws for `count` architectures, `[count, D]` fp64."""
        shape = (count, len(self.controller.decisions))
        source = generator(self.seed, f"{purpose} of ENAS", *numbers)
        return torch.rand(shape, generator=source, dtype=torch.float64)

    def tensors(self) -> dict[str, Tensor]:
        """See `Strategy.tensors`."""
        weights = dict(self.controller.named_parameters())
        return {f"controller/{name}": tensor.detach() for name, tensor in weights.items()} | {
            f"optimizer/{name}": tensor
            for name, tensor in optimizer_tensors(self.optimizer).items()
        }

    def values(self) -> dict[str, Any]:
        """See `Strategy.values`."""
        return {"baseline": self.baseline, "epochs": self.epochs}

    def restore(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        """See `Strategy.restore`."""
        groups: dict[str, dict[str, Tensor]] = {"controller": {}, "optimizer": {}}
        for key, tensor in tensors.items():
            group, _, name = key.partition("/")
            groups[group][name] = tensor
        self.controller.load_state_dict(groups["controller"])
        restore_optimizer(self.optimizer, groups["optimizer"])
        self.baseline, self.epochs = values["baseline"], values["epochs"]
        self._block = None


def strategy_of(config: SearchConfig) -> Enas:
    """ENAS in a search, before it has learned anything."""
    return Enas(space_of(config), controller_of(config), config.seed)


def against_baseline(
    rewards: Sequence[float], baseline: float, decay: float
) -> tuple[list[float], float]:
    """Each reward less the moving average, which takes it in first, as the release does; and the average after all.

    >>> against_baseline([1.0, 0.5], 0.0, 0.5)
    ([0.5, 0.0], 0.5)
    """
    advantages = []
    for reward in rewards:
        baseline -= (1.0 - decay) * (baseline - reward)
        advantages.append(reward - baseline)
    return advantages, baseline


def corrected_epsilon(epsilon: float, beta2: float, step: int) -> float:
    """The epsilon that has torch's Adam take the step of TensorFlow's with `epsilon`.

    With the average v of squared gradients, m of gradients and their corrections c_i = 1 - beta_i^step, torch divides
    m / c_1 by sqrt(v / c_2) + epsilon (Kingma & Ba 2015, arXiv 1412.6980, algorithm 1). TensorFlow divides
    m sqrt(c_2) / c_1 by sqrt(v) + epsilon, the form at the end of their section 2: so its epsilon is larger by
    1 / sqrt(c_2) in terms of torch's.

    >>> [round(corrected_epsilon(1e-3, 0.999, step), 5) for step in (1, 100, 100000)]
    [0.03162, 0.00324, 0.001]
    """
    return float(epsilon / math.sqrt(1.0 - beta2**step))


def reinforce(sample: Sample, advantages: Sequence[float], skip_weight: float) -> Tensor:
    """What is minimised: the mean of -log p(architecture) * advantage, and the skips' divergence at its weight.

    Its gradient is that of Williams 1992, an estimate of the expected reward's.
    """
    worth = sample.log_probability.new_tensor(advantages)
    loss = -(sample.log_probability * worth).mean()
    return loss + skip_weight * sample.divergence.mean()


def rows(choices: Tensor) -> list[Choices]:
    """Choices `[B, D]` as rows."""
    return [tuple(row) for row in choices.tolist()]
