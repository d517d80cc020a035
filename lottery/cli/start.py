"""The entry point: signals are answered before anything is imported that takes long."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

from training.errors import ExitCode

# What schedulers send before they end a process.
REQUEUED = (signal.SIGTERM, signal.SIGUSR1)


def main() -> None:
    """Run the command line.

    Until a run or search takes over the signals, and after it, there is nothing to be saved: the process ends at once,
    with the code on which schedulers queue it again.
    """
    for number in REQUEUED:
        signal.signal(number, _end)
    try:
        from lottery.cli.main import cli

        cli()
    except KeyboardInterrupt:
        sys.stderr.write("Error: Aborted; the same command begins again.\n")
        sys.exit(int(ExitCode.ABORTED))


def _end(number: int, frame: FrameType | None) -> None:
    """End without unwinding, as an exception might be lost in the middle of an import."""
    os.write(2, b"Stopped by a signal; the same command goes on.\n")
    os._exit(int(ExitCode.RESUMABLE))


if __name__ == "__main__":
    main()
