"""What a run takes on disk, and whose trained weights stay there."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

import lottery.disk_use
from lottery.cycle import Setting, add_control, new_network
from lottery.disk_use import run_bytes, what_to_keep
from lottery.experiments import RewindingConfig
from lottery.portable_tickets import ticket_of
from lottery.records import read_records
from lottery.runs import Run
from tests.tiny_runs import TINY, carry_out, digits, files, rewinding_to
from training.errors import LotteryError
from training.steps import Steps

# 620 weights and 24 biases at 4 bytes; a bit for each weight.
NETWORK, MASK = 4 * 644, 78


def test_bytes_of_all_weights_and_of_the_newest_level_s() -> None:
    # 2 dense networks, 6 at each of 2 levels, 2 starts.
    network = new_network(TINY, Setting(task=digits()), 0)
    assert run_bytes(TINY, network, "all") == 14 * (NETWORK + MASK) + 2 * NETWORK
    assert run_bytes(TINY, network, "newest") == 14 * MASK + (6 + 2) * NETWORK


def test_rewound_momenta_count_twice_with_adam() -> None:
    rewinding = RewindingConfig(step=Steps(iterations=5), optimizer_state="rewind")
    network = new_network(TINY, Setting(task=digits()), 0)
    more = run_bytes(dataclasses.replace(TINY, rewinding=rewinding), network, "newest")
    assert more - run_bytes(TINY, network, "newest") == 2 * 2 * NETWORK


def test_all_stay_unless_that_is_much_or_the_user_says_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = new_network(TINY, Setting(task=digits()), 0)
    assert what_to_keep(TINY, network, None) == "all"
    assert what_to_keep(TINY, network, "newest") == "newest"
    monkeypatch.setattr(lottery.disk_use, "MUCH", run_bytes(TINY, network, "all") - 1)
    assert what_to_keep(TINY, network, None) == "newest"
    assert what_to_keep(TINY, network, "all") == "all"


def weights(root: Path) -> list[str]:
    return [name for name in files(root) if name.endswith("/weights.safetensors")]


def test_only_the_newest_level_s_weights_stay_and_nothing_else_changes(tmp_path: Path) -> None:
    whole, lean = tmp_path / "a" / "tiny", tmp_path / "b" / "tiny"
    carry_out(TINY, whole)
    carry_out(TINY, lean, keep_weights="newest")
    assert weights(lean) == ["level-02/weights.safetensors"]
    held = files(lean)
    expected = files(whole)
    assert held.keys() == expected.keys() - {f"level-0{n}/weights.safetensors" for n in (0, 1)}
    assert all(held[name] == expected[name] for name in held if name != "manifest.json")
    # Done is done, and more levels are pruned from the newest one's weights.
    assert carry_out(TINY, lean, keep_weights="newest") == read_records(whole)
    longer = dataclasses.replace(TINY, levels=3)
    assert carry_out(longer, lean, keep_weights="newest") == carry_out(longer, whole)
    assert weights(lean) == ["level-03/weights.safetensors"]
    # Tickets need masks and starts alone.
    for level in (1, 2, 3):
        one, other = (ticket_of(Run(root), level, 1) for root in (lean, whole))
        assert all(bool((one.start[n] == t).all()) for n, t in other.start.items())


def test_a_control_is_added_where_weights_were_removed(tmp_path: Path) -> None:
    whole, lean = tmp_path / "a" / "tiny", tmp_path / "b" / "tiny"
    carry_out(TINY, whole)
    carry_out(TINY, lean, keep_weights="newest")
    lean_setting = Setting(task=digits(), keep_weights="newest")
    added = [
        add_control(TINY, Run(whole), Setting(task=digits()), "shuffled-mask"),
        add_control(TINY, Run(lean), lean_setting, "shuffled-mask"),
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
    lean = Setting(task=digits(), keep_weights="newest")
    add_control(whole, Run(root), lean, "reinitialised")
    assert weights(root) == sorted([*before, "level-02/reinitialised/weights.safetensors"])
    # Done is done: nothing is trained, and nothing goes.
    assert len(add_control(whole, Run(root), lean, "reinitialised")) == 4
    carry_out(whole, root, keep_weights="newest")
    assert weights(root) == sorted([*before, "level-02/reinitialised/weights.safetensors"])


def test_what_needs_removed_weights_says_so(tmp_path: Path) -> None:
    kept = dataclasses.replace(TINY, rewinding=rewinding_to(12, "keep"), arms=())
    carry_out(kept, tmp_path / "tiny", keep_weights="newest")
    with pytest.raises(LotteryError, match="was removed.*--keep-weights all"):
        add_control(kept, Run(tmp_path / "tiny"), Setting(task=digits()), "reinitialised")
