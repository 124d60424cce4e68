"""The one door to Alpaca over HTTP: a subclass of the SDK's public RESTClient, and how long and how much it waits for.

The SDK's own client waits for ever, sends a failed request again by itself and turns numbers into floats. Here stand
the two touches of its private names that undo this: `_retry` and `_retry_codes`, and `_session`.
"""

import contextlib
import http.client
import io
import ipaddress
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from decimal import Decimal
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

import requests
from alpaca.common.rest import RESTClient
from requests.adapters import HTTPAdapter
from urllib3 import PoolManager, ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from sellctl.alpaca.budget import Budget
from sellctl.alpaca.convert import UnreadableError
from sellctl.alpaca.errors import FOREIGN_ERRORS, Case, Op, mapped, whole_number
from sellctl.core.errors import BrokerAnswer, RateLimitedError

if TYPE_CHECKING:
    import socket

    from _typeshed import WriteableBuffer

T = TypeVar("T")

_CHUNK = 65_536
_REDIRECTS = range(300, 400)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long and how much one request may take: seconds, and bytes after decompression."""

    connect: float = 3.0
    read: float = 5.0  # the longest silence
    whole: float = 10.0  # from the first byte sent to the last received
    body_bytes: int = 20 * 1024 * 1024


DEFAULT_TIMEOUTS: Final = Timeouts()


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


@dataclass(frozen=True, slots=True)
class Ask:
    """One request: what it does in words ("reading the positions"), where, and with what."""

    what: str
    path: str
    data: Mapping[str, str] = field(default_factory=dict)
    op: Op = Op.READ
    version: str = "v2"
    for_order: bool = False  # a read that an order waits for: it may use what is kept for orders


def exact_json(body: bytes) -> Any:
    """JSON with its decimals exact; NaN, infinity, absurd numbers and bottomless nesting are unreadable."""
    try:
        return json.loads(body, parse_float=Decimal, parse_constant=_refuse_constant)
    except UnreadableError:
        raise
    except (ValueError, ArithmeticError, RecursionError):
        raise UnreadableError("it is not JSON") from None


def _refuse_constant(name: str) -> None:
    raise UnreadableError(f"it contains {name}")


# --- a deadline for the whole answer, headers included, however slowly it drips

_ends_at: ContextVar[float] = ContextVar("_ends_at")  # set around each request; no request, no reading


@contextlib.contextmanager
def _deadline(seconds: float) -> Iterator[None]:
    token = _ends_at.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _ends_at.reset(token)


class _Reader(io.RawIOBase):
    """Reads a socket with the shorter of its own timeout and what is left until the deadline."""

    def __init__(self, sock: "socket.socket") -> None:
        self._sock = sock
        self._longest_silence = sock.gettimeout()
        self._raw = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int | None:
        left = _ends_at.get() - time.monotonic()
        if left <= 0:
            raise TimeoutError
        silence = math.inf if self._longest_silence is None else self._longest_silence
        self._sock.settimeout(min(silence, left))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _ReadableSocket:
    """What an http.client response needs of a socket."""

    def __init__(self, sock: "socket.socket") -> None:
        self._sock = sock

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self._sock))


class _Received(http.client.HTTPResponse):
    """An answer that is read under the deadline."""

    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(_ReadableSocket(sock), *args, **kwargs)  # type: ignore[arg-type]


class _Connection(HTTPConnection):
    response_class = _Received


class _TlsConnection(HTTPSConnection):
    response_class = _Received


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


_POOLS: Final = {"http": _Pool, "https": _TlsPool}


class _Adapter(HTTPAdapter):
    """requests' own adapter on connections that know the deadline."""

    poolmanager: PoolManager

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = dict(_POOLS)

    def proxy_manager_for(self, proxy: Any, **proxy_kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **proxy_kwargs)
        if isinstance(manager, ProxyManager):  # SOCKS has connections of its own
            manager.pool_classes_by_scheme = dict(_POOLS)
        return manager


# --- the session


class _Answer(requests.Response):
    """A whole answer in memory. It doesn't know its request, so that no error can carry the key."""

    def json(self, **_kwargs: Any) -> Any:
        return exact_json(self.content)


def _answer(received: requests.Response, body: bytes) -> _Answer:
    answer = _Answer()
    answer.status_code = received.status_code
    answer.reason = received.reason
    answer.headers = received.headers
    answer.url = received.url
    answer.encoding = "utf-8"  # else a large page of errors is searched for its encoding
    answer.raw = io.BytesIO(body)
    return answer


def _whole_body(received: requests.Response, most: int) -> bytes:
    body = bytearray()
    for chunk in received.raw.stream(_CHUNK, decode_content=True):
        body += chunk
        if len(body) > most:
            raise UnreadableError(f"it is longer than {most} bytes")
    return bytes(body)


def _no_other_key(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """The headers hold the key already; without this, requests would add what ~/.netrc says of the host."""
    return request


class _Session(requests.Session):
    """A session that never waits for ever, follows no redirect, keeps no cookie and uses no proxy to this machine."""

    def __init__(self, timeouts: Timeouts, threads: int, *, trust_env: bool) -> None:
        super().__init__()
        self.trust_env = trust_env
        self.rate_limit: RateLimit | None = None
        self._timeouts = timeouts
        self.auth = _no_other_key
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
        for scheme in ("http://", "https://"):
            self.mount(scheme, _Adapter(pool_maxsize=threads))

    def get_redirect_target(self, _resp: requests.Response) -> None:
        """Nowhere: requests would read a redirect's whole body before it looks whether to follow."""

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **kwargs: Any) -> _Answer:
        limits = self._timeouts
        options = {**kwargs, "stream": True, "allow_redirects": False, "timeout": (limits.connect, limits.read)}
        with _deadline(limits.whole), super().request(method, url, *args, **options) as received:
            answer = _answer(received, _whole_body(received, limits.body_bytes))
        self.rate_limit = rate_limit_of(answer.headers) or self.rate_limit
        if answer.status_code in _REDIRECTS:
            raise UnreadableError(f"it is a redirect ({answer.status_code}), and sellctl follows none")
        return answer


def rate_limit_of(headers: Mapping[str, str]) -> RateLimit | None:
    """The budget that an answer's headers tell, or None when they say nothing."""
    told = RateLimit(
        limit=whole_number(headers.get("X-RateLimit-Limit")),
        remaining=whole_number(headers.get("X-RateLimit-Remaining")),
        reset_epoch=whole_number(headers.get("X-RateLimit-Reset")),
    )
    return None if told == RateLimit(None, None, None) else told


def is_loopback(url: str) -> bool:
    """Whether an address points at this machine, so that no proxy is asked."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


# --- the client


class RestClient(RESTClient):
    """One account's key at one of Alpaca's addresses. Blocking, and safe to call from `threads` threads at once."""

    def __init__(
        self,
        base_url: str,
        key: Key,
        *,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        threads: int = 4,
        budget: Budget | None = None,
    ) -> None:
        base = base_url.rstrip("/")
        super().__init__(base_url=base, api_key=key.api_key, secret_key=key.secret_key, raw_data=True)
        self._wire = _Session(timeouts, threads, trust_env=not is_loopback(base))
        self._session = self._wire
        self._retry = 0
        self._retry_codes = []
        self._key = key
        self.account = key.account
        self.budget = budget or Budget(time.monotonic)
        self.host = urlsplit(base).netloc.rpartition("@")[2]

    @property
    def rate_limit(self) -> RateLimit | None:
        """The request budget as the last answer told it."""
        return self._wire.rate_limit

    def ask(self, ask: Ask, read: Callable[[Any], T]) -> T:
        """Send one request, exactly once, and read its answer. Raises BrokerError's kinds, and nothing foreign.

        The error is raised outside the handler, so that no foreign one, which could carry the key, hangs on it.
        """
        self._spend(ask)
        try:
            return read(self._send(ask))
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

    def _send(self, ask: Ask) -> Any:
        data = dict(ask.data) or None
        if ask.op is Op.SUBMIT:
            return self.post(ask.path, data)
        if ask.op is Op.CANCEL:
            return self.delete(ask.path, data)
        return self.get(ask.path, data, api_version=ask.version)

    def close(self) -> None:
        """Close the connections; a request that is under way ends by its own deadline."""
        self._wire.close()
