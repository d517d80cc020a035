"""A network from outside is tried on its task before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from training.errors import LotteryError
from training.replicates import Batching, Replicates, default_batching
from training.specs import ImageSpec, Spec
from training.tasks.task import Task

_OTHERS = "choose other data or another network"


def try_network(network: nn.Module, name: str, task: Task, batching: Batching | None) -> None:
    """Run one example through a network, and one step of training without its update.

    Args:
        network: on any device; is moved to the task's, and its buffers and gradients change.
        name: for messages.
        task: that it shall be trained on.
        batching: that it shall be trained with; None for the default.

    Raises:
        LotteryError: it fails, gives something else than logits, or draws from a global generator.
    """
    network.to(task.device).eval()
    with _told(f"{name} can't take {_words(task.spec)}", _OTHERS), torch.no_grad():
        output = _output(network, task.run_example)
    _check_output(output, name, task.spec)
    batching = batching or default_batching(network, task.spec, task.device, 1)
    replicates = Replicates([network], [0], batching).train()
    advice = _OTHERS if batching == "looped" else "try --batching looped"
    told = _told(f"{name} can't be trained {batching}", advice)
    with told, _no_global_draws(name, task.device):
        batch = task.batches([0])(0)
        losses, _ = replicates(task.loss, task.first_carry(replicates), *batch)
        losses.sum().backward()


def _output(network: nn.Module, run: Callable[[nn.Module], int]) -> Any:
    """What a network returned when it was last called."""
    outputs: list[Any] = []
    hook = network.register_forward_hook(lambda module, inputs, output: outputs.append(output))
    run(network)
    hook.remove()
    return outputs[-1]


@contextmanager
def _told(what: str, advice: str) -> Iterator[None]:
    """Make one sentence of whatever the user's code raises."""
    try:
        yield
    except (LotteryError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        text = " ".join(str(error).split())
        raise LotteryError(f"{what} ({type(error).__name__}: {text}); {advice}.") from error


@contextmanager
def _no_global_draws(name: str, device: torch.device) -> Iterator[None]:
    before = _generator_states(device)
    yield
    after = _generator_states(device)
    if not all(torch.equal(a, b) for a, b in zip(before, after, strict=True)):
        raise LotteryError(
            f"{name} draws from torch's global generator while it trains, so no run of it could be "
            "repeated; use torch.nn.Dropout or the modules of training.noise, which draw by seed "
            "and step."
        )


def _generator_states(device: torch.device) -> list[Tensor]:
    states = [torch.get_rng_state()]
    if device.type == "cuda":
        states.append(torch.cuda.get_rng_state(device))
    return states


def _check_output(output: Any, name: str, spec: Spec) -> None:
    if isinstance(spec, ImageSpec):
        logits = output[0] if isinstance(output, tuple) and output else output
        shape = f"[B, {spec.classes}]"
        fits = isinstance(logits, Tensor) and tuple(logits.shape) == (1, spec.classes)
    else:
        pair = isinstance(output, tuple) and len(output) == 2
        logits, shape = output[0] if pair else output, f"[T, B, {spec.vocabulary}] with a state"
        fits = pair and isinstance(logits, Tensor) and logits.shape[2:] == (spec.vocabulary,)
    if not fits or not logits.is_floating_point():
        raise LotteryError(
            f"{name} gives {_kind(output)} in evaluation mode, but the task needs logits {shape}; "
            "return these first, then any others as a tuple."
        )


def _kind(value: Any) -> str:
    if isinstance(value, Tensor):
        kind = "" if value.is_floating_point() else f" of {value.dtype}"
        return f"a tensor {list(value.shape)}{kind}"
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)}"
    return f"a {type(value).__name__}"


def _words(spec: Spec) -> str:
    if isinstance(spec, ImageSpec):
        return f"images of {spec.channels} x {spec.height} x {spec.width}"
    return f"text of {spec.vocabulary:,} words"
