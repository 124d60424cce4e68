"""Confirmation codes: once, for one subject, within a minute."""

import pytest

from sellctl.api.confirmations import MAX_CODES, MAX_PER_SUBJECT, VALID_SECONDS, Confirmations
from sellctl.core.errors import SafetyRefusalError


class Clock:
    """Monotonic seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_code_is_taken_once() -> None:
    codes = Confirmations[str](Clock())
    code = codes.offer("ana", "close AAPL")
    assert codes.take(code, "ana") == "close AAPL"
    with pytest.raises(SafetyRefusalError, match="used already"):
        codes.take(code, "ana")


def test_a_code_of_somebody_else_is_refused_and_stays_theirs() -> None:
    codes = Confirmations[str](Clock())
    code = codes.offer("ana", "close AAPL")
    with pytest.raises(SafetyRefusalError, match="not yours"):
        codes.take(code, "ben")
    assert codes.take(code, "ana") == "close AAPL"


def test_a_code_is_valid_for_a_minute() -> None:
    clock = Clock()
    codes = Confirmations[str](clock)
    first, second = codes.offer("ana", "close AAPL"), codes.offer("ana", "close MSFT")
    clock.now = VALID_SECONDS
    assert codes.take(first, "ana") == "close AAPL"
    clock.now = VALID_SECONDS + 1
    with pytest.raises(SafetyRefusalError, match="older than 60 seconds"):
        codes.take(second, "ana")


@pytest.mark.parametrize("code", ["", "x", "a" * 4096, "\x00"])
def test_a_guessed_code_is_refused(code: str) -> None:
    codes = Confirmations[str](Clock())
    codes.offer("ana", "close AAPL")
    with pytest.raises(SafetyRefusalError):
        codes.take(code, "ana")


def test_codes_are_bounded_for_each_subject_and_in_all() -> None:
    codes = Confirmations[int](Clock())
    own = codes.offer("ben", -1)
    mine = [codes.offer("ana", number) for number in range(MAX_PER_SUBJECT + 1)]
    with pytest.raises(SafetyRefusalError):
        codes.take(mine[0], "ana")
    assert codes.take(mine[1], "ana") == 1
    assert codes.take(own, "ben") == -1
    first = codes.offer("ben", 0)
    for number in range(MAX_CODES):
        codes.offer(f"subject {number}", number)
    with pytest.raises(SafetyRefusalError):
        codes.take(first, "ben")
