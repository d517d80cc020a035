"""The one error, and names that do not exist."""

from __future__ import annotations

import pytest
import torch

from training.errors import ExitCode, LotteryError, in_one_line, is_out_of_memory, unknown


def test_exit_codes_are_the_documented_ones() -> None:
    assert {code.name: int(code) for code in ExitCode} == {
        "DONE": 0,
        "ERROR": 1,
        "USAGE": 2,
        "BAD_DATA": 3,
        "DISK": 4,
        "OUT_OF_MEMORY": 5,
        "RESUMABLE": 75,
        "ABORTED": 130,
    }


def test_an_error_carries_its_message_and_exit_code() -> None:
    assert LotteryError("x").exit_code is ExitCode.ERROR
    error = LotteryError("The file is cut short.", ExitCode.BAD_DATA)
    assert (str(error), error.exit_code) == ("The file is cut short.", ExitCode.BAD_DATA)


def test_unknown_names_offer_the_near_and_list_the_known() -> None:
    assert str(unknown("recipe", "lenett", ["text", "lenet"])) == (
        "There is no recipe 'lenett'; did you mean lenet? Known: lenet, text."
    )
    assert str(unknown("recipe", "zzz", ["text", "lenet"])) == (
        "There is no recipe 'zzz'. Known: lenet, text."
    )


def test_of_many_known_names_few_are_shown() -> None:
    names = [f"net-{letter}" for letter in "abcdefghijklmnopqrstu"]
    assert "Known: net-a, net-b" in str(unknown("network", "zzz", names[:20], "lottery networks"))
    assert str(unknown("network", "zzz", names)) == (
        "There is no network 'zzz'. Known: net-a, net-b, net-c, net-d, net-e and 16 more."
    )
    assert str(unknown("network", "zzz", names, "lottery networks")).endswith(
        "net-e and 16 more. `lottery networks` lists all 21."
    )
    told = str(unknown("network", "net-", names, "lottery networks"))
    assert told.count("net-") == 1 + 5
    assert told.endswith("? `lottery networks` lists all 21.")
    assert str(unknown("network", "a-net-a", names)).startswith(
        "There is no network 'a-net-a'; did you mean net-a or "
    )


def test_an_exception_of_other_code_in_one_line() -> None:
    assert in_one_line(ValueError("  two\n\tlines")) == "ValueError: two lines"
    assert in_one_line(EOFError()) == "EOFError"
    assert in_one_line(ValueError("\x00\x07 bytes of a file")) == "ValueError"
    long = in_one_line(OSError("a" * 10_000))
    assert long.startswith("OSError: aaa")
    assert long.endswith("a...")
    assert len(long) < 500


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 MiB"), True),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
            True,
        ),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_a_lack_of_memory_is_known_by_its_words(error: Exception, expected: bool) -> None:
    assert is_out_of_memory(error) is expected
