"""Losses that keep to the memory they need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

# Below this many classes a row is so short that going through the rows by hand costs more than it saves.
_FEW = 256
# Rows of logits that fit into the cache together at a vocabulary of some thousand.
_ROWS = 128


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """The cross-entropy of each row, in fp32: `[N]` from logits `[N, V]` and targets `[N]`.

    The same as torch's with `reduction="none"`, but it goes through the rows a few at a time: besides the logits only
    their gradient is ever whole in memory, both in the logits' own precision where that is less than fp32. Under `vmap`
    the replicates' rows are taken together.
    """
    if logits.dtype == torch.float64 or logits.shape[1] <= _FEW:
        logits = logits.float()
    if logits.shape[1] <= _FEW:
        return logits.logsumexp(1) - logits.gather(1, targets[:, None])[:, 0]
    losses: Tensor = _CrossEntropy.apply(logits, targets)
    return losses


def _rows(logits: Tensor) -> int:
    """How many rows to take at a time: on CUDA all, where starting many small kernels would cost more."""
    return _ROWS if logits.device.type == "cpu" else max(1, len(logits))


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(logits: Tensor, targets: Tensor) -> Tensor:
        log_sums = torch.cat([rows.float().logsumexp(1) for rows in logits.split(_rows(logits))])
        return log_sums - logits.gather(1, targets[:, None])[:, 0]

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        logits, targets = inputs
        ctx.save_for_backward(logits, targets, output)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        logits, targets, losses = ctx.saved_tensors
        grad, labels = grads[0][:, None], targets[:, None]
        log_sums = losses[:, None] + logits.gather(1, labels)
        into_logits = torch.empty_like(logits)
        by_row = (logits, log_sums, labels, grad, into_logits)
        pieces = (tensor.split(_rows(logits)) for tensor in by_row)
        for rows, sums, own, scale, out in zip(*pieces, strict=True):
            into = out if out.dtype == torch.float32 else torch.empty_like(out, dtype=torch.float32)
            torch.sub(rows, sums, out=into).exp_().mul_(scale)
            into.scatter_add_(1, own, -scale)
            if into is not out:
                out.copy_(into)
        return into_logits, None

    @staticmethod
    def vmap(info: Any, dims: Sequence[int | None], logits: Tensor, targets: Tensor) -> Any:
        count = info.batch_size
        rows, labels = (
            (t.expand(count, *t.shape) if d is None else t.movedim(d, 0)).flatten(0, 1)
            for t, d in zip((logits, targets), dims, strict=True)
        )
        losses = _CrossEntropy.apply(rows, labels)
        return losses.view(count, -1), 0
