"""Tracks orders and cancels in flight on one account, to decide whether data read for a symbol is still current.

After an order nothing more is sent on its underlying until the account is read again, because a long may cover a short.
A cancel affects no other symbol, so only its own symbol waits for the read.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from sellctl.core.model.instrument import underlying_of
from sellctl.core.ports import Clock

T = TypeVar("T")

_NEVER = float("-inf")


@dataclass(slots=True)
class _InFlight:
    """Requests of one kind by key (a symbol or an underlying): how many are in flight, and when the last one ended."""

    counts: Counter[str] = field(default_factory=Counter)
    ended_at: dict[str, float] = field(default_factory=dict)

    def is_read_stale(self, key: str, read_at: float) -> bool:
        return bool(self.counts[key]) or read_at <= self.ended_at.get(key, _NEVER)


@dataclass(slots=True)
class InFlightRequests:
    """The orders being sent, by underlying, and the cancels, by symbol. Times are in monotonic seconds."""

    clock: Clock
    last_ended_at: float = _NEVER
    _sends: _InFlight = field(default_factory=_InFlight)
    _cancels: _InFlight = field(default_factory=_InFlight)

    @property
    def has_any(self) -> bool:
        """Whether anything is being sent or cancelled."""
        return bool(self._sends.counts or self._cancels.counts)

    @property
    def is_sending(self) -> bool:
        """Whether an order is being sent."""
        return bool(self._sends.counts)

    def has(self, symbol: str) -> bool:
        """Whether an order is being sent on the symbol's underlying, or cancelled for the symbol."""
        return bool(self._sends.counts[underlying_of(symbol)] or self._cancels.counts[symbol])

    def invalidate_reads(self, symbols: Iterable[str]) -> None:
        """Orders for these symbols ended: data read before now is stale for their underlyings."""
        self.last_ended_at = self.clock.monotonic()
        self._sends.ended_at |= dict.fromkeys(map(underlying_of, symbols), self.last_ended_at)

    def track_send(
        self, symbol: str, send: Callable[[], Awaitable[T]], after: Awaitable[None] | None = None
    ) -> Awaitable[T]:
        """Run `send` after `after`, tracked for the symbol's underlying from this call until it ends.

        If `after` fails, nothing was sent and earlier reads stay valid.
        """
        return self._tracked(self._sends, underlying_of(symbol), send, after)

    def track_cancel(
        self, symbol: str, cancel: Callable[[], Awaitable[T]], after: Awaitable[None] | None = None
    ) -> Awaitable[T]:
        """Run `cancel` after `after`, tracked per symbol.

        If `after` fails, nothing was cancelled and earlier reads stay valid.
        """
        return self._tracked(self._cancels, symbol, cancel, after)

    def is_read_current(self, symbol: str, read_at: float) -> bool:
        """Whether data read at `read_at` is current for a symbol, so that an order may be sent by it."""
        if read_at > self.last_ended_at and not self.has_any:
            return True
        return not self._cancels.is_read_stale(symbol, read_at) and self.is_underlying_read_current(
            underlying_of(symbol), read_at
        )

    def is_underlying_read_current(self, underlying: str, read_at: float) -> bool:
        """Whether no order was sent on an underlying since `read_at`."""
        return not self._sends.is_read_stale(underlying, read_at)

    def _tracked(
        self, requests: _InFlight, key: str, run: Callable[[], Awaitable[T]], after: Awaitable[None] | None
    ) -> Awaitable[T]:
        requests.counts[key] += 1

        async def tracked() -> T:
            has_started = False
            try:
                if after is not None:
                    await after
                has_started = True
                return await run()
            finally:
                requests.counts[key] -= 1
                if not requests.counts[key]:
                    del requests.counts[key]
                if has_started:
                    self.last_ended_at = requests.ended_at[key] = self.clock.monotonic()

        return tracked()
