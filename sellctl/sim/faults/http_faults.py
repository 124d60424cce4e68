"""The H family on the wire: what happens instead of an answer, and how an answer is spoiled."""

import asyncio
import copy
import json
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sellctl.sim.faults.catalogue import Fault
from sellctl.sim.http.routing import NOTHING, Reply
from sellctl.sim.rejections import (
    RefusedError,
    duplicate_id,
    forbidden,
    insufficient_qty,
    rate_limited,
    unauthorized,
    unprocessable,
    wash_trade,
)

if TYPE_CHECKING:
    from sellctl.sim.http.app import Face, Receive, Scope, Send

Before = Callable[["Face", "Scope", "Receive", "Send", Fault], Awaitable[bool]]
After = Callable[["Face", "Scope", "Send", Reply, Fault], Awaitable[bool]]
HTML = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
HUGE = 50_000_000
HTML_TYPE = b"text/html"
NOBODY = "00000000-0000-4000-8000-000000000000"
FAULT_NAMES = (
    "H01", "H02", "H03", "H04", "H05", "H06", "H07", "H08", "H09", "H10", "H11", "H12", "H13", "H14", "H15", "H16",
)  # fmt: skip


async def _swallow(_face: "Face", _scope: "Scope", receive: "Receive", _send: "Send", fault: Fault) -> bool:
    await _hold(receive, fault)
    return True


async def _hold(receive: "Receive", fault: Fault) -> None:
    """Wait until the client has had enough, or for as long as told."""
    try:
        await asyncio.wait_for(receive(), float(fault["hold"]))
    except TimeoutError:
        return


async def _reset(face: "Face", scope: "Scope", _receive: "Receive", _send: "Send", _fault: Fault) -> bool:
    reset_connection(face, scope)
    return True


def reset_connection(face: "Face", scope: "Scope") -> None:
    """Close the socket with a reset, as a broken path does."""
    transport = face.transports.get(tuple(scope["client"]))
    if transport is None:
        return
    sock = transport.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def _server_error(_face: "Face", _scope: "Scope", _receive: "Receive", send: "Send", fault: Fault) -> bool:
    if fault["after"]:
        return False
    await _send_error(send, fault)
    return True


async def _send_error(send: "Send", fault: Fault) -> None:
    status = int(fault["status"])
    body = HTML if fault["html"] else json.dumps({"code": 50010000, "message": "internal server error"}).encode()
    await send_raw(send, status, body, HTML_TYPE if fault["html"] else b"application/json")


async def send_raw(
    send: "Send",
    status: int,
    body: bytes,
    content_type: bytes = b"application/json",
    headers: Mapping[str, str] | None = None,
) -> None:
    """Bytes as they are."""
    sent = [(b"content-type", content_type), (b"content-length", str(len(body)).encode())]
    sent += [(key.encode(), value.encode()) for key, value in (headers or {}).items()]
    await send({"type": "http.response.start", "status": status, "headers": sent})
    await send({"type": "http.response.body", "body": body})


def refusal_of(fault: Fault) -> RefusedError | None:
    """The refusal that a fault invents, or None for the faults that don't refuse."""
    make = _REFUSALS.get(fault.name)
    return make(fault) if make else None


async def _refuse(face: "Face", _scope: "Scope", _receive: "Receive", send: "Send", fault: Fault) -> bool:
    refused = refusal_of(fault)
    if refused is not None:
        headers = _reset_headers(face, fault) if fault.name == "H06" else {}
        await send_raw(send, refused.status, json.dumps(refused.body).encode(), headers=headers)
    return True


_RESET_OFFSETS = {"now": 0, "past": -3600, "far": 86_400}


def _reset_headers(face: "Face", fault: Fault) -> dict[str, str]:
    if fault["reset"] not in _RESET_OFFSETS:
        return {}
    reset = int(face.time.now().timestamp()) + _RESET_OFFSETS[fault["reset"]]
    return {"x-ratelimit-limit": "200", "x-ratelimit-remaining": "0", "x-ratelimit-reset": str(reset)}


async def _redirect(_face: "Face", _scope: "Scope", _receive: "Receive", send: "Send", fault: Fault) -> bool:
    await send_raw(send, 302, b"", headers={"location": str(fault["location"])})
    return True


def _wash_or_else(fault: Fault) -> RefusedError:
    if fault["wash"]:
        return wash_trade(NOBODY, None, None, rests="buy")
    return unprocessable(str(fault["message"]))


_REFUSALS: dict[str, Callable[[Fault], RefusedError]] = {
    "H06": lambda _fault: rate_limited(),
    "H07": lambda fault: unauthorized() if int(fault["status"]) == 401 else forbidden(),  # noqa: PLR2004  HTTP
    "H08": lambda _fault: insufficient_qty("AAPL", Decimal(1), Decimal(1), Decimal(1), [NOBODY]),
    "H09": lambda fault: duplicate_id(int(fault["status"])),
    "H10": _wash_or_else,
}


async def _never_answer(_face: "Face", _scope: "Scope", _send: "Send", _reply: Reply, fault: Fault) -> bool:
    await asyncio.sleep(float(fault["hold"]))
    return True


async def _reset_midway(face: "Face", scope: "Scope", send: "Send", reply: Reply, _fault: Fault) -> bool:
    body = reply.encoded() or b"{}"
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
    await asyncio.sleep(0.05)
    reset_connection(face, scope)
    return True


async def _late_error(_face: "Face", _scope: "Scope", send: "Send", _reply: Reply, fault: Fault) -> bool:
    await _send_error(send, fault)
    return True


async def _bad_body(_face: "Face", _scope: "Scope", send: "Send", reply: Reply, fault: Fault) -> bool:
    whole = reply.encoded()
    bodies: dict[str, bytes] = {
        "truncated": whole[: max(len(whole) // 2, 1)],
        "empty": b"",
        "null": b"null",
        "wrong_type": b"{}" if whole.startswith(b"[") else b"[]",
        "html": HTML,
    }
    what = str(fault["body"])
    body = b"[" + b" " * HUGE + b"]" if what == "huge" else bodies[what]
    await send_raw(send, 200 if whole else reply.status, body, HTML_TYPE if what == "html" else b"application/json")
    return True


async def _drip(_face: "Face", _scope: "Scope", send: "Send", reply: Reply, fault: Fault) -> bool:
    body = reply.encoded()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    for place in range(len(body)):
        await send({"type": "http.response.body", "body": body[place : place + 1], "more_body": True})
        await asyncio.sleep(float(fault["delay"]))
    await send({"type": "http.response.body", "body": b""})
    return True


BEFORE: dict[str, Before] = {
    "H01": _swallow,
    "H03": _reset,
    "H05": _server_error,
    "H06": _refuse,
    "H07": _refuse,
    "H08": _refuse,
    "H09": _refuse,
    "H10": _refuse,
    "H14": _redirect,
    "H15": _reset,
}
AFTER: dict[str, After] = {
    "H02": _never_answer,
    "H04": _reset_midway,
    "H05": _late_error,
    "H11": _bad_body,
    "H13": _drip,
}


def spoil_reply(reply: Reply, fault: Fault, path: str) -> Reply:
    """Change what the answer says (H12, H16); the others change how it travels."""
    if fault.name == "H16" and path == "/v2/positions":
        return Reply(200, [], reply.headers)
    if fault.name == "H12" and reply.body is not NOTHING:
        body = copy.deepcopy(reply.body)
        _change(body, str(fault["change"]))
        return Reply(reply.status, body, reply.headers)
    return reply


_ENUMS = ("status", "asset_class", "side", "type", "phase")
_NUMBERS = ("qty", "cash", "bp", "filled_qty")


def _change(body: Any, change: str) -> None:
    """Spoil one object: the answer itself, or the first row of a list."""
    if change == "bad_row" and isinstance(body, list):
        body.insert(0, {"symbol": 17})
        return
    row = body[0] if isinstance(body, list) and body else body
    if not isinstance(row, dict) or not row:
        return
    enum = next((key for key in _ENUMS if key in row), next(iter(row)))
    amount = next((key for key in _NUMBERS if key in row), next(iter(row)))
    if change == "unknown_enum":
        row[enum] = "something_new"
    elif change == "missing_field":
        row.pop(amount)
    elif change == "extra_field":
        row["a_new_field"] = {"nested": True}
    elif change == "number_for_string":
        row[amount] = 1.5
    elif change == "nan":
        row[amount] = "NaN"
