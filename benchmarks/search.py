"""A training step with shared weights against the same architecture's step alone, in each search space.

    python benchmarks/search.py [--steps 40] [--json FILE]

Every architecture, of a few that are drawn at random, takes a step with the shared weights and then one as the
stand-alone network, with the same batch, clipping and optimizer; the ratio is the median over these pairs, so that it
holds on any machine. Apart from it stands an update of ENAS's controller with as many samples as published: what the
controller itself takes, and what scoring the samples on a minibatch each does. Run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.convolutional.cells import CellNetwork
from nas.convolutional.layers import LayerNetwork
from nas.genotypes.values import Genotype
from nas.recurrent.searched_language_model import searched_language_model
from nas.search.cell_space import CellSpace
from nas.search.controller_config import CONTROLLERS
from nas.search.enas import Enas
from nas.search.layer_space import LayerSpace
from nas.search.recurrent_space import RecurrentSpace
from nas.search.shared import SharedNetwork, shared_network
from nas.search.space import Choices, Space, random_choices
from training.device import keep_freed_memory
from training.dropout import set_noise
from training.noise import generator
from training.specs import ImageSpec, Spec, TextSpec
from training.storage import write_file

ARCHITECTURES = 4
BPTT = 35
MOST = 1.15
Step = Callable[[], None]
# From a network to its loss on one batch.
Loss = Callable[[Callable[..., Any]], Tensor]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A space at a size.

    Attributes:
        name: what is printed.
        space: of the architectures.
        spec: of the data.
        sizes: of the networks.
        batch: images or sequences.
    """

    name: str
    space: Space
    spec: Spec
    sizes: dict[str, Any]
    batch: int


def images(side: int) -> ImageSpec:
    """Ten classes of coloured images."""
    return ImageSpec(channels=3, height=side, width=side, classes=10)


def cells(channels: int, normal_cells: int) -> dict[str, Any]:
    """Sizes of a network of cells."""
    own = {"channels": channels, "normal_cells": normal_cells, "reductions": 2, "auxiliary": 1}
    return {**own, "dropout": 0.1, "drop_path": 0.0}


def text(hidden: int) -> dict[str, Any]:
    """Sizes of a language model, with the dropouts of enas_lm's search (src/child.py)."""
    return {
        "hidden": hidden,
        "dropout_embedding": 0.1,
        "dropout_input": 0.2,
        "dropout_cell_input": 0.75,
        "dropout_cell_state": 0.25,
        "dropout_output": 0.75,
    }


def layers(channels: int) -> dict[str, Any]:
    """Sizes of a layerwise network."""
    return {"channels": channels, "dropout": 0.1}


CASES = (
    Case(name="cells, small", space=CellSpace(), spec=images(8), sizes=cells(4, 1), batch=32),
    Case(name="cells, C = 20", space=CellSpace(), spec=images(32), sizes=cells(20, 2), batch=32),
    Case(name="layers, small", space=LayerSpace(), spec=images(8), sizes=layers(4), batch=32),
    Case(name="layers, C = 20", space=LayerSpace(), spec=images(32), sizes=layers(20), batch=32),
    Case(
        name="recurrent, small",
        space=RecurrentSpace(nodes=6),
        spec=TextSpec(vocabulary=200),
        sizes=text(32),
        batch=16,
    ),
    Case(
        name="recurrent, H = 200",
        space=RecurrentSpace(),
        spec=TextSpec(vocabulary=10_000),
        sizes=text(200),
        batch=64,
    ),
)


def alone(case: Case, genotype: Genotype) -> nn.Module:
    """The network that an architecture is retrained as."""
    builders: dict[type, Callable[..., nn.Module]] = {
        CellSpace: lambda spec, **sizes: CellNetwork(spec, wiring="enas", **sizes),
        LayerSpace: lambda spec, **sizes: LayerNetwork(spec, separable=True, **sizes),
        RecurrentSpace: searched_language_model,
    }
    network = builders[type(case.space)](case.spec, genotype=genotype, **case.sizes)
    return network.to(memory_format=torch.channels_last)


def image_loss(case: Case, shared: SharedNetwork) -> Loss:
    """The loss of a network on a random batch of images."""
    spec: Any = case.spec
    inputs = torch.randn(case.batch, spec.channels, spec.height, spec.width)
    labels = torch.randint(spec.classes, (case.batch,))

    def loss(network: Callable[..., Any]) -> Tensor:
        outputs = network(inputs)
        if isinstance(outputs, Tensor):
            return F.cross_entropy(outputs, labels)
        logits, auxiliary = outputs
        return F.cross_entropy(logits, labels) + 0.4 * F.cross_entropy(auxiliary, labels)

    return loss


def text_loss(case: Case, shared: SharedNetwork) -> Loss:
    """The loss of a network on a random window of text."""
    tokens = torch.randint(case.spec.outputs, (BPTT + 1, case.batch))
    state = shared.initial_state(case.batch)
    return lambda network: F.cross_entropy(
        network(tokens[:-1], state).logits.flatten(0, 1), tokens[1:].flatten()
    )


LOSSES = {ImageSpec.kind: image_loss, TextSpec.kind: text_loss}


def step_of(module: nn.Module, drawing: nn.Module, loss: Callable[[], Tensor]) -> Step:
    """A step of SGD with momentum and clipping, and with the noise of what draws."""
    optimizer = torch.optim.SGD(module.parameters(), 0.01, momentum=0.9, weight_decay=1e-4)
    parameters = [*module.parameters()]

    def step() -> None:
        set_noise(drawing, 0, 0)
        optimizer.zero_grad()
        loss().backward()
        nn.utils.clip_grad_norm_(parameters, 5.0)
        optimizer.step()

    return step


def pairs_of(case: Case, shared: SharedNetwork) -> list[tuple[Step, Step]]:
    """Of each architecture, a step with shared weights and one alone."""
    loss = LOSSES[case.spec.kind](case, shared)
    draws = Random(0)
    chosen = case.space.genotype(random_choices(case.space, draws))
    step = step_of(shared, shared.drawing(), lambda: loss(lambda *inputs: shared(chosen, *inputs)))

    def with_shared(genotype: Genotype) -> Step:
        def run() -> None:
            nonlocal chosen
            chosen = genotype
            step()

        return run

    def by_itself(genotype: Genotype) -> Step:
        network = alone(case, genotype)
        return step_of(network, network, lambda: loss(network))

    genotypes = [
        case.space.genotype(random_choices(case.space, draws)) for _ in range(ARCHITECTURES)
    ]
    return [(with_shared(genotype), by_itself(genotype)) for genotype in genotypes]


def controller_update(case: Case, shared: SharedNetwork) -> dict[str, float]:
    """Milliseconds of an update of ENAS's controller: its own, and of scoring its samples; the least of three."""
    settings = dataclasses.replace(CONTROLLERS[case.space.name], updates=1)
    strategy = Enas(case.space, settings, 0)
    loss = LOSSES[case.spec.kind](case, shared)
    shared.eval()
    scoring: list[float] = []
    whole: list[float] = []

    @torch.no_grad()
    def evaluate(architectures: Sequence[Choices]) -> list[float]:
        began = time.perf_counter()
        for choices in architectures:
            loss(partial(shared, case.space.genotype(choices)))
        scoring.append(time.perf_counter() - began)
        return [0.5] * len(architectures)

    for epoch in range(4):
        began = time.perf_counter()
        strategy.after_epoch(epoch, evaluate)
        whole.append(time.perf_counter() - began)
    # The first of each finds nothing in any cache.
    least = min(whole[1:]), min(scoring[1:])
    return {
        "samples": settings.samples,
        "controller": round(1e3 * (least[0] - least[1]), 1),
        "scoring": round(1e3 * least[1], 1),
    }


def measure(case: Case, steps: int) -> dict[str, object]:
    """Milliseconds per step of both, in turns, the median of their ratios, and the controller's update."""
    shared = shared_network(case.space, case.sizes, case.spec, generator(0, "benchmark"))
    pairs = pairs_of(case, shared)
    times: list[tuple[float, float]] = []
    for turn in range(-ARCHITECTURES, steps):
        began = time.perf_counter()
        pairs[turn % ARCHITECTURES][0]()
        between = time.perf_counter()
        pairs[turn % ARCHITECTURES][1]()
        if turn >= 0:
            times.append((between - began, time.perf_counter() - between))
    ratios = sorted(shared / single for shared, single in times)
    return {
        "shared": round(1e3 * median(shared for shared, _ in times), 1),
        "alone": round(1e3 * median(single for _, single in times), 1),
        "ratio": round(median(ratios), 3),
        "ratio_quartiles": [round(ratios[len(ratios) * k // 4], 2) for k in (1, 3)],
        "controller_update": controller_update(case, shared),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--steps", type=int, default=40, help="timed pairs of each case")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    arguments = parser.parse_args()
    keep_freed_memory()
    machine = f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads"
    result: dict[str, Any] = {"machine": machine, "torch": torch.__version__, "at_most": MOST}
    for case in CASES:
        result[case.name] = measure(case, arguments.steps)
        print(f"{case.name}: {result[case.name]}", flush=True)
    if arguments.json:
        write_file(arguments.json, (json.dumps(result, indent=2) + "\n").encode())


if __name__ == "__main__":
    main()
