"""This project's version; torch-free."""

from __future__ import annotations

import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def own_version() -> str:
    """As installed, or as the project's own file says where its folder is only on the path."""
    try:
        return version("lottery")
    except PackageNotFoundError:
        path = Path(__file__).parents[1] / "pyproject.toml"
        stated: str = tomllib.loads(path.read_text())["project"]["version"]
        return stated
