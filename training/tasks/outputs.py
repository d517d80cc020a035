"""What a network must give, checked in every dimension, and what it gave instead, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from training.errors import LotteryError


def classifiers(output: Any, images: Tensor, classes: int, *, training: bool) -> tuple[Tensor, ...]:
    """The logits `[B, classes]` of a network's classifiers, the one that counts first.

    Args:
        output: what the network gave for the images: logits, or a tuple that begins with them. While it trains, further
            ones are those of auxiliary classifiers; else they are left out.
        images: `[B, C, H, W]`.
        classes: how many.
        training: whether it trains.

    Raises:
        LotteryError: it gave something else.
    """
    logits, *others = output if isinstance(output, tuple) and output else (output,)
    wanted = f"[B, {classes}]"
    if not _is_floats(logits, (len(images), classes)):
        raise LotteryError(
            f"The network gives {in_words(output)} {_when(training)} for {len(images)} images, but the "
            f"task needs logits {wanted}; return these, or a tuple that begins with them."
        )
    if not training:
        return (logits,)
    for other in others:
        if not _is_floats(other, tuple(logits.shape)):
            raise LotteryError(
                f"The network gives {in_words(other)} after its logits while it trains, but further "
                f"outputs are auxiliary classifiers, each logits {wanted}; return anything else only "
                "in evaluation mode."
            )
    return (logits, *others)


def check_words(
    output: Any, tokens: Tensor, state: Any, vocabulary: int, *, training: bool
) -> None:
    """Check what a language model gave: (logits `[T, B, V]`, a state like the one before, ...).

    Args:
        output: what the network gave.
        tokens: `[T, B]` that it was given.
        state: that it was given.
        vocabulary: V.
        training: whether it trains.

    Raises:
        LotteryError: it gave something else.
    """
    length, columns = tokens.shape
    is_pair = isinstance(output, tuple) and len(output) >= 2
    if not is_pair or not _is_floats(output[0], (length, columns, vocabulary)):
        raise LotteryError(
            f"The network gives {in_words(output)} {_when(training)} for tokens [T, B] = [{length}, "
            f"{columns}], but the task needs logits [T, B, {vocabulary}] with a state; return these "
            "first, then any others as a tuple."
        )
    if _form(output[1]) != _form(state):
        raise LotteryError(
            f"The network gives {in_words(output[1])} as the state after a window, but it was given "
            f"{in_words(state)}; return the like of it, which the next window begins with."
        )


def in_words(value: Any) -> str:
    """What a network returned, such as "a dict of 2 (logits: a tensor [1, 10], ...)"."""
    if isinstance(value, Tensor):
        kind = "" if value.is_floating_point() else f" of {value.dtype}"
        return f"a tensor {list(value.shape)}{kind}"
    kind = f"a {type(value).__name__}"
    if isinstance(value, Mapping):
        return (
            f"{kind} of {len(value)} ({_listed(f'{k}: {in_words(v)}' for k, v in value.items())})"
        )
    if isinstance(value, tuple | list):
        return f"{kind} of {len(value)} ({_listed(map(in_words, value))})"
    return kind


def _listed(parts: Any, most: int = 4) -> str:
    texts = [*parts]
    return ", ".join([*texts[:most], *(["..."] if len(texts) > most else [])])


def _is_floats(value: Any, shape: tuple[int, ...]) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point() and tuple(value.shape) == shape


def _form(state: Any) -> Any:
    """Tuples of shapes."""
    if isinstance(state, tuple):
        return tuple(map(_form, state))
    return list(state.shape) if isinstance(state, Tensor) else type(state)


def _when(training: bool) -> str:
    return "while it trains" if training else "in evaluation mode"
