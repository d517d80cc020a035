"""The user's own code, imported."""

from __future__ import annotations

import functools
import importlib
import sys
import traceback
from pathlib import Path
from typing import Any

from nas.catalog.catalog import own_parts
from nas.catalog.outside_networks import Factory
from training.errors import LotteryError, in_one_line, unknown

# The suite's own packages, which go before a user's of the same name.
PACKAGES = ("training", "nas", "lottery", "analysis")


def import_factory(name: str, folder: Path | None = None) -> Factory:
    """The user's own function that makes a network, see `import_own`.

    Raises:
        LotteryError: as there, or it is no function.
    """
    found = import_own(name, "network", folder)
    if not callable(found):
        raise LotteryError(
            f"{name} is {type(found).__name__}, but it must be a function that returns a network."
        )
    factory: Factory = found
    return factory


def import_own(name: str, kind: str, folder: Path | None = None) -> object:
    """The user's own value of a name. This runs their code: call it only for names they typed.

    Args:
        name: `package.module:name`, the module importable from where Python looks.
        kind: what it is for, in words.
        folder: where Python looks too: while the module is imported before all else, as `python -m` does, and then
            after it, so that a file of the user's hides no library that this project imports later.

    Raises:
        LotteryError: the name is malformed, the module can't be imported, or there is nothing of that name in it.
    """
    module, path = own_parts(name)
    for package in PACKAGES:
        importlib.import_module(package)
    here = [] if folder is None else [str(folder)]
    sys.path[:0] = here
    try:
        imported: Any = importlib.import_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise LotteryError(
            f"The module {module!r} of the {kind} {name} can't be imported: {in_one_line(error)}; "
            f"{_advice(module, error)}."
        ) from error
    finally:
        sys.path[:] = [*(path for path in sys.path if path not in here), *here]
    try:
        found: object = functools.reduce(getattr, path.split("."), imported)
    except AttributeError:
        known = [key for key, value in vars(imported).items() if callable(value)]
        if (package := module.partition(".")[0]) in PACKAGES:
            raise LotteryError(
                f"There is no function {path!r} in {module}: {_taken(package)}."
            ) from None
        raise unknown(f"function in {module}", path, known) from None
    return found


def _advice(module: str, error: BaseException) -> str:
    """What to do about a module that can't be imported: put it where it is found, or mend the line at fault."""
    if isinstance(error, ImportError) and error.name:
        package = error.name.partition(".")[0]
        if package in PACKAGES:
            return _taken(package)
    # Python names the package where that is what it did not find.
    if isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}."):
        return "it must be in the current folder or installed"
    if isinstance(error, SyntaxError) and error.filename:
        return f"mend {error.filename}, line {error.lineno}"
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename not in (__file__, importlib.__file__)
        and not frame.filename.startswith("<frozen")
    ]
    return f"mend {frames[-1].filename}, line {frames[-1].lineno}" if frames else "mend its code"


def _taken(package: str) -> str:
    return (
        f"{package} is the name of a package of this suite, so give a package of your own another"
    )
