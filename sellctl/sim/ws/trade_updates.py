"""The trade-update stream: its handshake, in both spellings, and one update an order event."""

from typing import TYPE_CHECKING, Any

from sellctl.sim import rejections
from sellctl.sim.faults.stream_faults import SLOW, Spoiler, foreign_order, strike_whole
from sellctl.sim.numbers import stable_id, stamp
from sellctl.sim.venue.orders import Event
from sellctl.sim.ws.connection import Link, SyntaxFaultError

if TYPE_CHECKING:
    from sellctl.sim.ws.hub import Hub

UPDATES = "trade_updates"
# Alpaca streams no event for a leg that is held, nor for exercise, assignment and expiry of positions.
SILENT = frozenset({"held"})
_FILL_FIELDS = ("price", "qty", "position_qty", "position_qtys", "legs", "execution_id")


def update_of(event: Event) -> dict[str, Any] | None:
    """The stream's message for an order event; None for what it doesn't tell."""
    if event.order is None or event.kind in SILENT:
        return None
    order = {**event.order, "cancel_requested_at": event.detail.get("cancel_requested_at")}
    data: dict[str, Any] = {
        "event": event.kind,
        "event_id": stable_id("event", event.seq),
        "at": stamp(event.at),
        "timestamp": stamp(event.at),
        "order": order,
    }
    data.setdefault("execution_id", stable_id("execution", event.seq))
    data.update({key: event.detail[key] for key in _FILL_FIELDS if key in event.detail})
    return {"stream": UPDATES, "data": data}


class TradingStream:
    """One client on /stream."""

    def __init__(self, hub: "Hub", link: Link) -> None:
        self._hub = hub
        self._link = link
        self._listening: set[str] = set()
        self._spoiler = Spoiler(link, hub.face.exchange.behaviours)

    async def listen(self) -> None:
        """The handshake and every request after it."""
        await self._link.accept()
        while True:
            try:
                message = await self._link.read(None if self._link.account else self._timeout)
            except TimeoutError:
                await self._link.close(1008)
                return
            except SyntaxFaultError:
                await self._fail("invalid message format")
                return
            if not await self._answer(message):
                return

    @property
    def _timeout(self) -> float:
        return self._hub.face.exchange.settings.auth_timeout

    async def _answer(self, message: Any) -> bool:
        action = message.get("action") if isinstance(message, dict) else None
        if action in {"auth", "authenticate"}:
            return await self._authenticate(message)
        if action == "listen":
            return await self._set_streams(message)
        await self._fail(f"unknown action: {action}")
        return False

    async def _authenticate(self, message: dict[str, Any]) -> bool:
        data = message.get("data") or {}
        key, secret = data.get("key_id", message.get("key", "")), data.get("secret_key", message.get("secret", ""))
        try:
            account = self._hub.face.exchange.account_of(str(key), str(secret))
        except rejections.RefusedError:
            await self._authorization("unauthorized", "authenticate")
            return True
        others = [one for one in self._hub.trading if one is not self and one.account == account.name]
        if len(others) >= self._hub.face.exchange.settings.trading_stream_connections:
            await self._fail("connection limit exceeded")
            return False
        if self._hub.face.exchange.behaviours.strike("W09", account=account.name, path=self._link.path):
            await self._authorization("unauthorized", "authenticate")
            return True
        self._link.account = account.name
        self._link.binary = not self._link.packed
        await self._authorization("authorized", "authenticate")
        return True

    @property
    def account(self) -> str:
        """Whose updates it gets; empty before the handshake."""
        return self._link.account

    @property
    def is_listening(self) -> bool:
        """Whether it gets updates."""
        return bool(self._listening)

    async def _authorization(self, status: str, action: str) -> None:
        await self._link.say({"stream": "authorization", "data": {"status": status, "action": action}})

    async def _set_streams(self, message: dict[str, Any]) -> bool:
        if not self._link.account:
            await self._authorization("unauthorized", "listen")
            return True
        wanted = (message.get("data") or {}).get("streams") or []
        self._listening = {UPDATES} & set(wanted)  # unknown streams are left out without a word
        await self._link.say({"stream": "listening", "data": {"streams": sorted(self._listening)}})
        replay = self._hub.face.exchange.behaviours.strike("W06", account=self._link.account, path=self._link.path)
        if replay and self._listening:
            for account, old in self._hub.history[-int(replay["count"]) :]:
                self.offer(account, old)
        return True

    async def _fail(self, text: str) -> None:
        await self._link.say({"action": "error", "data": {"error_message": text}})
        await self._link.close()

    def offer(self, account: str, message: dict[str, Any]) -> None:
        """Queue an update if this client wants it."""
        if account == self._link.account and UPDATES in self._listening:
            self._link.put(message)
            behaviours = self._hub.face.exchange.behaviours
            if behaviours.active and behaviours.strike("W11", account=account, path=self._link.path):
                self._link.put(foreign_order(message, len(self._hub.history)))

    async def speak(self) -> None:
        """Send what is queued, one update a frame."""
        while True:
            items = await self._link.take()
            if SLOW in items:
                await self._fail("slow client")
                return
            await self._spoiler.carry(items, self._deliver)

    async def _deliver(self, messages: list[Any]) -> None:
        for message in messages:
            await self._link.say(message)

    def strike_whole(self) -> None:
        """Misbehaviours of the whole connection."""
        strike_whole(self._link, self._hub.face.exchange.behaviours)
