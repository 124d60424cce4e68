"""Maps every error of a request to a BrokerError of sellctl.

A refusal is classified by its status, fields and message, not by its code: Alpaca uses code 40310000 for half a dozen
reasons and 40010001 for any malformed request.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from http import HTTPStatus
from typing import Final

from sellctl.alpaca.convert import UnreadableError
from sellctl.alpaca.transport import (
    ConnectError,
    ConnectTimeoutError,
    DnsError,
    InvalidHeaderError,
    InvalidUrlError,
    ProxyError,
    TlsError,
)
from sellctl.core.errors import (
    AuthError,
    BrokerAnswer,
    BrokerError,
    FailureKind,
    NotFoundError,
    RateLimitedError,
    Refusal,
    RequestRejectedError,
    UnknownOutcomeError,
)


class ErrorStatus(Exception):  # noqa: N818  a raw answer, not yet mapped to an error of sellctl
    """A 4xx or 5xx answer. Header names are in lower case."""

    def __init__(self, status: int, headers: Mapping[str, str], text: str) -> None:
        super().__init__(status)
        self.status = status
        self.headers = headers
        self.text = text


EXTERNAL_ERRORS: Final = (
    ErrorStatus,
    OSError,  # any connection failure, including time-outs
    ValueError,  # JSON, text that is not UTF-8, URLs, UnreadableError
)

_SHORTEST_SECRET = 8


class FeedNotGrantedError(RequestRejectedError):
    """The key is valid but is not entitled to the requested market data feed."""


class Operation(Enum):
    """The kind of a request. After an unclear answer, only a read can simply be repeated."""

    READ = "read"
    LOOK_UP = "look up"  # an order by our own id
    SUBMIT = "submit"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class RequestContext:
    """The facts that an error message contains about its request. `secrets` are removed from every quoted text."""

    account: str
    host: str
    action: str
    operation: Operation
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def sentence(self, reason: str) -> str:
        """One sentence with the account, the action and the reason of the failure."""
        return f"{self.account}: {self.action} failed: {reason}."

    def redact(self, text: str) -> str:
        """The text without the secrets. Those too short to be a real key stay: they could be ordinary words."""
        for secret in self.secrets:
            if len(secret) >= _SHORTEST_SECRET:
                text = text.replace(secret, "***")
        return text


def map_error(error: Exception, context: RequestContext) -> BrokerError:
    """The BrokerError for one of EXTERNAL_ERRORS."""
    if isinstance(error, ErrorStatus):
        return _of_answer(error, context)
    if isinstance(error, UnreadableError):
        reason = f"{context.host} sent an unusable answer: {context.redact(str(error))}"
        return UnknownOutcomeError(context.sentence(reason))
    return _of_connection(error, context)


# --- no answer

_CHECK_NETWORK = "Check the network and the account's endpoints."
_CHECK_ADDRESS = "Check the account's endpoints."
_CHECK_KEY = "Check api_key and secret_key, and whether they are for paper or live."
_CHECK_KEY_TEXT = "Check api_key and secret_key for stray characters."

# The first type that matches gives the kind, the reason and the hint. The messages of these errors are never quoted,
# because they can contain secrets: that of an invalid header contains the key.
_CONNECTION_ERRORS: Final[tuple[tuple[type[Exception], FailureKind, str, str], ...]] = (
    (DnsError, FailureKind.DNS, "the host name {host} can't be resolved", _CHECK_NETWORK),
    (ConnectError, FailureKind.CONNECT, "{host} can't be reached", _CHECK_NETWORK),
    (ProxyError, FailureKind.PROXY, "the proxy did not connect to {host}", _CHECK_NETWORK),
    (ConnectTimeoutError, FailureKind.CONNECT_TIMEOUT, "the connection to {host} timed out", _CHECK_NETWORK),
    (TimeoutError, FailureKind.TIMEOUT, "{host} did not answer in time", ""),
    (TlsError, FailureKind.TLS, "{host} has no trusted certificate", _CHECK_NETWORK),
    (InvalidHeaderError, FailureKind.OTHER, "the key has characters that can't be sent", _CHECK_KEY_TEXT),
    (InvalidUrlError, FailureKind.OTHER, "{host} is not a valid address", _CHECK_ADDRESS),
    (ConnectionError, FailureKind.DISCONNECTED, "{host} closed the connection", _CHECK_NETWORK),
)


def _of_connection(error: Exception, context: RequestContext) -> UnknownOutcomeError:
    for its_type, kind, reason, hint in _CONNECTION_ERRORS:
        if isinstance(error, its_type):
            return UnknownOutcomeError(context.sentence(reason.format(host=context.host)), hint=hint, kind=kind)
    return UnknownOutcomeError(context.sentence(f"the request to {context.host} ended in {type(error).__name__}"))


# --- what the broker answered

_CLIENT_ERRORS = range(400, 500)
_TIMEOUT_STATUSES = frozenset({408, 425, 499})  # it may have been carried out, whether Alpaca or a gateway answered
_KEY_STATUSES = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_READS = (Operation.READ, Operation.LOOK_UP)
_MESSAGE = ("message",)
_MESSAGE_OF_A_LOOK_UP = ("message", "error", "detail")  # Alpaca's own, and what gateways use instead
_LONGEST_MESSAGE = 300
_LONGEST_NUMBER = 15
_ABSENT = re.compile(r"\b(order|position|asset|contract|account) (is |was |does )?not (found|exist)", re.IGNORECASE)
_ABSENT_CODES = range(40_400_000, 40_500_000)
_KEY_CODES = range(40_100_000, 40_200_000)
_FEED = re.compile(r"subscription does not permit|agreement is not signed|invalid feed", re.IGNORECASE)
_TOO_MANY = re.compile(r"rate limit|too many requests", re.IGNORECASE)
_RATE_CODE = 42910000
_BUDGET_HEADERS = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")

# Fields of a 403 that name the reason independently of the message's wording.
_REFUSAL_OF_FIELD: Final = {
    "existing_order_id": Refusal.WASH_TRADE,
    "held_for_orders": Refusal.INSUFFICIENT_QTY,
    "existing_qty": Refusal.INSUFFICIENT_QTY,
}
# Messages about an account that may not trade at all: blocked by Alpaca, or suspended by its owner.
_NO_TRADING: Final = (
    r"(not authorized|unauthorized) to trade|rejected by user request"
    r"|(account|trading) (is |has been )?(blocked|suspended|restricted|disabled)"
)
# In whichever order of words; the order is looked up then, so that a wrong guess costs a request.
_DUPLICATE: Final = (
    r"client.?order.?id.*(unique|exist|duplicate|already)|(unique|exist|duplicate|already).*client.?order.?id"
)
# The documented message is about a sub-penny price; others name the increment, the tick or the multiple.
_INCREMENT: Final = r"sub.?penny|(price|pricing|minimum|tick) increment|increment of|(minimum|invalid) tick|multiple of"
# Operation, status, pattern of the message.
_REFUSAL_OF_MESSAGE: Final = tuple(
    (operation, status, re.compile(pattern, re.IGNORECASE), refusal)
    for operation, status, pattern, refusal in (
        (Operation.CANCEL, 422, "", Refusal.NOT_CANCELABLE),
        (Operation.SUBMIT, 409, "", Refusal.DUPLICATE_ID),
        (Operation.SUBMIT, 422, _DUPLICATE, Refusal.DUPLICATE_ID),
        (Operation.SUBMIT, 422, r"position.?intent mismatch", Refusal.INTENT_MISMATCH),
        (Operation.SUBMIT, 422, _INCREMENT, Refusal.PRICE_INCREMENT),
        (Operation.SUBMIT, 403, r"insufficient (qty|quantity|balance)", Refusal.INSUFFICIENT_QTY),
        (Operation.SUBMIT, 403, r"wash trade", Refusal.WASH_TRADE),
        (Operation.SUBMIT, 403, r"not eligible to trade (options? )?(spreads?|multi)", Refusal.OPTIONS_LEVEL),
        (Operation.SUBMIT, 403, r"uncovered", Refusal.UNCOVERED),
        (Operation.SUBMIT, 403, _NO_TRADING, Refusal.ACCOUNT),
    )
)


def refusal_of(answer: BrokerAnswer, operation: Operation) -> Refusal:
    """The kind of a refusal; OTHER for one without an automatic next step."""
    if operation is Operation.SUBMIT and answer.status == HTTPStatus.FORBIDDEN:
        for name, refusal in _REFUSAL_OF_FIELD.items():
            if name in answer.fields:
                return refusal
    for its_operation, status, pattern, refusal in _REFUSAL_OF_MESSAGE:
        if (its_operation, status) == (operation, answer.status) and pattern.search(answer.message):
            return refusal
    return Refusal.OTHER


def _of_answer(error: ErrorStatus, context: RequestContext) -> BrokerError:
    text = context.redact(error.text)
    keys = _MESSAGE_OF_A_LOOK_UP if context.operation is Operation.LOOK_UP else _MESSAGE
    answer = _parse(error.status, text, keys)
    if error.status == HTTPStatus.TOO_MANY_REQUESTS:
        return _of_429(answer, error.headers, context)
    if _refuses_key(error.status, text, answer, context.operation):
        message = answer.message if answer else "no reason given"
        sentence = f"{context.account}: {context.host} refuses the key ({error.status}: {message})."
        return AuthError(sentence, hint=_CHECK_KEY)
    if answer is None or error.status not in _CLIENT_ERRORS or error.status in _TIMEOUT_STATUSES:
        message = f", {answer.message}" if answer else ""
        sentence = context.sentence(f"{context.host} answered with status {error.status}{message}")
        is_refusal = error.status in _CLIENT_ERRORS and error.status not in _TIMEOUT_STATUSES
        return UnknownOutcomeError(sentence, kind=FailureKind.GATEWAY if is_refusal else FailureKind.SERVER)
    return _of_definite(answer, context)


def _of_definite(answer: BrokerAnswer, context: RequestContext) -> BrokerError:
    sentence = context.sentence(f"{answer.message} ({answer.status})")
    if answer.status == HTTPStatus.NOT_FOUND:
        is_absent = _is_absence(answer, context.operation)
        if is_absent:
            return NotFoundError(sentence, answer=answer)
        return UnknownOutcomeError(sentence, kind=FailureKind.GATEWAY)
    if context.operation is Operation.LOOK_UP and _says_absent(answer):
        return NotFoundError(sentence, answer=answer)
    if _FEED.search(answer.message):
        return FeedNotGrantedError(sentence, answer=answer)
    return RequestRejectedError(sentence, answer=answer, refusal=refusal_of(answer, context.operation))


def _is_absence(answer: BrokerAnswer, operation: Operation) -> bool:
    """Whether a 404 means that the requested object does not exist, rather than that a gateway did not know the path.

    For a look-up, any 404 in JSON counts. This is safe: the order is looked up again before it is resent, and it is
    resent with the same id, which Alpaca accepts only once.
    """
    return operation is Operation.LOOK_UP or _says_absent(answer)


def _says_absent(answer: BrokerAnswer) -> bool:
    return _is_among(answer.code, _ABSENT_CODES) or bool(_ABSENT.search(answer.message))


def _is_among(code: int | None, codes: range) -> bool:
    """Whether a code is one of these. Python would compare None with each of them, which takes 2 ms."""
    return code is not None and code in codes


def _refuses_key(status: int, text: str, answer: BrokerAnswer | None, operation: Operation) -> bool:
    """Whether a 401 or 403 is about the key. An unparsable 401 or 403 proves a bad key only for reads."""
    if status not in _KEY_STATUSES:
        return False
    if answer is None:
        return operation in _READS and (status == HTTPStatus.UNAUTHORIZED or not text.strip())
    if status == HTTPStatus.UNAUTHORIZED or _is_among(answer.code, _KEY_CODES):
        return True
    has_reason = _FEED.search(answer.message) or refusal_of(answer, operation) is not Refusal.OTHER
    return answer.code is None and not has_reason


def _of_429(answer: BrokerAnswer | None, headers: Mapping[str, str], context: RequestContext) -> BrokerError:
    """RateLimitedError when the 429 comes from Alpaca; UnknownOutcomeError when a gateway or proxy may have sent it."""
    is_from_alpaca = answer is not None and (answer.code == _RATE_CODE or _TOO_MANY.search(answer.message))
    if not is_from_alpaca and not any(name in headers for name in _BUDGET_HEADERS):
        sentence = context.sentence(f"{context.host} answered with status 429 and gave no reason")
        return UnknownOutcomeError(sentence, kind=FailureKind.GATEWAY)
    return RateLimitedError(
        context.sentence("the broker's request budget is used up (429)"),
        answer=answer or BrokerAnswer(HTTPStatus.TOO_MANY_REQUESTS.value, None, ""),
        retry_at_epoch=whole_number(headers.get("x-ratelimit-reset")),
    )


def whole_number(text: object) -> int | None:
    """A text of digits as a number; None for anything else."""
    if not isinstance(text, str) or len(text) > _LONGEST_NUMBER:
        return None
    return int(text) if text.isascii() and text.isdigit() else None


def _parse(status: int, text: str, keys: tuple[str, ...]) -> BrokerAnswer | None:
    """The body of a refusal; None when it is not a JSON object with a message (under one of `keys`) or a code."""
    try:
        body = json.loads(
            text, parse_float=str, parse_constant=str
        )  # numbers stay exact: the journal records them as evidence
    except (ValueError, RecursionError):
        return None
    if not isinstance(body, dict):
        return None
    code = _code_of(body.pop("code", None))
    message = next((body.pop(key) for key in keys if isinstance(body.get(key), str)), None)
    if message is None and code is None:
        return None
    return BrokerAnswer(status, code, _one_line(message or ""), body)


def _code_of(code: object) -> int | None:
    return code if isinstance(code, int) and not isinstance(code, bool) else whole_number(code)


def _one_line(message: str) -> str:
    """A text from the broker in one line, without control characters, short enough for a sentence."""
    printable = "".join(character if character.isprintable() else " " for character in message)
    return " ".join(printable.split())[:_LONGEST_MESSAGE].rstrip(".")
