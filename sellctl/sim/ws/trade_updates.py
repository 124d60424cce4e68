"""The trade-update stream: its handshake in both forms, and one update per order event."""

from collections.abc import Sequence
from typing import Any

from sellctl.sim import rejections
from sellctl.sim.faults.stream_faults import SLOW, FaultyWriter, apply_to_connection, foreign_order
from sellctl.sim.numbers import format_timestamp, stable_id
from sellctl.sim.venue.exchange import Exchange
from sellctl.sim.venue.orders import SimEvent
from sellctl.sim.ws.connection import UnreadableFrameError, WebSocketConnection

UPDATES = "trade_updates"
NO_ASSET = "00000000-0000-0000-0000-000000000000"  # of a multi-leg parent, whose asset is empty text over HTTP
# Alpaca streams no event for a leg that is held, nor for exercise, assignment and expiry of positions.
NOT_STREAMED = frozenset({"held"})
_FILL_FIELDS = ("price", "qty", "position_qty", "position_qtys", "legs", "execution_id")


def update_of(event: SimEvent) -> dict[str, Any] | None:
    """The stream's message for an order event; None for events that the stream leaves out."""
    if event.order is None or event.kind in NOT_STREAMED:
        return None
    order = {**event.order, "cancel_requested_at": event.detail.get("cancel_requested_at")}
    if not order["asset_id"]:
        order["asset_id"] = NO_ASSET
    data: dict[str, Any] = {
        "event": event.kind,
        "event_id": stable_id("event", order["id"], event.seq),
        "at": format_timestamp(event.at),
        "timestamp": format_timestamp(event.at),
        "order": order,
    }
    if "position_qtys" not in event.detail:
        data["execution_id"] = stable_id("execution", order["id"], event.seq)
    data.update({key: event.detail[key] for key in _FILL_FIELDS if key in event.detail})
    return {"stream": UPDATES, "data": data}


class TradingStream:
    """One client on /stream. `peers` are all clients there; `history` holds recent (account, update) for W06."""

    def __init__(
        self,
        connection: WebSocketConnection,
        exchange: Exchange,
        peers: list["TradingStream"],
        history: Sequence[tuple[str, dict[str, Any]]],
    ) -> None:
        self._peers = peers
        self._history = history
        self._exchange = exchange
        self._connection = connection
        self._listening: set[str] = set()
        self._writer = FaultyWriter(connection, exchange.faults)

    async def listen(self) -> None:
        """Handle the handshake and every request after it, until the connection ends."""
        await self._connection.accept()
        while True:
            try:
                message = await self._connection.read(None if self._connection.account else self._timeout)
            except TimeoutError:
                await self._connection.close(1008)
                return
            except UnreadableFrameError:
                await self._fail("invalid message format")
                return
            if not await self._answer(message):
                return

    @property
    def _timeout(self) -> float:
        return self._exchange.settings.auth_timeout

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
            account = self._exchange.account_of(str(key), str(secret))
        except rejections.RejectionError:
            await self._authorization("unauthorized", "authenticate")
            return True
        others = [one for one in self._peers if one is not self and one.account == account.name]
        if len(others) >= self._exchange.settings.trading_stream_connections:
            await self._fail("connection limit exceeded")
            return False
        if self._exchange.faults.trigger("W09", account=account.name, path=self._connection.path):
            await self._authorization("unauthorized", "authenticate")
            return True
        self._connection.account = account.name
        self._connection.binary = not self._connection.packed
        await self._authorization("authorized", "authenticate")
        return True

    @property
    def account(self) -> str:
        """The account whose updates it receives; "" before the login."""
        return self._connection.account

    @property
    def is_listening(self) -> bool:
        """Whether it has subscribed to updates."""
        return bool(self._listening)

    async def _authorization(self, status: str, action: str) -> None:
        await self._connection.send({"stream": "authorization", "data": {"status": status, "action": action}})

    async def _set_streams(self, message: dict[str, Any]) -> bool:
        if not self._connection.account:
            await self._authorization("unauthorized", "listen")
            return True
        wanted = (message.get("data") or {}).get("streams") or []
        self._listening = {UPDATES} & set(wanted)  # unknown streams are ignored without an error
        await self._connection.send({"stream": "listening", "data": {"streams": sorted(self._listening)}})
        replay = self._exchange.faults.trigger("W06", account=self._connection.account, path=self._connection.path)
        if replay and self._listening:
            for account, old in list(self._history)[-int(replay["count"]) :]:
                self.offer(account, old)
        return True

    async def _fail(self, text: str) -> None:
        await self._connection.send({"action": "error", "data": {"error_message": text}})
        await self._connection.close()

    def offer(self, account: str, message: dict[str, Any]) -> None:
        """Queue an update if this client has subscribed to it."""
        if account == self._connection.account and UPDATES in self._listening:
            self._connection.put(message)
            faults = self._exchange.faults
            if faults.active and faults.trigger("W11", account=account, path=self._connection.path):
                self._connection.put(foreign_order(message, len(self._history)))

    async def write(self) -> None:
        """Send the queued updates, one per frame."""
        while True:
            items = await self._connection.queued()
            if SLOW in items:
                await self._fail("slow client")
                return
            await self._writer.write(items, self._deliver)

    async def _deliver(self, messages: list[Any]) -> None:
        for message in messages:
            await self._connection.send(message)

    def apply_connection_faults(self) -> None:
        """Apply the faults of whole connections."""
        apply_to_connection(self._connection, self._exchange.faults)
