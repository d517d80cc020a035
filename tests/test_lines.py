"""Rows as lines of JSON: written, read back, and refused."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.refusals import refusal
from training.errors import ExitCode
from training.folders import Folder
from training.lines import from_lines, read_lines, to_lines

NAME, PATH = "rows.jsonl", Path("rows.jsonl")


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row."""

    kind: Literal["phase", "rollback"] = "phase"
    step: int
    value: float | None
    more: Mapping[str, float | None] = field(default_factory=dict)


@given(
    rows=st.lists(
        st.builds(
            Row,
            kind=st.sampled_from(["phase", "rollback"]),
            step=st.integers(-(2**63), 2**63 - 1),
            value=st.none() | st.floats(allow_nan=False, allow_infinity=False),
            more=st.dictionaries(st.text(), st.none() | st.floats(0, 1)),
        )
    )
)
def test_what_is_written_comes_back_one_line_each(rows: list[Row]) -> None:
    text = to_lines(rows)
    assert text.count(b"\n") == len(rows)
    assert from_lines(Row, text, PATH) == rows


def test_lines_are_canonical_and_hold_null_for_what_is_not_finite() -> None:
    rows = [Row(step=1, value=math.inf, more={"b": math.nan, "a": 0.5}), Row(step=2, value=1.0)]
    assert to_lines(rows) == (
        b'{"kind": "phase", "more": {"a": 0.5, "b": null}, "step": 1, "value": null}\n'
        b'{"kind": "phase", "more": {}, "step": 2, "value": 1.0}\n'
    )


@pytest.mark.parametrize(
    "line",
    [
        b"{}",
        b"[]",
        b"",
        b"not json",
        b"\xff",
        b"[" * 100_000,
        b'{"step": 1}',
        b'{"step": 1, "value": NaN}',
        b'{"step": 1, "value": "1"}',
        b'{"step": 1.5, "value": 1}',
        b'{"step": 1, "value": 1, "kind": "other"}',
        b'{"step": 1, "value": 1, "unknown": 1}',
        b'{"step": 1, "value": 1, "more": []}',
    ],
)
def test_a_line_that_is_no_such_row_is_named(line: bytes) -> None:
    error = refusal(from_lines, Row, to_lines([Row(step=1, value=1.0)]) + line + b"\n", PATH)
    assert "rows.jsonl is damaged: line 2 can't be read" in str(error)
    assert error.exit_code is ExitCode.BAD_DATA


def test_a_file_is_read_with_what_counts_of_it(tmp_path: Path) -> None:
    folder, rows = Folder(tmp_path), [Row(step=1, value=1.0)]
    assert read_lines(folder, NAME, Row) == []
    folder.write(NAME, to_lines(rows))
    assert read_lines(folder, NAME, Row) == rows
    folder.append(NAME, to_lines(rows) + b'{"cut')
    assert read_lines(folder, NAME, Row, appended=True) == rows
    assert refusal(read_lines, folder, NAME, Row).exit_code is ExitCode.BAD_DATA
