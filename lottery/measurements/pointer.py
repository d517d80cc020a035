"""The continuous cache pointer: what a language model gains by remembering the text that it has just read.

Grave et al. 2017, arXiv 1612.04426; in the form of awd-lstm-lm, pointer.py (Merity et al. 2018, section 6).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from lottery.cycle import Setting, new_network
from lottery.experiments import Experiment
from lottery.levels import read_weights
from lottery.masks import Tensors, stack_tensors
from lottery.records import RECORDS, read_records
from lottery.runs import Run
from nas.language_model import LanguageModel
from training.configs import require
from training.datasets.text import MOST_NATS
from training.datasets.vocabulary import END
from training.device import matrix_precision
from training.errors import ExitCode, LotteryError
from training.replicates import Replicates, default_batching
from training.storage import parse_json, to_json
from training.tasks.language_modelling import LanguageModelling
from training.tasks.task import Network

# Tokens that are read together: their logits are the largest thing in memory.
BLOCK = 64
SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class Cache:
    """The settings of a cache; by default those of awd-lstm-lm's README for the Penn Treebank.

    For WikiText-2 it gives 3785, 0.1279 and 0.662.

    Attributes:
        window: how many tokens are remembered.
        share: of the cache in the mixture, lambda.
        flatness: theta, which scales what the cache compares: 0 counts words, more looks for like contexts.
    """

    window: int = 500
    share: float = 0.1
    flatness: float = 1.0

    def __post_init__(self) -> None:
        require(self.window >= 1, "window", self.window, "1 or more")
        require(0 <= self.share < 1, "share", self.share, "from 0 to below 1")
        require(self.flatness >= 0, "flatness", self.flatness, "0 or more")


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


@torch.no_grad()
def cached_losses(
    replicates: Replicates,
    task: LanguageModelling,
    split: str,
    cache: Cache,
    precision: str = "fp32",
    told: Callable[[int], None] = lambda tokens: None,
) -> tuple[Tensor, Tensor]:
    """Each token's loss without and with the cache, `[R, N]` fp64 on the CPU.

        p(w) = (1 - share) p_vocabulary(w) + share sum_i [w_i = w] softmax_i(flatness h_t h_i)

    over the `window` tokens w_i before w, each with the raw output h_i of the last core from which it was predicted;
    h_t is the one that predicts w. As in the release the cache is used once more than `window` tokens were read, and
    the text is one column, its state carried from the first token to the last: so the plain loss differs a little
    from that of an evaluation in several columns. Only the probability of the word that comes is needed, so nothing
    is as large as window times vocabulary.

    Args:
        replicates: in evaluation mode, of a `LanguageModel`.
        task: with the text.
        split: "validation" or "test".
        cache: its settings.
        precision: of matrix products in the network; the cache's are in the precision of the states.
        told: how many tokens were read, after each block.
    """
    stream = task.data.splits()[split]
    inputs = torch.cat([stream.new_tensor([task.data.words.index(END)]), stream[:-1]])
    model = _language_model(replicates)
    state: Any = tuple(t.expand(len(replicates), *t.shape) for t in model.initial_state(1))
    past = next(iter(state)).new_empty(len(replicates), 0, model.embedding.embedding_dim)
    plain, mixed = [], []
    for first in range(0, len(stream), BLOCK):
        tokens, words = inputs[first : first + BLOCK], stream[first : first + BLOCK]
        with matrix_precision(precision, task.device):
            logits, raw, state = replicates(
                _read, state, tokens[:, None].expand(len(replicates), -1, 1)
            )
        known = torch.cat([past, raw], 1)
        own = _log_probability(logits, words)
        remembered = stream[first - past.shape[1] : first + len(words)]
        from_cache = _cache_log_probability(raw, known, remembered, cache)
        after = torch.arange(first, first + len(words), device=stream.device) > cache.window
        plain.append(-own)
        mixed.append(-torch.where(after, _mixture(own, from_cache, cache.share), own))
        past = known[:, -cache.window :]
        told(len(words))
    return torch.cat(plain, 1).cpu(), torch.cat(mixed, 1).cpu()


def _language_model(replicates: Replicates) -> LanguageModel:
    if not isinstance(replicates.network, LanguageModel):
        raise LotteryError(
            f"The network {type(replicates.network).__name__} gives no states that a cache could remember; name a "
            "run of a language model of `lottery networks`."
        )
    return replicates.network


def _read(network: Network, state: Any, tokens: Tensor) -> tuple[Tensor, Tensor, Any]:
    """Logits `[T, V]` and raw outputs `[T, E]` of one column, and the state after it."""
    output = network(tokens, state)
    return output.logits[:, 0], output.raw[:, 0], output.state


def _log_probability(logits: Tensor, words: Tensor) -> Tensor:
    """What the vocabulary gives the words that come, `[R, T]` fp64."""
    exponents = logits.double()
    picked = exponents.gather(2, words.expand(len(logits), -1)[..., None])[..., 0]
    return picked - exponents.logsumexp(2)


def _cache_log_probability(raw: Tensor, known: Tensor, remembered: Tensor, cache: Cache) -> Tensor:
    """What the cache gives the words that come, `[R, T]` fp64; -inf of those that it doesn't hold.

    Args:
        raw: `[R, T, E]`, the outputs that predict the block's words.
        known: `[R, P + T, E]`, those of the words before, and then the block's.
        remembered: `[P + T]`, the word that each of these was followed by.
        cache: its settings.
    """
    places = torch.arange(len(remembered), device=raw.device)
    here = places[len(remembered) - raw.shape[1] :, None]
    within = (places < here) & (places >= here - cache.window)
    alike = remembered == remembered[here]
    scores = cache.flatness * (raw @ known.transpose(1, 2)).double()
    nothing = -float("inf")
    all_words = scores.masked_fill(~within, nothing).logsumexp(2)
    return scores.masked_fill(~(within & alike), nothing).logsumexp(2) - all_words


def _mixture(own: Tensor, from_cache: Tensor, share: float) -> Tensor:
    weights = own.new_tensor([1.0 - share, share]).log()
    return torch.logaddexp(weights[0] + own, weights[1] + from_cache)


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
    task = setting.task
    if not isinstance(task, LanguageModelling):
        raise LotteryError(f"{run.root} learned no text, and a pointer points at words.")
    tokens = len(task.data.splits()[split])
    if cache.window > tokens - 2:
        raise LotteryError(
            f"A window of {cache.window:,} tokens is too large for the {tokens:,} of the {split} text, none of which "
            f"comes after it; choose at most {max(1, tokens - 2):,}."
        )
    held = dict(_trained(run, level))
    replicates = _stacked(experiment, setting, held)
    told = _teller(setting, run, tokens * len(held), len(held))
    losses = cached_losses(replicates, task, split, cache, experiment.training.precision, told)
    per_word = task.data.tokens_per_word(split)
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
    ending = f"/{RECORDS}"
    names = [n for n in run.folder.names() if n.startswith(f"{run.level(level)}/")]
    places = [name.removesuffix(ending) for name in names if name.endswith(ending)]
    if not any(map(run.is_done, places)):
        raise LotteryError(
            f"{run.root} has no finished level {level}; lottery show {run.root} lists those that it has."
        )
    # The level itself comes before the arms that were added to it.
    for place in sorted(filter(run.is_done, places)):
        yield from read_weights(run, place).items()


def _stacked(
    experiment: Experiment, setting: Setting, held: dict[tuple[str, int], Tensors]
) -> Replicates:
    task = setting.task
    network = new_network(experiment, setting, experiment.seeds[0]).to(task.device)
    batching = setting.batching or default_batching(network, task.spec, task.device, len(held))
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
