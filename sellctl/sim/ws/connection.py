"""One WebSocket connection: frames in and out, as JSON or msgpack, text or binary, without interpreting them."""

import asyncio
import datetime as dt
import json
from typing import Any

import msgpack  # type: ignore[import-untyped]  # it has no stubs

from sellctl.sim.host import SimHost
from sellctl.sim.http.asgi import Receive, Scope, Send
from sellctl.sim.numbers import format_timestamp

MSGPACK = b"application/msgpack"
BATCH = 200


class ConnectionGoneError(Exception):
    """The client, or a fault, closed the connection."""


class UnreadableFrameError(Exception):
    """A frame that can't be read."""


class WebSocketConnection:
    """A server-side connection. `packed`: msgpack; `binary`: JSON in binary frames. `put` queues messages to send."""

    def __init__(self, host: SimHost, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        self._host = host
        self._scope = scope
        self.path: str = scope["path"]
        self.headers: dict[bytes, bytes] = headers
        self.packed = headers.get(b"content-type", b"") == MSGPACK
        self.binary = False
        self.account = ""
        self._receive = receive
        self._send_message = send
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[Any] = asyncio.Queue()
        self.is_gone = False

    async def accept(self) -> None:
        """Accept the handshake."""
        await self._receive()
        await self._send_message({"type": "websocket.accept"})

    async def refuse(self, status: int, body: bytes = b"") -> None:
        """Answer the handshake with an HTTP status instead."""
        await self._receive()
        await self._send_message({"type": "websocket.http.response.start", "status": status, "headers": []})
        await self._send_message({"type": "websocket.http.response.body", "body": body})
        self.is_gone = True

    async def read(self, wait_seconds: float | None = None) -> Any:
        """The next message. ConnectionGoneError at the end, UnreadableFrameError or TimeoutError."""
        message = await asyncio.wait_for(self._receive(), wait_seconds)
        if message["type"] != "websocket.receive":
            self.is_gone = True
            raise ConnectionGoneError
        raw = message.get("bytes") if message.get("bytes") is not None else message.get("text")
        try:
            return msgpack.unpackb(raw) if self.packed and isinstance(raw, bytes) else json.loads(raw or "")
        except (ValueError, TypeError, msgpack.exceptions.ExtraData, msgpack.exceptions.FormatError):
            raise UnreadableFrameError from None

    async def send(self, message: Any) -> None:
        """Send one message now."""
        if self.is_gone:
            raise ConnectionGoneError
        try:
            if self.packed:
                await self._send_message({"type": "websocket.send", "bytes": pack(message)})
            elif self.binary:
                await self._send_message({"type": "websocket.send", "bytes": as_json(message).encode()})
            else:
                await self._send_message({"type": "websocket.send", "text": as_json(message)})
        except (OSError, RuntimeError) as error:
            self.is_gone = True
            raise ConnectionGoneError from error

    async def send_raw(self, data: bytes) -> None:
        """Send one binary frame as it is."""
        await self._send_message({"type": "websocket.send", "bytes": data})

    def put(self, item: Any) -> None:
        """Queue a message for the writer, from any thread."""
        self._loop.call_soon_threadsafe(self._queue.put_nowait, item)

    async def queued(self) -> list[Any]:
        """The queued messages: waits for one, returns at most a batch."""
        items = [await self._queue.get()]
        while len(items) < BATCH and not self._queue.empty():
            items.append(self._queue.get_nowait())
        return items

    def reset(self) -> None:
        """Reset the connection without a close frame."""
        self.is_gone = True
        self._host.reset_connection(self._scope)

    async def close(self, code: int = 1000) -> None:
        """Close with a close frame."""
        if not self.is_gone:
            self.is_gone = True
            await self._send_message({"type": "websocket.close", "code": code})


def pack(message: Any) -> bytes:
    """Msgpack, instants as its timestamp type."""
    packed: bytes = msgpack.packb(message, datetime=True)
    return packed


def as_json(message: Any) -> str:
    """JSON, instants as RFC 3339."""
    return json.dumps(message, separators=(",", ":"), default=_instant_text)


def _instant_text(value: Any) -> str:
    if isinstance(value, dt.datetime):
        return str(format_timestamp(value))
    raise TypeError(f"{value!r} is not JSON")
