"""ENAS micro, 20 channels, 8 cells, batches of 64, auxiliary head and drop-path: against itself in plain PyTorch.

    python benchmarks/conv_cells.py [--steps 8] [--json FILE]

One network trained by this project's loop, and the same network, batches, clipping and optimizer in the loop that one
would write by hand, in PyTorch's default layout (NCHW) and in channels-last. The three take turns, so that their ratios
hold on any machine. Run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
import torch.nn.functional as F
from random_tasks import random_image_task
from torch import nn
from turns import Hook, Step, in_turns

from nas.catalog.building import build
from training.batching import default_batching
from training.configs import OptimizerConfig, TrainingConfig
from training.device import keep_freed_memory
from training.dropout import set_noise
from training.loop import begin, train
from training.noise import generator
from training.replicates import Replicates
from training.specs import ImageSpec
from training.steps import Steps
from training.storage import write_file
from training.tasks.image_classification import ImageClassification

BATCH = 64
SPEC = ImageSpec(channels=3, height=32, width=32, classes=10)
SIZE = {"channels": 20, "normal_cells": 2, "reductions": 2, "drop_path": 0.4, "auxiliary": 1}
OPTIMIZER = OptimizerConfig(
    name="sgd",
    learning_rate=0.05,
    momentum=0.9,
    nesterov=True,
    weight_decay=4e-4,
    clip_norm=5.0,
)
CONFIG = TrainingConfig(
    steps=Steps(iterations=10**9),
    batch_size=BATCH,
    eval_every=Steps(iterations=10**9),
    optimizer=OPTIMIZER,
)


def task() -> ImageClassification:
    """CIFAR-10's shape, random content."""
    return random_image_task(SPEC, BATCH, 2000)


def network() -> nn.Module:
    """The network."""
    return build("enas-micro", SIZE, SPEC, generator(0, "benchmark")).train()


def ours(work: ImageClassification) -> Callable[[Hook], None]:
    """The project's loop."""
    model = network()
    replicates = Replicates([model], [0], default_batching(model, work.spec, work.device, 1))
    state = begin(replicates, work, CONFIG, 0)
    return lambda hook: train(state, work, CONFIG, 10**9, {}, hook)


def plain(work: ImageClassification, layout: torch.memory_format) -> Step:
    """A step of the loop that one would write by hand."""
    model = network().to(memory_format=layout)
    optimizer = torch.optim.SGD(
        model.parameters(), 0.05, momentum=0.9, nesterov=True, weight_decay=4e-4
    )
    images, labels = work.data.train.images, work.data.train.labels
    taken = 0

    def step() -> None:
        nonlocal taken
        index = torch.randint(len(labels), (BATCH,))
        set_noise(model, 0, taken, progress=0.5)
        logits, auxiliary = model(images[index].contiguous(memory_format=layout))
        loss = F.cross_entropy(logits, labels[index])
        loss = loss + 0.4 * F.cross_entropy(auxiliary, labels[index])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        taken += 1

    return step


def measure(steps: int) -> dict[str, object]:
    """Milliseconds per step of each, in turns."""
    keep_freed_memory()
    work = task()
    others = {
        "plain NCHW": plain(work, torch.contiguous_format),
        "plain channels-last": plain(work, torch.channels_last),
    }
    own, theirs = in_turns(ours(work), others, steps)
    times = {"ours": own, **theirs}
    each = {name: median(values) for name, values in times.items()}
    return {
        "machine": f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads",
        "torch": torch.__version__,
        "parameters": sum(parameter.numel() for parameter in network().parameters()),
        "milliseconds": {name: round(1e3 * value) for name, value in each.items()},
        "spread": {n: [round(1e3 * min(v)), round(1e3 * max(v))] for n, v in times.items()},
        "times_plain_NCHW": round(each["plain NCHW"] / each["ours"], 2),
        "times_plain_channels_last": round(each["plain channels-last"] / each["ours"], 2),
        "images_per_second": round(BATCH / each["ours"], 1),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--steps", type=int, default=8, help="timed steps of each")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    arguments = parser.parse_args()
    text = json.dumps(measure(arguments.steps), indent=1)
    print(text)
    if arguments.json is not None:
        write_file(arguments.json, f"{text}\n".encode())


if __name__ == "__main__":
    main()
