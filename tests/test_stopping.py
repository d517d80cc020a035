"""The wish to stop, and how work ends that was asked to."""

from __future__ import annotations

from pathlib import Path

import pytest

from lottery.progress import Watcher
from nas.search.watching import SearchWatcher
from training.errors import ExitCode
from training.stopping import StopFlag, stopped


@pytest.mark.parametrize("kind", [StopFlag, Watcher, SearchWatcher])
def test_each_carries_a_wish_of_its_own(kind: type[StopFlag]) -> None:
    first, second = kind(), kind()
    assert not first.stop_requested()
    first.request_stop()
    assert (first.stop_requested(), second.stop_requested()) == (True, False)


def test_who_stops_says_where_and_how_to_go_on() -> None:
    error = stopped("at step 5 of level 0", Path("results/runs/a"))
    assert str(error) == (
        "Stopped at step 5 of level 0; the same command goes on from there (results/runs/a)."
    )
    assert error.exit_code is ExitCode.RESUMABLE
