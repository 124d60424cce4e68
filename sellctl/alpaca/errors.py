"""Every foreign error into our tree; nothing else may know the SDK's, h11's, the network's or JSON's errors.

Of a refusal the status, the fields and the message count: Alpaca uses code 40310000 for half a dozen reasons and
40010001 for any malformed request. The SDK's `APIError.code` and `.message` are never touched: they raise.
"""

import json
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

import h11
import requests
from alpaca.common.exceptions import APIError, RetryException

from sellctl.alpaca.convert import UnreadableError
from sellctl.alpaca.transport import (
    NoAddressError,
    NoCallError,
    NoDoorError,
    NoHeaderError,
    NoNameError,
    NoPassageError,
)
from sellctl.core.errors import (
    AuthError,
    BrokerAnswer,
    BrokerError,
    NotFoundError,
    RateLimitedError,
    Refusal,
    RequestRejectedError,
    UnknownOutcomeError,
)

FOREIGN_ERRORS: Final = (
    APIError,
    RetryException,
    h11.ProtocolError,
    OSError,  # TLS, time-outs, whatever a connection may end in, and requests' own errors
    ValueError,  # JSON, text that isn't UTF-8, addresses, our own UnreadableError
)


_SHORTEST_SECRET = 8


class FeedNotGrantedError(RequestRejectedError):
    """The key is good, but the market data feed that was asked for isn't granted to it."""


class Op(Enum):
    """What a request does. Only a read may be taken at the word of an answer that can't be read."""

    READ = "read"
    LOOK_UP = "look up"  # an order by our own id
    SUBMIT = "submit"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class Case:
    """What an error sentence needs to know about the request. `secrets` are struck from whatever is quoted."""

    account: str
    host: str
    what: str
    op: Op
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def sentence(self, how: str) -> str:
        """One sentence: which account, what was tried, how it failed."""
        return f"{self.account}: {self.what} failed: {how}."

    def clean(self, text: str) -> str:
        """The text without our secrets; what is too short to be a key can't be told from ordinary words."""
        for secret in self.secrets:
            if len(secret) >= _SHORTEST_SECRET:
                text = text.replace(secret, "***")
        return text


def mapped(error: Exception, case: Case) -> BrokerError:
    """Our error for a foreign one."""
    if isinstance(error, APIError):
        return _of_answer(error, case)
    if isinstance(error, UnreadableError):
        return UnknownOutcomeError(case.sentence(f"the answer of {case.host} can't be used: {case.clean(str(error))}"))
    return _of_the_way(error, case)


# --- the way to the broker: the first kind that fits gives the words. Foreign texts are never quoted: a bad header's
# error, for one, quotes the key.

_CHECK_NETWORK = "Check the network and the account's endpoints."
_CHECK_ADDRESS = "Check the account's endpoints."
_CHECK_KEY = "Check api_key and secret_key, and whether they are for paper or live."
_CHECK_KEY_TEXT = "Check api_key and secret_key for stray characters."

_WAYS: Final[tuple[tuple[tuple[type[Exception], ...], str, str], ...]] = (
    ((NoNameError,), "no host of the name {host} can be found", _CHECK_NETWORK),
    ((NoDoorError,), "{host} can't be reached", _CHECK_NETWORK),
    ((NoPassageError,), "the proxy on the way to {host} did not let it through", _CHECK_NETWORK),
    ((NoCallError,), "{host} did not take the call in time", _CHECK_NETWORK),
    ((TimeoutError,), "{host} did not answer in time", ""),
    ((ssl.SSLError,), "{host} has no certificate that can be trusted", _CHECK_NETWORK),
    ((NoHeaderError,), "the key has characters that can't be sent", _CHECK_KEY_TEXT),
    ((NoAddressError,), "{host} is not an address that can be called", _CHECK_ADDRESS),
    ((json.JSONDecodeError, UnicodeDecodeError), "the answer of {host} is not JSON", ""),
    ((h11.ProtocolError, ConnectionError), "{host} broke the connection off", _CHECK_NETWORK),
)


def _of_the_way(error: Exception, case: Case) -> UnknownOutcomeError:
    for kinds, how, hint in _WAYS:
        if isinstance(error, kinds):
            return UnknownOutcomeError(case.sentence(how.format(host=case.host)), hint=hint)
    return UnknownOutcomeError(case.sentence(f"the call to {case.host} ended in {type(error).__name__}"))


# --- what the broker answered

_CLIENT_ERRORS = range(400, 500)
_UNKNOWN_OUTCOME_STATUSES = frozenset({408, 425, 499})  # a time-out on the way, whoever says it
_NO_KEY = (401, 403)
_READS = (Op.READ, Op.LOOK_UP)
_MESSAGE = ("message",)
_MESSAGE_OF_A_LOOK_UP = ("message", "error", "detail")  # Alpaca's own, and what others put in its place
_LONGEST_MESSAGE = 300
_LONGEST_NUMBER = 15
_ABSENT = re.compile(r"\b(order|position|asset|contract|account) (is |was |does )?not (found|exist)", re.IGNORECASE)
_ABSENT_CODES = range(40_400_000, 40_500_000)
_KEY_CODES = range(40_100_000, 40_200_000)
_FEED = re.compile(r"subscription does not permit|agreement is not signed|invalid feed", re.IGNORECASE)
_TOO_MANY = re.compile(r"rate limit|too many requests", re.IGNORECASE)
_RATE_CODE = 42910000
_BUDGET_HEADERS = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")

# A field of a 403 that says what stands in the way, whatever the words of the day are.
_REFUSAL_OF_FIELD: Final = {
    "existing_order_id": Refusal.WASH_TRADE,
    "held_for_orders": Refusal.INSUFFICIENT_QTY,
    "existing_qty": Refusal.INSUFFICIENT_QTY,
}
# What Alpaca says of an account that may not trade, whatever the order: blocked by it, or suspended by its owner.
_NO_TRADING: Final = (
    r"(not authorized|unauthorized) to trade|rejected by user request"
    r"|(account|trading) (is |has been )?(blocked|suspended|restricted|disabled)"
)
# What a request did, the status of the answer, the words in its message.
_REFUSAL_OF_WORDS: Final = tuple(
    (op, status, re.compile(words, re.IGNORECASE), refusal)
    for op, status, words, refusal in (
        (Op.CANCEL, 422, "", Refusal.NOT_CANCELABLE),
        (Op.SUBMIT, 409, "", Refusal.DUPLICATE_ID),
        (Op.SUBMIT, 422, r"client.?order.?id.*(unique|exist|duplicate|already)", Refusal.DUPLICATE_ID),
        (Op.SUBMIT, 422, r"position.?intent mismatch", Refusal.INTENT_MISMATCH),
        (Op.SUBMIT, 403, r"insufficient (qty|quantity|balance)", Refusal.INSUFFICIENT_QTY),
        (Op.SUBMIT, 403, r"wash trade", Refusal.WASH_TRADE),
        (Op.SUBMIT, 403, r"uncovered", Refusal.UNCOVERED),
        (Op.SUBMIT, 403, _NO_TRADING, Refusal.ACCOUNT),
    )
)


def refusal_of(answer: BrokerAnswer, op: Op) -> Refusal:
    """Which of the refusals with a next step of their own an answer is."""
    if op is Op.SUBMIT and answer.status == requests.codes.forbidden:
        for name, refusal in _REFUSAL_OF_FIELD.items():
            if name in answer.fields:
                return refusal
    for its_op, status, words, refusal in _REFUSAL_OF_WORDS:
        if (its_op, status) == (op, answer.status) and words.search(answer.message):
            return refusal
    return Refusal.OTHER


def _of_answer(error: APIError, case: Case) -> BrokerError:
    status = error.status_code or 0
    text = case.clean(str(error))
    answer = _parsed(status, text, _MESSAGE_OF_A_LOOK_UP if case.op is Op.LOOK_UP else _MESSAGE)
    if status == requests.codes.too_many_requests:
        return _of_429(answer, _headers_of(error), case)
    if _refuses_key(status, text, answer, case.op):
        said = answer.message if answer else "no reason given"
        return AuthError(f"{case.account}: {case.host} refuses the key ({status}: {said}).", hint=_CHECK_KEY)
    if answer is None or status not in _CLIENT_ERRORS or status in _UNKNOWN_OUTCOME_STATUSES:
        said = f", {answer.message}" if answer else ""
        return UnknownOutcomeError(case.sentence(f"{case.host} answered with status {status}{said}"))
    return _of_definite(answer, case)


def _of_definite(answer: BrokerAnswer, case: Case) -> BrokerError:
    sentence = case.sentence(f"{answer.message} ({answer.status})")
    if answer.status == requests.codes.not_found:
        return NotFoundError(sentence, answer=answer) if _is_absence(answer, case.op) else UnknownOutcomeError(sentence)
    if _FEED.search(answer.message):
        return FeedNotGrantedError(sentence, answer=answer)
    return RequestRejectedError(sentence, answer=answer, refusal=refusal_of(answer, case.op))


def _is_absence(answer: BrokerAnswer, op: Op) -> bool:
    """Whether a 404 is the broker's word on the thing asked for, and not a gateway's on the path.

    A look-up takes any JSON for it: what follows is a second look-up and the same id, which the broker takes once.
    """
    return op is Op.LOOK_UP or answer.code in _ABSENT_CODES or bool(_ABSENT.search(answer.message))


def _refuses_key(status: int, text: str, answer: BrokerAnswer | None, op: Op) -> bool:
    """Whether a 401 or 403 is about the key. An order's fate is never read off an answer that isn't the broker's."""
    if status not in _NO_KEY:
        return False
    if answer is None:
        return op in _READS and (status == requests.codes.unauthorized or not text.strip())
    if status == requests.codes.unauthorized or answer.code in _KEY_CODES:
        return True
    has_reason = _FEED.search(answer.message) or refusal_of(answer, op) is not Refusal.OTHER
    return answer.code is None and not has_reason


def _of_429(answer: BrokerAnswer | None, headers: Mapping[str, str], case: Case) -> BrokerError:
    """Too many requests: a definite no when the broker itself says so, else nobody knows who said it and when."""
    said = answer is not None and (answer.code == _RATE_CODE or _TOO_MANY.search(answer.message))
    if not said and not any(name in headers for name in _BUDGET_HEADERS):
        return UnknownOutcomeError(case.sentence(f"{case.host} answered with status 429 and no word of its own"))
    return RateLimitedError(
        case.sentence("the budget of requests is used up (429)"),
        answer=answer or BrokerAnswer(429, None, ""),
        retry_at_epoch=whole_number(headers.get("x-ratelimit-reset")),
    )


def whole_number(text: object) -> int | None:
    """A header's or a body's digits as a number; anything else is unsaid."""
    if not isinstance(text, str) or len(text) > _LONGEST_NUMBER:
        return None
    return int(text) if text.isascii() and text.isdigit() else None


def _headers_of(error: APIError) -> Mapping[str, str]:
    return {} if error.response is None else error.response.headers


def _parsed(status: int, text: str, keys: tuple[str, ...]) -> BrokerAnswer | None:
    """What a refusal's body says, or None when it isn't a JSON object with a message (under `keys`) or a code."""
    try:
        body = json.loads(text, parse_float=str, parse_constant=str)  # kept as evidence, digit by digit
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
    """Foreign words made fit for a sentence and a terminal."""
    printable = "".join(character if character.isprintable() else " " for character in message)
    return " ".join(printable.split())[:_LONGEST_MESSAGE].rstrip(".")
