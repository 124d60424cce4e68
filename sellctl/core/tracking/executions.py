"""What is being carried out on one account, and so whether what a read has shown of a symbol still holds.

After an order nothing more is sent on its underlying until the account is read again, because a long may cover a short.
A cancel changes nothing that other symbols depend on, so only its own symbol waits for the read.
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
class _Actions:
    """Actions of one kind by what they concern: how many are under way, and when the last one ended."""

    under_way: Counter[str] = field(default_factory=Counter)
    ended_at: dict[str, float] = field(default_factory=dict)

    def happened_since(self, name: str, seen_at: float) -> bool:
        return bool(self.under_way[name]) or seen_at <= self.ended_at.get(name, _NEVER)


@dataclass(slots=True)
class Executions:
    """The orders that are being sent, by underlying, and the cancels, by symbol. Times are in monotonic seconds.

    A multi-leg order is on one underlying, and its cancel concerns each of its symbols.
    """

    clock: Clock
    last_ended_at: float = _NEVER
    _sends: _Actions = field(default_factory=_Actions)
    _cancels: _Actions = field(default_factory=_Actions)

    @property
    def is_any_under_way(self) -> bool:
        """Whether anything is being sent or cancelled."""
        return bool(self._sends.under_way or self._cancels.under_way)

    @property
    def is_sending(self) -> bool:
        """Whether an order is being sent."""
        return bool(self._sends.under_way)

    def is_under_way(self, symbol: str) -> bool:
        """Whether an order is being sent on the symbol's underlying, or cancelled for the symbol."""
        return bool(self._sends.under_way[underlying_of(symbol)] or self._cancels.under_way[symbol])

    def expire(self, symbols: Iterable[str]) -> None:
        """Orders for these symbols have ended: what was read of their underlyings before doesn't hold any more."""
        self.last_ended_at = self.clock.monotonic()
        self._sends.ended_at |= dict.fromkeys(map(underlying_of, symbols), self.last_ended_at)

    def sending(
        self, symbol: str, send: Callable[[], Awaitable[T]], after: Awaitable[None] | None = None
    ) -> Awaitable[T]:
        """`send` an order for this symbol, or with it as a leg: under way before it is awaited, until it has ended.

        It waits for `after`; when that fails, nothing was sent, and what was read before still holds.
        """
        return self._tracked(self._sends, (underlying_of(symbol),), send, after)

    def cancelling(
        self, symbols: Iterable[str], cancel: Callable[[], Awaitable[T]], after: Awaitable[None] | None = None
    ) -> Awaitable[T]:
        """`cancel` an order that concerns these symbols `after` something: likewise."""
        return self._tracked(self._cancels, tuple(symbols), cancel, after)

    def view_holds(self, symbol: str, seen_at: float) -> bool:
        """Whether an order may be sent for a symbol by what was read at `seen_at`."""
        if seen_at > self.last_ended_at and not self.is_any_under_way:
            return True
        return not self._cancels.happened_since(symbol, seen_at) and self.underlying_holds(
            underlying_of(symbol), seen_at
        )

    def underlying_holds(self, underlying: str, seen_at: float) -> bool:
        """Whether no order was sent on an underlying since it was read at `seen_at`."""
        return not self._sends.happened_since(underlying, seen_at)

    def _tracked(
        self, actions: _Actions, names: tuple[str, ...], act: Callable[[], Awaitable[T]], after: Awaitable[None] | None
    ) -> Awaitable[T]:
        actions.under_way.update(names)

        async def tracked() -> T:
            has_begun = False
            try:
                if after is not None:
                    await after
                has_begun = True
                return await act()
            finally:
                actions.under_way -= Counter(names)  # drops what is not above zero any more
                if has_begun:
                    self.last_ended_at = self.clock.monotonic()
                    actions.ended_at |= dict.fromkeys(names, self.last_ended_at)

        return tracked()
