"""HTTP over aiohttp: one request, sent at most once, and its whole answer, within deadlines and a size limit.

No redirect is followed, no cookie is kept, no netrc file is read. This is the only module that uses aiohttp:
`HttpTransport.send` raises the errors defined here, `TimeoutError` and `UnreadableError`, and nothing else.
"""

import asyncio
import ipaddress
import math
import os
import ssl
import zlib
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Final, Protocol
from urllib.request import getproxies, proxy_bypass

import aiohttp
import certifi
from aiohttp.client_reqrep import ClientRequest
from aiohttp.connector import Connection
from aiohttp.tracing import Trace
from yarl import URL

from sellctl.alpaca.convert import UnreadableError, truncate_repr

_SCHEMES: Final = ("http", "https")
_CA_BUNDLES: Final = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")  # environment variables; the first that is set is used
_CONNECT_ATTEMPTS: Final = 10  # enough unless a server sends unrequested data on every connection
_GZIP: Final = 31  # zlib's window bits for a gzip header and trailer


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how large one exchange may be: seconds, and bytes after decompression."""

    connect: float = 5.0  # name lookup, TCP, proxy and TLS together
    read: float = 5.0  # the longest silence
    total: float = 10.0  # from the start of the connection to the last byte of the answer
    body_bytes: int = 20 * 1024 * 1024


DEFAULT_LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request. `target` is the path with its query, already encoded; the headers hold the API key."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A whole answer, decompressed. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport(Protocol):
    """Sends HTTP requests to one host."""

    async def send(self, request: HttpRequest, *, urgent: bool = False) -> HttpResponse:
        """Send once and return the whole answer. An urgent request does not wait for a free read slot."""

    def close(self) -> None:
        """Close the connections. A request that is still under way fails."""


class InvalidUrlError(ValueError):
    """The URL is not an absolute http or https URL."""


class InvalidHeaderError(ValueError):
    """A header value, in practice the API key, contains characters that HTTP does not allow."""


class ConnectError(OSError):
    """The host refuses the connection or is unreachable."""


class ConnectTimeoutError(TimeoutError):
    """The connection was not established in time."""


class DnsError(OSError):
    """The host name could not be resolved."""


class ProxyError(OSError):
    """The proxy could not be reached, or refused to forward the request."""


class TlsError(OSError):
    """The TLS handshake failed or the certificate is not trusted."""


class DisconnectedError(ConnectionError):
    """The connection ended before the answer was complete, or the answer is not HTTP."""


class HttpTransport:
    """Keeps connections to one host alive. At most `concurrent_reads` requests that are not urgent run at once.

    Connections belong to the event loop that opened them and end with it; the next event loop opens its own.
    """

    def __init__(self, url: str, limits: Limits, *, concurrent_reads: int, trust_env: bool) -> None:
        self._url = url
        self._limits = limits
        self._concurrent_reads = concurrent_reads
        self._trust_env = trust_env
        self._pool: _Pool | None = None
        self._closing: asyncio.Task[None] | None = None  # the event loop keeps only a weak reference to a task

    async def send(self, request: HttpRequest, *, urgent: bool = False) -> HttpResponse:
        """Send once and return the whole answer. An urgent request does not wait for a free read slot."""
        if not all(value.isascii() and value.isprintable() for _, value in request.headers):
            raise InvalidHeaderError
        pool = await self._current_pool()
        if urgent:
            return await self._exchange(pool, request)
        async with pool.read_slots:
            return await self._exchange(pool, request)

    def close(self) -> None:
        """Close the connections. A request that is still under way fails."""
        pool, self._pool = self._pool, None
        if pool is not None and not pool.loop.is_closed():
            self._closing = pool.loop.create_task(pool.session.close())

    async def _current_pool(self) -> "_Pool":
        if self._pool is None or self._pool.loop is not asyncio.get_running_loop():
            self._pool = _open_pool(self._url, self._limits, self._concurrent_reads, trust_env=self._trust_env)
            await anext(self._pool.closer)
        return self._pool

    async def _exchange(self, pool: "_Pool", request: HttpRequest) -> HttpResponse:
        if pool.session.closed:  # while the request waited for a read slot
            raise DisconnectedError
        try:
            async with pool.session.request(
                request.method,
                URL(f"{pool.origin}{request.target}", encoded=True),
                headers=request.headers,
                data=request.body or None,
                allow_redirects=False,
                proxy=pool.proxy,
                proxy_headers=pool.proxy_headers,
            ) as response:
                body = await _read_at_most(response.content, self._limits.body_bytes)
                headers = {name.lower(): value for name, value in response.headers.items()}
                received = HttpResponse(response.status, headers, body)
        except (aiohttp.ClientError, OSError) as error:
            raise _map_error(error, via_proxy=pool.proxy is not None) from None
        return _decompress(received, self._limits.body_bytes)


# --- connections


@dataclass(frozen=True, slots=True)
class _Pool:
    """The connections of one event loop, and the proxy that the environment named when they were opened."""

    loop: asyncio.AbstractEventLoop
    session: aiohttp.ClientSession
    closer: AsyncGenerator[None, None]
    read_slots: asyncio.Semaphore
    origin: str
    proxy: URL | None
    proxy_headers: Mapping[str, str]


class _Connector(aiohttp.TCPConnector):
    """A connector that never reuses a connection on which an unrequested answer has arrived.

    aiohttp would return that answer as the one to the next request.
    """

    async def connect(
        self,
        req: ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109  the signature is aiohttp's
    ) -> Connection:
        """Return an idle connection on which nothing has arrived, or a new one."""
        for _ in range(_CONNECT_ATTEMPTS):
            connection = await super().connect(req, traces, timeout)
            if connection.protocol is not None and not connection.protocol.should_close:
                return connection
            connection.close()
        raise aiohttp.ServerDisconnectedError


def _open_pool(url: str, limits: Limits, concurrent_reads: int, *, trust_env: bool) -> _Pool:
    """Return a pool for the running event loop. InvalidUrlError when the host's or the proxy's URL is invalid."""
    host = _parse_url(url)
    proxy = _proxy_for(host) if trust_env else None
    credentials = _proxy_credentials(proxy)
    encrypted = "https" in {host.scheme, proxy.scheme if proxy else ""}
    session = aiohttp.ClientSession(
        connector=_Connector(
            limit=0,  # the read slots limit the reads, and an order must not wait for a connection
            keepalive_timeout=None,  # idle until the host closes: a new TLS handshake would delay an order
            ssl=_ssl_context(_ca_bundle(trust_env=trust_env)) if encrypted else True,
        ),
        timeout=aiohttp.ClientTimeout(
            total=limits.total,
            connect=limits.connect,
            sock_read=limits.read,
            ceil_threshold=math.inf,  # aiohttp would round timeouts above five seconds up to whole seconds
        ),
        headers={"Accept-Encoding": "gzip", **({} if host.scheme == "https" else credentials)},
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,  # aiohttp accepts a truncated gzip body
    )
    # aiohttp repeats an idempotent request once when a kept-alive connection breaks, and has no public switch for it.
    session._retry_connection = False  # noqa: SLF001  attempts on the wire must equal attempts in the journal
    return _Pool(
        loop=asyncio.get_running_loop(),
        session=session,
        closer=_close_with_loop(session),
        read_slots=asyncio.Semaphore(concurrent_reads),
        origin=str(host.origin()),
        proxy=proxy and proxy.with_user(None),
        proxy_headers=credentials,
    )


async def _close_with_loop(session: aiohttp.ClientSession) -> AsyncGenerator[None, None]:
    """Close the session when the event loop ends: asyncio.run finalizes every unfinished async generator."""
    try:
        yield
    finally:
        await session.close()


# --- proxies and certificates from the environment


def _parse_url(url: str) -> URL:
    try:
        parsed = URL(url)
    except ValueError:
        raise InvalidUrlError from None
    if parsed.scheme not in _SCHEMES or not parsed.raw_host:
        raise InvalidUrlError
    return parsed


def _proxy_for(host: URL) -> URL | None:
    """The proxy that the environment names for a host: HTTPS_PROXY, HTTP_PROXY or ALL_PROXY, unless NO_PROXY matches.

    aiohttp's `trust_env` would also send credentials from a netrc file.
    """
    proxies = getproxies()
    proxy = proxies.get(host.scheme) or proxies.get("all")
    if not proxy or _is_exempt(host, proxies.get("no", "")):
        return None
    return _parse_url(proxy if "://" in proxy else f"http://{proxy}")


def _is_exempt(host: URL, no_proxy: str) -> bool:
    """Whether NO_PROXY matches a host: by name, domain, host:port, or by a network such as 10.0.0.0/8."""
    if proxy_bypass(f"{host.host}:{host.port}"):
        return True
    try:
        address = ipaddress.ip_address(host.host or "")
    except ValueError:
        return False
    return any(address in network for network in _networks(no_proxy))


def _networks(no_proxy: str) -> Iterator[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    for entry in no_proxy.split(","):
        with suppress(ValueError):
            yield ipaddress.ip_network(entry.strip())


def _proxy_credentials(proxy: URL | None) -> Mapping[str, str]:
    """The proxy's credentials as a header: in the URL they would show in aiohttp's errors and log."""
    if proxy is None or proxy.user is None:
        return {}
    return {"Proxy-Authorization": aiohttp.encode_basic_auth(proxy.user, proxy.password or "")}


def _ca_bundle(*, trust_env: bool) -> str:
    """The file or folder with the trusted certificates; the environment may name another than certifi's."""
    named = next((os.environ[name] for name in _CA_BUNDLES if os.environ.get(name)), None)
    return named if named and trust_env else certifi.where()


@cache
def _ssl_context(bundle: str) -> ssl.SSLContext:
    """A context that trusts the certificates in a file or folder. Shared: reading certifi's takes about 15 ms."""
    is_folder = Path(bundle).is_dir()
    context = ssl.create_default_context(cafile=None if is_folder else bundle, capath=bundle if is_folder else None)
    context.set_alpn_protocols(["http/1.1"])
    return context


# --- bodies


async def _read_at_most(content: aiohttp.StreamReader, limit: int) -> bytes:
    body = bytearray()
    while chunk := await content.readany():
        body += chunk
        if len(body) > limit:
            raise UnreadableError(f"it is longer than {limit} bytes")
    return bytes(body)


def _decompress(received: HttpResponse, limit: int) -> HttpResponse:
    """The answer with its body decompressed, of which no more than `limit` bytes are ever produced."""
    encoding = received.headers.get("content-encoding", "identity").strip().lower()
    if encoding == "identity" or not received.body:
        return received
    if encoding != "gzip":
        raise UnreadableError(f"its encoding {truncate_repr(encoding)} was not requested")
    decompressor = zlib.decompressobj(wbits=_GZIP)
    try:
        body = decompressor.decompress(received.body, limit + 1)
    except zlib.error:
        raise UnreadableError("its compression is broken") from None
    if len(body) > limit:
        raise UnreadableError(f"it is longer than {limit} bytes")
    if not decompressor.eof or decompressor.unused_data:
        raise UnreadableError("its compressed body is incomplete or followed by other data")
    return replace(received, body=body)


# --- errors

_Kinds = tuple[type[Exception], ...]

# The first type that matches is used, so a subclass comes before its base.
_ERRORS: Final[tuple[tuple[_Kinds, type[Exception]], ...]] = (
    ((aiohttp.ClientHttpProxyError, aiohttp.ClientProxyConnectionError), ProxyError),
    ((aiohttp.ClientSSLError, ssl.SSLError), TlsError),
    ((aiohttp.ClientConnectorDNSError,), DnsError),
    ((aiohttp.ClientConnectorError,), ConnectError),
    ((aiohttp.ConnectionTimeoutError,), ConnectTimeoutError),
    ((TimeoutError,), TimeoutError),
    ((aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError), InvalidUrlError),
)
_WAY_TO_HOST: Final = (DnsError, ConnectError, ConnectTimeoutError)


def _map_error(error: Exception, *, via_proxy: bool) -> Exception:
    """The error of this module for one of aiohttp's or of the operating system. No text is quoted.

    aiohttp's errors refer to the request, whose headers hold the API key.
    """
    kind = next((ours for kinds, ours in _ERRORS if isinstance(error, kinds)), DisconnectedError)
    return ProxyError() if via_proxy and issubclass(kind, _WAY_TO_HOST) else kind()
