"""The error tree. Every error that a user or a broker can cause is a SellctlError; any other exception is a bug.

SellctlError                    one sentence, a hint at what to do, and an exit status
├── ConfigError           2     the configuration or a command's arguments are wrong
├── SafetyRefusalError    5     a safety rule refused the command
├── BusyError             6     another instance has locked the account
├── LeaseLostError        6     another host may have the account: nothing is sent
├── JournalError          1     the journal can't be read or written: nothing new is sent
└── BrokerError           1     the broker, or the connection to it, failed
    ├── AuthError         3     401/403: the key is refused
    ├── RequestRejectedError    the broker refused the request (4xx) and did nothing
    │   ├── NotFoundError       404: the requested object does not exist
    │   └── RateLimitedError    429: too many requests
    └── UnknownOutcomeError     time-out, reset, 5xx, unreadable body: the request may have been carried out
"""

from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct, field

from sellctl.core.exit_codes import ExitCode

if TYPE_CHECKING:
    from collections.abc import Mapping


class SellctlError(Exception):
    """An error with one sentence for the user, a hint at what to do about it, and the exit status of the command."""

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
    """A safety rule refused the command."""

    exit_code = ExitCode.REFUSED


class BusyError(SellctlError):
    """Another process of sellctl has locked this account."""

    exit_code = ExitCode.BUSY


class LeaseLostError(SellctlError):
    """This host may not send for the account now: its lease has ended, or may have."""

    exit_code = ExitCode.BUSY


class JournalError(SellctlError):
    """The journal can't be read or written."""


class BrokerError(SellctlError):
    """The broker, or the connection to it, failed."""


class AuthError(BrokerError):
    """The broker refused the key (401, or a 403 that gives no other reason)."""

    exit_code = ExitCode.AUTH


class Refusal(StrEnum):
    """Why the broker refused a request, as far as it affects the next step."""

    INSUFFICIENT_QTY = "insufficient quantity"  # 403 40310000, open orders hold the shares
    WASH_TRADE = "wash trade"  # 403 40310000, an opposite order of the account is open
    OPTIONS_LEVEL = "options level"  # 403 40310000, the account may not trade spreads
    UNCOVERED = "uncovered"  # 403 40310000, the leg covers a short leg
    INTENT_MISMATCH = "position intent mismatch"  # 422: the position is closed or has changed sides
    DUPLICATE_ID = "duplicate client order id"  # 422 40010001 or 409: the order exists
    PRICE_INCREMENT = "price increment"  # 422: the price isn't a multiple of the increment
    ACCOUNT = "account may not trade"  # 403: blocked, suspended or restricted; every order is refused
    NOT_CANCELABLE = "not cancelable"  # 422 on cancel: the order has ended, or a cancel is pending
    OTHER = "other"


class BrokerAnswer(Struct, frozen=True):
    """The answer of a refusal: HTTP status, Alpaca's code (None when absent), its message and its other fields."""

    status: int
    code: int | None
    message: str
    fields: "Mapping[str, object]" = field(default_factory=dict)


class RequestRejectedError(BrokerError):
    """The broker definitely refused the request and did nothing."""

    def __init__(
        self, sentence: str, *, answer: BrokerAnswer, refusal: Refusal = Refusal.OTHER, hint: str = ""
    ) -> None:
        super().__init__(sentence, hint=hint)
        self.answer = answer
        self.refusal = refusal


class NotFoundError(RequestRejectedError):
    """404: the broker has no such order, position or contract."""


class RateLimitedError(RequestRejectedError):
    """429. `retry_at_epoch` is when the broker accepts requests again, in Unix seconds; None when it didn't say.

    With `is_ours`, sellctl's own budget held the request back: the broker has not seen it.
    """

    def __init__(
        self, sentence: str, *, answer: BrokerAnswer, retry_at_epoch: float | None = None, is_ours: bool = False
    ) -> None:
        super().__init__(sentence, answer=answer, hint="sellctl slows down by itself.")
        self.retry_at_epoch = retry_at_epoch
        self.is_ours = is_ours


class FailureKind(StrEnum):
    """Why a request has no usable answer."""

    DNS = "dns"
    CONNECT = "connect"  # refused, or no way to the host
    CONNECT_TIMEOUT = "connect time-out"
    PROXY = "proxy"
    TLS = "tls"
    TIMEOUT = "time-out"  # connected, but no answer in time
    DISCONNECTED = "disconnected"
    SERVER = "server"  # an answer with status 5xx, or one that says that the broker gave up
    GATEWAY = "gateway"  # a refusal that isn't in the broker's words
    OTHER = "other"


class UnknownOutcomeError(BrokerError):
    """Whether the request was carried out is unknown. An order is next looked up by its client order id.

    `kind` says why there is no usable answer.
    """

    def __init__(self, sentence: str, *, hint: str = "", kind: FailureKind = FailureKind.OTHER) -> None:
        super().__init__(sentence, hint=hint)
        self.kind = kind

    @property
    def is_refusal(self) -> bool:
        """Whether the answer is a refusal (4xx) without the broker's words: a gateway may have sent it."""
        return self.kind is FailureKind.GATEWAY
