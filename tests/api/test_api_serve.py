import asyncio
import contextlib
import http.client
import itertools
import json
import shutil
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from api_stage import CALL, CANARY, HELD, SECRET, TARGET, a_token, until
from container_file import is_healthy
from served import Served, serving, write_config
from stage import Program

from sellctl.api.server import LimitedServer, Limits
from sellctl.journal.queries import Filters, history
from sellctl.sim.scenario.reader import parse_scenario
from sellctl.sim.server import SimServer

RULES = "sell_module: {check_interval: 1s}\n"
STATUS = "/api/v1/sell/status"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One process for the tests that leave it as it was."""
    with serving(tmp_path_factory.mktemp("serve"), HELD, RULES) as running:
        yield running


def looks(served: Served) -> int:
    _, document = served.ask("GET", STATUS, a_token())
    return int(document["looks"])


def test_the_container_of_serve_is_healthy_also_while_it_is_asked_to_watch_nothing(tmp_path: Path) -> None:
    with serving(tmp_path, HELD, RULES) as served:
        asyncio.run(until(lambda: is_healthy(tmp_path / "state"), 30))
        assert served.ask("POST", "/api/v1/sell/stop", a_token(role="admin"))[0] == 200
        (tmp_path / "state" / "healthy").unlink()
        asyncio.run(until(lambda: is_healthy(tmp_path / "state"), 30))
        assert served.stop() == 0
    assert not is_healthy(tmp_path / "state")


def test_the_documented_curl_lines_work_as_written(served: Served) -> None:
    made = served.command("token", "create", "--role", "admin", "--sub", "ana", "--ttl", "12h")
    assert made.returncode == 0
    token = made.stdout.strip()
    curl = shutil.which("curl")
    for line in (
        'curl -X GET http://localhost:8090/api/v1/sell/status -H "Authorization: Bearer <token>"',
        'curl -X POST http://localhost:8090/api/v1/sell/start -H "Authorization: Bearer <token>"',
        'curl -X POST http://localhost:8090/api/v1/sell/run-once -H "Authorization: Bearer <token>"',
    ):
        _, _, method, url, _, header = line.replace(":8090", f":{served.port}").split(" ", 5)
        header = header.strip('"').replace("<token>", token)
        if curl:
            words = [curl, "-sS", "--fail", "-X", method, url, "-H", header]
            document = json.loads(subprocess.run(words, capture_output=True, check=True, timeout=30).stdout)  # noqa: S603
        else:
            status, document = served.ask(method, url.split(f":{served.port}")[1], token)
            assert status == 200
        assert document.get("state", "watching") == "watching"


def test_twenty_requests_per_second_delay_no_check(served: Served) -> None:
    """The watcher checks every second while the API receives 20 requests per second."""
    token, seconds = a_token("viewer"), 3.0
    took: list[float] = []
    seen: list[tuple[float, int]] = []
    begun = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
    for number in range(int(20 * seconds)):
        time.sleep(max(0.0, begun + number / 20 - time.monotonic()))
        asked = time.monotonic()
        connection.request("GET", STATUS, headers={"Authorization": f"Bearer {token}"})
        document = json.loads(connection.getresponse().read())
        took.append(time.monotonic() - asked)
        if not seen or document["looks"] != seen[-1][1]:
            seen.append((time.monotonic(), document["looks"]))
    connection.close()
    gaps = [later - earlier for (earlier, _), (later, _) in itertools.pairwise(seen[1:])]
    assert [count - seen[0][1] for _, count in seen] == list(range(len(seen))), "a look was missed"
    assert len(seen) >= seconds - 1
    assert max(gaps) < 2, f"looks were {gaps} apart"
    assert statistics.median(took) < 0.03, "an answer waits for an acknowledgement: is TCP_NODELAY off?"


async def a_small_app(scope: dict[str, Any], _receive: object, send: Callable[..., Awaitable[None]]) -> None:
    """Answers /large with 16 MB, and everything else with nothing."""
    if scope["type"] == "http":
        body = b"x" * 16_000_000 if scope["path"] == "/large" else b""
        length = (b"content-length", str(len(body)).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": body})


@contextlib.asynccontextmanager
async def a_server(limits: Limits, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """The port of a small application behind the server of `serve`."""
    running = LimitedServer(a_small_app, context, limits)
    running.config.lifespan = "off"
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        task = asyncio.create_task(running.serve(sockets=[listening]))
        await until(lambda: running.started)
        yield listening.getsockname()[1]
        running.should_exit = True
        await task


async def an_answer(port: int) -> bytes:
    """The first line of the answer to a request."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    line = await reader.readline()
    writer.close()
    return line


async def is_closed(reader: asyncio.StreamReader) -> None:
    """Wait until the server has closed the connection."""
    async with asyncio.timeout(5):
        with contextlib.suppress(ConnectionError):
            while await reader.read(1024):
                pass


HALF_A_HEAD = b"GET / HTTP/1.1\r\nHost: localhost\r\n"


@pytest.mark.parametrize("first", [b"", HALF_A_HEAD, HALF_A_HEAD + b"\r\n"], ids=["nothing", "half a head", "a second"])
def test_a_slow_or_missing_request_head_closes_the_connection(first: bytes) -> None:
    """A Slowloris attack: the head of a request never ends, however often a byte of it arrives."""

    async def drip(writer: asyncio.StreamWriter) -> None:
        while first:
            writer.write(b"x")
            await asyncio.sleep(0.05)

    async def scene() -> None:
        async with a_server(Limits(head_seconds=0.3)) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(first)
            dripping = asyncio.create_task(drip(writer))
            await is_closed(reader)
            dripping.cancel()
            writer.close()

    asyncio.run(scene())


@pytest.mark.parametrize("limits", [Limits(connections=5), Limits(connections_per_address=5)], ids=["all", "address"])
def test_half_open_connections_keep_nobody_out(limits: Limits) -> None:
    async def scene() -> None:
        async with a_server(limits) as port:
            half_open = [await asyncio.open_connection("127.0.0.1", port) for _ in range(8)]
            for _, writer in half_open:
                writer.write(HALF_A_HEAD)
            assert (await an_answer(port)).startswith(b"HTTP/1.1 200")
            await is_closed(half_open[0][0])
            for _, writer in half_open:
                writer.close()

    asyncio.run(scene())


def test_a_connection_with_a_request_in_progress_is_not_closed_for_another(served: Served) -> None:
    stream = served.connect()
    head = f"GET /api/v1/sell/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {a_token()}\r\n\r\n"
    stream.sendall(head.encode())
    assert stream.recv(16).startswith(b"HTTP/1.1 200")
    half_open = [served.connect() for _ in range(250)]
    assert served.ask("GET", STATUS, a_token())[0] == 200
    stream.settimeout(5)
    while b"event: look" not in stream.recv(65_536):
        pass
    for connection in (stream, *half_open):
        connection.close()


def test_a_client_that_reads_nothing_is_disconnected() -> None:
    async def scene() -> None:
        async with a_server(Limits(unread_seconds=0.2)) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
            writer.write(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await asyncio.sleep(0.5)  # the time that the client leaves the response unread
            with contextlib.suppress(ConnectionError):
                assert len(await reader.read()) < 16_000_000
            writer.close()

    asyncio.run(scene())


def test_a_huge_head_is_refused(served: Served) -> None:
    with served.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 100_000)
        assert connection.recv(64).startswith((b"HTTP/1.1 400", b"HTTP/1.1 431"))


def test_a_huge_head_that_arrives_whole_is_refused(served: Served) -> None:
    with served.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 17_000 + b"\r\n\r\n")
        assert connection.recv(64).startswith(b"HTTP/1.1 400")


def test_hammering_and_hanging_up_stop_nothing(served: Served) -> None:
    before = looks(served)
    held = []
    for _ in range(150):
        connection = served.connect()
        connection.sendall(b"GET /api/v1/sell/events HTTP/1.1\r\nHost: localhost\r\nAuth")
        held.append(connection)
    workers = [threading.Thread(target=hammer, args=(served,)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for connection in held:
        connection.close()
    document = answer_in_the_end(served)
    assert document["state"] == "watching"
    assert document["looks"] > before


def answer_in_the_end(served: Served) -> Any:
    """The status, as soon as the throttle and the number of connections allow it."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, http.client.HTTPException):
            status, document = served.ask("GET", STATUS, a_token())
            if status == 200:
                return document
        time.sleep(0.2)
    raise AssertionError("it answers no more")


def hammer(served: Served) -> None:
    """Send requests without reading the responses, as fast as possible."""
    ends_at = time.monotonic() + 1
    while time.monotonic() < ends_at:
        with served.connect() as connection:
            head = f"GET {STATUS} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {a_token()}\r\n\r\n"
            connection.sendall(head.encode())


def test_a_term_ends_it_and_keeps_the_accounts_free(tmp_path: Path) -> None:
    with serving(tmp_path, HELD, RULES) as served:
        stream = served.connect()
        head = f"GET /api/v1/sell/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {a_token()}\r\n\r\n"
        stream.sendall(head.encode())
        assert stream.recv(16).startswith(b"HTTP/1.1 200")
        begun = time.monotonic()
        assert served.stop(signal.SIGTERM) == 0
        assert time.monotonic() - begun < 5
        stream.close()
        assert served.command("run-once").returncode == 0
        rows = history(tmp_path / "state" / "journal.sqlite", Filters(limit=1_000))
        calls = [call for row in rows if row.kind == "api" for call in row.body.get("calls", ())]
        assert [call["route"] for call in calls if call["who"] == "tester"] == ["GET /sell/events"]


def test_sighup_reloads_the_rules_and_keeps_the_api_settings(tmp_path: Path) -> None:
    with serving(tmp_path, HELD, RULES) as served:
        token, config = a_token(), tmp_path / "config.yml"
        config.write_text(config.read_text().replace("check_interval: 1s", "check_interval: 2s") + "api: {port: 1}\n")
        assert served.ask("GET", "/healthz")[0] == 200  # it is up, and so are its signals
        served.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            status, document = served.ask("GET", "/api/v1/sell/config", token)
            shown = {row["key"]: row["value"] for row in document["values"]}
            if shown["sell_module.check_interval"] == "2s":
                break
            time.sleep(0.05)
        assert (status, shown["sell_module.check_interval"], shown["api.secret"]) == (200, "2s", "****")


def test_a_target_is_sold_while_it_serves_and_the_log_holds_no_secret(tmp_path: Path) -> None:
    with serving(tmp_path, TARGET, RULES) as served:
        deadline = time.monotonic() + 15
        while served.server.exchange.accounts["main"].qty_of(CALL) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert served.server.exchange.accounts["main"].qty_of(CALL) == 0
        token, forged = a_token(), a_token(secret=SECRET[::-1])
        assert served.ask("POST", "/api/v1/sell/stop", token)[0] == 200
        assert served.ask("POST", "/api/v1/sell/start", forged)[0] == 401
        served.stop()
    log = served.log.read_text()
    assert "POST /sell/stop" in log
    for secret in (CANARY, SECRET, token, forged):
        assert secret not in log


@pytest.mark.parametrize(
    ("rules", "secret", "ends"),
    [
        ("", "", (2, "SELLCTL_API_SECRET")),
        ("", "too-short", (5, "shorter than 32 bytes")),
        ("", "a" * 64, (5, "can be guessed")),
        ("", "your-256-bit-secret-your-256-bit-secret", (5, "can be guessed")),
        ("api: {host: 0.0.0.0}\n", SECRET, (5, "can be reached from other machines")),
        ("api: {tls_cert: gone.pem, tls_key: gone.pem}\n", SECRET, (2, "can't be used")),
        ("api: {tls_cert: c.pem}\n", SECRET, (2, "tls_key")),
        ("api: {allow: [everybody]}\n", SECRET, (2, "neither an address nor a network")),
        ("api: {host: example.org}\n", SECRET, (2, "isn't an address")),
        ("api: {names: ['exits.example.org:8090']}\n", SECRET, (2, "isn't a host name")),
    ],
)
def test_it_refuses_to_start_where_it_could_be_abused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rules: str, secret: str, ends: tuple[int, str]
) -> None:
    monkeypatch.setenv("SELLCTL_API_SECRET", secret)
    with SimServer(parse_scenario(HELD), speed=0) as server:
        write_config(tmp_path, server, rules)
        said = Program(tmp_path).run("serve", "--port", "0")
    assert said.status == ends[0]
    assert ends[1] in said.err
    assert not (secret and secret in said.err)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """The folder of a new certificate for localhost: cert.pem and key.pem."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl here to make a certificate with")
    words = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout key.pem -out cert.pem"
    names = ["-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(["openssl", *words.split(), *names], cwd=tmp_path, check=True, capture_output=True)  # noqa: S603, S607
    return tmp_path


def test_a_tls_handshake_that_never_ends_is_cut_off(certificate: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")

    async def scene() -> None:
        async with a_server(Limits(head_seconds=0.3), context) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            await is_closed(reader)
            writer.close()

    asyncio.run(scene())


def test_with_tls_it_speaks_nothing_else(certificate: Path, tmp_path: Path) -> None:
    rules = f"{RULES}api: {{host: 127.0.0.1, tls_cert: cert.pem, tls_key: key.pem}}\n"
    with serving(tmp_path, HELD, rules) as served:
        trusting = ssl.create_default_context(cafile=certificate / "cert.pem")
        connection = http.client.HTTPSConnection("localhost", served.port, timeout=20, context=trusting)
        connection.request("GET", STATUS, headers={"Authorization": f"Bearer {a_token()}"})
        answer = connection.getresponse()
        assert answer.status == 200
        assert answer.headers["strict-transport-security"]
        connection.close()
        with pytest.raises((OSError, http.client.HTTPException)):
            served.ask("GET", STATUS, a_token())


def test_a_port_in_use_is_reported_in_one_sentence(served: Served) -> None:
    ended = served.command("serve", "--port", str(served.port))
    assert ended.returncode == 2
    assert "can't be used" in ended.stderr


@pytest.mark.parametrize("words", ["serve", "token secret", "token create --sub me"])
def test_without_the_extra_it_says_how_to_install_it(words: str) -> None:
    without_jwt = "import sys; sys.modules['jwt'] = None; from sellctl.app import main; main()"
    program = [sys.executable, "-c", without_jwt, *words.split()]
    said = subprocess.run(program, capture_output=True, text=True, check=False, timeout=30)  # noqa: S603  our own program
    assert said.returncode == 2
    assert "pip install 'sellctl[api]'" in said.stderr


@pytest.mark.parametrize("words", [("--sub", "a b"), ("--sub", "me", "--ttl", "31d"), ("--sub", "me", "--ttl", "soon")])
def test_invalid_token_options_are_refused_in_one_sentence(served: Served, words: tuple[str, ...]) -> None:
    ended = served.command("token", "create", *words)
    assert ended.returncode == 2
    assert ended.stderr.startswith("sellctl: ")
