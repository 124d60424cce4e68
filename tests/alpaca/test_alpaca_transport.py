import asyncio
import contextlib
import gzip
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from alpaca_stand_in import run

from sellctl.alpaca.convert import UnreadableError
from sellctl.alpaca.transport import HttpTransport, NoPassageError, Received, Request, Timeouts

LIMITS = Timeouts(connect=1, read=1, whole=2, body_bytes=10_000)
GET = Request("GET", "/v2/clock", (("APCA-API-KEY-ID", "key"),))
Reply = Callable[[bytes], bytes | None]
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl here")


def ok(body: bytes, *headers: str) -> bytes:
    lines = "".join(f"{line}\r\n" for line in ("HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *headers))
    return lines.encode() + b"\r\n" + body


class Server:
    """Answers each request with what `reply` makes of its head; None is silence. Counts connections."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.connections = 0
        self.heads: list[bytes] = []
        self.asked = asyncio.Event()
        self.port = 0
        self.close_after = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
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


def to(server: Server, *, scheme: str = "http", at_once: int = 4, trust_env: bool = False) -> HttpTransport:
    return HttpTransport(f"{scheme}://127.0.0.1:{server.port}", LIMITS, at_once=at_once, trust_env=trust_env)


def asked_once(answer: bytes) -> Received:
    """What comes of one request that is answered so."""

    async def ask() -> Received:
        async with serving(lambda _head: answer) as server:
            return await to(server).send(GET)

    return run(ask())


# --- bodies

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[1\r\n1\r\n]\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    "answer",
    [CHUNKED, ok(b"[1]"), ok(gzip.compress(b"[1]"), "Content-Encoding: gzip")],
    ids=["chunked", "plain", "gzip"],
)
def test_a_body_is_read_whole_however_it_is_wrapped(answer: bytes) -> None:
    assert asked_once(answer).body == b"[1]"


SPOILT = {
    "a bomb": (gzip.compress(b" " * 50_000), "gzip", "longer than 10000 bytes"),
    "not gzip": (b"[1]", "gzip", "compression is broken"),
    "half of it": (gzip.compress(b"[1]" * 100)[:-9], "gzip", "breaks off"),
    "more behind it": (gzip.compress(b"[1]") + b"[2]", "gzip", "breaks off"),
    "not asked for": (b"[1]", "br", "not one that was asked for"),
}


@pytest.mark.parametrize(("body", "encoding", "why"), SPOILT.values(), ids=SPOILT)
def test_a_body_that_can_not_be_unpacked_is_no_answer(body: bytes, encoding: str, why: str) -> None:
    with pytest.raises(UnreadableError, match=why):
        asked_once(ok(body, f"Content-Encoding: {encoding}"))


# --- whose answer it is


def test_an_answer_that_nobody_asked_for_is_never_taken_for_the_next_one() -> None:
    async def play() -> tuple[list[bytes], int]:
        async with serving(lambda head: ok(b"first") + ok(b"stray") if b"/1 " in head else ok(b"second")) as server:
            way = to(server)
            bodies = [(await way.send(Request("GET", f"/{number}", ()))).body for number in (1, 2)]
            return bodies, server.connections

    assert run(play()) == ([b"first", b"second"], 2)


def test_a_call_that_is_given_up_leaves_its_late_answer_to_nobody() -> None:
    async def play() -> bytes:
        async with serving(lambda head: None if b"/slow" in head else ok(b"mine")) as server:
            way = to(server)
            slow = asyncio.create_task(way.send(Request("GET", "/slow", ())))
            await server.asked.wait()
            slow.cancel()
            return (await way.send(GET)).body

    assert run(play()) == b"mine"


def test_an_order_waits_for_no_read() -> None:
    async def play() -> bytes:
        async with serving(lambda head: None if b"/slow" in head else ok(b"taken")) as server:
            way = to(server, at_once=1)
            slow = [asyncio.create_task(way.send(Request("GET", "/slow", ()))) for _ in range(3)]
            order = await way.send(Request("POST", "/v2/orders", (), b"{}"), ahead=True)
            for each in slow:
                each.cancel()
            return order.body

    assert run(play()) == b"taken"


# --- connections


def test_a_connection_that_the_other_side_ended_is_replaced() -> None:
    async def play() -> tuple[int, int]:
        async with serving(lambda _head: ok(b"[]")) as server:
            server.close_after = True
            way = to(server)
            for _ in range(3):
                await way.send(GET)
                await asyncio.sleep(0.01)  # until its end has come
            return len(server.heads), server.connections

    assert run(play()) == (3, 3)


def test_an_answer_may_end_with_its_connection() -> None:
    async def play() -> bytes:
        async with serving(lambda _head: b"HTTP/1.1 200 OK\r\n\r\n[1]") as server:
            server.close_after = True
            return (await to(server).send(GET)).body

    assert run(play()) == b"[1]"


def test_one_transport_serves_one_event_loop_after_the_other() -> None:
    ways: list[HttpTransport] = []

    async def play() -> int:
        async with serving(lambda _head: ok(b"[]")) as server:
            way = to(server)
            for earlier in ways:
                way._pool = earlier._pool  # noqa: SLF001  the pool of a loop that is over
            await way.send(GET)
            ways.append(way)
            return server.connections

    assert [run(play()), run(play())] == [1, 1]


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


async def over_tls(certificate: Path) -> Received:
    async with serving(lambda _head: ok(b"[]"), a_context(certificate)) as server:
        return await to(server, scheme="https", trust_env=True).send(GET)


@needs_openssl
def test_only_a_certificate_that_is_trusted_will_do(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        run(over_tls(certificate))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    assert run(over_tls(certificate)).body == b"[]"


class Proxy(Server):
    """Hands on what it is asked to connect, or refuses."""

    def __init__(self, status: int) -> None:
        super().__init__(lambda _head: None)
        self._status = status

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        with contextlib.closing(writer), contextlib.suppress(ConnectionError):
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


async def by_proxy(certificate: Path, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> Received:
    listening = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    monkeypatch.setenv("https_proxy", f"http://user:p%40ss@127.0.0.1:{port}")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    try:
        return await over_tls(certificate)
    finally:
        listening.close()


@needs_openssl
def test_a_proxy_hands_on_what_only_the_host_can_read(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    proxy = Proxy(200)
    assert run(by_proxy(certificate, proxy, monkeypatch)).body == b"[]"
    (head,) = proxy.heads
    assert head.startswith(b"CONNECT 127.0.0.1:")
    assert b"Proxy-Authorization: Basic dXNlcjpwQHNz" in head
    assert b"APCA" not in head


@needs_openssl
@pytest.mark.parametrize("status", [403, 407, 502])
def test_a_proxy_that_refuses_is_no_host_that_answers(
    certificate: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    with pytest.raises(NoPassageError):
        run(by_proxy(certificate, Proxy(status), monkeypatch))
