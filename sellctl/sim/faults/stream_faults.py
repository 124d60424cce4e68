"""The W family: what happens to a connection or to the messages on it."""

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from sellctl.sim.numbers import stable_id
from sellctl.sim.ws.connection import Link

if TYPE_CHECKING:
    from sellctl.sim.faults.catalogue import BehaviourBook

GARBAGE = b"\xc1\x00 not a message"
Deliver = Callable[[list[Any]], Awaitable[None]]


class Spoiler:
    """Stands between a connection's queue and its socket."""

    def __init__(self, link: Link, behaviours: "BehaviourBook") -> None:
        self._link = link
        self._book = behaviours
        self._kept: Any = None

    async def carry(self, messages: list[Any], deliver: Deliver) -> None:
        """Send messages, spoiled as told."""
        if not self._book.active:
            await deliver(messages)
            return
        for message in messages:
            if out := await self._spoiled(message):
                await deliver(out)

    def _strike(self, *names: str) -> Any:
        return self._book.strike(*names, account=self._link.account, path=self._link.path)

    async def _spoiled(self, message: Any) -> list[Any]:
        """What becomes of one message: none, one or several."""
        if self._book.is_on("W02", account=self._link.account):
            self._strike("W02")
            return []
        if self._strike("W03"):
            return []
        if self._kept is not None:
            kept, self._kept = self._kept, None
            return [message, kept]
        if self._strike("W05"):
            self._kept = message
            return []
        if fault := self._strike("W08"):
            return await self._malformed(message, str(fault["what"]))
        if self._book.is_on("W07", account=self._link.account):
            self._strike("W07")
            self._link.binary = not self._link.binary
        return [message, message] if self._strike("W04") else [message]

    async def _malformed(self, message: Any, what: str) -> list[Any]:
        if what == "garbage":
            await self._link.say_raw(GARBAGE)
            return [message]
        if what == "status" and "data" in message:
            order = {**message["data"]["order"], "status": "something_new"}
            return [{**message, "data": {**message["data"], "order": order}}]
        if "data" in message:
            return [{**message, "data": {**message["data"], "event": "something_new"}}]
        return [{**message, "T": "something_new"}]


def strike_whole(link: Link, behaviours: "BehaviourBook") -> None:
    """Drop (W01), gap (W12) or call slow (W10) a whole connection."""
    if not behaviours.active or not link.account:
        return
    where = {"account": link.account, "path": link.path}
    if behaviours.strike("W01", **where):
        link.drop()
    elif (gap := behaviours.is_on("W12", account=link.account)) and "_until" not in gap.params:
        gap.params["_until"] = time.monotonic() + float(gap["seconds"])
        link.drop()
    elif behaviours.strike("W10", **where):
        link.put(SLOW)


def end_gaps(behaviours: "BehaviourBook") -> None:
    """Let connections in again when a gap (W12) is over."""
    gap = behaviours.is_on("W12")
    if gap is not None and gap.params.get("_until", float("inf")) <= time.monotonic():
        behaviours.strike("W12", account=gap.account, path=gap.path)


SLOW = object()


def foreign_order(message: dict[str, Any], number: int) -> dict[str, Any]:
    """The same update for an order of another program (W11)."""
    order = {
        **message["data"]["order"],
        "id": stable_id("foreign", number),
        "client_order_id": f"another-program-{number}",
    }
    return {**message, "data": {**message["data"], "order": order}}
