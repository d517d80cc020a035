"""The replicates of a level, trained side by side: from masks and starting tensors to a level's files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager

import torch

from lottery.batching import choose_batching
from lottery.levels import Outcome, Stack, note_execution, write_level
from lottery.pruning.masks import Tensors, row, stack_tensors
from lottery.records import HISTORY, HistoryRow, Value
from lottery.rewinding import momenta_of, rewound_momenta, schedule_step
from lottery.runs import begin_history, end_level, write_progress
from lottery.starts import read_start_optimizer
from nas.catalog.outside_networks import code_of
from training.checkpoints import checkpoint_to_bytes, restore_checkpoint, tensors_to_bytes
from training.configs import TrainingConfig
from training.device import matrix_precision, physical_memory
from training.differentiation import saved_bytes
from training.lines import to_lines
from training.loop import begin, train
from training.optimizers import load_optimizer_state, optimizer_state
from training.pace import Pace
from training.replicates import Replicates
from training.state import Look, TrainingState, trained_tensors
from training.stopping import stopped
from training.tasks.task import Evaluation, Task

# Weights, gradient, two averages of Adam, the best weights and the mask, at four bytes each.
COPIES_IN_MEMORY = 6
SHARE_OF_MEMORY = 0.25


def train_stack(stack: Stack) -> None:
    """Train every replicate, from where a stopped process left off, and write the level's files, records last."""
    size = stack.at_once or fitting(stack)
    count = len(stack.replicates)
    chunks = [range(first, min(first + size, count)) for first in range(0, count, size)]
    begin_history(stack.run)
    outcomes: list[Outcome] = []
    history: list[HistoryRow] = []
    for chunk in chunks:
        state = _trained(stack, chunk)
        outcomes += _outcomes(stack, chunk, state)
        history += _history(stack, chunk, state.looks)
    write_level(stack, outcomes, history)
    end_level(stack.run, stack.level, stack.place)


def fitting(stack: Stack) -> int:
    """How many replicates fit into a quarter of the device's memory, at least 1; what they save to go back counts."""
    device = stack.task.device
    memory = physical_memory()
    if device.type == "cuda":
        memory = torch.cuda.get_device_properties(device).total_memory
    saved = saved_bytes(stack.network, stack.task, stack.experiment.training)
    each = COPIES_IN_MEMORY * 4 * stack.parameters + saved
    return max(1, int(memory * SHARE_OF_MEMORY / each))


def _trained(stack: Stack, chunk: range) -> TrainingState:
    """Train one chunk to its last step, or take it from its last checkpoint."""
    experiment, task = stack.experiment, stack.task
    name = experiment.network.name
    batching = choose_batching(stack.batching, name, stack.network, task, len(chunk))
    members = [stack.replicates[place] for place in chunk]
    replicates = Replicates([stack.network] * len(chunk), [r.seed for r in members], batching)
    replicates.load(_on(task.device, stack_tensors(r.start for r in members)))
    masks = _on(task.device, stack_tensors(r.mask for r in members))
    first = experiment.rewinding.step.iterations if stack.level > 0 else 0
    state = begin(replicates, task, experiment.training, first)
    if stack.level > 0 and experiment.rewinding.optimizer_state == "rewind":
        held = [read_start_optimizer(stack.run, member.seed) for member in members]
        momenta = rewound_momenta(held, masks)
        load_optimizer_state(state.optimizer, replicates, momenta)
    saved = stack.run.checkpoints(stack.place, chunk)
    if saved:
        data = stack.run.folder.read(saved[-1])
        restore_checkpoint(state, data, stack.run.root / saved[-1])
    last = experiment.training.steps.iterations
    if state.step < last:
        note_execution(stack, chunk, batching, state.step)
    hook = _Hook(stack, chunk, state)
    schedule = schedule_step(experiment.rewinding, stack.level, last)
    with _code_of(stack):
        train(state, task, experiment.training, last, masks, hook, schedule)
    stack.watcher.steps((last - state.step) * len(chunk))
    if len(chunk) < len(stack.replicates):
        hook.save(state)
    return state


def _code_of(stack: Stack) -> AbstractContextManager[None]:
    """One sentence of what a network from outside raises inside."""
    return code_of(
        stack.experiment.network.name,
        f"failed while level {stack.level} was trained",
        f"the last checkpoint and what was finished are kept in {stack.run.root}, and once the network is "
        "mended the same command goes on from there",
    )


def _on(device: torch.device, tensors: Tensors) -> Tensors:
    return {name: tensor.to(device) for name, tensor in tensors.items()}


class _Hook:
    """What happens after each step of a chunk: history, the rewind step, checkpoints, and stopping when asked to."""

    def __init__(self, stack: Stack, chunk: range, state: TrainingState) -> None:
        self.stack = stack
        self.chunk = chunk
        self.members = [stack.replicates[place] for place in chunk]
        self.told = len(state.looks)
        self.pace = Pace()
        first = stack.experiment.rewinding.step.iterations if stack.level > 0 else 0
        stack.watcher.steps((state.step - first) * len(chunk))
        self._append(state.looks)
        self._keep_start(state)

    def __call__(self, state: TrainingState) -> None:
        watcher = self.stack.watcher
        watcher.steps(len(self.chunk))
        self._keep_start(state)
        if len(state.looks) > self.told:
            self.told = len(state.looks)
            self._append(state.looks[-1:])
            watcher.looked(state.step, state.looks[-1].metric)
        if watcher.stop_requested():
            self.save(state)
            raise stopped(f"at step {state.step} of level {self.stack.level}", self.stack.run.root)
        if self.pace.is_due():
            self.save(state)

    def save(self, state: TrainingState) -> None:
        """Write a checkpoint, then remove the ones before it."""
        run, place = self.stack.run, self.stack.place
        older = run.checkpoints(place, self.chunk)
        name = run.checkpoint(place, self.chunk, state.step)
        with self.pace.saving():
            run.folder.write(name, checkpoint_to_bytes(state))
            for old in older:
                if old != name:
                    run.folder.remove(old)
        write_progress(run, level=self.stack.level, step=state.step, replicates=list(self.chunk))

    def _keep_start(self, state: TrainingState) -> None:
        """At the rewind step of the dense training, write each seed's tensors, never averaged ones."""
        if self.stack.level > 0 or state.step != self.stack.experiment.rewinding.step.iterations:
            return
        run = self.stack.run
        tensors = state.replicates.tensors()
        rewound = self.stack.experiment.rewinding.optimizer_state == "rewind"
        momenta = optimizer_state(state.optimizer, state.replicates) if rewound else {}
        for r, replicate in enumerate(self.members):
            run.folder.write(run.start(replicate.seed), tensors_to_bytes(row(tensors, r)))
            if rewound:
                name = run.start_optimizer(replicate.seed)
                run.folder.write(name, tensors_to_bytes(momenta_of(momenta, r)))

    def _append(self, looks: Sequence[Look]) -> None:
        rows = to_lines(_history(self.stack, self.chunk, looks))
        self.stack.run.folder.append(HISTORY, rows)


def _history(stack: Stack, chunk: range, looks: Sequence[Look]) -> Iterator[HistoryRow]:
    for look in looks:
        names = (("loss", look.loss), (stack.task.metric.name, look.metric))
        for r, place in enumerate(chunk):
            replicate = stack.replicates[place]
            for metric, values in names:
                if values[r] is None:  # it had diverged or was done
                    continue
                yield HistoryRow(
                    level=stack.level,
                    arm=replicate.arm,
                    seed=replicate.seed,
                    step=look.step,
                    metric=metric,
                    value=values[r],
                )


def _outcomes(stack: Stack, chunk: range, state: TrainingState) -> list[Outcome]:
    """Score the end and the best weights on both splits: the only time that the test split is read.

    Where weights were averaged, the end is their average.
    """
    config = stack.experiment.training
    final = trained_tensors(state)
    with _code_of(stack):
        state.replicates.load(final)
        scored = {("end", s): _score(state, stack.task, config, s) for s in ("validation", "test")}
        state.replicates.load(state.best)
        scored |= {
            ("best", s): _score(state, stack.task, config, s) for s in ("validation", "test")
        }
    return [
        Outcome(
            replicate=stack.replicates[place],
            final={name: tensor.cpu() for name, tensor in row(final, r).items()},
            best_step=state.best_step[r],
            diverged_at=state.diverged_at[r],
            values=tuple(_values(stack.task.metric.name, scored, state, r)),
            scores=scored["best", "test"].scores[r],
        )
        for r, place in enumerate(chunk)
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
