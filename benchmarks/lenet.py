"""LeNet-300-100 at batches of 60, Adam, masks on: replicate-steps per second against a plain loop and the machine.

    python benchmarks/lenet.py [--seconds 3] [--json FILE]

Three figures in one run, so that their ratios hold on any machine: the stack of R replicates, training only and all in
(validation on 5,000 images every 100 steps); a plain PyTorch loop over in-memory tensors; and the floating-point rate
that a step reaches as a fraction of the machine's own fp32 matrix product. Run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.networks import build
from training.configs import OptimizerConfig, TrainingConfig
from training.datasets.images import ImageData, LabelledImages
from training.device import keep_freed_memory
from training.loop import begin, train
from training.noise import generator
from training.replicates import Batching, Replicates, default_batching
from training.specs import ImageSpec
from training.steps import Steps
from training.tasks.image_classification import ImageClassification

BATCH = 60
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


def random_images(count: int) -> LabelledImages:
    """Images and labels of MNIST's shape."""
    return LabelledImages(torch.randn(count, 1, 28, 28), torch.randint(10, (count,)))


def lenet_task() -> ImageClassification:
    """MNIST's shape and sizes, random content."""
    data = ImageData(
        name="random",
        fingerprint="",
        spec=SPEC,
        train=random_images(55_000),
        validation=random_images(5_000),
        test=random_images(10),
        mean=(0.0,),
        deviation=(1.0,),
    )
    return ImageClassification(data, BATCH)


def lenet() -> nn.Module:
    """The network."""
    return build("lenet-300-100", {}, SPEC, generator(0, "benchmark"))


def half_masks(network: nn.Module) -> dict[str, Tensor]:
    """A mask that keeps about half of each weight matrix."""
    return {n: torch.rand_like(p) < 0.5 for n, p in network.named_parameters() if p.dim() == 2}


def steps_per_second(run: Callable[[int], None], seconds: float) -> float:
    """Steps per second of `run(steps)` after a warm-up: the best of eight stretches, as the matrix product's is."""
    run(5)
    began = time.perf_counter()
    run(20)
    steps = max(100, round(20 * seconds / 8 / (time.perf_counter() - began)))
    times = []
    for _ in range(8):
        began = time.perf_counter()
        run(steps)
        times.append(time.perf_counter() - began)
    return steps / min(times)


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
    # The loop also looks at the last step, so it is left by an exception between looks.
    rest = [0]

    def leave(_: object) -> None:
        rest[0] -= 1
        if rest[0] == 0:
            raise _EnoughError

    def run(steps: int) -> None:
        rest[0] = steps
        try:
            train(state, task, config, 10**9, masks, leave)
        except _EnoughError:
            state.recent.clear()

    return count * steps_per_second(run, seconds)


class _EnoughError(Exception):
    """Ends a timed stretch of training."""


def plain_rate(task: ImageClassification, seconds: float) -> float:
    """Steps per second of the loop that one would write by hand: one network, masks on gradients."""
    network = lenet()
    masks = {n: m.float() for n, m in half_masks(network).items()}
    optimizer = torch.optim.Adam(network.parameters(), 1.2e-3, fused=True)
    images, labels = task.data.train.images, task.data.train.labels

    def run(steps: int) -> None:
        order = torch.randperm(len(labels))
        for step in range(steps):
            place = step * BATCH % (len(labels) - BATCH)
            index = order[place : place + BATCH]
            loss = F.cross_entropy(network(images[index]), labels[index])
            optimizer.zero_grad()
            loss.backward()
            for name, parameter in network.named_parameters():
                if name in masks and parameter.grad is not None:
                    parameter.grad.mul_(masks[name])
            optimizer.step()

    return steps_per_second(run, seconds)


def measure(seconds: float) -> dict[str, object]:
    """Every figure, and what it was measured on."""
    keep_freed_memory()
    task = lenet_task()
    rate = matrix_rate()
    plain = plain_rate(task, seconds)
    bound = rate / step_operations()
    rows = []
    for count in (1, 8, 32):
        training = stack_rate(task, count, seconds, every=10**8)
        all_in = stack_rate(task, count, seconds, every=100)
        rows.append(
            {
                "replicates": count,
                "replicate_steps_per_second": round(training),
                "all_in": round(all_in),
                "times_plain_loop": round(training / plain, 2),
                "fraction_of_matrix_rate": round(training / bound, 3),
                "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            }
        )
    return {
        "machine": f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads",
        "torch": torch.__version__,
        "matrix_gflops": round(rate / 1e9),
        "plain_steps_per_second": round(plain),
        "stacks": rows,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=3.0, help="per figure")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    arguments = parser.parse_args()
    text = json.dumps(measure(arguments.seconds), indent=1)
    print(text)
    if arguments.json is not None:
        arguments.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
