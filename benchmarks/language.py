"""Recurrent language models: training steps against plain PyTorch and against the machine's matrix products.

    python benchmarks/language.py [--steps 5] [--only awd-lstm,enas-rnn-300] [--json FILE]

For each network the project's loop in fp32, and in bf16 where this processor is not slower in it, and the same network
in the loop that one would write by hand, in fp32. They take turns, so that their ratios hold on any machine. Each is a
whole training step, with dropouts, clipping and the optimizer, over a vocabulary of 10,000; its floating-point
operations are those of its matrix products, and its bound is the rate at which the machine multiplies matrices of 2048
by 2048, by the faster library. Run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from plain_language import plain_model
from random_tasks import random_text_task
from torch import nn
from turns import WARM, Hook, Step, in_turns

from nas.catalog.building import build
from training.batching import default_batching
from training.configs import OptimizerConfig, TrainingConfig
from training.device import keep_freed_memory
from training.loop import begin, train
from training.matrix_libraries import choose_library, multiplying, slow_bf16
from training.noise import generator
from training.replicates import Replicates
from training.specs import TextSpec
from training.steps import Steps
from training.storage import write_file
from training.tasks.language_modelling import LanguageModelling

VOCABULARY = 10_000
SPEC = TextSpec(vocabulary=VOCABULARY)
RATE, CLIP = 1.0, 0.25
Precision = Literal["bf16", "fp32"]
PRECISIONS: dict[Precision, torch.dtype] = {"bf16": torch.bfloat16, "fp32": torch.float32}


@dataclass(frozen=True, kw_only=True)
class Case:
    """A network and its batches.

    Attributes:
        name: of the network.
        sizes: that differ from the published ones.
        widths: the embedding's and each layer's, for the plain network.
        batch: columns of text.
        window: tokens of a column.
    """

    name: str
    sizes: Mapping[str, Any]
    widths: tuple[int, ...]
    batch: int = 20
    window: int = 70


SMALL = {"embedding": 200, "hidden": 400, "layers": 2}
BIG_WIDTHS, SMALL_WIDTHS = (400, 1150, 1150, 400), (200, 400, 200)
CASES = {
    "awd-lstm": Case(name="awd-lstm", sizes={}, widths=BIG_WIDTHS),
    "awd-lstm-small": Case(name="awd-lstm", sizes=SMALL, widths=SMALL_WIDTHS),
    "on-lstm": Case(name="on-lstm", sizes={}, widths=BIG_WIDTHS),
    "on-lstm-small": Case(name="on-lstm", sizes=SMALL, widths=SMALL_WIDTHS),
    "enas-rnn-850": Case(
        name="enas-rnn", sizes={"hidden": 850}, widths=(850, 850), batch=64, window=35
    ),
    "enas-rnn-300": Case(
        name="enas-rnn", sizes={"hidden": 300}, widths=(300, 300), batch=64, window=35
    ),
}


def matrix_rate(precision: torch.dtype, size: int = 2048) -> float:
    """The best of ten matrix products, in floating-point operations per second."""
    a, b = torch.randn(2, size, size).to(precision).unbind(0)
    times = []
    for _ in range(10):
        began = time.perf_counter()
        torch.mm(a, b)
        times.append(time.perf_counter() - began)
    return 2 * size**3 / min(times)


def operations(network: nn.Module, tokens: int) -> int:
    """Floating-point operations of a step's matrix products: forward, and both gradients.

    The embedding counts once, as the decoder; looking words up takes none.
    """
    return 6 * tokens * sum(p.numel() for p in network.parameters() if p.dim() == 2)


def text_task(case: Case) -> LanguageModelling:
    """Random words."""
    return random_text_task(SPEC, case.batch, case.window, 20)


def network(case: Case) -> nn.Module:
    """The network of a case."""
    return build(case.name, dict(case.sizes), SPEC, generator(0, "benchmark"))


def ours(case: Case, precision: Precision) -> Callable[[Hook], None]:
    """The project's loop."""
    work, model = text_task(case), network(case)
    config = TrainingConfig(
        steps=Steps(iterations=10**9),
        batch_size=case.batch,
        eval_every=Steps(iterations=10**9),
        optimizer=OptimizerConfig(name="sgd", learning_rate=RATE, clip_norm=CLIP),
        precision=precision,
    )
    replicates = Replicates([model], [0], default_batching(model, work.spec, work.device, 1))
    state = begin(replicates, work, config, 0)

    return lambda hook: train(state, work, config, 10**9, {}, hook)


def plain(case: Case) -> Step:
    """A step of the loop that one would write by hand."""
    model = plain_model(case.name, VOCABULARY, case.widths)
    optimizer = torch.optim.SGD(model.parameters(), RATE)
    text = torch.randint(VOCABULARY, (case.window + 1, case.batch))
    state = model.first_state(case.batch)

    def step() -> None:
        nonlocal state
        logits, after = model(text[:-1], state)
        state = [tuple(tensor.detach() for tensor in own) for own in after]
        loss = F.cross_entropy(logits.flatten(0, 1), text[1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()

    return step


def peak_memory(case: Case, precision: Precision | None) -> int:
    """The high-water mark, in MB, of a process that takes some steps and does nothing else.

    A process begins with its parent's high-water mark, so the parent measures this while it is small.

    Args:
        case: which network.
        precision: of the project's loop; None for the plain one.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_some_steps, case, precision).result()


def _some_steps(case: Case, precision: Precision | None) -> int:
    keep_freed_memory()
    if precision is None:
        step = plain(case)
        for _ in range(WARM + 1):
            step()
    else:
        in_turns(ours(case, precision), {}, 1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _note_rate(precision: torch.dtype, rates: list[float]) -> None:
    rates.append(matrix_rate(precision))


def measure(case: Case, steps: int, precisions: Sequence[Precision]) -> dict[str, object]:
    """The least milliseconds of each, in turns, and their ratios."""
    rates: dict[str, float] = {}
    times: dict[str, list[float]] = {"plain fp32": []}
    for name in precisions:
        kind = PRECISIONS[name]
        found: list[float] = []
        others: dict[str, Step] = {
            "matrix products": partial(_note_rate, kind, found),
            "plain fp32": plain(case),
        }
        times[name], theirs = in_turns(ours(case, name), others, steps)
        times["plain fp32"] += theirs["plain fp32"]
        rates[name] = max(found)
    least = {name: min(values) for name, values in times.items()}
    tokens = case.batch * case.window
    count = operations(network(case), tokens)
    return {
        "gflop_per_step": round(count / 1e9, 1),
        "matrix_gflops": {name: round(rate / 1e9) for name, rate in rates.items()},
        "milliseconds": {name: round(1e3 * value) for name, value in least.items()},
        "most": {name: round(1e3 * max(values)) for name, values in times.items()},
        "tokens_per_second": {name: round(tokens / value) for name, value in least.items()},
        "fraction_of_matrix_rate": {
            name: round(count / rate / least[name], 3) for name, rate in rates.items()
        },
        "times_plain_fp32": {name: round(least["plain fp32"] / least[name], 2) for name in rates},
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--steps", type=int, default=5, help="timed steps of each")
    parser.add_argument("--only", default=",".join(CASES), help="some of the networks")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    arguments = parser.parse_args()
    cases = {name: CASES[name] for name in arguments.only.split(",")}
    cpu = torch.device("cpu")
    slow = slow_bf16("bf16", cpu)
    precisions: tuple[Precision, ...] = ("fp32",) if slow else ("bf16", "fp32")
    library = choose_library("auto", cpu)
    figures: dict[str, object] = {
        "machine": f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads",
        "torch": torch.__version__,
        "products": library,
        "notice": slow,
        "peak_memory_mb": {
            name: {p or "plain fp32": peak_memory(case, p) for p in (*precisions, None)}
            for name, case in cases.items()
        },
    }
    keep_freed_memory()
    with multiplying(library):
        for name, case in cases.items():
            figures[name] = measure(case, arguments.steps, precisions)
    text = json.dumps(figures, indent=1)
    print(text)
    if arguments.json is not None:
        write_file(arguments.json, f"{text}\n".encode())


if __name__ == "__main__":
    main()
