"""What every refusal of a file has in common."""

from __future__ import annotations

from training.errors import ExitCode, LotteryError


def check_bad_data(error: LotteryError, name: str) -> None:
    message = str(error)
    assert error.exit_code is ExitCode.BAD_DATA
    assert name in message
    assert message.endswith(".")
    assert "\n" not in message
