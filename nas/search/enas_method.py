"""ENAS as a search method; torch-free."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nas.search.controller_config import CONTROLLERS, ControllerConfig
from nas.search.method import Method

if TYPE_CHECKING:
    from nas.search.configs import SearchConfig


def controller_of(config: SearchConfig) -> ControllerConfig:
    """The controller that a search is given, or the published one of its space; defaults where none was published."""
    return config.controller or CONTROLLERS.get(config.space, ControllerConfig())


def _plan(config: SearchConfig) -> dict[str, str]:
    controller = controller_of(config)
    return {
        "updates of the controller per phase": f"{controller.updates} of {controller.samples} architectures"
    }


ENAS = Method(
    title="ENAS",
    summary="a controller learns from rewards which architectures to draw (Pham et al. 2018)",
    module="nas.search.enas",
    section="controller",
    settings=controller_of,
    needs_sharing=True,
    plan=_plan,
)
