"""Alpaca's REST API with one key: each request is sent at most once, and every error is mapped to a BrokerError.

The official SDK's client would repeat requests on its own and wait without a deadline, so it is not used here.
"""

import json
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from http import HTTPStatus
from typing import Any, Final, TypeVar
from urllib.parse import urlencode, urlsplit

import alpaca

from sellctl.alpaca.budget import Budget
from sellctl.alpaca.convert import UnreadableError
from sellctl.alpaca.errors import EXTERNAL_ERRORS, ErrorStatus, Operation, RequestContext, map_error, whole_number
from sellctl.alpaca.transport import DEFAULT_LIMITS, HttpRequest, HttpResponse, HttpTransport, Limits, Transport
from sellctl.core.config import hosts
from sellctl.core.config.secrets import key_fingerprint
from sellctl.core.errors import (
    AuthError,
    BrokerAnswer,
    BrokerError,
    NotFoundError,
    RateLimitedError,
    RequestRejectedError,
    UnknownOutcomeError,
)
from sellctl.core.ports import RequestMade, RequestObserver

T = TypeVar("T")

# What the official SDK sends.
_USER_AGENT: Final = f"APCA-PY/{alpaca.__version__} Python/{platform.python_version()}"
CONCURRENT_READS: Final = 8  # an account's first read sends six requests, none of which is to wait for another
_BUDGET_HEADERS: Final = ("limit", "remaining", "reset")
_METHODS: Final = {Operation.SUBMIT: "POST", Operation.CANCEL: "DELETE"}


@dataclass(frozen=True, slots=True)
class Credentials:
    """One account's key pair, with the account's name in the configuration."""

    account: str
    api_key: str = field(repr=False)
    secret_key: str = field(repr=False)

    @property
    def secrets(self) -> tuple[str, str]:
        """The texts that no output may contain."""
        return (self.api_key, self.secret_key)

    @property
    def key_fingerprint(self) -> str:
        """A hash that stands for the key in files."""
        return key_fingerprint(self.api_key)


@dataclass(frozen=True, slots=True)
class RateLimit:
    """The request budget in an answer's headers; None where one is missing. `reset_epoch` is in Unix seconds."""

    limit: int | None
    remaining: int | None
    reset_epoch: int | None


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """One request. `action` describes it in error messages ("reading the positions")."""

    action: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, object] | None = None
    operation: Operation = Operation.READ
    version: str = "v2"
    for_order: bool = False  # a read that an order waits for: it may use the whole budget, as an order may
    urgent: bool = False  # a read that may use a fifth of what is kept for orders (budget.KEPT_FROM_URGENT_READS)

    @property
    def target(self) -> str:
        """Path and query."""
        path = f"/{self.version}{self.path}"
        return f"{path}?{urlencode(self.query)}" if self.query else path


class RestClient:
    """One key at one of Alpaca's hosts. At most `concurrent_reads` reads run at once; an order waits for none."""

    def __init__(  # noqa: PLR0913  each is a part of the client
        self,
        base_url: str,
        credentials: Credentials,
        *,
        limits: Limits = DEFAULT_LIMITS,
        concurrent_reads: int = CONCURRENT_READS,
        budget: Budget | None = None,
        observe: RequestObserver | None = None,
    ) -> None:
        base = base_url.rstrip("/")
        parts = urlsplit(base)
        self._base_path = parts.path
        self._credentials = credentials
        self._headers = (
            ("APCA-API-KEY-ID", credentials.api_key),
            ("APCA-API-SECRET-KEY", credentials.secret_key),
            ("User-Agent", _USER_AGENT),
        )
        self.account = credentials.account
        self.key_fingerprint = credentials.key_fingerprint
        self.budget = budget or Budget(time.monotonic)
        self.host = parts.netloc.rpartition("@")[2]
        self.is_local = is_loopback(base)
        self._observe = observe
        self.rate_limit: RateLimit | None = None  # from the last answer that had one
        self.transport: Transport = HttpTransport(
            base, limits, concurrent_reads=concurrent_reads, trust_env=not self.is_local
        )

    async def request(self, request: ApiRequest, parse: Callable[[Any], T]) -> T:
        """Send one request, at most once, and return its parsed answer. Raises only BrokerError and its subclasses."""
        if self._observe is None:
            return await self._request(request, parse)
        began, outcome = time.monotonic(), "ended"  # by a cancel of the task
        try:
            answer = await self._request(request, parse)
            outcome = "ok"
        except BrokerError as error:
            outcome = _outcome_of(error)
            raise
        finally:
            self._observe(self._made(request, outcome, time.monotonic() - began))
        return answer

    def _made(self, request: ApiRequest, outcome: str, seconds: float) -> RequestMade:
        order = str((request.body or {}).get("client_order_id", "")) if request.operation is Operation.SUBMIT else ""
        return RequestMade(self.account, request.operation.name.lower(), outcome, seconds, order)

    async def _request(self, request: ApiRequest, parse: Callable[[Any], T]) -> T:
        self._spend(request)
        try:
            return parse(await self._send(request))
        except EXTERNAL_ERRORS as external:
            context = RequestContext(
                self.account, self.host, request.action, request.operation, self._credentials.secrets
            )
            error = map_error(external, context)
        raise error  # outside the handler: the original error could contain the key and must not become its context

    def close(self) -> None:
        """Close the connections. A request that is still under way fails."""
        self.transport.close()

    def _spend(self, request: ApiRequest) -> None:
        """Take one request of the minute's budget. RateLimitedError, and nothing is sent, when there is none left."""
        self.budget.set_limit(self.rate_limit.limit if self.rate_limit else None)
        is_read = request.operation is Operation.READ
        wait = self.budget.take(for_order=request.for_order or not is_read, urgent=request.urgent)
        if wait:
            raise RateLimitedError(
                f"{self.account}: {request.action} waits: this minute's request budget is used up for {wait:.0f} s.",
                answer=BrokerAnswer(HTTPStatus.TOO_MANY_REQUESTS.value, None, "sellctl's own budget"),
                is_ours=True,
            )

    async def _send(self, request: ApiRequest) -> Any:
        urgent = request.operation is not Operation.READ
        response = await self.transport.send(self._http_request(request), urgent=urgent)
        self.rate_limit = rate_limit_of(response.headers) or self.rate_limit
        return _value_of(response)

    def _http_request(self, request: ApiRequest) -> HttpRequest:
        method = _METHODS.get(request.operation, "GET")
        target = self._base_path + request.target
        if request.body is None:
            return HttpRequest(method, target, self._headers)
        headers = (*self._headers, ("Content-Type", "application/json"))
        return HttpRequest(method, target, headers, json.dumps(dict(request.body)).encode())


# The first kind that fits names an error's outcome.
_OUTCOMES: Final = (
    (RateLimitedError, "rate limited"),
    (NotFoundError, "not found"),
    (RequestRejectedError, "rejected"),
    (UnknownOutcomeError, "unknown"),
    (AuthError, "key refused"),
)


def _outcome_of(error: BrokerError) -> str:
    """How a request ended that has failed, for telemetry: a few words that never quote the answer."""
    if isinstance(error, RateLimitedError) and error.is_ours:
        return "held back"
    return next((name for kind, name in _OUTCOMES if isinstance(error, kind)), "failed")


def _value_of(response: HttpResponse) -> Any:
    """The JSON of a 2xx answer, None when its body is empty. ErrorStatus for 4xx and 5xx."""
    if response.status >= HTTPStatus.BAD_REQUEST:
        raise ErrorStatus(response.status, response.headers, response.body.decode("utf-8", "replace"))
    if response.status >= HTTPStatus.MULTIPLE_CHOICES:
        raise UnreadableError(f"it is a redirect ({response.status}), and sellctl follows none")
    if response.status < HTTPStatus.OK:
        raise UnreadableError(f"its status is {response.status}")
    return exact_json(response.body) if response.body else None


def exact_json(body: bytes) -> Any:
    """Decode JSON with exact decimals. NaN and infinity become text, so that only the row with one is unreadable."""
    try:
        return json.loads(body, parse_float=Decimal, parse_constant=str)
    except (ValueError, ArithmeticError, RecursionError):
        raise UnreadableError("it is not JSON") from None


def rate_limit_of(headers: Mapping[str, str]) -> RateLimit | None:
    """The request budget in an answer's headers (named in lower case), or None when they hold none."""
    limit, remaining, reset = (whole_number(headers.get(f"x-ratelimit-{name}")) for name in _BUDGET_HEADERS)
    return None if limit is remaining is reset is None else RateLimit(limit, remaining, reset)


def is_loopback(url: str) -> bool:
    """Whether a URL points at this machine, for which no proxy is used."""
    return hosts.is_loopback(urlsplit(url).hostname or "")
