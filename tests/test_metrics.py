"""Metrics know their direction and their margin."""

from __future__ import annotations

from training.metrics import ACCURACY, PERPLEXITY


def test_accuracy_is_a_share_where_more_is_better() -> None:
    assert ACCURACY.higher_is_better
    assert ACCURACY.label == "accuracy (%)"
    assert (ACCURACY.margin, ACCURACY.margin_is_relative) == (0.2, False)


def test_perplexity_is_a_number_where_less_is_better() -> None:
    assert not PERPLEXITY.higher_is_better
    assert PERPLEXITY.label == "perplexity"
    assert (PERPLEXITY.margin, PERPLEXITY.margin_is_relative) == (0.01, True)
