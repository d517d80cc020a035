"""The complete state of a training, as bytes and back; no pickle."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from training.errors import shown
from training.network_tensors import copy_tensors
from training.optimizers import load_optimizer_state, optimizer_state
from training.state import TrainingState, Validation
from training.storage import damaged

_STATE = "state"
# The facts that are lists of one for each replicate.
_OF_EACH_REPLICATE = (
    *("best_loss", "best_step", "diverged_at"),
    *("averaged_since", "logged", "finished_at"),
)
# The one name that no tensor of a safetensors file can have.
RESERVED = "__metadata__"


def tensors_to_bytes(
    tensors: Mapping[str, Tensor], metadata: Mapping[str, Any] | None = None
) -> bytes:
    """Tensors by name, and metadata as JSON beside them."""
    copies = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    return save(copies, {_STATE: json.dumps(metadata or {}, sort_keys=True)})


def tensors_from_bytes(data: bytes, path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What `tensors_to_bytes` wrote.

    Raises:
        LotteryError: the bytes are damaged; `path` is named.
    """
    try:
        tensors = load(data)
        length = int.from_bytes(data[:8], "little")
        metadata = json.loads(json.loads(data[8 : 8 + length])[RESERVED][_STATE])
    except (SafetensorError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise damaged(path, f"it is not a file of tensors ({error})") from None
    if not isinstance(metadata, dict):
        raise damaged(path, f"it holds {shown(metadata)} where metadata by name should be")
    return tensors, metadata


def checkpoint_to_bytes(state: TrainingState) -> bytes:
    """Weights, buffers, best weights, optimizer, averages, carry, step, divergence and every validation so far."""
    optimizer = optimizer_state(state.optimizer, state.replicates)
    tensors = {f"now/{name}": tensor for name, tensor in state.replicates.tensors().items()}
    tensors |= {f"best/{name}": tensor for name, tensor in state.best.items()}
    tensors |= {f"mean/{name}": tensor for name, tensor in state.averages.means.items()}
    tensors |= {f"optimizer/{name}": tensor for name, tensor in optimizer.items()}
    tensors |= {f"carry/{i}": tensor for i, tensor in enumerate(_leaves(state.carry))}
    if state.recent:
        tensors["recent"] = torch.stack(state.recent)
    metadata = {
        "step": state.step,
        "best_loss": [loss if loss < float("inf") else None for loss in state.best_loss],
        "best_step": state.best_step,
        "diverged_at": state.diverged_at,
        "validations": [asdict(one) for one in state.validations],
        "averaged_since": state.averages.since,
        "logged": state.averages.logged,
        "finished_at": state.averages.finished_at,
    }
    return tensors_to_bytes(tensors, metadata)


def restore_checkpoint(state: TrainingState, data: bytes, path: Path) -> None:
    """Put a fresh state where the one that was written stood.

    Raises:
        LotteryError: the bytes are damaged or of another network; `path` is named.
    """
    tensors, metadata = tensors_from_bytes(data, path)
    groups: dict[str, dict[str, Tensor]] = {
        group: {} for group in ("now", "best", "mean", "optimizer", "carry")
    }
    try:
        for key, tensor in tensors.items():
            group, _, name = key.partition("/")
            if name:
                groups[group][name] = tensor
        state.replicates.load(groups["now"])
        copy_tensors(state.best, groups["best"])
        copy_tensors(state.averages.means, groups["mean"])
        load_optimizer_state(state.optimizer, state.replicates, groups["optimizer"])
        device = next(iter(state.best.values())).device
        carried = (groups["carry"][str(i)].to(device) for i in range(len(groups["carry"])))
        state.carry = _fill(state.carry, carried)
        recent = tensors["recent"].to(device).unbind(0) if "recent" in tensors else ()
        state.recent = list(recent)
        state.step = metadata["step"]
        state.best_loss = [float("inf") if x is None else x for x in metadata["best_loss"]]
        state.best_step = metadata["best_step"]
        state.diverged_at = metadata["diverged_at"]
        state.averages.since = metadata["averaged_since"]
        state.averages.logged = metadata["logged"]
        state.averages.finished_at = metadata["finished_at"]
        state.validations = [
            Validation(step=x["step"], loss=tuple(x["loss"]), metric=tuple(x["metric"]))
            for x in metadata["validations"]
        ]
    except (LookupError, TypeError, ValueError, RuntimeError, StopIteration) as error:
        raise damaged(path, f"it is no checkpoint of this network ({error})") from None


def rows_of_checkpoint(data: bytes, path: Path, rows: range) -> tuple[int, bytes]:
    """Some replicates' part of a checkpoint, as if they had been trained without the others; and its step.

    Args:
        data: what `checkpoint_to_bytes` gave.
        path: that it was read from.
        rows: which replicates.

    Raises:
        LotteryError: the bytes are damaged; `path` is named.
    """
    tensors, facts = tensors_from_bytes(data, path)
    inside = slice(rows.start, rows.stop)
    # Adam's count of steps is no replicate's own, and of the losses since the last validation each has a column.
    part = {key: tensor[inside] if tensor.dim() else tensor for key, tensor in tensors.items()}
    if "recent" in tensors:
        part["recent"] = tensors["recent"][:, inside]
    own = {key: value[inside] for key, value in facts.items() if key in _OF_EACH_REPLICATE}
    own["validations"] = [
        {**one, "loss": one["loss"][inside], "metric": one["metric"][inside]}
        for one in facts["validations"]
    ]
    return facts["step"], tensors_to_bytes(part, {**facts, **own})


def _leaves(value: Any) -> Iterator[Tensor]:
    if isinstance(value, tuple):
        for item in value:
            yield from _leaves(item)
    else:
        yield value


def _fill(shape: Any, leaves: Iterator[Tensor]) -> Any:
    if isinstance(shape, tuple):
        return tuple(_fill(item, leaves) for item in shape)
    return next(leaves)
