"""Colours, styles and panels."""

from __future__ import annotations

import matplotlib as mpl

from analysis.theme import ARMS, NETWORKS, arm_styles, network_styles, panels, paper


def test_no_two_arms_look_alike() -> None:
    styles = [(style.colour, style.marker, style.dashes) for style in ARMS.values()]
    for column in zip(*styles, strict=True):
        assert len(set(column)) == len(styles)


def test_an_arm_keeps_its_style_beside_unknown_ones() -> None:
    styles = arm_styles(["mine", "ticket", "also-mine"])
    assert styles["ticket"] == ARMS["ticket"]
    assert styles["mine"] != styles["also-mine"]


def test_many_networks_reuse_styles() -> None:
    labels = [str(number) for number in range(len(NETWORKS) + 1)]
    styles = network_styles(labels)
    assert styles["0"] == styles[labels[-1]]


def test_the_settings_are_as_before_afterwards() -> None:
    before = mpl.rcParams["font.size"]
    with paper():
        assert mpl.rcParams["font.size"] == 8.0
    assert mpl.rcParams["font.size"] == before


def test_unused_panels_are_not_there() -> None:
    figure, axes = panels(3)
    assert len(axes) == len(figure.axes) == 3
