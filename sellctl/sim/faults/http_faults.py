"""Faults of the H family over HTTP: replacements of a response, and changes to one.

H17 to H20 are not here, because each is applied by the code that it changes: order lists, the position list, cancels,
clock and calendar.
"""

import asyncio
import copy
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sellctl.sim.faults.registry import Fault
from sellctl.sim.host import SimHost
from sellctl.sim.http.asgi import JSON, Receive, Scope, Send, content_headers, send_bytes
from sellctl.sim.http.messages import NO_BODY, SimResponse
from sellctl.sim.rejections import (
    RejectionError,
    duplicate_id,
    forbidden,
    insufficient_qty,
    rate_limited,
    unauthorized,
    unprocessable,
    wash_trade,
)

HTML = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
HTML_TYPE = b"text/html"
HUGE = 50_000_000
PAUSE_BEFORE_RESET = 0.05  # seconds, so that the client has received the first half
UNKNOWN_ORDER = "00000000-0000-4000-8000-000000000000"
FAULT_NAMES = (
    "H01", "H02", "H03", "H04", "H05", "H06", "H07", "H08", "H09", "H10", "H11", "H12", "H13", "H14", "H15", "H16",
    "H21",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class HttpConnection:
    """The connection of one request, for the functions that apply faults."""

    host: SimHost
    scope: Scope
    receive: Receive
    send: Send

    def reset(self) -> None:
        """Reset the TCP connection."""
        self.host.reset_connection(self.scope)


# Both return True when they have answered, or ended the connection, instead of the application.
Before = Callable[[HttpConnection, Fault], Awaitable[bool]]
After = Callable[[HttpConnection, SimResponse, Fault], Awaitable[bool]]


async def _hold(connection: HttpConnection, fault: Fault) -> bool:
    """Keep the request without answering until the client disconnects, or for `hold` seconds."""
    try:
        await asyncio.wait_for(connection.receive(), float(fault["hold"]))
    except TimeoutError:
        return True
    return True


async def _reset(connection: HttpConnection, _fault: Fault) -> bool:
    connection.reset()
    return True


async def _error_before(connection: HttpConnection, fault: Fault) -> bool:
    if fault["after"]:
        return False
    await _send_error(connection, fault)
    return True


async def _send_error(connection: HttpConnection, fault: Fault) -> None:
    body = HTML if fault["html"] else json.dumps({"code": 50010000, "message": "internal server error"}).encode()
    await send_bytes(connection.send, int(fault["status"]), body, HTML_TYPE if fault["html"] else JSON)


async def _reject(connection: HttpConnection, fault: Fault) -> bool:
    rejection = rejection_of(fault)
    if rejection is not None:
        headers = _reset_headers(connection, fault) if fault.name == "H06" else {}
        await send_bytes(connection.send, rejection.status, json.dumps(rejection.body).encode(), headers=headers)
    return True


_RESET_OFFSETS = {"now": 0, "past": -3600, "far": 86_400}


def _reset_headers(connection: HttpConnection, fault: Fault) -> dict[str, str]:
    if fault["reset"] not in _RESET_OFFSETS:
        return {}
    reset = int(connection.host.time.now().timestamp()) + _RESET_OFFSETS[fault["reset"]]
    return {"x-ratelimit-limit": "200", "x-ratelimit-remaining": "0", "x-ratelimit-reset": str(reset)}


async def _redirect(connection: HttpConnection, fault: Fault) -> bool:
    await send_bytes(connection.send, 302, b"", headers={"location": str(fault["location"])})
    return True


def rejection_of(fault: Fault) -> RejectionError | None:
    """The rejection that a fault sends; None for faults that send none."""
    make = _REJECTIONS.get(fault.name)
    return make(fault) if make else None


def _wash_trade_or_other(fault: Fault) -> RejectionError:
    if fault["wash"]:
        return wash_trade(UNKNOWN_ORDER, None, None, resting_side="buy")
    return unprocessable(str(fault["message"]))


def _as_given(fault: Fault) -> RejectionError:
    code = {} if fault["code"] is None else {"code": int(fault["code"])}
    return RejectionError(int(fault["status"]), {**code, "message": str(fault["message"])})


_REJECTIONS: dict[str, Callable[[Fault], RejectionError]] = {
    "H06": lambda _fault: rate_limited(),
    "H07": lambda fault: unauthorized() if int(fault["status"]) == 401 else forbidden(),  # noqa: PLR2004  HTTP
    "H08": lambda _fault: insufficient_qty("AAPL", Decimal(1), Decimal(1), Decimal(1), [UNKNOWN_ORDER]),
    "H09": lambda fault: duplicate_id(int(fault["status"])),
    "H10": _wash_trade_or_other,
    "H21": _as_given,
}


async def _never_answer(_connection: HttpConnection, _response: SimResponse, fault: Fault) -> bool:
    await asyncio.sleep(float(fault["hold"]))
    return True


async def _reset_midway(connection: HttpConnection, response: SimResponse, _fault: Fault) -> bool:
    body = response.encoded() or b"{}"
    await connection.send({"type": "http.response.start", "status": response.status, "headers": content_headers(body)})
    await connection.send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
    await asyncio.sleep(PAUSE_BEFORE_RESET)
    connection.reset()
    return True


async def _error_after(connection: HttpConnection, _response: SimResponse, fault: Fault) -> bool:
    await _send_error(connection, fault)
    return True


async def _unreadable_body(connection: HttpConnection, response: SimResponse, fault: Fault) -> bool:
    whole = response.encoded()
    bodies: dict[str, bytes] = {
        "truncated": whole[: max(len(whole) // 2, 1)],
        "empty": b"",
        "null": b"null",
        "wrong_type": b"{}" if whole.startswith(b"[") else b"[]",
        "html": HTML,
    }
    kind = str(fault["body"])
    body = b"[" + b" " * HUGE + b"]" if kind == "huge" else bodies[kind]
    await send_bytes(connection.send, 200 if whole else response.status, body, HTML_TYPE if kind == "html" else JSON)
    return True


async def _drip(connection: HttpConnection, response: SimResponse, fault: Fault) -> bool:
    body = response.encoded()
    await connection.send({"type": "http.response.start", "status": response.status, "headers": content_headers(body)})
    for position in range(len(body)):
        await connection.send({"type": "http.response.body", "body": body[position : position + 1], "more_body": True})
        await asyncio.sleep(float(fault["delay"]))
    await connection.send({"type": "http.response.body", "body": b""})
    return True


BEFORE: dict[str, Before] = {
    "H01": _hold,
    "H03": _reset,
    "H05": _error_before,
    "H06": _reject,
    "H07": _reject,
    "H08": _reject,
    "H09": _reject,
    "H10": _reject,
    "H14": _redirect,
    "H15": _reset,
    "H21": _reject,
}
AFTER: dict[str, After] = {
    "H02": _never_answer,
    "H04": _reset_midway,
    "H05": _error_after,
    "H11": _unreadable_body,
    "H13": _drip,
}


def corrupt_response(response: SimResponse, fault: Fault, path: str) -> SimResponse:
    """The response with its content changed by H12 or H16; unchanged under other faults."""
    if fault.name == "H16" and path == "/v2/positions":
        return SimResponse(200, [], response.headers)
    if fault.name == "H12" and response.body is not NO_BODY:
        body = copy.deepcopy(response.body)
        _change(body, str(fault["change"]))
        return SimResponse(response.status, body, response.headers)
    return response


_ENUMS = ("status", "asset_class", "side", "type", "phase")
_NUMBERS = ("qty", "cash", "bp", "filled_qty")


def _change(body: Any, change: str) -> None:
    """Change one object in place: the body itself, or the first row of a list."""
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
