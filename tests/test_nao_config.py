"""Settings of NAO: the published ones, and impossible ones."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from nas.search.cell_space import CellSpace
from nas.search.nao_config import NAO_DEFAULTS, NaoConfig
from tests.tiny_nao import tiny
from training.errors import LotteryError


def test_published_settings() -> None:
    names = {"cell", "layers", "recurrent"}
    assert set(NAO_DEFAULTS) == {(name, s) for name in names for s in (True, False)}
    cell, recurrent = NAO_DEFAULTS["cell", True], NAO_DEFAULTS["recurrent", False]
    assert {key: (c.continued, c.target) for key, c in NAO_DEFAULTS.items()} == {
        ("cell", True): ("weights", "reward"),
        ("cell", False): ("nothing", "reward"),
        ("layers", True): ("weights", "reward"),
        ("layers", False): ("nothing", "reward"),
        ("recurrent", True): ("weights-and-moments", "loss"),
        ("recurrent", False): ("nothing", "perplexity"),
    }
    # train_search.py exchanges edges anew, epd/train.sh of NAO without sharing not at all.
    assert [key for key, c in NAO_DEFAULTS.items() if c.fresh_swaps] == [("cell", True)]
    assert all((c.swaps, c.hold_out) == (0, 0.0) for c in NAO_DEFAULTS.values())
    assert (cell.pool, cell.new, cell.embedding, cell.hidden) == (600, 300, 48, 96)
    assert (recurrent.pool, recurrent.tokens_per_step, recurrent.batch_size) == (1508, 1, 50)
    assert all(config.trade_off == 0.8 for config in NAO_DEFAULTS.values())
    assert len(CellSpace().decisions()) == 40  # 20 steps of two tokens


@pytest.mark.parametrize(
    "changes",
    [
        *({"pool": 1}, {"top": 41}, {"new": 0}, {"rounds": 0}, {"every": 0}, {"step": 0}),
        *({"largest_step": 0}, {"hidden": 0}, {"predictor_layers": -1}, {"trade_off": 1.0}),
        *({"encoder_dropout": 1.0}, {"learning_rate": 0.0}, {"clip_norm": 0.0}, {"swaps": -1}),
        *({"hold_out": 0.6}, {"random": -1}, {"weight_decay": -1.0}),
    ],
    ids=str,
)
def test_impossible_settings(changes: dict[str, int | float]) -> None:
    with pytest.raises(LotteryError, match=next(iter(changes))):
        tiny(**changes)


def test_settings_are_values() -> None:
    assert NaoConfig(**asdict(tiny())) == tiny()
