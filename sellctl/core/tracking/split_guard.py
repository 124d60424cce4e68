"""Suspends the rules of positions that may not show today's split yet, except where the user has resumed them."""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from sellctl.core.model.instrument import underlying_of
from sellctl.core.model.market import Market
from sellctl.core.model.position import Position
from sellctl.core.tracking.episodes import Episodes
from sellctl.core.tracking.quote_history import QuoteHistory
from sellctl.core.tracking.splits import SplitsOfDay, SuspectedSplit, suspected_split


class SplitGuard:
    """Knows which positions of one account may not show today's split, by the last poll."""

    def __init__(
        self, splits: SplitsOfDay | None, episodes: Episodes, history_of: Callable[[str], QuoteHistory | None]
    ) -> None:
        """`splits` are those of the day; without them no price is taken for that of a split.

        `history_of` returns the stored quotes of a symbol, or None before the first.
        """
        self._splits = splits
        self._episodes = episodes
        self._history_of = history_of
        self._suspended: dict[str, str] = {}
        self._accepted: set[str] = set()  # symbols or underlyings whose rules the user has resumed today
        self._accepted_on: dt.date | None = None

    @property
    def suspended(self) -> Mapping[str, str]:
        """The symbols whose rules are suspended in this poll, each with the reason."""
        return MappingProxyType(self._suspended)

    def why_suspended(self, symbol: str) -> str:
        """Why a symbol's rules are suspended in this poll; "" when they are not."""
        return self._suspended.get(symbol, "")

    @property
    def underlyings(self) -> tuple[str, ...]:
        """The underlyings of which a position may not show today's split yet, so that it has a wrong value."""
        return tuple(sorted({underlying_of(symbol) for symbol in self._suspended}))

    def accept(self, symbols: Iterable[str], today: dt.date) -> None:
        """Let no split of today suspend the rules of these symbols or underlyings."""
        if self._accepted_on != today:
            self._accepted.clear()
            self._accepted_on = today
        self._accepted.update(symbols)

    def suspects(self, positions: Iterable[Position], market: Market) -> bool:
        """Whether the newest price of any of these positions may be that after a split that it doesn't show."""
        return self._is_on(market) and any(self._suspected(position, market) for position in positions)

    def check(self, held: tuple[Position, ...], market: Market) -> None:
        """Suspend the rules of everything on an underlying of which a position may not show today's split.

        A known split suspends them until the user resumes them; one that is only suspected, for this poll.
        """
        self._suspended = {}
        if not self._is_on(market):
            return
        suspected = [(p.instrument.underlying, found) for p in held if (found := self._suspected(p, market))]
        for underlying, found in suspected:
            group = [
                p.symbol for p in held if p.instrument.underlying == underlying and not self._is_accepted(p, market)
            ]
            self._suspended |= dict.fromkeys(group, found.why)
            if found.is_certain:
                self._episodes.suspend(underlying, found.why, group)

    def _is_on(self, market: Market) -> bool:
        """Whether prices of today may be those after a split of today."""
        return self._splits is not None and market.is_open and self._splits.day == market.today

    def _suspected(self, position: Position, market: Market) -> SuspectedSplit | None:
        splits, underlying = self._splits, position.instrument.underlying
        if splits is None or splits.is_without_split(underlying) or self._is_accepted(position, market):
            return None
        history = self._history_of(position.symbol)
        if history is None or history.newest is None:
            return None
        opened, bought = market.opened_at, self._episodes.known.get(position.symbol)
        if opened and (history.newest.at < opened or (bought and bought.opened_at and bought.opened_at >= opened)):
            return None
        return suspected_split(position, history, splits)

    def _is_accepted(self, position: Position, market: Market) -> bool:
        accepted = self._accepted if self._accepted_on == market.today else ()
        return position.symbol in accepted or position.instrument.underlying in accepted
