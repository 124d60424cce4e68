"""The error tree. Everything a user or a broker can cause is a SellctlError; what is not, is our bug.

SellctlError                    one clear sentence, what to do, and an exit status
├── ConfigError           2     the configuration or a command's words are wrong
├── SafetyRefusalError    5     a safety rule said no
├── BusyError             6     another instance holds the account
├── JournalError          1     the journal can't be read or written: nothing new is sent
└── BrokerError           1     the broker, or the way to it
    ├── AuthError         3     401/403: the key is refused
    ├── RequestRejectedError    a definite no (4xx): nothing happened at the broker
    │   ├── NotFoundError       404: definitely not there
    │   └── RateLimitedError    429 before anything was done
    └── UnknownOutcomeError           a time-out, a reset, a 5xx, an unreadable body: it may or may not have happened
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from sellctl.core.exit_codes import ExitCode

if TYPE_CHECKING:
    from collections.abc import Mapping


class SellctlError(Exception):
    """One clear sentence for the user, what to do about it, and the exit status that says which kind it was."""

    exit_code = ExitCode.FAILED

    def __init__(self, sentence: str, *, hint: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.sentence} {self.hint}".rstrip()


class ConfigError(SellctlError):
    """The configuration file, the environment or an option is wrong."""

    exit_code = ExitCode.USAGE


class SafetyRefusalError(SellctlError):
    """A safety rule refused what was asked."""

    exit_code = ExitCode.REFUSED


class BusyError(SellctlError):
    """Another sellctl already works this account."""

    exit_code = ExitCode.BUSY


class JournalError(SellctlError):
    """The journal can't be read or written."""


class BrokerError(SellctlError):
    """The broker, or the way to it, failed."""


class AuthError(BrokerError):
    """The broker refused the key (401, or 403 without a reason of its own)."""

    exit_code = ExitCode.AUTH


class Refusal(StrEnum):
    """Why the broker said a definite no, as far as it changes the next step."""

    INSUFFICIENT_QTY = "insufficient quantity"  # 403 40310000, something holds the shares
    WASH_TRADE = "wash trade"  # 403 40310000, an opposite order of ours rests
    UNCOVERED = "uncovered"  # 403 40310000, the leg covers a short one
    INTENT_MISMATCH = "position intent mismatch"  # 422: the position is gone or flipped
    DUPLICATE_ID = "duplicate client order id"  # 422 40010001 or 409: the order exists
    ACCOUNT = "account may not trade"  # 403: blocked, suspended or restricted, whatever the order
    NOT_CANCELABLE = "not cancelable"  # 422 on cancel: terminal already, or pending
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class BrokerAnswer:
    """What a definite refusal said: HTTP status, Alpaca's code (None when absent), its message and its other fields."""

    status: int
    code: int | None
    message: str
    fields: "Mapping[str, object]" = field(default_factory=dict)


class RequestRejectedError(BrokerError):
    """A definite no: the broker understood and refused, and nothing happened."""

    def __init__(
        self, sentence: str, *, answer: BrokerAnswer, refusal: Refusal = Refusal.OTHER, hint: str = ""
    ) -> None:
        super().__init__(sentence, hint=hint)
        self.answer = answer
        self.refusal = refusal


class NotFoundError(RequestRejectedError):
    """404: the broker knows no such order, position or contract."""


class RateLimitedError(RequestRejectedError):
    """429. `retry_at_epoch` is the broker's own word on when the budget refills, in Unix seconds; None when unsaid."""

    def __init__(self, sentence: str, *, answer: BrokerAnswer, retry_at_epoch: float | None = None) -> None:
        super().__init__(sentence, answer=answer, hint="sellctl slows down by itself.")
        self.retry_at_epoch = retry_at_epoch


class UnknownOutcomeError(BrokerError):
    """Nobody knows whether it happened. For an order the only next request is the look-up by its client order id."""
