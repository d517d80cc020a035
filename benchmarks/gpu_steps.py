"""Training steps of a network, this project's and those of plain PyTorch, at the pace of a clock."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import torch
import torch.nn.functional as F
from gpu_clock import Clock, EnoughError
from gpu_networks import Case
from plain_language import plain_model
from random_tasks import random_image_task, random_text_task
from torch import Tensor, nn

from nas.catalog.building import build
from training.batching import Batching
from training.configs import TrainingConfig
from training.graphs import GRAPH, NO_GRAPH
from training.loop import begin, train
from training.noise import generator
from training.optimizers import make_optimizer
from training.replay import NO_REPLAY, REPLAY
from training.replicates import Replicates
from training.specs import ImageSpec, TextSpec
from training.steps import Steps
from training.tasks.task import Task

# How steps are taken -> what `train` is told. The last is the fastest.
MODES: dict[str, dict[str, Any]] = {
    "called": {"replay": NO_REPLAY, "graph": NO_GRAPH},
    "replayed": {"replay": REPLAY, "graph": NO_GRAPH},
    "graph": {"replay": REPLAY, "graph": GRAPH},
}
# So many steps that no look at the validation split, and no end, comes while it is timed.
ENDLESS = 10**9


def _image_task(case: Case, device: torch.device) -> Task:
    spec: Any = case.spec
    return random_image_task(spec, case.batch, case.images, device=device)


def _text_task(case: Case, device: torch.device) -> Task:
    spec: Any = case.spec
    return random_text_task(spec, case.batch, case.window, case.windows, device)


TASKS: Mapping[str, Callable[[Case, torch.device], Task]] = {
    ImageSpec.kind: _image_task,
    TextSpec.kind: _text_task,
}


def task_of(case: Case, device: torch.device) -> Task:
    """Random data of the case's shapes on a device."""
    return TASKS[case.spec.kind](case, device)


def config_of(case: Case, precision: Any) -> TrainingConfig:
    """How a case is trained, without end."""
    return TrainingConfig(
        steps=Steps(iterations=ENDLESS),
        batch_size=case.batch,
        eval_every=Steps(iterations=ENDLESS),
        optimizer=case.optimizer,
        precision=precision,
    )


def network_of(case: Case, device: torch.device) -> nn.Module:
    """The network with initial weights."""
    return build(case.network, case.sizes, case.spec, generator(0, "benchmark")).to(device)


def half_masks(network: nn.Module) -> dict[str, Tensor]:
    """A mask that keeps about half of each matrix and kernel."""
    return {n: torch.rand_like(p) < 0.5 for n, p in network.named_parameters() if p.dim() > 1}


def train_by(
    clock: Callable[[object], None],
    case: Case,
    count: int,
    batching: Batching,
    precision: str,
    mode: str,
    device: torch.device,
) -> str:
    """This project's loop, until the clock, which is called after every step, has had enough.

    Returns:
        Why there were no graphs, where a capture failed, else nothing.
    """
    task, config = task_of(case, device), config_of(case, precision)
    network = network_of(case, device)
    replicates = Replicates([network] * count, range(count), batching)
    masks = {}
    if case.masked:
        masks = {name: torch.stack([m] * count) for name, m in half_masks(network).items()}
        pruned = {n: t * masks[n] if n in masks else t for n, t in replicates.tensors().items()}
        replicates.load(pruned)
    state = begin(replicates, task, config, 0)
    told: list[str] = []
    way = MODES[mode]
    graph = dataclasses.replace(way["graph"], told=told.append)
    with suppress(EnoughError):
        train(state, task, config, ENDLESS, masks, clock, replay=way["replay"], graph=graph)
    return "".join(told)


def plain_steps(clock: Clock, case: Case, precision: str, device: torch.device) -> None:
    """The loop that one would write by hand for one network, with torch's default layout and the same optimizer."""
    model, loss_of = PLAIN[case.spec.kind](case, device)
    masks = half_masks(model) if case.masked else {}
    masked = [(p, masks[n].float()) for n, p in model.named_parameters() if n in masks]
    optimizer = make_optimizer(case.optimizer, model.parameters())
    with suppress(EnoughError):
        while True:
            optimizer.zero_grad()
            with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
                loss = loss_of()
            loss.backward()
            for parameter, mask in masked:
                if parameter.grad is not None:
                    parameter.grad.mul_(mask)
            if case.optimizer.clip_norm is not None:
                nn.utils.clip_grad_norm_(model.parameters(), case.optimizer.clip_norm)
            optimizer.step()
            clock(None)


Plain = tuple[nn.Module, Callable[[], Tensor]]


def _plain_images(case: Case, device: torch.device) -> Plain:
    """The project's own module by itself; what it draws is the same at every step, so that drawing costs it least."""
    model = network_of(case, device).to(memory_format=torch.contiguous_format).train()
    data: Any = task_of(case, device).data
    images, labels = data.train.images, data.train.labels

    def loss_of() -> Tensor:
        index = torch.randint(len(labels), (case.batch,), device=device)
        outputs, chosen = model(images[index]), labels[index]
        logits, *others = outputs if isinstance(outputs, tuple) else (outputs,)
        loss = F.cross_entropy(logits, chosen)
        for auxiliary in others:
            loss = loss + 0.4 * F.cross_entropy(auxiliary, chosen)
        return loss

    return model, loss_of


def _plain_text(case: Case, device: torch.device) -> Plain:
    """The LSTM of torch, or a loop over time that autograd differentiates."""
    words = case.spec.outputs
    model = plain_model(case.network, words, case.widths).to(device)
    text = torch.randint(words, (case.window + 1, case.batch), device=device)
    state = model.first_state(case.batch)

    def loss_of() -> Tensor:
        nonlocal state
        logits, after = model(text[:-1], state)
        state = [tuple(tensor.detach() for tensor in own) for own in after]
        return F.cross_entropy(logits.flatten(0, 1), text[1:].flatten())

    return model, loss_of


PLAIN: Mapping[str, Callable[[Case, torch.device], Plain]] = {
    ImageSpec.kind: _plain_images,
    TextSpec.kind: _plain_text,
}
