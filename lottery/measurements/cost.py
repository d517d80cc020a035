"""What a ticket costs: multiply-adds, bytes and milliseconds of its dense, masked, compacted and sparse forms."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lottery.forward_pass import effective, trace
from lottery.identity import ReplicateId
from lottery.levels import read_masks
from lottery.measurements.compaction import compacted
from lottery.measurements.latency import Latency, latencies, speed_up, with_threads
from lottery.measurements.measuring import Measurement, TrainedLevel, tell
from lottery.pruning.masks import Mask, Tensors, tensors_of
from lottery.readings import Reading
from lottery.session import Session, new_network
from lottery.ticket_files import MASKS, masks_to_tensor
from training.checkpoints import tensors_to_bytes
from training.errors import LotteryError, require
from training.network_tensors import copied
from training.specs import ImageSpec

# (form, metric, value)
Row = tuple[str, str, float | None]


@dataclass(frozen=True, kw_only=True)
class CostSettings:
    """How latency is timed.

    Attributes:
        batch: images in each.
        repeats: timed forward passes of each form, the forms in turn.
    """

    batch: int = 1
    repeats: int = 101

    def __post_init__(self) -> None:
        require(self.batch >= 1, "batch", self.batch, "1 or more")
        # With fewer no two of them enclose the median in 95 of 100 cases.
        require(self.repeats >= 6, "repeats", self.repeats, "6 or more")


def check(session: Session, settings: CostSettings) -> None:
    """Refuse text, of which a forward pass carries a state on."""
    if session.task.spec.kind != ImageSpec.kind:
        raise LotteryError(
            f"The measurement cost times networks for images, and {session.experiment.network.name} is for "
            f"{session.task.spec.kind}; lottery show gives its multiply-adds and bytes."
        )


def measure(session: Session, trained: TrainedLevel, settings: CostSettings) -> list[Reading]:
    """Multiply-adds, bytes and latency of every network of a level that did not diverge.

    Raises:
        LotteryError: stopped on request.
    """
    masks: dict[ReplicateId, Mask] = {}
    for files in session.run.finished(trained.level):
        masks |= read_masks(files)
    example = _images(session, max(2, settings.batch))
    readings, problems = list[Reading](), set[str]()
    for one, tensors in trained.tensors.items():
        rows = list[Row]([("masked", "multiply-adds", None)])
        if one not in trained.diverged:
            mask, network = masks[one], _with(session, tensors)
            forms, problem = _forms(session, one, network, mask, example)
            problems |= {problem} - {""}
            rows = [*_sizes(session, forms, mask)]
            rows += _latencies(session, forms, example[: settings.batch], settings.repeats)
        for other, metric, value in rows:
            readings.append(
                Reading(
                    level=trained.level,
                    arm=one.arm,
                    seed=one.seed,
                    copy=one.copy,
                    other=other,
                    at="end",
                    metric=metric,
                    x=None,
                    value=value,
                )
            )
        tell(session, 1)
    for problem in sorted(problems):
        session.watcher.notice(problem)
    return readings


def _forms(
    session: Session, one: ReplicateId, network: nn.Module, mask: Mask, example: Tensor
) -> tuple[dict[str, nn.Module], str]:
    """The forms of a network, whose pruned weights are 0, and why it can't be compacted, or ""."""
    dense = new_network(session, one.seed).to(session.task.device)
    forms, problem = {"dense": dense, "masked": network}, ""
    try:
        forms["compacted"] = compacted(network, mask, example)
    except LotteryError as error:
        problem = str(error)
    if session.task.device.type == "cpu" and (sparse := with_sparse_layers(network, mask)):
        forms["sparse"] = sparse
    return forms, problem


def _sizes(session: Session, forms: Mapping[str, nn.Module], mask: Mask) -> Iterator[Row]:
    """Multiply-adds of an image, and bytes on disk."""
    density = {name: int(m.sum()) / m.numel() for name, m in mask.items()}
    counts = session.forward_pass.multiply_adds
    yield "dense", "multiply-adds", sum(counts.values())
    yield "masked", "multiply-adds", effective(counts, density)
    yield "dense", "bytes", len(tensors_to_bytes(tensors_of(forms["dense"])))
    yield "masked", "bytes", len(sparse_bytes(tensors_of(forms["masked"]), mask))
    if smaller := forms.get("compacted"):
        done = trace(copied(smaller), session.task.run_example).multiply_adds
        yield "compacted", "multiply-adds", sum(done.values())
        yield "compacted", "bytes", len(tensors_to_bytes(tensors_of(smaller)))


def _latencies(
    session: Session, forms: Mapping[str, nn.Module], images: Tensor, repeats: int
) -> Iterator[Row]:
    """Times with one thread and with all."""
    for threads in _thread_counts(session):
        with with_threads(threads):
            found = latencies(forms, images, repeats)
        words = f"{threads} thread" + ("s" if threads > 1 else "")
        for form, latency in found.items():
            yield from _rows(f"{form}, {words}", latency, found["dense"])


def _rows(other: str, latency: Latency, dense: Latency) -> Iterator[Row]:
    yield other, "latency (ms)", 1000 * latency.median
    yield other, "latency low (ms)", 1000 * latency.low
    yield other, "latency high (ms)", 1000 * latency.high
    if (factor := speed_up(latency, dense)) is not None:
        yield other, "speed-up", factor


def sparse_bytes(tensors: Mapping[str, Tensor], mask: Mask) -> bytes:
    """A file of a network: a bit for each weight that a mask covers, the values of those kept, and all else."""
    kept = {name: t[mask[name]] if name in mask else t for name, t in tensors.items()}
    return tensors_to_bytes({**kept, MASKS: masks_to_tensor(mask)})


class SparseLinear(nn.Module):
    """A linear layer whose weight is stored by compressed rows.

    Args:
        layer: with its pruned weights at 0.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        with warnings.catch_warnings():
            # That torch's sparse rows are young.
            warnings.simplefilter("ignore", UserWarning)
            rows = layer.weight.detach().to_sparse_csr()
        self.register_buffer("weight", rows)
        bias = torch.zeros(layer.out_features) if layer.bias is None else layer.bias.detach()
        self.register_buffer("bias", bias)

    def forward(self, x: Tensor) -> Tensor:
        """`x [..., inputs] W^T + b`."""
        product = (self.weight @ x.flatten(0, -2).T).T
        return product.view(*x.shape[:-1], -1) + self.bias


def with_sparse_layers(network: nn.Module, mask: Mask) -> nn.Module | None:
    """A network whose masked linear layers are sparse; None where there are none."""
    found = copied(network)
    layers = [
        (name, layer)
        for name, layer in found.named_modules()
        if type(layer) is nn.Linear and f"{name}.weight" in mask
    ]
    for name, layer in layers:
        parent, _, own = name.rpartition(".")
        setattr(found.get_submodule(parent), own, SparseLinear(layer))
    return found if layers else None


def _with(session: Session, tensors: Tensors) -> nn.Module:
    network = copied(session.network).eval()
    network.load_state_dict(tensors, strict=False)
    return network


def _images(session: Session, count: int) -> Tensor:
    """So many times the task's example, each with noise of its own."""
    seen: list[Tensor] = []
    network = copied(session.network).eval()
    network.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    with torch.no_grad():
        session.task.run_example(network)
    images = seen[0].expand(count, *seen[0].shape[1:])
    source = torch.Generator().manual_seed(0)
    return images + torch.randn(images.shape, generator=source).to(images.device)


def _thread_counts(session: Session) -> list[int]:
    """One and all of a processor's; on another device they play no part."""
    return sorted({1, torch.get_num_threads()}) if session.task.device.type == "cpu" else [1]


def steps(session: Session, settings: CostSettings) -> int:
    """One for each network."""
    return 1


COST = Measurement(
    summary="multiply-adds, bytes and latency of each network: dense, masked, compacted, sparse",
    settings=CostSettings,
    words={
        "batch": "images in each forward pass that is timed",
        "repeats": "forward passes of each form, the forms in turn",
    },
    check=check,
    steps=steps,
    measure=measure,
)
