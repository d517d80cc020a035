"""Metrics as values that know their direction, so that accuracy and perplexity share one pipeline."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Metric:
    """What a network is judged by.

    Attributes:
        name: the word in tables and on axes.
        unit: "%" for shares, "" for pure numbers.
        higher_is_better: the direction of better.
        margin: how much worse than the dense network still counts as matching.
        margin_is_relative: whether `margin` is a share of the dense network's value.
    """

    name: str
    unit: str
    higher_is_better: bool
    margin: float
    margin_is_relative: bool

    @property
    def label(self) -> str:
        """The axis label: name and unit."""
        return f"{self.name} ({self.unit})" if self.unit else self.name


# Margins: 0.2 points is the matching criterion of Frankle et al. 2020 (arXiv 1912.05671), section 4;
# 1 % of perplexity is this project's own counterpart.
ACCURACY = Metric(
    name="accuracy", unit="%", higher_is_better=True, margin=0.2, margin_is_relative=False
)
PERPLEXITY = Metric(
    name="perplexity", unit="", higher_is_better=False, margin=0.01, margin_is_relative=True
)
