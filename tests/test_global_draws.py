"""Networks that draw from torch's own generators: set from (noise seed, step), they repeat, resume and don't mix."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lottery.checks import check
from nas.catalog.outside_networks import Factory
from tests.own_runs import OWN, OWN_TEXT, carried_out, in_pieces, own_session, refusal, results
from tests.tiny_runs import text
from tests.tiny_tasks import config, image_task, trained
from training.capture import capture
from training.noise import generator, torch_seeded
from training.replicates import Replicates
from training.specs import Spec, TextSpec


class TwoLayers(nn.Module):
    """torch's recurrent layers with dropout between them."""

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        assert isinstance(spec, TextSpec)
        self.table = nn.Embedding(spec.vocabulary, 6)
        self.core = nn.GRU(6, 6, num_layers=2, dropout=0.2)
        self.last = nn.Linear(6, spec.vocabulary)

    def initial_state(self, batch: int) -> tuple[Tensor]:
        """Zeros."""
        return (torch.zeros(2, batch, 6),)

    def forward(self, tokens: Tensor, state: tuple[Tensor]) -> tuple[Tensor, tuple[Tensor]]:
        """From words and a state to logits and the next."""
        out, last = self.core(self.table(tokens), state[0])
        return self.last(out), (last,)


class Attention(nn.Module):
    """Attention over the rows of an image, with dropout of its weights."""

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, dropout=0.3, batch_first=True)
        self.last = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        """From images to logits."""
        rows = x[:, 0]
        out = self.attention(rows, rows, rows, need_weights=False)[0]
        logits: Tensor = self.last(out.flatten(1))
        return logits


class Functional(nn.Module):
    """Dropout as a function, in evaluation too, and noise."""

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.last = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        """From images to logits."""
        x = F.dropout(x.flatten(1), 0.2)
        logits: Tensor = self.last(x + 0.1 * torch.randn_like(x))
        return logits


@pytest.mark.parametrize("factory", [Attention, Functional, TwoLayers])
def test_draws_repeat_resume_and_follow_from_the_seed_alone(
    factory: Factory, tmp_path: Path
) -> None:
    experiment, task = (OWN_TEXT, text()) if factory is TwoLayers else (OWN, None)
    experiment = dataclasses.replace(experiment, levels=0)
    before = torch.get_rng_state()
    both = carried_out(factory, tmp_path / "a" / "own", experiment, task=task)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(1)  # what else draws makes no difference
    again = carried_out(factory, tmp_path / "b" / "own", experiment, task=task)
    assert again == both
    pieces = in_pieces(factory, tmp_path / "c" / "own", experiment, task=task, every=7)
    assert results(pieces) == results(both)
    alone = carried_out(factory, tmp_path / "d" / "own", experiment, task=task, at_once=1)
    assert results(alone) == results(both)


def dropped(steps: int, seeds: tuple[int, ...], accumulation: int = 1) -> list[Tensor]:
    """What a functional dropout of a linear classifier kept at each call while it trained."""
    seen: list[Tensor] = []

    class Dropping(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last = nn.Linear(64, 3)

        def forward(self, x: Tensor) -> Tensor:
            kept = F.dropout(torch.ones(30), 0.5, self.training)
            if self.training:
                seen.append(kept.clone())
            logits: Tensor = self.last(x.flatten(1)) * kept.mean()
            return logits

    how = dataclasses.replace(config(steps, steps), accumulation=accumulation)
    trained(Replicates([Dropping()] * len(seeds), seeds, "looped"), image_task(), how)
    return seen


def test_each_step_part_and_seed_has_its_own_draws() -> None:
    seen = dropped(steps=4, seeds=(0, 1), accumulation=2)
    # Every part of every step is drawn for both replicates, by a call: nothing is replayed.
    assert len(seen) == 4 * 2 * 2
    assert len({tuple(kept.tolist()) for kept in seen}) == len(seen)
    for seed in (0, 1):
        alone = dropped(steps=4, seeds=(seed,), accumulation=2)
        assert all(map(torch.equal, alone, seen[seed::2]))
    assert all(map(torch.equal, dropped(4, (5, 5))[::2], dropped(4, (5,))))


def test_what_is_evaluated_draws_the_same_whichever_step_was_last() -> None:
    replicates = Replicates([nn.Linear(1, 1)] * 2, (3, 4), "looped")

    def drawn(draw: int) -> list[list[float]]:
        replicates.advance(draw)
        kept: Tensor = replicates(lambda network: torch.rand(4))
        return kept.tolist()

    trained_with = [drawn(draw) for draw in (0, 1)]
    replicates.eval()
    first, *others = [drawn(draw) for draw in (1, 0, 17)]
    assert others == [first, first]
    assert len({*map(tuple, [*first, *trained_with[0], *trained_with[1]])}) == 6


def test_the_generator_is_set_and_restored() -> None:
    device = torch.device("cpu")
    before = torch.get_rng_state()
    drawn = []
    for seed, step in ((0, 0), (0, 1), (1, 0), (0, 0)):
        with torch_seeded(device, seed, step):
            drawn.append(torch.rand(4).tolist())
    assert torch.equal(torch.get_rng_state(), before)
    assert drawn[0] == drawn[3]
    assert len({*map(tuple, drawn)}) == 3
    # It is the generator of that purpose.
    assert drawn[1] == torch.rand(4, generator=generator(0, "torch", 1)).tolist()
    with pytest.raises(KeyError), torch_seeded(device, 0, 0):
        raise KeyError
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("function", "draws"),
    [
        (lambda x: x + torch.rand(2), True),
        (lambda x: F.dropout(x, 0.5), True),
        (lambda x: x * torch.empty(2).bernoulli_(0.5), True),
        (lambda x: x + torch.rand(2, generator=torch.Generator().manual_seed(1)), True),
        (lambda x: x + 1, False),
        (lambda x: F.dropout(x, 0.5, training=False), False),
    ],
)
def test_what_draws_is_never_replayed(function: Callable[[Tensor], Tensor], draws: bool) -> None:
    assert bool(capture(function, [torch.ones(2)])[1].obstacle) is draws


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_attention_is_replayed_where_it_drops_nothing(dropout: float) -> None:
    def attend(x: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(x, x, x, dropout_p=dropout)

    x = torch.randn(2, 2, 16, 8, requires_grad=True)
    assert bool(capture(attend, [x])[1].obstacle) is (dropout > 0.0)


def test_a_stack_can_not_set_a_generator_for_each() -> None:
    told = refusal(Functional, batching="stacked")
    assert "m:f can't be trained stacked (RuntimeError: vmap: called random operation" in told
    assert told.endswith("try --batching looped.")


def test_dropout_of_torch_between_layers_is_accepted() -> None:
    check(own_session(TwoLayers, OWN_TEXT, task=text()))
