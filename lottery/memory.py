"""How many replicates are trained together, so that they fit into memory, and what happens where they do not."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import torch

from lottery.batching import choose_batching, train_briefly
from lottery.cuts import Cut
from lottery.execution import noted_cut
from lottery.pruning.prunable import prunable_names
from lottery.runs import LevelFiles
from lottery.session import Session
from nas.catalog.outside_networks import code_of
from training.device import physical_memory
from training.errors import ExitCode, LotteryError, in_one_line, is_out_of_memory

T = TypeVar("T")
# Of an estimate: weights, gradient, two averages of Adam, the best weights and the mask, at four bytes each.
COPIES_IN_MEMORY = 6
SHARE_OF_MEMORY = 0.25
# Of what is free on a CUDA device, where it is measured.
SHARE_OF_FREE = 0.8
# Steps that are measured: two are captured and two replayed, and after the last one is validated.
MEASURED_STEPS = 4


@dataclass(frozen=True)
class Peak:
    """What some steps took at most, in bytes, beyond what was taken before them.

    Attributes:
        allocated: by tensors.
        reserved: by torch's allocator, which keeps what graphs of steps and freed tensors took.
    """

    allocated: int
    reserved: int


def choose_cut(session: Session, files: LevelFiles | None = None) -> Cut:
    """How a session's replicates are cut: as its run noted, where as much was asked for, or else as many as fit.

    Args:
        session: whose replicates they are.
        files: of the level that is trained, whose own note comes first; None for the run's newest one.
    """
    device, noted = session.task.device.type, noted_cut(session.run, files)
    if noted is not None and _still_holds(session, noted):
        return noted
    size = session.at_once or as_many_as_fit(session)
    return Cut(asked=session.at_once, device=device, size=size, most=size)


def _still_holds(session: Session, noted: Cut) -> bool:
    """Whether replicates are cut as noted: measured is once, and what was estimated holds unless less fits now."""
    device = session.task.device.type
    if (noted.asked, noted.device) != (session.at_once, device):
        return False
    return device == "cuda" or noted.size <= (session.at_once or as_many_as_fit(session))


def chunks(session: Session, count: int) -> list[range]:
    """Which of so many replicates are together, where not all are."""
    return choose_cut(session).chunks(count)


def as_many_as_fit(session: Session) -> int:
    """How many replicates are together unless a number is asked for; 1 where what is tried for that does not fit."""
    try:
        return (measured if session.task.device.type == "cuda" else estimated)(session)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
    return 1


def estimated(session: Session) -> int:
    """How many replicates fit into a quarter of the machine's memory, at least 1; what they save to go back counts."""
    each = COPIES_IN_MEMORY * 4 * session.parameters + session.saved_bytes
    return max(1, int(physical_memory() * SHARE_OF_MEMORY / each))


def measured(session: Session) -> int:
    """How many replicates fit into what is free on a CUDA device, from steps of one and of two."""
    device = session.task.device
    try:
        # What a process takes once, such as work space of products, belongs to the first.
        _, one, two = (_peak(session, count) for count in (1, 1, 2))
    finally:
        release(device)
    free, _ = torch.cuda.mem_get_info(device)
    return fitting(one, two, free)


def fitting(one: Peak, two: Peak, free: int) -> int:
    """How many replicates fit, at least 1: what two take more than one does is each one's part, the rest is fixed.

    Args:
        one: what one replicate takes.
        two: what two take together.
        free: bytes; a fifth is left for what the steps that were measured did not meet.

    >>> fitting(Peak(900, 1000), Peak(1100, 1300), free=10_000)  # 700 fixed, 300 each, of 8000
    24
    """
    each = max(two.allocated - one.allocated, two.reserved - one.reserved, 1)
    fixed = max(0, one.reserved - each)
    return max(1, int(SHARE_OF_FREE * free - fixed) // each)


def _peak(session: Session, count: int) -> Peak:
    device, experiment = session.task.device, session.experiment
    release(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = Peak(torch.cuda.memory_allocated(device), torch.cuda.memory_reserved(device))
    weights = dict(session.network.named_parameters())
    # No mask is left out of which something is pruned.
    masks = {
        name: torch.zeros((count, *weights[name].shape), dtype=torch.bool, device=device)
        for name in prunable_names(session.network, experiment.pruning.embeddings)
    }
    batching = choose_batching(session, 2)
    with code_of(
        experiment.network.name,
        "failed while its memory was measured",
        "mend it and repeat the command",
    ):
        train_briefly(session, count, batching, MEASURED_STEPS, masks, lambda _: None)
    return Peak(
        torch.cuda.max_memory_allocated(device) - before.allocated,
        torch.cuda.max_memory_reserved(device) - before.reserved,
    )


def release(device: torch.device) -> None:
    """Give back what nothing refers to any more."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def in_chunks(
    session: Session,
    cut: Cut,
    count: int,
    work: Callable[[range, Cut], T],
    failed: Callable[[range, Cut], None] = lambda chunk, cut: None,
) -> Iterator[T]:
    """What comes of each chunk; where memory runs out it is halved, and so are the others from there on.

    Args:
        session: whose replicates they are.
        cut: at first.
        count: of replicates.
        work: does a chunk, and keeps nothing on the device; it is told how all are cut.
        failed: is told which chunk did not fit, once its memory is free again, and how all are cut now.

    Raises:
        LotteryError: one replicate alone does not fit (exit code 5).
    """
    first = 0
    while first < count:
        (chunk,) = (chunk for chunk in cut.chunks(count) if chunk.start == first)
        done = _done(session, cut, chunk, work)
        # Not where the exception is still known, which holds what was on the device.
        if done is None:
            release(session.task.device)
            cut = cut.below(chunk)
            session.watcher.notice(
                f"Memory ran out with {len(chunk)} replicates together; from here on at most {cut.most} are."
            )
            failed(chunk, cut)
            continue
        yield done[0]
        first = chunk.stop


def _done(
    session: Session, cut: Cut, chunk: range, work: Callable[[range, Cut], T]
) -> tuple[T] | None:
    """What comes of a chunk; None where memory runs out."""
    try:
        return (work(chunk, cut),)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        if len(chunk) == 1:
            raise _too_large(session, error) from None
    return None


def _too_large(session: Session, error: BaseException) -> LotteryError:
    """The error of a network of which one replicate is too much."""
    name, config = session.experiment.network.name, session.experiment.training
    parts = range(config.accumulation + 1, config.batch_size + 1)
    finer = next((n for n in parts if config.batch_size % n == 0), None)
    otherwise = []
    if finer is not None:
        otherwise += [
            f"--set training.accumulation={finer}, which takes each batch in {finer} parts",
            f"a training.batch_size below {config.batch_size}",
        ]
    if config.precision != "bf16":
        otherwise.append("--precision bf16")
    advice = f"begin another run (--out) with {', or '.join(otherwise)}" if otherwise else ""
    if choose_batching(session, 1) != "looped":
        advice = f"go on with --batching looped{', or ' if advice else ''}{advice}"
    return LotteryError(
        f"One replicate of {name} alone does not fit into memory ({in_one_line(error)}); "
        f"{advice or 'take a smaller network or a larger machine'}; finished levels are kept in {session.run.root}.",
        ExitCode.OUT_OF_MEMORY,
    )
