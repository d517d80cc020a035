"""LeNet-300-100 at batches of 60, Adam, masks on: replicate-steps per second against a plain loop and the machine.

    python benchmarks/lenet.py [--seconds 3] [--json FILE]

All in one run, so that their ratios hold on any machine: the stack of R replicates, training only and all in
(validation on 5,000 images every 100 steps); a plain PyTorch loop over in-memory tensors; the stack that one would
write by hand for this network alone, derivative included; and the floating-point rate that a step reaches as a fraction
of the machine's own fp32 matrix product. Run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import time
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from random_tasks import random_image_task
from torch import Tensor, nn

from nas.catalog.building import build
from training.batching import Batching, default_batching
from training.configs import OptimizerConfig, TrainingConfig
from training.device import keep_freed_memory
from training.loop import begin, train
from training.matrix_libraries import choose_library, library_in_use, multiplying
from training.noise import generator
from training.replicates import Replicates
from training.specs import ImageSpec
from training.steps import Steps
from training.storage import write_file
from training.tasks.image_classification import ImageClassification

BATCH = 60
# Steps between looks at the validation split, and steps before the timed ones.
LOOK, WARM = 100, 20
WIDTHS = (784, 300, 100, 10)
SPEC = ImageSpec(channels=1, height=28, width=28, classes=10)


def step_operations() -> int:
    """Floating-point operations of one step: forward, and both gradients but that of the images."""
    products = [2 * BATCH * a * b for a, b in pairwise(WIDTHS)]
    return 3 * sum(products) - products[0]


def matrix_rate(size: int = 1536) -> float:
    """The best of ten fp32 matrix products, in floating-point operations per second."""
    a, b = torch.randn(size, size), torch.randn(size, size)
    times = []
    for _ in range(10):
        began = time.perf_counter()
        torch.mm(a, b)
        times.append(time.perf_counter() - began)
    return 2 * size**3 / min(times)


def lenet_task() -> ImageClassification:
    """MNIST's shape and sizes, random content."""
    return random_image_task(SPEC, BATCH, 55_000, validation=5_000)


def lenet() -> nn.Module:
    """The network."""
    return build("lenet-300-100", {}, SPEC, generator(0, "benchmark"))


def half_masks(network: nn.Module) -> dict[str, Tensor]:
    """A mask that keeps about half of each weight matrix."""
    return {n: torch.rand_like(p) < 0.5 for n, p in network.named_parameters() if p.dim() == 2}


def best_rate(moments: Sequence[float]) -> float:
    """Steps per second of the best eighth, as the matrix product's is its best, from the ends of all steps."""
    steps = len(moments[WARM:]) // 8
    ends = moments[WARM::steps]
    return steps / min(later - earlier for earlier, later in pairwise(ends))


def enough(moments: Sequence[float], seconds: float) -> bool:
    """Whether there are steps for that long, and for eight stretches that each hold a look at the validation split."""
    return len(moments) > WARM + 8 * LOOK and moments[-1] - moments[WARM] > seconds


def stack_rate(task: ImageClassification, count: int, seconds: float, every: int) -> float:
    """Replicate-steps per second of a stack of `count`, looking at the validation split every so many steps."""
    config = TrainingConfig(
        steps=Steps(iterations=10**9),
        batch_size=BATCH,
        eval_every=Steps(iterations=every),
        optimizer=OptimizerConfig(name="adam", learning_rate=1.2e-3),
    )
    network = lenet()
    batching: Batching = default_batching(network, SPEC, task.device, count)
    replicates = Replicates([network] * count, list(range(count)), batching)
    masks = {n: torch.stack([m] * count) for n, m in half_masks(network).items()}
    replicates.load({n: t * masks[n] if n in masks else t for n, t in replicates.tensors().items()})
    state = begin(replicates, task, config, 0)
    moments: list[float] = []

    def note(_: object) -> None:
        moments.append(time.perf_counter())
        if enough(moments, seconds):
            raise _EnoughError

    with suppress(_EnoughError):
        train(state, task, config, 10**9, masks, note)
    return count * best_rate(moments)


class _EnoughError(Exception):
    """Ends a timed training."""


def plain_rate(task: ImageClassification, seconds: float) -> float:
    """Steps per second of the loop that one would write by hand: one network, masks on gradients."""
    network = lenet()
    masks = {n: m.float() for n, m in half_masks(network).items()}
    optimizer = torch.optim.Adam(network.parameters(), 1.2e-3, fused=True)
    images, labels = task.data.train.images, task.data.train.labels
    order = torch.randperm(len(labels))
    moments: list[float] = []
    while not enough(moments, seconds):
        place = len(moments) * BATCH % (len(labels) - BATCH)
        index = order[place : place + BATCH]
        loss = F.cross_entropy(network(images[index]), labels[index])
        optimizer.zero_grad()
        loss.backward()
        for name, parameter in network.named_parameters():
            if name in masks and parameter.grad is not None:
                parameter.grad.mul_(masks[name])
        optimizer.step()
        moments.append(time.perf_counter())
    return best_rate(moments)


@torch.no_grad()
def by_hand_rate(task: ImageClassification, count: int, seconds: float) -> float:
    """Replicate-steps per second of the fastest stack that one would write by hand for this network alone.

    Forward and backward pass are written out as batched products, with no module, no `vmap` and no autograd.
    """
    weights = [nn.Parameter(0.05 * torch.randn(count, b, a)) for a, b in pairwise(WIDTHS)]
    biases = [nn.Parameter(torch.zeros(count, width)) for width in WIDTHS[1:]]
    masks = [(torch.rand_like(weight) < 0.5).float() for weight in weights]
    optimizer = torch.optim.Adam([*weights, *biases], 1.2e-3, fused=True)
    images, labels = task.data.train.images.flatten(1), task.data.train.labels
    orders = torch.stack([torch.randperm(len(labels)) for _ in range(count)])
    moments: list[float] = []
    while not enough(moments, seconds):
        place = len(moments) * BATCH % (len(labels) - BATCH)
        index = orders[:, place : place + BATCH]
        hidden = [images[index]]
        for weight, bias in zip(weights, biases, strict=True):
            hidden.append(torch.baddbmm(bias[:, None], hidden[-1], weight.mT))
            if weight is not weights[-1]:
                hidden[-1].relu_()
        grad = hidden.pop().softmax(2)
        grad.scatter_add_(2, labels[index][:, :, None], grad.new_full((count, BATCH, 1), -1.0))
        grad /= BATCH
        optimizer.zero_grad()
        for weight, bias in zip(reversed(weights), reversed(biases), strict=True):
            before = hidden.pop()
            weight.grad, bias.grad = torch.bmm(grad.mT, before), grad.sum(1)
            if hidden:
                grad = torch.bmm(grad, weight).mul_(before > 0)
        torch._foreach_mul_([weight.grad for weight in weights if weight.grad is not None], masks)
        optimizer.step()
        moments.append(time.perf_counter())
    return count * best_rate(moments)


def peak_memory() -> int:
    """The high-water mark so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def measure(seconds: float) -> dict[str, object]:
    """Every figure, and what it was measured on."""
    keep_freed_memory()
    task = lenet_task()
    rates = [matrix_rate()]
    plain = plain_rate(task, seconds)
    figures = []
    for count in (1, 8, 32):
        training = stack_rate(task, count, seconds, every=10**8)
        all_in = stack_rate(task, count, seconds, every=LOOK)
        memory = peak_memory()
        by_hand = by_hand_rate(task, count, seconds)
        rates.append(matrix_rate())
        figures.append((count, training, all_in, memory, by_hand))
    # Its best over the whole run: what others do on the machine slows a product down too.
    bound = max(rates) / step_operations()
    rows = [
        {
            "replicates": count,
            "replicate_steps_per_second": round(training),
            "all_in": round(all_in),
            "times_plain_loop": round(training / plain, 2),
            "times_stack_by_hand": round(training / by_hand, 2),
            "fraction_of_matrix_rate": round(training / bound, 3),
            "peak_memory_mb": memory,
        }
        for count, training, all_in, memory, by_hand in figures
    ]
    return {
        "machine": f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads",
        "torch": torch.__version__,
        "products": library_in_use(),
        "matrix_gflops": round(max(rates) / 1e9),
        "plain_steps_per_second": round(plain),
        "stacks": rows,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=3.0, help="per figure")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    arguments = parser.parse_args()
    with multiplying(choose_library("auto", torch.device("cpu"))):
        figures = measure(arguments.seconds)
    text = json.dumps(figures, indent=1)
    print(text)
    if arguments.json is not None:
        write_file(arguments.json, f"{text}\n".encode())


if __name__ == "__main__":
    main()
