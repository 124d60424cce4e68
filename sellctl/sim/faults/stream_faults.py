"""Faults of the W family: changes to a stream's messages, and faults of whole connections."""

import time
from collections.abc import Awaitable, Callable
from typing import Any

from sellctl.sim.faults.registry import Fault, FaultRegistry
from sellctl.sim.numbers import stable_id
from sellctl.sim.ws.connection import WebSocketConnection

GARBAGE = b"\xc1\x00 not a message"
SLOW = object()  # queued in place of a message: the writer sends error 407 and closes (W10)
_GAP_END = "_until"  # parameter of a W12 gap that has begun: its end on the host's monotonic clock
Deliver = Callable[[list[Any]], Awaitable[None]]


class FaultyWriter:
    """Applies the faults of single messages between a connection's queue and its socket."""

    def __init__(self, connection: WebSocketConnection, faults: FaultRegistry) -> None:
        self._connection = connection
        self._faults = faults
        self._delayed: Any = None

    async def write(self, messages: list[Any], deliver: Deliver) -> None:
        """Deliver messages with the active faults applied."""
        if not self._faults.active:
            await deliver(messages)
            return
        for message in messages:
            if out := await self._apply(message):
                await deliver(out)

    def _trigger(self, name: str) -> Fault | None:
        return self._faults.trigger(name, account=self._connection.account, path=self._connection.path)

    async def _apply(self, message: Any) -> list[Any]:
        """The messages to deliver in place of one: none, one or several."""
        if self._faults.find("W02", account=self._connection.account):
            self._trigger("W02")
            return []
        if self._trigger("W03"):
            return []
        if self._delayed is not None:
            delayed, self._delayed = self._delayed, None
            return [message, delayed]
        if self._trigger("W05"):
            self._delayed = message
            return []
        if fault := self._trigger("W08"):
            return await self._malformed(message, str(fault["what"]))
        if self._faults.find("W07", account=self._connection.account):
            self._trigger("W07")
            self._connection.binary = not self._connection.binary
        return [message, message] if self._trigger("W04") else [message]

    async def _malformed(self, message: Any, what: str) -> list[Any]:
        if what == "garbage":
            await self._connection.send_raw(GARBAGE)
            return [message]
        if what == "status" and "data" in message:
            order = {**message["data"]["order"], "status": "something_new"}
            return [{**message, "data": {**message["data"], "order": order}}]
        if "data" in message:
            return [{**message, "data": {**message["data"], "event": "something_new"}}]
        return [{**message, "T": "something_new"}]


def apply_to_connection(connection: WebSocketConnection, faults: FaultRegistry) -> None:
    """Reset a connection (W01), begin a gap (W12), or queue the slow-client error (W10)."""
    if not faults.active or not connection.account:
        return
    scope = {"account": connection.account, "path": connection.path}
    if faults.trigger("W01", **scope):
        connection.reset()
    elif (gap := faults.find("W12", account=connection.account)) and not gap_has_begun(gap):
        gap.params[_GAP_END] = time.monotonic() + float(gap["seconds"])
        connection.reset()
    elif faults.trigger("W10", **scope):
        connection.put(SLOW)


def gap_has_begun(gap: Fault) -> bool:
    """Whether a gap (W12) has begun, so that handshakes are refused."""
    return _GAP_END in gap.params


def end_gaps(faults: FaultRegistry) -> None:
    """End a gap (W12) whose time is over, so that connections are accepted again."""
    gap = faults.find("W12")
    if gap is not None and gap.params.get(_GAP_END, float("inf")) <= time.monotonic():
        faults.trigger("W12", account=gap.account, path=gap.path)


def foreign_order(message: dict[str, Any], number: int) -> dict[str, Any]:
    """The same trade update, for an order of another program (W11)."""
    order = {
        **message["data"]["order"],
        "id": stable_id("foreign", number),
        "client_order_id": f"another-program-{number}",
    }
    return {**message, "data": {**message["data"], "order": order}}
