"""Streamable HTTP: the SDK's client reads over it; who may not is refused before anything is read."""

import asyncio
import contextlib
import datetime as dt
import http.client
import signal
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx2
import pytest
from assistant import call, refusal
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from stage import CALL, Play, Stage, end_of, three_calls

from sellctl.api.tokens import Role, fresh_secret, make_token

OPTIONS = "sell_module: {check_interval: 1s}\n"
SECRET = "7VqM2xkD9sLwRf4TzBn8YcHj3GpKe6Ua0WiXoQ5v"  # noqa: S105  a test's word
READ = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"positions","arguments":{}}}'


@dataclass
class Server:
    """A running `sellctl mcp --http`."""

    url: str
    stage: Stage

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.url.removeprefix("http://").removesuffix("/mcp").rpartition(":")
        return host, int(port)

    def status(self, headers: Mapping[str, str] | None = None, body: bytes = READ, path: str = "/mcp") -> int:
        """The status of one request that is no client's."""
        connection = http.client.HTTPConnection(*self.address, timeout=20)
        given = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        try:
            connection.request("POST", path, body, given | dict(headers or {}))
            return connection.getresponse().status
        finally:
            connection.close()

    @asynccontextmanager
    async def client(self, token: str = "", mode: str = "auto") -> AsyncIterator[Client]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with (
            httpx2.AsyncClient(headers=headers, trust_env=False) as connection,
            Client(streamable_http_client(self.url, http_client=connection), mode=mode) as client,
        ):
            yield client


@contextlib.contextmanager
def serving(stage: Stage, *arguments: str, secret: str = "") -> Iterator[Server]:
    environment = {"SELLCTL_API_SECRET": secret} if secret else {}
    process = stage.spawn("mcp", "--http", "127.0.0.1:0", *arguments, env=environment)
    try:
        assert process.stderr
        line = next(line for line in process.stderr if "listens on" in line)
        yield Server(line.split("listens on ")[1].split(". Press")[0], stage)
        process.send_signal(signal.SIGTERM)
        assert end_of(process).status == 0
    finally:
        process.kill()


def a_token(role: str, secret: str = SECRET) -> str:
    return make_token(secret, "ana", Role(role), dt.timedelta(hours=1), dt.datetime.now(dt.UTC))


def test_a_client_on_this_machine_reads_without_a_token(play: Play) -> None:
    async def talk(server: Server) -> None:
        for mode in ("auto", "legacy"):
            async with server.client(mode=mode) as client:
                [account] = (await call(client, "positions"))["accounts"]
                assert account["holdings"][0]["symbol"] == CALL

    stage = play(three_calls(), OPTIONS)
    with serving(stage) as server:
        asyncio.run(talk(server))
        assert server.status({"Host": "evil.example"}) == 421
        assert server.status({"Origin": "http://evil.example"}) == 403
        assert server.status(body=b"x" * 100_000) == 413
        assert server.status(body=b"{") == 400
        assert server.status(path="/") == 404
    assert stage.sent() == []


def test_with_a_secret_every_call_needs_a_token_and_proposals_one_of_an_admin(play: Play) -> None:
    async def talk(server: Server) -> None:
        async with server.client(a_token("viewer")) as client:
            await call(client, "positions")
            assert "may read only" in (await refusal(client, "close", name=CALL))["sentence"]
        async with server.client(a_token("admin")) as client:
            assert (await call(client, "close", name=CALL))["code"]

    stage = play(three_calls(), OPTIONS)
    with serving(stage, "--allow", "act", secret=SECRET) as server:
        assert server.status() == 401
        assert server.status({"Authorization": f"Bearer {a_token('admin', fresh_secret())}"}) == 401
        assert server.status({"Authorization": "Bearer x"}) == 401
        asyncio.run(talk(server))
    assert stage.sent() == []


NO_ADDRESS = (2, "--http needs a host and a port")


@pytest.mark.parametrize(
    ("address", "secret", "refused"),
    [
        ("0.0.0.0:0", "", (2, "SELLCTL_API_SECRET")),
        ("0.0.0.0:0", SECRET, (5, "can be reached from other machines")),
        ("0.0.0.0:0", "secretsecretsecretsecretsecretsecret", (5, "it can be guessed")),
        ("127.0.0.1", "", NO_ADDRESS),
        ("127.0.0.1:x", "", NO_ADDRESS),
        ("127.0.0.1:99999", "", NO_ADDRESS),
        ("[::1", "", NO_ADDRESS),
    ],
)
def test_what_is_not_safe_or_no_address_is_refused_before_anything_is_served(
    play: Play, monkeypatch: pytest.MonkeyPatch, address: str, secret: str, refused: tuple[int, str]
) -> None:
    if secret:
        monkeypatch.setenv("SELLCTL_API_SECRET", secret)
    result = play(three_calls(), OPTIONS).run("mcp", "--http", address)
    status, sentence = refused
    assert (result.status, "Traceback" in result.err) == (status, False)
    assert sentence in result.err
