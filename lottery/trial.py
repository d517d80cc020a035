"""A network from outside is tried on its task before anything is written."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from training.errors import LotteryError, in_one_line
from training.replicates import Batching, Replicates, default_batching
from training.specs import ImageSpec, Spec
from training.tasks.parts import cut
from training.tasks.task import Carry, Network, Task

_OTHERS = "choose other data or another network"
_OURS = (
    "use torch.nn.Dropout or the modules of training.noise, which draw by seed and step, and "
    "torch's initial weights"
)


def try_network(
    network: nn.Module,
    again: nn.Module,
    name: str,
    task: Task,
    batching: Batching | None,
    accumulation: int = 1,
) -> None:
    """Run one example through a network, and one step of training without its update, twice.

    Args:
        network: on any device; is moved to the task's, and its buffers change.
        again: the same, built anew from the same seed.
        name: for messages.
        task: that it shall be trained on.
        batching: that it shall be trained with; None for the default.
        accumulation: in how many parts a batch is trained, of which one is tried.

    Raises:
        LotteryError: it fails, gives something else than logits, or does not repeat.
    """
    _check_alike(network, again, name)
    batching = batching or default_batching(network, task.spec, task.device, 1)
    one, other = (
        _first_loss(built, name, task, batching, accumulation) for built in (network, again)
    )
    # Not to the last bit: some of CUDA's sums are in no fixed order.
    if not torch.allclose(one, other, equal_nan=True):
        raise LotteryError(
            f"{name} does not repeat: with the same weights it has the losses {one.item():.6g} and "
            f"{other.item():.6g} at the same step; {_OURS}."
        )


def _first_loss(
    network: nn.Module, name: str, task: Task, batching: Batching, accumulation: int
) -> Tensor:
    """The loss `[1]` of a network's first step, after one example was run through it."""
    network.to(task.device).eval()
    with _one_sentence(f"{name} can't take {_words(task.spec)}", _OTHERS), torch.no_grad():
        output = _output(network, task.run_example)
    _check_output(output, name, task.spec, "in evaluation mode")
    advice = _OTHERS if batching == "looped" else "try --batching looped"
    told = _one_sentence(f"{name} can't be trained {batching}", advice)
    with told, _no_global_draws(name, task.device):
        return _step(network, name, task, batching, accumulation)


def _step(
    network: nn.Module, name: str, task: Task, batching: Batching, accumulation: int
) -> Tensor:
    """The loss `[1]` of a network's first step, after it was propagated back."""

    def loss(called: Network, carry: Carry, *batch: Tensor) -> tuple[Tensor, Carry]:
        def watched(*inputs: Any) -> Any:
            output = called(*inputs)
            _check_output(output, name, task.spec, "while it trains", inputs[0])
            return output

        return task.loss(watched, carry, *batch)

    replicates = Replicates([network], [0], batching).train()
    replicates.advance(torch.zeros((), dtype=torch.int32, device=task.device))
    carry, batch = task.first_carry(replicates), task.batches([0])(0)
    carry, batch = cut(carry, batch, task.example_dimension, accumulation)[0]
    losses: Tensor = replicates(loss, carry, *batch)[0]
    losses.sum().backward()
    return losses.detach()


def _check_alike(network: nn.Module, again: nn.Module, name: str) -> None:
    one, other = network.state_dict(), again.state_dict()
    differ = [
        key
        for key in [*one, *other]
        if key not in one or key not in other or not _equal(one[key], other[key])
    ]
    if differ:
        raise LotteryError(
            f"{name} does not repeat: built twice from one seed, it differs in {differ[0]}; {_OURS}."
        )


def _equal(one: object, other: object) -> bool:
    """Whether two entries of a state dict are the same; what is no tensor is not compared."""
    if not isinstance(one, Tensor) or not isinstance(other, Tensor):
        return type(one) is type(other)
    return torch.equal(one, other)


def _output(network: nn.Module, run: Callable[[nn.Module], int]) -> Any:
    """What a network returned when it was last called."""
    outputs: list[Any] = []
    hook = network.register_forward_hook(lambda module, inputs, output: outputs.append(output))
    run(network)
    hook.remove()
    return outputs[-1]


@contextmanager
def _one_sentence(what: str, advice: str) -> Iterator[None]:
    """Make one sentence of whatever the user's code raises."""
    try:
        yield
    except (LotteryError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        raise LotteryError(f"{what} ({in_one_line(error)}); {advice}.") from error


@contextmanager
def _no_global_draws(name: str, device: torch.device) -> Iterator[None]:
    before = _generator_states(device)
    yield
    after = _generator_states(device)
    for whose in before:
        if before[whose] != after[whose]:
            raise LotteryError(
                f"{name} draws from {whose} global generator while it trains, so no run of it could "
                f"be repeated; {_OURS}."
            )


def _generator_states(device: torch.device) -> dict[str, object]:
    """Whose global generator -> its state, as a value that can be compared."""
    cuda = torch.cuda.get_rng_state(device).tolist() if device.type == "cuda" else []
    kind, key, *rest = np.random.get_state(legacy=True)
    return {
        "torch's": (torch.get_rng_state().tolist(), cuda),
        "numpy's": (kind, np.asarray(key).tolist(), rest),
        "Python's": random.getstate(),
    }


def _check_output(
    output: Any, name: str, spec: Spec, when: str, inputs: Tensor | None = None
) -> None:
    """Refuse what is no logits for the inputs, one example by default, and what is no auxiliary classifier."""
    if isinstance(spec, ImageSpec):
        logits, *others = output if isinstance(output, tuple) and output else (output,)
        shape = f"[B, {spec.classes}]"
        expected = (1 if inputs is None else len(inputs), spec.classes)
        fits = isinstance(logits, Tensor) and tuple(logits.shape) == expected
    else:
        pair = isinstance(output, tuple) and len(output) >= 2
        logits, others = output[0] if pair else output, []
        shape = f"[T, B, {spec.vocabulary}] with a state"
        fits = pair and isinstance(logits, Tensor) and logits.shape[2:] == (spec.vocabulary,)
    if not fits or not logits.is_floating_point():
        raise LotteryError(
            f"{name} gives {_kind(output)} {when}, but the task needs logits {shape}; "
            "return these first, then any others as a tuple."
        )
    for other in others if inputs is not None else []:
        if not _is_like(other, logits):
            raise LotteryError(
                f"{name} gives {_kind(other)} after its logits {when}, but further outputs are "
                f"auxiliary classifiers, each logits {shape}; return anything else only in "
                "evaluation mode."
            )


def _is_like(value: object, logits: Tensor) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point() and value.shape == logits.shape


def _kind(value: Any) -> str:
    if isinstance(value, Tensor):
        kind = "" if value.is_floating_point() else f" of {value.dtype}"
        return f"a tensor {list(value.shape)}{kind}"
    if isinstance(value, tuple | list):
        parts = ", ".join(_kind(part) for part in value[:4])
        return f"a {type(value).__name__} of {len(value)} ({parts})"
    return f"a {type(value).__name__}"


def _words(spec: Spec) -> str:
    if isinstance(spec, ImageSpec):
        return f"images of {spec.channels} x {spec.height} x {spec.width}"
    return f"text of {spec.vocabulary:,} words"
