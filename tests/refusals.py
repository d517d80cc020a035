"""What a function refuses, as one sentence."""

from __future__ import annotations

from typing import Any

import pytest

from training.errors import LotteryError


def refusal(call: Any, *arguments: Any) -> LotteryError:
    """The error that a call ends with; one sentence."""
    with pytest.raises(LotteryError) as caught:
        call(*arguments)
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message
    return caught.value
