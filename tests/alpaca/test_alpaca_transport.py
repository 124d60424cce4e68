import asyncio
import contextlib
import gzip
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest
from alpaca_stand_in import run

from sellctl.alpaca.convert import UnreadableError
from sellctl.alpaca.transport import (
    ConnectError,
    ConnectTimeoutError,
    DisconnectedError,
    DnsError,
    HttpRequest,
    HttpResponse,
    HttpTransport,
    InvalidUrlError,
    Limits,
    ProxyError,
    TlsError,
    _map_error,
)

LIMITS = Limits(connect=1, read=1, total=2, body_bytes=10_000)
HURRIED = Limits(connect=0.2, read=0.2, total=0.4)
GET = HttpRequest("GET", "/v2/clock", (("APCA-API-KEY-ID", "key"),))
POST = HttpRequest("POST", "/v2/orders", (), b"{}")
PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
Reply = Callable[[bytes], bytes | None]
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl here")


@pytest.fixture(autouse=True)
def no_proxies_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def ok(body: bytes, *headers: str) -> bytes:
    lines = "".join(f"{line}\r\n" for line in ("HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *headers))
    return lines.encode() + b"\r\n" + body


class Server:
    """Answers each request with what `reply` returns for its head; None means no answer. Counts connections."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.connections = 0
        self.heads: list[bytes] = []
        self.asked = asyncio.Event()
        self.port = 0
        self.close_after = False
        self.writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        with contextlib.closing(writer), contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.heads.append(head)
                self.asked.set()
                answer = self.reply(head)
                if answer is None:
                    await reader.read()
                    return
                writer.write(answer)
                if self.close_after:
                    return


@contextlib.asynccontextmanager
async def serving(reply: Reply, context: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    server = Server(reply)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=context)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()


def transport_to(
    server: Server,
    *,
    scheme: str = "http",
    host: str = "127.0.0.1",
    concurrent_reads: int = 4,
    trust_env: bool = False,
    limits: Limits = LIMITS,
) -> HttpTransport:
    url = f"{scheme}://{host}:{server.port}"
    return HttpTransport(url, limits, concurrent_reads=concurrent_reads, trust_env=trust_env)


def answer_to_one_request(answer: bytes | None, limits: Limits = LIMITS) -> HttpResponse:
    async def send() -> HttpResponse:
        async with serving(lambda _head: answer) as server:
            return await transport_to(server, limits=limits).send(GET)

    return run(send())


async def until_the_client_has_seen_it() -> None:
    """Let what was sent over loopback reach the client, which runs in the same event loop."""
    for _ in range(10):
        await asyncio.sleep(0)


# --- bodies

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[1\r\n1\r\n]\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    "answer",
    [CHUNKED, ok(b"[1]"), ok(gzip.compress(b"[1]"), "Content-Encoding: gzip")],
    ids=["chunked", "plain", "gzip"],
)
def test_a_body_is_read_whole_however_it_is_encoded(answer: bytes) -> None:
    assert answer_to_one_request(answer).body == b"[1]"


UNUSABLE = {
    "a bomb": (gzip.compress(b" " * 50_000), "gzip", "longer than 10000 bytes"),
    "not gzip": (b"[1]", "gzip", "compression is broken"),
    "half of it": (gzip.compress(b"[1]" * 100)[:-9], "gzip", "incomplete"),
    "more behind it": (gzip.compress(b"[1]") + b"[2]", "gzip", "incomplete"),
    "not asked for": (b"[1]", "br", "was not requested"),
    "too long": (b" " * 10_001, "identity", "longer than 10000 bytes"),
}


@pytest.mark.parametrize(("body", "encoding", "why"), UNUSABLE.values(), ids=UNUSABLE)
def test_a_body_that_can_not_be_decompressed_is_no_answer(body: bytes, encoding: str, why: str) -> None:
    with pytest.raises(UnreadableError, match=why):
        answer_to_one_request(ok(body, f"Content-Encoding: {encoding}"))


def test_header_names_come_in_lower_case() -> None:
    assert answer_to_one_request(ok(b"", "X-RateLimit-Limit: 200")).headers["x-ratelimit-limit"] == "200"


NOT_HTTP = {
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "a broken chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
}


@pytest.mark.parametrize("answer", NOT_HTTP.values(), ids=NOT_HTTP)
def test_what_is_not_http_is_no_answer(answer: bytes) -> None:
    with pytest.raises(DisconnectedError):
        answer_to_one_request(answer)


# --- every answer belongs to its request


def test_an_answer_right_behind_another_is_not_taken_for_the_next_one() -> None:
    async def play() -> tuple[list[bytes], int]:
        async with serving(lambda head: ok(b"first") + ok(b"stray") if b"/1 " in head else ok(b"second")) as server:
            transport = transport_to(server)
            bodies = [(await transport.send(HttpRequest("GET", f"/{number}", ()))).body for number in (1, 2)]
            return bodies, server.connections

    assert run(play()) == ([b"first", b"second"], 2)


@pytest.mark.parametrize("stray", [ok(b"stray"), b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 103 Early Hints\r\n\r\n", b"junk"])
def test_an_answer_on_an_idle_connection_is_never_taken_for_the_next_one(stray: bytes) -> None:
    async def play() -> list[bytes]:
        async with serving(lambda _head: ok(b"own")) as server:
            transport = transport_to(server)
            bodies = [(await transport.send(GET)).body]
            server.writers[0].write(stray)
            await until_the_client_has_seen_it()
            with contextlib.suppress(DisconnectedError):  # of half an answer only the rest can tell
                bodies.append((await transport.send(GET)).body)
            return [*bodies, (await transport.send(GET)).body]

    assert set(run(play())) == {b"own"}


def test_a_request_that_is_cancelled_leaves_its_late_answer_to_no_other() -> None:
    async def play() -> bytes:
        async with serving(lambda head: None if b"/slow" in head else ok(b"mine")) as server:
            transport = transport_to(server)
            slow = asyncio.create_task(transport.send(HttpRequest("GET", "/slow", ())))
            await server.asked.wait()
            slow.cancel()
            return (await transport.send(GET)).body

    assert run(play()) == b"mine"


def test_an_order_waits_for_no_read() -> None:
    async def play() -> bytes:
        async with serving(lambda head: None if b"/slow" in head else ok(b"taken")) as server:
            transport = transport_to(server, concurrent_reads=1)
            slow = [asyncio.create_task(transport.send(HttpRequest("GET", "/slow", ()))) for _ in range(3)]
            order = await transport.send(POST, urgent=True)
            for each in slow:
                each.cancel()
            return order.body

    assert run(play()) == b"taken"


# --- one sending


@pytest.mark.parametrize("method", ["GET", "DELETE", "POST"])
def test_nothing_is_sent_again_when_a_kept_alive_connection_breaks(method: str) -> None:
    async def play() -> list[bytes]:
        replies = iter((ok(b"[]"), b""))
        async with serving(lambda _head: next(replies)) as server:
            transport = transport_to(server)
            await transport.send(GET)
            server.close_after = True  # the second request is read, and the connection ends without an answer
            with pytest.raises(DisconnectedError):
                await transport.send(HttpRequest(method, "/second", ()))
            await until_the_client_has_seen_it()
            return server.heads

    heads = run(play())
    assert [head.split()[1] for head in heads] == [b"/v2/clock", b"/second"]


# --- connections


def test_a_connection_that_the_other_side_ended_is_replaced() -> None:
    async def play() -> tuple[int, int]:
        async with serving(lambda _head: ok(b"[]")) as server:
            server.close_after = True
            transport = transport_to(server)
            for _ in range(3):
                await transport.send(GET)
                await until_the_client_has_seen_it()
            return len(server.heads), server.connections

    assert run(play()) == (3, 3)


def test_an_answer_may_end_with_its_connection() -> None:
    async def play() -> bytes:
        async with serving(lambda _head: b"HTTP/1.1 200 OK\r\n\r\n[1]") as server:
            server.close_after = True
            return (await transport_to(server).send(GET)).body

    assert run(play()) == b"[1]"


def test_one_transport_serves_one_event_loop_after_the_other() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        transport = HttpTransport(url, LIMITS, concurrent_reads=1, trust_env=False)

        async def play() -> int:
            server = Server(lambda _head: ok(b"[]"))
            serving_here = await asyncio.start_server(server.serve, sock=listening.dup())
            async with serving_here:
                await transport.send(GET)
                await transport.send(GET)
            return server.connections

        assert [run(play()), run(play())] == [1, 1]


def test_closing_ends_the_connections_and_the_next_request_opens_another() -> None:
    async def play() -> int:
        async with serving(lambda _head: ok(b"[]")) as server:
            transport = transport_to(server)
            await transport.send(GET)
            transport.close()
            transport.close()
            await until_the_client_has_seen_it()
            await transport.send(GET)
            return server.connections

    assert run(play()) == 2


def test_a_request_that_waits_when_the_connections_are_closed_fails() -> None:
    async def play() -> list[object]:
        async with serving(lambda _head: None) as server:
            transport = transport_to(server, concurrent_reads=1)
            requests = [asyncio.create_task(transport.send(GET)) for _ in range(2)]
            await server.asked.wait()
            transport.close()
            return await asyncio.gather(*requests, return_exceptions=True)

    assert [type(error) for error in run(play())] == [DisconnectedError, DisconnectedError]


def test_nothing_stays_open_when_the_event_loop_ends(recwarn: pytest.WarningsRecorder) -> None:
    answer_to_one_request(ok(b"[]"))
    assert [warning for warning in recwarn if issubclass(warning.category, ResourceWarning)] == []


# --- errors


def test_a_port_that_nobody_listens_on_can_not_be_reached() -> None:
    async def play() -> None:
        async with serving(lambda _head: None) as server:
            closed = server.port
        await HttpTransport(f"http://127.0.0.1:{closed}", LIMITS, concurrent_reads=1, trust_env=False).send(GET)

    with pytest.raises(ConnectError):
        run(play())


def test_a_host_that_never_finishes_the_tls_handshake_times_out() -> None:
    async def play() -> None:
        async with serving(lambda _head: None) as server:
            await transport_to(server, scheme="https", limits=HURRIED).send(GET)

    with pytest.raises(ConnectTimeoutError):
        run(play())


OURS = {
    aiohttp.ClientHttpProxyError: ProxyError,
    aiohttp.ClientProxyConnectionError: ProxyError,
    aiohttp.ClientConnectorCertificateError: TlsError,
    aiohttp.ClientConnectorSSLError: TlsError,
    aiohttp.ClientSSLError: TlsError,
    aiohttp.ClientConnectorDNSError: DnsError,
    aiohttp.ClientConnectorError: ConnectError,
    aiohttp.ConnectionTimeoutError: ConnectTimeoutError,
    aiohttp.SocketTimeoutError: TimeoutError,
    aiohttp.InvalidURL: InvalidUrlError,
    aiohttp.NonHttpUrlClientError: InvalidUrlError,
}


def kinds(of: type[Exception]) -> set[type[Exception]]:
    return {of}.union(*(kinds(sub) for sub in of.__subclasses__()))


@pytest.mark.parametrize("kind", sorted(kinds(aiohttp.ClientError), key=lambda each: each.__name__))
def test_every_error_of_aiohttp_becomes_one_of_ours(kind: type[Exception]) -> None:
    mapped = _map_error(kind.__new__(kind), via_proxy=False)
    assert type(mapped).__module__ in {"sellctl.alpaca.transport", "builtins"}
    assert type(mapped) is OURS.get(kind, type(mapped))
    assert isinstance(mapped, OSError | ValueError)
    assert mapped.args == ()


@pytest.mark.parametrize("kind", [aiohttp.ClientConnectorDNSError, aiohttp.ClientConnectorError])
def test_behind_a_proxy_it_is_the_proxy_that_can_not_be_reached(kind: type[Exception]) -> None:
    assert type(_map_error(kind.__new__(kind), via_proxy=True)) is ProxyError


# --- TLS and proxies


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    words = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=here -keyout key.pem -out cert.pem"
    names = ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(["openssl", *words.split(), *names], cwd=folder, check=True, capture_output=True)  # noqa: S603, S607
    return folder / "cert.pem"


def a_context(certificate: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    return context


async def over_tls(certificate: Path) -> HttpResponse:
    async with serving(lambda _head: ok(b"[]"), a_context(certificate)) as server:
        return await transport_to(server, scheme="https", trust_env=True).send(GET)


@needs_openssl
@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_only_a_trusted_certificate_will_do(certificate: Path, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    with pytest.raises(TlsError):
        run(over_tls(certificate))
    monkeypatch.setenv(variable, str(certificate))
    assert run(over_tls(certificate)).body == b"[]"


class Proxy(Server):
    """Answers CONNECT with a status and tunnels when that is 200; None means no answer."""

    def __init__(self, status: int | None) -> None:
        super().__init__(lambda _head: None)
        self._status = status

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        with contextlib.closing(writer), contextlib.suppress(ConnectionError):
            if self._status is None:
                await reader.read()
                return
            writer.write(f"HTTP/1.1 {self._status} So\r\n\r\n".encode())
            if self._status != 200:
                return
            host, _, port = head.split()[1].decode().rpartition(":")
            theirs, onward = await asyncio.open_connection(host, int(port))
            await asyncio.gather(_pump(reader, onward), _pump(theirs, writer))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.closing(writer):
        while data := await reader.read(65_536):
            writer.write(data)


async def by_proxy(certificate: Path, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> HttpResponse:
    listening = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    monkeypatch.setenv("https_proxy", f"http://user:p%40ss@127.0.0.1:{port}")
    try:
        return await over_tls(certificate)
    finally:
        listening.close()


@needs_openssl
def test_a_proxy_tunnels_what_only_the_host_can_read(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    proxy = Proxy(200)
    assert run(by_proxy(certificate, proxy, monkeypatch)).body == b"[]"
    (head,) = proxy.heads
    assert head.startswith(b"CONNECT 127.0.0.1:")
    assert b"Proxy-Authorization: Basic dXNlcjpwQHNz" in head
    assert b"APCA" not in head


@needs_openssl
@pytest.mark.parametrize("status", [403, 407, 502, None])
def test_a_proxy_that_does_not_tunnel_is_a_proxy_error(
    certificate: Path, monkeypatch: pytest.MonkeyPatch, status: int | None
) -> None:
    with pytest.raises(ProxyError):
        run(by_proxy(certificate, Proxy(status), monkeypatch))


async def over_http(
    monkeypatch: pytest.MonkeyPatch, variable: str, *, host: str = "alpaca.invalid", no_proxy: str = ""
) -> list[bytes]:
    """The heads that a proxy gets of a plain HTTP request to a host that cannot be reached directly."""
    monkeypatch.setenv("NO_PROXY", no_proxy)
    async with serving(lambda _head: ok(b"[]")) as proxy:
        monkeypatch.setenv(variable, f"http://user:p%40ss@127.0.0.1:{proxy.port}")
        transport = HttpTransport(f"http://{host}:81", LIMITS, concurrent_reads=1, trust_env=True)
        with contextlib.suppress(DnsError, ConnectError):
            await transport.send(GET)
        return proxy.heads


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "ALL_PROXY"])
def test_a_plain_request_goes_to_the_proxy_with_its_credentials(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    (head,) = run(over_http(monkeypatch, variable))
    assert head.startswith(b"GET http://alpaca.invalid:81/v2/clock HTTP/1.1")
    assert b"Proxy-Authorization: Basic dXNlcjpwQHNz" in head


@pytest.mark.parametrize(
    ("host", "no_proxy"),
    [
        ("alpaca.invalid", "*"),
        ("alpaca.invalid", "alpaca.invalid"),
        ("alpaca.invalid", ".invalid"),
        ("alpaca.invalid", "other, alpaca.invalid:81"),
        ("127.0.0.9", "other, 127.0.0.0/8"),
        ("[::1]", "10.0.0.0/8, ::1/128"),
    ],
)
def test_no_proxy_is_used_for_the_hosts_that_no_proxy_names(
    monkeypatch: pytest.MonkeyPatch, host: str, no_proxy: str
) -> None:
    assert run(over_http(monkeypatch, "HTTP_PROXY", host=host, no_proxy=no_proxy)) == []


@pytest.mark.parametrize("no_proxy", ["", "other", "alpaca.invalid:82", "10.0.0.0/8"])
def test_the_proxy_is_used_for_all_other_hosts(monkeypatch: pytest.MonkeyPatch, no_proxy: str) -> None:
    assert len(run(over_http(monkeypatch, "HTTP_PROXY", host="127.0.0.9", no_proxy=no_proxy))) == 1


def test_a_proxy_with_an_invalid_address_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "socks5://127.0.0.1:1")
    transport = HttpTransport("http://alpaca.invalid", LIMITS, concurrent_reads=1, trust_env=True)
    with pytest.raises(InvalidUrlError):
        run(transport.send(GET))
