"""One WebSocket connection: frames in and out, as JSON or msgpack, text or binary. Not what is said."""

import asyncio
import datetime as dt
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

import msgpack  # type: ignore[import-untyped]  # it has no stubs

from sellctl.sim.faults.http_faults import reset_connection
from sellctl.sim.numbers import stamp

if TYPE_CHECKING:
    from sellctl.sim.http.app import Face

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
MSGPACK = b"application/msgpack"
BATCH = 200


class GoneError(Exception):
    """The other side, or a misbehaviour, closed the connection."""


class SyntaxFaultError(Exception):
    """A frame that can't be read."""


class Link:
    """A connection. `packed` is msgpack, `binary` sends JSON in binary frames. Messages to send wait in a queue."""

    def __init__(self, face: "Face", scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        self.face = face
        self.scope = scope
        self.path: str = scope["path"]
        self.headers: dict[bytes, bytes] = headers
        self.packed = headers.get(b"content-type", b"") == MSGPACK
        self.binary = False
        self.account = ""
        self.muted_until = 0.0
        self._receive = receive
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[Any] = asyncio.Queue()
        self.is_gone = False

    async def accept(self) -> None:
        """Finish the handshake."""
        await self._receive()
        await self._send({"type": "websocket.accept"})

    async def refuse(self, status: int, body: bytes = b"") -> None:
        """Answer the handshake with an HTTP status instead."""
        await self._receive()
        await self._send({"type": "websocket.http.response.start", "status": status, "headers": []})
        await self._send({"type": "websocket.http.response.body", "body": body})
        self.is_gone = True

    async def read(self, patience: float | None = None) -> Any:
        """The next message. GoneError at the end, SyntaxFaultError for what can't be read, TimeoutError."""
        message = await asyncio.wait_for(self._receive(), patience)
        if message["type"] != "websocket.receive":
            self.is_gone = True
            raise GoneError
        raw = message.get("bytes") if message.get("bytes") is not None else message.get("text")
        try:
            return msgpack.unpackb(raw) if self.packed and isinstance(raw, bytes) else json.loads(raw or "")
        except (ValueError, TypeError, msgpack.exceptions.ExtraData, msgpack.exceptions.FormatError):
            raise SyntaxFaultError from None

    async def say(self, message: Any) -> None:
        """Send one message now."""
        if self.is_gone:
            raise GoneError
        try:
            if self.packed:
                await self._send({"type": "websocket.send", "bytes": pack(message)})
            elif self.binary:
                await self._send({"type": "websocket.send", "bytes": as_json(message).encode()})
            else:
                await self._send({"type": "websocket.send", "text": as_json(message)})
        except (OSError, RuntimeError) as error:
            self.is_gone = True
            raise GoneError from error

    async def say_raw(self, data: bytes) -> None:
        """Send bytes as they are."""
        await self._send({"type": "websocket.send", "bytes": data})

    def put(self, item: Any) -> None:
        """Queue something for the writer, from any thread."""
        self._loop.call_soon_threadsafe(self._queue.put_nowait, item)

    async def take(self) -> list[Any]:
        """What is queued, at least one, at most a batch."""
        items = [await self._queue.get()]
        while len(items) < BATCH and not self._queue.empty():
            items.append(self._queue.get_nowait())
        return items

    def drop(self) -> None:
        """Cut the connection without a word."""
        self.is_gone = True
        reset_connection(self.face, self.scope)

    async def close(self, code: int = 1000) -> None:
        """Close in good order."""
        if not self.is_gone:
            self.is_gone = True
            await self._send({"type": "websocket.close", "code": code})


def pack(message: Any) -> bytes:
    """Msgpack, instants as its timestamp type."""
    packed: bytes = msgpack.packb(message, datetime=True)
    return packed


def as_json(message: Any) -> str:
    """JSON, instants as RFC 3339."""
    return json.dumps(message, separators=(",", ":"), default=_instant_text)


def _instant_text(value: Any) -> str:
    if isinstance(value, dt.datetime):
        return str(stamp(value))
    raise TypeError(f"{value!r} is no JSON")
