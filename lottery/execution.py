"""How the replicates of a level are trained together: what `execution.json` notes of it, and what differs later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from lottery.cuts import Cut
from lottery.levels import Stack
from lottery.runs import EXECUTION, LevelFiles, Run
from training.batching import Batching
from training.checkpoints import rows_of_checkpoint
from training.matrix_libraries import library_in_use
from training.plain import from_plain, to_plain
from training.storage import parse_json, to_json

# What is noted of graphs.
CAPTURED, NOT_CAPTURED = "captured", "not captured"


def note_execution(stack: Stack, chunk: range, cut: Cut, batching: Batching, step: int) -> None:
    """Write down how a chunk of a level's replicates is trained from a step on; a resumed one adds what has changed.

    The watcher is told where it goes on stacked that was looped, or the other way round.
    """
    run, name = stack.session.run, stack.files.execution
    noted = parse_json(run.folder.read(name), run.root / name) if run.folder.holds(name) else []
    now = {
        "replicates": [chunk.start, chunk.stop],
        "cut": to_plain(cut),
        "batching": batching,
        "threads": torch.get_num_threads(),
        "products": library_in_use(),
        "graph": NOT_CAPTURED,
    }
    # What was cut otherwise, or came to nothing after the checkpoint, is no part of the result.
    mine = [one for one in noted if {*chunk} <= _members(one) and one["from_step"] < step]
    if mine and mine[-1]["batching"] != batching:
        stack.session.watcher.notice(
            f"Level {stack.files.number} goes on {batching} from step {step}, and was {mine[-1]['batching']} before: "
            "its numbers may differ in rounding, and by what training makes of that, from those of an uninterrupted "
            "run."
        )
    others = [one for one in noted if not _members(one) & {*chunk}]
    if not mine or mine[-1] != {**now, "from_step": mine[-1]["from_step"]}:
        mine.append({**now, "from_step": step})
    run.folder.write(name, to_json([*others, *mine]))


def note_graph(stack: Stack, why: str) -> None:
    """Write down whether the steps of the chunk that `note_execution` wrote down last are launched as graphs.

    Args:
        stack: that is trained.
        why: a capture failed, of which the watcher is told; "" where none did.
    """
    run, name = stack.session.run, stack.files.execution
    noted = parse_json(run.folder.read(name), run.root / name)
    noted[-1]["graph"] = f"{NOT_CAPTURED}: {why}" if why else CAPTURED
    run.folder.write(name, to_json(noted))
    if why:
        stack.session.watcher.notice(
            f"Level {stack.files.number} is trained without graphs of the device, by replayed steps, as a capture "
            f"failed: {why}. No number differs."
        )


def _members(entry: Mapping[str, Any]) -> set[int]:
    """The replicates that a note of their execution is about."""
    return {*range(*entry["replicates"])}


def noted_batching(run: Run) -> Batching | None:
    """How a run's replicates were batched in its last level; None before any were trained."""
    noted = _newest_execution(run)
    return noted[-1]["batching"] if noted else None


def noted_cut(run: Run, files: LevelFiles | None = None) -> Cut | None:
    """How a run's replicates were cut into chunks at last; None where none were trained, or it was not noted.

    Args:
        run: whose folder need not be there.
        files: of the level whose own note comes before that of the run's last level, where it has begun.
    """
    if files is not None and run.folder.holds(files.execution):
        noted = parse_json(run.folder.read(files.execution), run.root / files.execution)
    else:
        noted = _newest_execution(run)
    cut = noted[-1].get("cut") if noted else None
    return None if cut is None else from_plain(Cut, cut, "cut")


def _newest_execution(run: Run) -> list[dict[str, Any]]:
    """What the last level of a run notes of its chunks."""
    levels = [Path(name).parts[0] for name in run.folder.names() if name.endswith(f"/{EXECUTION}")]
    if not levels:
        return []
    name = run.level(max(int(level.removeprefix("level-")) for level in levels)).execution
    noted: list[dict[str, Any]] = parse_json(run.folder.read(name), run.root / name)
    return noted


def tell_other_cut(stack: Stack, cut: Cut) -> None:
    """Tell the watcher where a level is cut into other chunks than it was, or than the level before it would be."""
    session, files, count = stack.session, stack.files, len(stack.replicates)
    before = noted_cut(session.run, files)
    if before is None or before.chunks(count) == cut.chunks(count):
        return
    begun = " and begins anew" if files.checkpoints() else ""
    session.watcher.notice(
        f"Level {files.number} is trained with {min(cut.most, count)} replicates together{begun}, where "
        f"{min(before.most, count)} were together before: what is stacked may differ in rounding, and by what training "
        "makes of that, from an uninterrupted run."
    )


def divide_checkpoint(files: LevelFiles, chunk: range, parts: Sequence[range]) -> None:
    """Put in the place of a chunk's last checkpoint, if it has one, those of the parts that it is divided into.

    Args:
        files: of the level.
        chunk: that did not fit into memory.
        parts: the level's chunks from now on.
    """
    run, saved = files.run, files.checkpoints(chunk)
    if not saved:
        return
    data, path = run.folder.read(saved[-1]), run.root / saved[-1]
    for part in parts:
        if part.start in chunk:
            rows = range(part.start - chunk.start, part.stop - chunk.start)
            step, own = rows_of_checkpoint(data, path, rows)
            run.folder.write(files.checkpoint(part, step), own)
    for name in saved:
        run.folder.remove(name)
