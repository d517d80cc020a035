"""What reaches the terminal: lines in which nothing acts, in letters that it has, and an end when it takes no more."""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from training.errors import ExitCode, visible

# Letters of ours that ASCII or Latin-1 lack, and what is read in their place; of others the code is written.
PLAIN = {"–": "-", "—": "-", "…": "...", "±": "+-", "×": "x", "≥": ">=", "≤": "<="}


def say(*lines: str, err: bool = False) -> None:
    """Print lines; each stays one, whatever names it holds."""
    # Not click.echo: it writes UTF-8 where ASCII is asked for.
    print("\n".join(map(visible, lines)), file=sys.stderr if err else sys.stdout, flush=True)


def stop(message: str, code: ExitCode) -> NoReturn:
    """End the process with one sentence on the error stream, where that takes it, and an exit code."""
    with contextlib.suppress(OSError):
        say(message if code is ExitCode.RESUMABLE else f"Error: {message}", err=True)
    sys.exit(int(code))


@contextlib.contextmanager
def output() -> Iterator[None]:
    """While inside, letters that the terminal lacks are replaced; an output that takes no more ends the process.

    A reader that closed the pipe, as `head` does, has what it wanted: exit code 1 without a word, as click has it. A
    full disk is `ExitCode.DISK`.
    """
    codecs.register_error("plain", _plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="plain")
    try:
        try:
            yield
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()  # while there is someone to hear of it
    except BrokenPipeError:
        _drop_the_rest()
        sys.exit(int(ExitCode.ERROR))
    except OSError as error:
        _drop_the_rest()
        stop(
            f"The output can't be written ({error.strerror or error}); send it elsewhere. What was written to files "
            "is there.",
            ExitCode.DISK,
        )


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    return "".join(PLAIN.get(letter) or _code(letter) for letter in letters), error.end


def _code(letter: str) -> str:
    r"""As TOML and Python write it.

    >>> _code("é"), _code("😀")
    ('\\u00e9', '\\U0001f600')
    """
    return f"\\u{ord(letter):04x}" if ord(letter) < 0x10000 else f"\\U{ord(letter):08x}"


def _drop_the_rest() -> None:
    """What is still to be written goes nowhere, so that the interpreter doesn't try again at its end."""
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
