"""The search: shared weights and a strategy in turns, then a ranking; stopped at any point and resumed bit for bit."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean

from nas.search.alone import KeptScores, genotype_text
from nas.search.configs import SearchConfig
from nas.search.deriving import Ending, derived
from nas.search.evaluate import SharedScorer
from nas.search.methods import method_of, phases_of
from nas.search.records import (
    ARCHITECTURES,
    HISTORY,
    SearchHistoryRow,
    SearchRecord,
    SearchResult,
    read_result,
    result_to_json,
)
from nas.search.shared_training import SharedTraining, shared_training
from nas.search.space import Choices
from nas.search.state import CHECKPOINT, PHASE, Checkpoints, SearchState, forget
from nas.search.watching import SearchWatcher
from training.errors import LotteryError
from training.folders import Folder
from training.lines import to_lines
from training.replay import REPLAY, ReplayPolicy
from training.stopping import stopped
from training.tasks.task import Task


def search(
    config: SearchConfig,
    folder: Folder,
    task: Task,
    watcher: SearchWatcher,
    alone_task: Task | None = None,
    replay: ReplayPolicy = REPLAY,
) -> list[SearchRecord]:
    """Search, from where a stopped process left off; the test split is never read.

    Args:
        config: with its steps resolved for `task`.
        folder: opened for it by `training.work_folders.open_folder`, and locked.
        task: of the shared weights, or where there are none of the stand-alone networks.
        watcher: is told how it goes, and may ask to stop.
        alone_task: of the stand-alone networks, where their batches differ, see `nas.search.alone.load_tasks`.
        replay: when their steps are replayed; no number follows from it. The steps of shared weights, of which each
            trains another architecture, never are.

    Returns:
        What `architectures.json` holds.

    Raises:
        LotteryError: stopped on request (exit code 75), the shared weights explode however low their learning rate, or
            a file of the search is damaged.
    """
    if folder.holds(ARCHITECTURES):
        forget(folder)
        return list(read_result(folder.root).records)
    return _Search(config, folder, task, watcher, alone_task or task, replay).run()


class _Search:
    """A search in progress; the arguments are those of `search`."""

    def __init__(
        self,
        config: SearchConfig,
        folder: Folder,
        task: Task,
        watcher: SearchWatcher,
        alone_task: Task,
        replay: ReplayPolicy,
    ) -> None:
        self.config = config
        self.folder = folder
        self.task = task
        self.watcher = watcher
        self.alone_task = alone_task
        self.alone = KeptScores(config, alone_task, folder, watcher, replay)
        training = shared_training(config, task)
        self.state = SearchState(method_of(config).strategy(config), training)
        self.checkpoints = Checkpoints(folder, self.state)
        self.phases = phases_of(config)
        self.scorer: SharedScorer | None = None
        if training is not None:
            rewards = task.rewards(config.seed, config.reward_constant, config.reward_batch)
            self.scorer = SharedScorer(training, rewards, dropout=config.reward_dropout)

    def run(self) -> list[SearchRecord]:
        """All phases, and the end."""
        self._resume()
        state = self.state
        while state.epoch < self.phases:
            if state.training is not None:
                self._train(state.training)
                self.checkpoints.save(CHECKPOINT)
            self._learn()
            state.epoch += 1
            self.checkpoints.save(PHASE)
        records = derived(self._ending())
        result = SearchResult(
            metric=self.task.metric,
            reward_constant=self.config.reward_constant,
            records=tuple(records),
        )
        self.folder.write(ARCHITECTURES, result_to_json(result))
        forget(self.folder)
        self.watcher.records(records)
        return records

    def _train(self, training: SharedTraining) -> None:
        """Train the shared weights to the end of the phase."""
        config, total = self.config, training.config.steps.iterations
        last = min((self.state.epoch + 1) * config.phase.iterations, total)
        every = training.config.eval_every.iterations
        while training.step < last:
            first = training.step * config.samples
            numbers = range(first, first + config.samples)
            training.take_step([self.state.strategy.propose(number) for number in numbers])
            self.watcher.steps(1)
            looked = training.step % every == 0 or training.step == last
            if looked and not training.is_sound():
                self._roll_back(training)
            elif self.watcher.stop_requested():
                # What isn't sound is never written: the same command finds it again, and rolls back.
                if training.is_sound():
                    self.checkpoints.save(CHECKPOINT)
                raise stopped(f"at step {training.step} of the shared weights", self.folder.root)
            elif self.checkpoints.is_due() and training.is_sound():
                self.checkpoints.save(CHECKPOINT)

    def _roll_back(self, training: SharedTraining) -> None:
        """Go back to the last phase with a lower learning rate."""
        state, noticed, rollbacks = self.state, training.step, self.state.rollbacks + 1
        if rollbacks > self.config.most_rollbacks:
            raise LotteryError(
                f"The loss of the shared weights exploded at step {noticed}, after {state.rollbacks} rollbacks to "
                "lower learning rates; lower shared.optimizer.learning_rate or shared.optimizer.clip_norm."
            )
        self.checkpoints.roll_back()
        self.watcher.steps(training.step - noticed)
        state.rollbacks = rollbacks
        training.rate *= self.config.rollback_rate
        details = {"rate": training.rate}
        self._tell(
            SearchHistoryRow(event="rollback", epoch=state.epoch, step=noticed, details=details)
        )
        self.checkpoints.save(PHASE)

    def _learn(self) -> None:
        """The strategy's phase, and a few architectures to show."""
        state = self.state
        figures = state.strategy.after_epoch(state.epoch, _Evaluation(self))
        shown = self._show()
        if state.training is not None and state.training.unstable:
            figures["unstable"] = float(state.training.unstable)
        known = {name: figures.pop(name, None) for name in ("reward", "baseline", "entropy")}
        self._tell(
            SearchHistoryRow(
                event="phase",
                epoch=state.epoch,
                step=state.step,
                loss=None if state.training is None else state.training.take_losses(),
                **known,
                score=mean(shown) if shown else None,
                best=max(shown) if shown else None,
                details=figures,
            )
        )

    def _show(self) -> list[float]:
        """Score some of what the strategy would suggest now."""
        scores: list[float] = []
        if self.scorer is None or not self.config.shown:
            return scores
        order = self.phases + 1 + self.state.epoch
        for number, candidate in enumerate(self.state.strategy.candidates(self.config.shown)):
            scores.append(self.scorer.reward(candidate.choices, order, number))
            self.state.note(candidate.choices, scores[-1])
            self.stop()
        return scores

    def stop(self) -> None:
        """Stop, between two scores, if that was asked for; the last checkpoint stands."""
        if self.watcher.stop_requested():
            phase = min(self.state.epoch + 1, self.phases)
            raise stopped(f"in phase {phase} of {self.phases}", self.folder.root)

    def _tell(self, row: SearchHistoryRow) -> None:
        self.state.history.append(row)
        self._write_history()
        best = self.state.best
        told = f"{best[0]:.4g} by {genotype_text(self.config, best[1])}" if best else ""
        self.watcher.phase(row, told)

    def _ending(self) -> Ending:
        return Ending(
            run=self.folder.root.resolve().name,
            config=self.config,
            task=self.alone_task,
            strategy=self.state.strategy,
            scorer=self.scorer,
            alone=self.alone,
            order=self.phases,
            stop=self.stop,
        )

    def _write_history(self) -> None:
        self.folder.write(HISTORY, to_lines(self.state.history))

    def _resume(self) -> None:
        """Take up what is furthest, or begin."""
        resumed = self.checkpoints.resume()
        self._write_history()
        if not resumed:
            self.checkpoints.save(PHASE)
        steps = self.config.shared.steps.iterations if self.config.shared else 0
        done = self.state.step if steps else self.state.epoch
        self.watcher.begin(self.folder.root.resolve().name, steps, self.phases, done)


class _Evaluation:
    """Scores architectures for a strategy, in one phase: each on the next validation minibatch, or trained alone."""

    def __init__(self, owner: _Search) -> None:
        self.owner = owner
        self.count = 0

    def __call__(self, architectures: Sequence[Choices]) -> list[float]:
        """See `nas.search.strategy.Evaluate`."""
        owner = self.owner
        if owner.scorer is None:
            trained = owner.alone(architectures, owner.config.seed)
            scores = [mean(by_seed) for by_seed in trained]
            for choices, score in zip(architectures, scores, strict=True):
                owner.state.note(choices, score)
            return scores
        rewards = []
        for choices in architectures:
            rewards.append(owner.scorer.reward(choices, owner.state.epoch, self.count))
            self.count += 1
            owner.stop()
        return rewards
