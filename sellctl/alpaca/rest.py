"""The one door to Alpaca over HTTP: a subclass of the SDK's public RESTClient on a transport that doesn't block.

The SDK says what a request looks like and judges the answer; in between, its session, which waits for ever and needs a
thread a request, is cut out. Here stand the touches of its private names that do this: `_session`, `_one_request` and
`_get_default_headers`. Its own way to send, with the retries, is never taken.
"""

import ipaddress
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Any, Final, TypeVar
from urllib.parse import urlencode, urlsplit

import msgspec
import requests
from alpaca.common.rest import RESTClient

from sellctl.alpaca.budget import Budget
from sellctl.alpaca.convert import UnreadableError
from sellctl.alpaca.errors import FOREIGN_ERRORS, Case, Op, mapped, whole_number
from sellctl.alpaca.transport import DEFAULT_TIMEOUTS, HttpTransport, Received, Request, Timeouts, Transport
from sellctl.core.errors import BrokerAnswer, RateLimitedError

T = TypeVar("T")

_REDIRECTS = range(300, 400)
_REFUSALS = range(400, 600)
_QUICK: Final = msgspec.json.Decoder(float_hook=Decimal)
_BUDGET_HEADERS: Final = ("limit", "remaining", "reset")
_METHODS: Final = {Op.SUBMIT: "POST", Op.CANCEL: "DELETE"}


@dataclass(frozen=True, slots=True)
class Key:
    """One account's key pair, by our name for the account."""

    account: str
    api_key: str = field(repr=False)
    secret_key: str = field(repr=False)

    @property
    def secrets(self) -> tuple[str, str]:
        """What may stand in no text."""
        return (self.api_key, self.secret_key)


@dataclass(frozen=True, slots=True)
class RateLimit:
    """The request budget as the last answer told it; None where it said nothing. `reset_epoch` is in Unix seconds."""

    limit: int | None
    remaining: int | None
    reset_epoch: int | None


@dataclass(frozen=True)
class Ask:
    """One request: what it does in words ("reading the positions"), where, and with what."""

    what: str
    path: str
    data: Mapping[str, str] = field(default_factory=dict)
    op: Op = Op.READ
    version: str = "v2"
    for_order: bool = False  # a read that an order waits for: it may use what is kept for orders

    @cached_property
    def target(self) -> str:
        """Path and query, put together once: each look asks the same."""
        path = f"/{self.version}{self.path}"
        return f"{path}?{urlencode(self.data)}" if self.data and self.op is not Op.SUBMIT else path


def exact_json(body: bytes) -> Any:
    """JSON with its decimals exact. NaN and infinity become text, so that they spoil their own row and no other."""
    try:
        return _QUICK.decode(body)
    except (msgspec.MsgspecError, ArithmeticError, RecursionError):
        return _odd_json(body)


def _odd_json(body: bytes) -> Any:
    """What the quick reader doesn't take: the slow one takes more."""
    try:
        return json.loads(body, parse_float=Decimal, parse_constant=str)
    except UnreadableError:
        raise
    except (ValueError, ArithmeticError, RecursionError):
        raise UnreadableError("it is not JSON") from None


class _Answer:
    """A whole answer as the SDK wants it. It doesn't know its request, so that no error can carry the key."""

    def __init__(self, received: Received) -> None:
        self.status_code = received.status
        self.headers = received.headers
        self._body = received.body

    @property
    def text(self) -> str:
        """The body, whatever it is."""
        return self._body.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body's value, its decimals exact."""
        return exact_json(self._body)

    def raise_for_status(self) -> None:
        """HTTPError, out of which the SDK makes its own."""
        if self.status_code in _REFUSALS:
            raise requests.HTTPError(response=self)  # type: ignore[arg-type]  # all of a response that is looked at


class _Session:
    """What the SDK takes for its session: it hands out the answer that has come already."""

    @staticmethod
    def request(_method: str, _url: str, *, answer: _Answer) -> _Answer:
        """The answer."""
        return answer


def rate_limit_of(headers: Mapping[str, str]) -> RateLimit | None:
    """The budget that an answer's headers (named in lower case) tell, or None when they say nothing."""
    limit, remaining, reset = (whole_number(headers.get(f"x-ratelimit-{name}")) for name in _BUDGET_HEADERS)
    return None if limit is remaining is reset is None else RateLimit(limit, remaining, reset)


def is_loopback(url: str) -> bool:
    """Whether an address points at this machine, so that no proxy is asked."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


# --- the client


class RestClient(RESTClient):
    """One account's key at one of Alpaca's addresses. `at_once` reads may be under way; an order waits for none."""

    def __init__(
        self,
        base_url: str,
        key: Key,
        *,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        at_once: int = 4,
        budget: Budget | None = None,
    ) -> None:
        base = base_url.rstrip("/")
        super().__init__(base_url=base, api_key=key.api_key, secret_key=key.secret_key, raw_data=True)
        self._session = _Session()  # type: ignore[assignment]  # all of a session that the SDK is left
        self._headers = tuple(self._get_default_headers().items())
        parts = urlsplit(base)
        self._path = parts.path
        self._key = key
        self.account = key.account
        self.budget = budget or Budget(time.monotonic)
        self.host = parts.netloc.rpartition("@")[2]
        self.rate_limit: RateLimit | None = None  # the request budget as the last answer told it
        self.transport: Transport = HttpTransport(base, timeouts, at_once=at_once, trust_env=not is_loopback(base))

    async def ask(self, ask: Ask, read: Callable[[Any], T]) -> T:
        """Send one request, exactly once, and read its answer. Raises BrokerError's kinds, and nothing foreign.

        The error is raised outside the handler, so that no foreign one, which could carry the key, hangs on it.
        """
        self._spend(ask)
        try:
            return read(await self._send(ask))
        except FOREIGN_ERRORS as foreign:
            error = mapped(foreign, Case(self.account, self.host, ask.what, ask.op, self._key.secrets))
        raise error

    def _spend(self, ask: Ask) -> None:
        """RateLimitedError, and nothing sent, when the minute's own budget is used up."""
        self.budget.grants(self.rate_limit.limit if self.rate_limit else None)
        wait = self.budget.take(for_order=ask.for_order or ask.op is not Op.READ)
        if wait:
            sentence = f"{self.account}: {ask.what} waits: the minute's budget of requests is used up for {wait:.0f} s."
            raise RateLimitedError(sentence, answer=BrokerAnswer(429, None, "sellctl's own budget"))

    async def _send(self, ask: Ask) -> Any:
        received = await self.transport.send(self._request_of(ask), ahead=ask.op is not Op.READ)
        self.rate_limit = rate_limit_of(received.headers) or self.rate_limit
        if received.status in _REDIRECTS:
            raise UnreadableError(f"it is a redirect ({received.status}), and sellctl follows none")
        return self._one_request("", "", {"answer": _Answer(received)}, 0)

    def _request_of(self, ask: Ask) -> Request:
        method, target = _METHODS.get(ask.op, "GET"), self._path + ask.target
        if ask.op is Op.SUBMIT:
            headers = (*self._headers, ("Content-Type", "application/json"))
            return Request(method, target, headers, json.dumps(dict(ask.data)).encode())
        return Request(method, target, self._headers)

    def close(self) -> None:
        """Close the connections; a request that is under way ends by its own deadline."""
        self.transport.close()
