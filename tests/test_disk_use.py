"""What a run takes on disk, and whose trained weights stay there."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

import lottery.disk_use
from lottery.cycle import add_control
from lottery.disk_use import run_bytes, stored_weights
from lottery.experiments import RewindingConfig
from lottery.measurements.measuring import trained_level
from lottery.portable_tickets import ticket_of
from lottery.records import read_records
from lottery.runs import Run
from tests.tiny_runs import TINY, carry_out, files, rewinding_to, session
from training.errors import LotteryError
from training.steps import Steps

# 620 weights and 24 biases at 4 bytes; a bit for each weight.
NETWORK, MASK = 4 * 644, 78


def test_bytes_of_all_weights_and_of_the_newest_level_s() -> None:
    # 2 dense networks, 6 at each of 2 levels, 2 starts, 2 tickets at each of 2 levels.
    network = session().network
    assert run_bytes(TINY, network, "all") == (14 + 4) * MASK + (14 + 2) * NETWORK
    assert run_bytes(TINY, network, "newest") == (14 + 4) * MASK + (6 + 2) * NETWORK


def test_rewound_momenta_count_twice_with_adam() -> None:
    rewinding = RewindingConfig(step=Steps(iterations=5), optimizer_state="rewind")
    network = session().network
    more = run_bytes(dataclasses.replace(TINY, rewinding=rewinding), network, "newest")
    assert more - run_bytes(TINY, network, "newest") == 2 * 2 * NETWORK


def test_all_stay_unless_that_is_much_or_the_user_says_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = session().network
    assert stored_weights(TINY, network, None) == "all"
    assert stored_weights(TINY, network, "newest") == "newest"
    monkeypatch.setattr(lottery.disk_use, "MUCH", run_bytes(TINY, network, "all") - 1)
    assert stored_weights(TINY, network, None) == "newest"
    assert stored_weights(TINY, network, "all") == "all"


def weights(root: Path) -> list[str]:
    return [name for name in files(root) if name.endswith("/weights.safetensors")]


def test_only_the_newest_level_s_weights_stay_and_nothing_else_changes(tmp_path: Path) -> None:
    whole, lean = tmp_path / "a" / "tiny", tmp_path / "b" / "tiny"
    carry_out(TINY, whole)
    carry_out(TINY, lean, store_weights="newest")
    assert weights(lean) == ["level-02/weights.safetensors"]
    held = files(lean)
    expected = files(whole)
    assert held.keys() == expected.keys() - {f"level-0{n}/weights.safetensors" for n in (0, 1)}
    assert all(held[name] == expected[name] for name in held if name != "manifest.json")
    # Done is done, and more levels are pruned from the newest one's weights.
    assert carry_out(TINY, lean, store_weights="newest") == read_records(whole)
    longer = dataclasses.replace(TINY, levels=3)
    assert carry_out(longer, lean, store_weights="newest") == carry_out(longer, whole)
    assert weights(lean) == ["level-03/weights.safetensors"]
    # Tickets need masks and starts alone.
    for level in (1, 2, 3):
        one, other = (ticket_of(Run(root), level, 1) for root in (lean, whole))
        assert all(bool((one.start[n] == t).all()) for n, t in other.start.items())


def test_a_control_is_added_where_weights_were_removed(tmp_path: Path) -> None:
    whole, lean = tmp_path / "a" / "tiny", tmp_path / "b" / "tiny"
    carry_out(TINY, whole)
    carry_out(TINY, lean, store_weights="newest")
    added = [
        add_control(session(TINY, whole), "shuffled-mask"),
        add_control(session(TINY, lean, store_weights="newest"), "shuffled-mask"),
    ]
    assert added[0] == added[1]
    own, arm = "level-02/weights.safetensors", "level-02/shuffled-mask/weights.safetensors"
    assert weights(lean) == [arm, own]


@pytest.mark.parametrize("kept", ["start", "keep"])
def test_a_lean_control_beside_a_whole_run_takes_nothing_from_it(tmp_path: Path, kept: str) -> None:
    whole = dataclasses.replace(TINY, rewinding=rewinding_to(12, kept), arms=())
    root = tmp_path / "tiny"
    carry_out(whole, root)
    before = weights(root)
    lean = session(whole, root, store_weights="newest")
    add_control(lean, "reinitialised")
    assert weights(root) == sorted([*before, "level-02/reinitialised/weights.safetensors"])
    # Done is done: nothing is trained, and nothing goes.
    assert len(add_control(lean, "reinitialised")) == 4
    carry_out(whole, root, store_weights="newest")
    assert weights(root) == sorted([*before, "level-02/reinitialised/weights.safetensors"])


def test_a_control_of_tickets_that_are_not_rewound_is_added_where_weights_were_removed(
    tmp_path: Path,
) -> None:
    """A level's tickets hold what they start from, which the level before it was trained to."""
    whole, lean = tmp_path / "a" / "tiny", tmp_path / "b" / "tiny"
    kept = dataclasses.replace(TINY, rewinding=rewinding_to(12, "keep"), arms=())
    carry_out(kept, whole)
    carry_out(kept, lean, store_weights="newest")
    assert weights(lean) == ["level-02/weights.safetensors"]
    for arm in ("reinitialised", "reinitialised-same-sign"):
        added = [
            add_control(session(kept, whole), arm),
            add_control(session(kept, lean, store_weights="newest"), arm),
        ]
        assert added[0] == added[1]
        assert {record.level for record in added[1]} == {1, 2}
    for level in (1, 2):
        one, other = (ticket_of(Run(root), level, 1) for root in (lean, whole))
        assert all(torch.equal(one.start[n], t) for n, t in other.start.items())


def test_bytes_of_tickets_that_are_not_rewound() -> None:
    # Each of the 2 tickets at each of 2 levels holds the network that it is taken from.
    kept = dataclasses.replace(TINY, rewinding=rewinding_to(12, "keep"))
    network = session().network
    more = run_bytes(kept, network, "newest") - run_bytes(TINY, network, "newest")
    assert more == 4 * NETWORK


def test_what_needs_removed_weights_says_so(tmp_path: Path) -> None:
    root = tmp_path / "tiny"
    carry_out(TINY, root, store_weights="newest")
    with pytest.raises(
        LotteryError, match=r"level-01/weights.safetensors was removed.*--store-weights all"
    ):
        trained_level(session(TINY, root), 1, read_records(root))
