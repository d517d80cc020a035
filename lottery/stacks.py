"""The replicates of a level, trained side by side: from masks and starting tensors to a level's files."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial

from lottery.cuts import Cut
from lottery.execution import divide_checkpoint, note_execution, note_graph, tell_other_cut
from lottery.history import HistoryRow
from lottery.level_training import begun, stacked_masks, train_level
from lottery.levels import Outcome, Stack, write_level
from lottery.memory import choose_cut, in_chunks
from lottery.progress import ChunkSteps
from lottery.pruning.masks import on_cpu, row
from lottery.records import Value
from lottery.rewinding import momenta_of
from lottery.run_folder import HISTORY
from lottery.runs import Run, begin_history, end_level, write_progress
from nas.catalog.outside_networks import code_of
from training.checkpoints import checkpoint_to_bytes, restore_checkpoint, tensors_to_bytes
from training.configs import TrainingConfig
from training.device import matrix_precision
from training.lines import to_lines
from training.optimizers import optimizer_state
from training.pace import Pace
from training.state import TrainingState, Validation, trained_tensors
from training.stopping import stopped
from training.tasks.task import Evaluation, Task


def train_stack(stack: Stack) -> None:
    """Train every replicate, from where a stopped process left off, and write the level's files, records last."""
    session, files = stack.session, stack.files
    begin_history(session.run)
    outcomes: list[Outcome] = []
    history: list[HistoryRow] = []
    steps = ChunkSteps(session.watcher)

    def work(chunk: range, cut: Cut) -> tuple[list[Outcome], list[HistoryRow]]:
        steps.begin()
        state = _trained(stack, chunk, cut, steps)
        return _outcomes(stack, chunk, state), [*_history(stack, chunk, state.validations)]

    def failed(chunk: range, cut: Cut) -> None:
        steps.take_back()
        begin_history(session.run)
        session.run.folder.append(HISTORY, to_lines(history))
        divide_checkpoint(files, chunk, cut.chunks(len(stack.replicates)))

    cut = choose_cut(session, files)
    tell_other_cut(stack, cut)
    for found, rows in in_chunks(session, cut, len(stack.replicates), work, failed):
        outcomes += found
        history += rows
    write_level(stack, outcomes, history)
    end_level(files)


def _trained(stack: Stack, chunk: range, cut: Cut, steps: ChunkSteps) -> TrainingState:
    """Train one chunk to its last step, or take it from its last checkpoint."""
    session, files = stack.session, stack.files
    experiment, run = session.experiment, session.run
    members = stack.replicates[chunk.start : chunk.stop]
    state = begun(session, files.number, members)
    saved = files.checkpoints(chunk)
    if saved:
        restore_checkpoint(state, run.folder.read(saved[-1]), run.root / saved[-1])
    last = experiment.training.steps.iterations
    if state.step < last:
        note_execution(stack, chunk, cut, state.replicates.batching, state.step)
    after_step = _AfterStep(stack, chunk, state, steps)
    masks = stacked_masks(session, members)
    graph = dataclasses.replace(session.graph, told=partial(note_graph, stack))
    with _code_of(stack):
        train_level(session, files.number, state, masks, after_step, graph)
    steps((last - state.step) * len(chunk))
    if len(chunk) < len(stack.replicates):
        after_step.save(state)
    return state


def _code_of(stack: Stack) -> AbstractContextManager[None]:
    """One sentence of what a network from outside raises inside."""
    return code_of(
        stack.session.experiment.network.name,
        f"failed while level {stack.files.number} was trained",
        f"the last checkpoint and what was finished are kept in {stack.session.run.root}, and once the network is "
        "mended the same command goes on from there",
    )


class _AfterStep:
    """What happens after each step of a chunk: history, the rewind step, checkpoints, and stopping when asked to."""

    def __init__(self, stack: Stack, chunk: range, state: TrainingState, steps: ChunkSteps) -> None:
        self.stack = stack
        self.steps = steps
        self.session = stack.session
        self.chunk = chunk
        self.told = len(state.validations)
        self.pace = Pace()
        first = self.session.experiment.first_step(stack.files.number)
        self.steps((state.step - first) * len(chunk))
        self._append(state.validations)
        self._keep_start(state)

    def __call__(self, state: TrainingState) -> None:
        watcher = self.session.watcher
        self.steps(len(self.chunk))
        self._keep_start(state)
        if len(state.validations) > self.told:
            self.told = len(state.validations)
            self._append(state.validations[-1:])
            watcher.validated(state.step, state.validations[-1].metric)
        if watcher.stop_requested():
            self.save(state)
            where = f"at step {state.step} of level {self.stack.files.number}"
            raise stopped(where, self.session.run.root)
        if self.pace.is_due():
            self.save(state)

    def save(self, state: TrainingState) -> None:
        """Write a checkpoint, then remove the ones before it."""
        run, files = self.session.run, self.stack.files
        older = files.checkpoints(self.chunk)
        name = files.checkpoint(self.chunk, state.step)
        with self.pace.saving():
            run.folder.write(name, checkpoint_to_bytes(state))
            for old in older:
                if old != name:
                    run.folder.remove(old)
        write_progress(run, level=files.number, step=state.step, replicates=list(self.chunk))

    def _keep_start(self, state: TrainingState) -> None:
        """At the rewind step of the dense training, write each original's tensors, never averaged ones."""
        own = self.session.experiment.rewinding.step.iterations, self.session.run
        for step, run in (own, *self.session.beside):
            if self.stack.files.number == 0 and state.step == step:
                self._write_start(state, run)

    def _write_start(self, state: TrainingState, run: Run) -> None:
        tensors = on_cpu(state.replicates.tensors())
        rewound = self.session.experiment.rewinding.optimizer_state == "rewind"
        momenta = on_cpu(optimizer_state(state.optimizer, state.replicates)) if rewound else {}
        for r, index in enumerate(self.chunk):
            ticket = self.stack.replicates[index].id
            if ticket != ticket.original:
                continue
            run.folder.write(run.start(ticket), tensors_to_bytes(row(tensors, r)))
            if rewound:
                name = run.start_optimizer(ticket)
                run.folder.write(name, tensors_to_bytes(momenta_of(momenta, r)))

    def _append(self, validations: Sequence[Validation]) -> None:
        rows = to_lines(_history(self.stack, self.chunk, validations))
        self.session.run.folder.append(HISTORY, rows)


def _history(stack: Stack, chunk: range, validations: Sequence[Validation]) -> Iterator[HistoryRow]:
    for validation in validations:
        names = (("loss", validation.loss), (stack.session.task.metric.name, validation.metric))
        for r, index in enumerate(chunk):
            one = stack.replicates[index].id
            for metric, values in names:
                if values[r] is None:  # it had diverged or was done
                    continue
                yield HistoryRow(
                    level=stack.files.number,
                    arm=one.arm,
                    seed=one.seed,
                    copy=one.copy,
                    step=validation.step,
                    metric=metric,
                    value=values[r],
                )


def _outcomes(stack: Stack, chunk: range, state: TrainingState) -> list[Outcome]:
    """Score the end and the best weights on both splits: the only time that the test split is read.

    Where weights were averaged, the end is their average.
    """
    task, config = stack.session.task, stack.session.experiment.training
    final = trained_tensors(state)
    kept = on_cpu(final)
    scored = {}
    with _code_of(stack):
        for at, tensors in (("end", final), ("best", state.best)):
            state.replicates.load(tensors)
            for split in ("validation", "test"):
                scored[at, split] = _score(state, task, config, split)
    return [
        Outcome(
            replicate=stack.replicates[index],
            final=row(kept, r),
            best_step=state.best_step[r],
            diverged_at=state.diverged_at[r],
            values=tuple(_values(task.metric.name, scored, state, r)),
            scores=scored["best", "test"].scores[r],
        )
        for r, index in enumerate(chunk)
    ]


def _score(state: TrainingState, task: Task, config: TrainingConfig, split: str) -> Evaluation:
    state.replicates.eval()
    with matrix_precision(config.precision, task.device):
        return task.evaluate(state.replicates, split)


def _values(
    metric: str, scored: Mapping[tuple[str, str], Evaluation], state: TrainingState, r: int
) -> Iterator[Value]:
    """One replicate's numbers.

    None at the end of one that diverged, at the best of one that never was finite, and where the loss on a split is
    not finite though that on the other is: a metric beside such a loss counts outputs that are no numbers.
    """
    lost = {
        "end": state.diverged_at[r] is not None,
        "best": state.best_loss[r] == float("inf"),
    }
    for (at, split), evaluation in scored.items():
        for name, values in (("loss", evaluation.loss), (metric, evaluation.metric)):
            sound = not lost[at] and bool(evaluation.loss[r].isfinite() & values[r].isfinite())
            value = float(values[r]) if sound else None
            yield Value(at=at, split=split, metric=name, value=value)
