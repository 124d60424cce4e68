"""HTTP/1.1 over asyncio: one request and its whole answer, with deadlines, a size limit, TLS, proxies, and keep-alive.

The protocol itself is h11's. Nothing is sent twice, no redirect is followed, no cookie is kept. Connections belong to
the event loop that opened them and end with it.
"""

import asyncio
import base64
import os
import socket
import ssl
import zlib
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import unquote, urlsplit

import h11
from requests.utils import DEFAULT_CA_BUNDLE_PATH, get_environ_proxies, select_proxy

from sellctl.alpaca.convert import UnreadableError, shown

_HEADS_KEPT: Final = 1024  # requests whose head is kept: each account asks for two things at every look
_IDLE_MOST: Final = 8  # connections that wait for the next request
_PORTS: Final = {"http": 80, "https": 443}
_TUNNELLED: Final = range(200, 300)
_Proxied = tuple[str, tuple[tuple[str, str], ...]]  # what a proxy wants before the path, and its own headers
_NEXT_ADDRESS_AFTER: Final = 0.25  # seconds until a host's next address is tried beside the first (RFC 8305)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long and how much one request may take: seconds, and bytes after decompression."""

    connect: float = 3.0
    read: float = 5.0  # the longest silence
    whole: float = 10.0  # from the first byte sent to the last received
    body_bytes: int = 20 * 1024 * 1024


DEFAULT_TIMEOUTS: Final = Timeouts()


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent. `target` is the path with its query; the headers hold the key."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Received:
    """A whole answer. The names of its headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport(Protocol):
    """The way to one of Alpaca's addresses."""

    async def send(self, request: Request, *, ahead: bool = False) -> Received:
        """Send once and receive whole. `ahead` waits for no other request."""

    def close(self) -> None:
        """Close the connections; a request that is under way ends by its own deadline."""


class NoAddressError(ValueError):
    """The address is none that can be called."""


class NoHeaderError(ValueError):
    """A header, which is to say the key, has characters that can't be sent."""


class NoNameError(OSError):
    """No host of that name can be found."""


class NoDoorError(OSError):
    """The host can't be reached."""


class NoCallError(TimeoutError):
    """The host did not take the call in time."""


class NoPassageError(OSError):
    """The proxy on the way did not let it through."""


# --- one connection


class _Connection(asyncio.Protocol):
    """One connection, which serves one request at a time."""

    def __init__(self, limits: Timeouts) -> None:
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._http = h11.Connection(h11.CLIENT)
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Received] | None = None
        self._head: h11.Response | None = None
        self._body = bytearray()
        self._heard = self._ends_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._tunnels = False
        self.proxied: _Proxied = ("", ())

    @property
    def is_fit(self) -> bool:
        """Whether it may serve another request."""
        alive = self._transport is not None and not self._transport.is_closing()
        return alive and self._answer is None and self._http.our_state is h11.IDLE

    async def exchange(self, request: h11.Request, body: bytes = b"") -> Received:
        """Send, and receive whole. TimeoutError, UnreadableError, h11's errors, or an OSError of the connection."""
        if self._transport is None:
            raise ConnectionResetError
        self._answer = self._loop.create_future()
        self._heard = self._loop.time()
        self._ends_at = self._heard + self._limits.whole
        self._head, self._body = None, bytearray()
        try:
            self._transport.write(self._written(request, body))
            self._watch()
            return await self._answer
        finally:
            self._answer = None
            if self._timer:
                self._timer.cancel()

    def _written(self, request: h11.Request, body: bytes) -> bytes:
        head = self._http.send(request) or b""
        data = self._http.send(h11.Data(data=body)) or b"" if body else b""
        return head + data + (self._http.send(h11.EndOfMessage()) or b"")

    async def tunnel(self, authority: str, headers: tuple[tuple[str, str], ...]) -> None:
        """Let a proxy hand everything on from here. NoPassageError when it doesn't want to."""
        self._tunnels = True
        try:
            said = await self.exchange(
                h11.Request(method="CONNECT", target=authority, headers=[("Host", authority), *headers])
            )
        except (OSError, h11.ProtocolError):
            raise NoPassageError from None
        finally:
            self._tunnels = False
        if said.status not in _TUNNELLED:
            raise NoPassageError
        self._http = h11.Connection(h11.CLIENT)

    async def secure(self, context: ssl.SSLContext, host: str) -> None:
        """From here on encrypted, and only with the host that its certificate names."""
        if self._transport is None:
            raise ConnectionResetError
        secured = await self._loop.start_tls(
            self._transport, self, context, server_hostname=host, ssl_handshake_timeout=self._limits.read
        )
        self._transport = secured

    def abort(self) -> None:
        """Gone, at once."""
        if self._transport:
            self._transport.abort()

    # --- what asyncio tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self._transport = transport  # type: ignore[assignment]  # TCP has no other kind

    def data_received(self, data: bytes) -> None:
        """Some of an answer. An answer that nobody asked for ends the connection."""
        self._heard = self._loop.time()
        if self._answer is None:
            self.abort()
            return
        self._receive(data)

    def eof_received(self) -> None:
        """The other side ends it; for some answers that is how one knows that they are whole."""
        self._receive(b"")

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self._fail(exc or ConnectionResetError())

    # --- what is made of it

    def _receive(self, data: bytes) -> None:
        try:
            self._http.receive_data(data)
            while self._take(self._http.next_event()):
                pass
        except h11.RemoteProtocolError as error:
            self._fail(error)

    def _take(self, event: object) -> bool:
        """Whether there may be more."""
        if isinstance(event, h11.Response):
            self._head = event
            if self._tunnels:
                self._deliver(event)
        elif isinstance(event, h11.Data):
            self._body += event.data
            if len(self._body) > self._limits.body_bytes:
                self._fail(UnreadableError(f"it is longer than {self._limits.body_bytes} bytes"))
                return False
        elif isinstance(event, h11.EndOfMessage) and self._head:
            self._deliver(self._head)
            return False
        elif isinstance(event, h11.ConnectionClosed):
            self._fail(ConnectionResetError())
            return False
        return not (event is h11.NEED_DATA or event is h11.PAUSED)

    def _deliver(self, head: h11.Response) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
        if self._answer and not self._answer.done():
            self._answer.set_result(Received(head.status_code, headers, bytes(self._body)))
        whole = self._http.our_state is h11.DONE and self._http.their_state is h11.DONE
        if whole and not self._http.trailing_data[0]:  # what comes behind would pass for the next request's answer
            self._http.start_next_cycle()

    def _fail(self, error: Exception) -> None:
        if self._answer and not self._answer.done():
            self._answer.set_exception(error)
        self.abort()

    def _watch(self) -> None:
        """Come back when the longest silence or the whole time would be over."""
        left = min(self._heard + self._limits.read, self._ends_at) - self._loop.time()
        if left > 0:
            self._timer = self._loop.call_later(left, self._watch)
        else:
            self._fail(TimeoutError())


# --- where to, and by which way


@dataclass(frozen=True, slots=True)
class _Place:
    """An address that can be called."""

    scheme: str
    host: str
    port: int
    user: str = field(default="", repr=False)  # user:password of a proxy

    @classmethod
    def of(cls, url: str) -> "_Place":
        """NoAddressError when the text is none."""
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").encode("idna").decode("ascii"), parts.port
        except ValueError:
            raise NoAddressError from None
        if parts.scheme not in _PORTS or not host:
            raise NoAddressError
        user = f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else ""
        return cls(parts.scheme, host, port or _PORTS[parts.scheme], user)

    @property
    def authority(self) -> str:
        """Host and port."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def host_header(self) -> str:
        """Host and port; the usual port goes without saying."""
        return self.authority.removesuffix(f":{_PORTS[self.scheme]}")

    @property
    def proxy_headers(self) -> tuple[tuple[str, str], ...]:
        """What a proxy wants to know of its user."""
        if not self.user:
            return ()
        return (("Proxy-Authorization", "Basic " + base64.b64encode(self.user.encode()).decode("ascii")),)


def _proxy_for(url: str) -> _Place | None:
    """The proxy that the environment names for an address."""
    proxy = select_proxy(url, get_environ_proxies(url))
    return _Place.of(proxy if "://" in proxy else f"http://{proxy}") if proxy else None


@cache
def _trust(bundle: str) -> ssl.SSLContext:
    """Whom to believe: the certificates in a file or folder."""
    folder = Path(bundle).is_dir()
    context = ssl.create_default_context(cafile=None if folder else bundle, capath=bundle if folder else None)
    context.set_alpn_protocols(["http/1.1"])
    return context


# --- all connections to one address


class _Pool:
    """The connections of one event loop, and how many reads may be under way at once."""

    def __init__(self, at_once: int) -> None:
        self.loop = asyncio.get_running_loop()
        self.slots = asyncio.Semaphore(at_once)
        self.idle: list[_Connection] = []
        self._guard = self._until_the_loop_ends()

    async def watch_the_loop(self) -> None:
        """From now on the end of the loop closes the connections."""
        await anext(self._guard)

    async def _until_the_loop_ends(self) -> AsyncGenerator[None, None]:
        """asyncio.run closes its unfinished generators at the end, while connections can still be closed."""
        try:
            yield
        finally:
            self.close()
            await asyncio.sleep(0)

    def take(self) -> _Connection | None:
        """A connection that waits and is still good."""
        while self.idle:
            connection = self.idle.pop()
            if connection.is_fit:
                return connection
        return None

    def give_back(self, connection: _Connection) -> None:
        """Keep it for the next request, when it is good for one."""
        if connection.is_fit and len(self.idle) < _IDLE_MOST:
            self.idle.append(connection)
        else:
            connection.abort()

    def close(self) -> None:
        """Close what waits."""
        while self.idle and not self.loop.is_closed():
            self.idle.pop().abort()


class HttpTransport:
    """The Transport over the network. `at_once` is how many requests may be under way that aren't sent ahead."""

    def __init__(self, url: str, timeouts: Timeouts, *, at_once: int, trust_env: bool) -> None:
        self._url = url
        self._limits = timeouts
        self._at_once = at_once
        self._trust_env = trust_env
        self._pool: _Pool | None = None
        self._place: _Place | None = None

    async def send(self, request: Request, *, ahead: bool = False) -> Received:
        """Send once and receive whole."""
        pool = await self._pool_here()
        if ahead:
            return await self._exchange(pool, request)
        async with pool.slots:
            return await self._exchange(pool, request)

    def close(self) -> None:
        """Close the connections that wait."""
        if self._pool:
            self._pool.close()

    async def _pool_here(self) -> _Pool:
        pool = self._pool
        if pool is None or pool.loop is not asyncio.get_running_loop():
            pool = self._pool = _Pool(self._at_once)
            await pool.watch_the_loop()
        return pool

    async def _exchange(self, pool: _Pool, request: Request) -> Received:
        place = self._place = self._place or _Place.of(self._url)
        connection = pool.take() or await self._opened(place)
        try:
            received = await connection.exchange(_head(request, place, connection.proxied), request.body)
        finally:
            pool.give_back(connection)
        return _unpacked(received, self._limits.body_bytes)

    async def _opened(self, place: _Place) -> _Connection:
        proxy = _proxy_for(self._url) if self._trust_env else None
        connection = await self._dialled(place) if proxy is None else await self._dialled_proxy(proxy)
        try:
            if proxy:
                await self._led_on(connection, place, proxy)
            if place.scheme == "https":
                await connection.secure(_trust(self._bundle()), place.host)
        except BaseException:
            connection.abort()
            raise
        return connection

    async def _dialled_proxy(self, proxy: _Place) -> _Connection:
        try:
            return await self._dialled(proxy)
        except OSError:
            raise NoPassageError from None

    async def _led_on(self, connection: _Connection, place: _Place, proxy: _Place) -> None:
        """Have the proxy hand on what is sent."""
        try:
            if proxy.scheme == "https":
                await connection.secure(_trust(self._bundle()), proxy.host)
            if place.scheme == "https":
                await connection.tunnel(place.authority, proxy.proxy_headers)
            else:
                connection.proxied = (f"http://{place.host_header}", proxy.proxy_headers)
        except OSError:
            raise NoPassageError from None

    def _bundle(self) -> str:
        """Where the certificates to believe are; the environment may name others."""
        named = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
        return named if named and self._trust_env else DEFAULT_CA_BUNDLE_PATH

    async def _dialled(self, place: _Place) -> _Connection:
        try:
            async with asyncio.timeout(self._limits.connect):
                _, connection = await asyncio.get_running_loop().create_connection(
                    lambda: _Connection(self._limits),
                    place.host,
                    place.port,
                    happy_eyeballs_delay=_NEXT_ADDRESS_AFTER,
                )
        except TimeoutError:
            raise NoCallError from None
        except socket.gaierror:
            raise NoNameError from None
        except OSError:
            raise NoDoorError from None
        return connection


@lru_cache(_HEADS_KEPT)
def _head(request: Request, place: _Place, proxied: _Proxied) -> h11.Request:
    """NoHeaderError when something in it can't be sent. Every look asks the same, so what h11 has checked is kept."""
    prefix, more = proxied
    length = (("Content-Length", str(len(request.body))),) if request.body else ()
    headers = [("Host", place.host_header), ("Accept-Encoding", "gzip"), *request.headers, *more, *length]
    try:
        return h11.Request(method=request.method, target=prefix + request.target, headers=headers)
    except (UnicodeEncodeError, h11.LocalProtocolError):
        raise NoHeaderError from None


def _unpacked(received: Received, most: int) -> Received:
    """The answer with its body as it was meant; a bomb is not unpacked."""
    encoding = received.headers.get("content-encoding", "identity").strip().lower()
    if encoding == "identity" or not received.body:
        return received
    if encoding != "gzip":
        raise UnreadableError(f"its encoding {shown(encoding)} is not one that was asked for")
    unpacking = zlib.decompressobj(wbits=31)
    try:
        body = unpacking.decompress(received.body, most + 1)
    except zlib.error:
        raise UnreadableError("its compression is broken") from None
    if len(body) > most:
        raise UnreadableError(f"it is longer than {most} bytes")
    if not unpacking.eof or unpacking.unused_data:
        raise UnreadableError("its compression breaks off")
    return replace(received, body=body)
