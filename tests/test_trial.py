"""What only training would meet is met by the trial: its batching, its precision, its gradients and the last seed."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lottery.batching import faster_batching
from lottery.checks import check
from lottery.cycle import find_tickets
from lottery.planning import plan
from nas.catalog.outside_networks import Factory
from tests.own_runs import OWN, Classifier, own_session, refusal
from tests.tiny_runs import digits, open_run
from training.batching import Batching
from training.errors import LotteryError
from training.replay import NO_REPLAY, REPLAY, ReplayPolicy
from training.replicates import Replicates
from training.specs import Spec
from training.storage import parse_json


class Dropped(Classifier):
    """Draws from torch's generator, for which `vmap` has no rule without being told of randomness."""

    def change(self, x: Tensor) -> Tensor:
        """A fifth is 0."""
        return F.dropout(x, 0.2, self.training)


def test_own_networks_are_looped_unless_told_otherwise(tmp_path: Path) -> None:
    """By the trial, by planning and by training, also where there are several."""
    one = own_session(Dropped, root=tmp_path / "own", batching=None)
    check(one)
    plan(one)
    run = open_run(tmp_path / "own", OWN, one.task.data.description())
    find_tickets(one)
    for level in (0, 1):
        name = run.level(level).execution
        told = parse_json(run.folder.read(name), tmp_path)
        assert [one["batching"] for one in told] == ["looped"]
    told = refusal(Dropped, batching="stacked")
    assert told.startswith("m:f can't be trained stacked (")
    assert told.endswith("; try --batching looped.")


def test_a_network_that_was_tried_is_not_built_again(monkeypatch: pytest.MonkeyPatch) -> None:
    timed(monkeypatch, looped=0.25, stacked=0.2)
    built: list[nn.Module] = []

    def factory(spec: Spec) -> nn.Module:
        built.append(Classifier(spec))
        return built[-1]

    one = own_session(factory, batching=None)
    tried = check(one)
    assert tried.batching == "stacked"
    before = len(built)
    assert tried.network is one.network
    assert tried.parameters == one.parameters
    assert len(built) == before


class Otherwise(Classifier):
    """Computes something else where it is mapped over replicates."""

    def change(self, x: Tensor) -> Tensor:
        """Twice as much there."""
        return 2 * x if torch._C._functorch.is_batchedtensor(x) else x


def timed(monkeypatch: pytest.MonkeyPatch, looped: float, stacked: float) -> None:
    """Have steps take so long."""
    seconds = {"looped": looped, "stacked": stacked}
    monkeypatch.setattr("lottery.batching._seconds", lambda *given: seconds[given[-1]])


def test_own_networks_are_stacked_where_that_works_agrees_and_is_faster(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def chosen(factory: Factory, **how: Any) -> Batching | None:
        return check(own_session(factory, **{"batching": None, **how})).batching

    timed(monkeypatch, looped=0.25, stacked=0.2)
    assert chosen(Classifier) == "stacked"
    # What was asked for stays; one alone gains nothing; and these can't be stacked, or come to something else.
    assert chosen(Classifier, batching="looped") == "looped"
    assert chosen(Classifier, at_once=1) is None
    assert [chosen(factory) for factory in (Dropped, Shaped, Otherwise)] == ["looped"] * 3
    assert "does not follow from its parameters" in refusal(Otherwise, batching="stacked")
    # A sixth less is no reason, and more none at all.
    timed(monkeypatch, looped=0.24, stacked=0.2)
    assert chosen(Classifier) == "looped"
    timed(monkeypatch, looped=0.2, stacked=0.3)
    assert chosen(Classifier) == "looped"


def test_steps_are_timed_in_both_and_slow_ones_once(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter(range(1000))
    monkeypatch.setattr("lottery.batching.now", lambda device: 0.01 * next(moments))
    network, task = Classifier(digits().spec), digits()
    # Every step takes as long, 0.01 seconds: six looped and six stacked, each between two looks at the clock.
    assert faster_batching(network, task, OWN.training, 2) == "looped"
    assert next(moments) == 24
    monkeypatch.setattr("lottery.batching.now", lambda device: float(next(moments)))
    assert faster_batching(network, task, OWN.training, 2) == "looped"
    assert next(moments) == 27


@pytest.mark.parametrize(("replay", "called"), [(REPLAY, 2), (NO_REPLAY, 6)])
def test_steps_are_timed_as_the_session_takes_them(
    replay: ReplayPolicy, called: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In either batching two are called to be captured, or all six."""
    forward, calls = Replicates.forward, Counter[str]()

    def counted(replicates: Replicates, *inputs: Any) -> Any:
        if len(replicates) == 4:
            calls[replicates.batching] += 1
        return forward(replicates, *inputs)

    monkeypatch.setattr(Replicates, "forward", counted)
    check(own_session(Classifier, batching=None, replay=replay))
    assert calls == {"looped": called, "stacked": called}


def test_own_networks_that_do_not_fit_together_are_looped(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*given: object) -> float:
        raise error

    monkeypatch.setattr("lottery.batching._seconds", fails)
    error: Exception = torch.OutOfMemoryError("CUDA out of memory")
    assert check(own_session(Classifier, batching=None)).batching == "looped"
    error = RuntimeError("another")
    with pytest.raises(RuntimeError, match="another"):
        check(own_session(Classifier, batching=None))


class Shaped(Classifier):
    """Takes another way for one value than for what `vmap` stands for, as a replicate alone has it."""

    def change(self, x: Tensor) -> Tensor:
        """Twice as much where a value says so."""
        return 2 * x if float(x.detach().sum()) > 1e9 else x


def test_the_catalogs_default_is_tried_with_as_many_as_are_trained(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Alone one would be looped on a CPU; two are stacked, which this network can't be."""
    monkeypatch.setattr("lottery.batching.is_known", lambda name: True)
    with pytest.raises(LotteryError, match="can't be trained stacked"):
        check(own_session(Shaped, batching=None))
    check(own_session(Shaped, batching=None, at_once=1))


class Sparse(nn.Module):
    """An image's pixels as numbers, each looked up."""

    def __init__(self, embeddings: type[nn.Embedding] | type[nn.EmbeddingBag]) -> None:
        super().__init__()
        self.table = embeddings(4, 3, sparse=True)
        self.last = nn.Linear(3, 10)

    def forward(self, x: Tensor) -> Tensor:
        """From images to logits."""
        numbers = (x.flatten(1) > 0).long()
        logits: Tensor = self.last(self.table(numbers).view(len(x), -1, 3).mean(1))
        return logits


@pytest.mark.parametrize("embeddings", [nn.Embedding, nn.EmbeddingBag])
def test_sparse_gradients(embeddings: type[nn.Embedding]) -> None:
    assert refusal(lambda spec: Sparse(embeddings)) == (
        "m:f gives table.weight a gradient in the layout torch.sparse_coo, and masks, clipping and optimizers "
        "take whole ones; leave out sparse=True."
    )


@pytest.mark.parametrize("seed", [0, 2**31 - 1])
def test_the_first_and_the_last_seed(seed: int) -> None:
    check(own_session(Classifier, dataclasses.replace(OWN, seeds=(seed,))))


class Full(Classifier):
    """An operation that does not take bf16."""

    in_training = in_evaluation = True

    def prepare(self) -> None:
        """A square matrix."""
        self.first = nn.Linear(64, 64)
        self.square = nn.Parameter(torch.eye(8))

    def change(self, x: Tensor) -> Tensor:
        """LU factors, which there are none of in bf16."""
        rows: Tensor = self.first(x).view(-1, 8, 8)
        if not (self.in_training if self.training else self.in_evaluation):
            return rows.flatten(1)
        factors: Tensor = torch.linalg.lu_factor(rows + 9 * self.square.to(rows))[0]
        return factors.flatten(1)


class FullAtFirst(Full):
    """In training alone."""

    in_evaluation = False


class FullAtLast(Full):
    """In evaluation alone."""

    in_training = False


@pytest.mark.parametrize("factory", [Full, FullAtFirst, FullAtLast])
def test_the_precision_is_that_of_training(factory: Factory) -> None:
    check(own_session(factory))
    half = dataclasses.replace(OWN, training=dataclasses.replace(OWN.training, precision="bf16"))
    assert "not implemented for 'BFloat16'" in refusal(factory, half)
    check(own_session(Dropped, half))
