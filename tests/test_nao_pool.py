"""NAO's pool: promised and real gains."""

from __future__ import annotations

from typing import Any

from nas.search.nao_pool import Member, step_figures


def test_promised_and_real_gains_written_out() -> None:
    a, b, c, d = (0,), (1,), (2,), (3,)
    made: dict[str, Any] = {"parent": a, "round": 1}
    pool = [
        Member(choices=a, round=0, score=1.0),
        Member(choices=b, step_size=1, promised=1.0, predicted_gain=0.5, score=3.0, **made),
        Member(choices=c, step_size=1, promised=2.0, predicted_gain=0.0, score=0.0, **made),
        Member(choices=d, round=1, score=9.0),
    ]
    assert step_figures(pool, [b, c, d]) == {
        "step_1_promised": 1.5,
        "step_1_predicted": 0.25,
        "step_1_real": 0.5,
        "step_1_count": 2.0,
    }
    assert step_figures(pool[1:], [b, c, d]) == {}
