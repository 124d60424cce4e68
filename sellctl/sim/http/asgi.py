"""The types of an ASGI application; reading a request's body and sending a response."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
JSON = b"application/json"


async def read_body(receive: Receive) -> bytes:
    """The whole body of a request."""
    chunks = []
    while True:
        message = await receive()
        chunks.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(chunks)


async def send_bytes(
    send: Send, status: int, body: bytes, content_type: bytes = JSON, headers: Mapping[str, str] | None = None
) -> None:
    """Send a whole response; `headers` follow the content type and length."""
    sent = [*content_headers(body, content_type), *encoded(headers or {})]
    await send({"type": "http.response.start", "status": status, "headers": sent})
    await send({"type": "http.response.body", "body": body})


def content_headers(body: bytes, content_type: bytes = JSON) -> list[tuple[bytes, bytes]]:
    """Content type and length as ASGI headers."""
    return [(b"content-type", content_type), (b"content-length", str(len(body)).encode())]


def encoded(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Headers in ASGI's form: bytes, names in lower case."""
    return [(key.lower().encode(), value.encode()) for key, value in headers.items()]
