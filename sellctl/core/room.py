"""Everything that judging one holding may look at: the snapshot with its quotes judged, who covers whom, the policy."""

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sellctl.core.guards import judge_quote, standing_objections
from sellctl.core.model.instrument import an_option
from sellctl.core.model.order import Order
from sellctl.core.model.position import Holding
from sellctl.core.model.snapshot import Snapshot
from sellctl.core.policy import Policy
from sellctl.core.rules.claims import is_live
from sellctl.core.rules.cover import Cover, cover_of


@dataclass(frozen=True, slots=True)
class Room:
    """A snapshot made ready for judging.

    `unfit` says, by symbol, why a row of positions makes no sense. `standing` is what forbids every order and every
    cancel of this account right now.
    """

    snapshot: Snapshot
    policy: Policy
    holdings: tuple[Holding, ...]
    unfit: Mapping[str, str]
    cover: Cover
    standing: tuple[str, ...]
    today: dt.date
    _orders: Mapping[str, tuple[Order, ...]]
    _unseen: frozenset[str]

    @classmethod
    def of(cls, snapshot: Snapshot, policy: Policy) -> "Room":
        """The room for one decision."""
        unfit = _unfit(snapshot.holdings)
        holdings = tuple(_with_prices(holding, snapshot) for holding in snapshot.holdings)
        return cls(
            snapshot=snapshot,
            policy=policy,
            holdings=holdings,
            unfit=unfit,
            cover=cover_of(holding for holding in holdings if holding.symbol not in unfit),
            standing=standing_objections(snapshot, policy),
            today=snapshot.market.today,
            _orders=_by_symbol(snapshot.orders),
            _unseen=frozenset(_underlying(symbol) for symbol in (*unfit, *(row.symbol for row in snapshot.spoiled))),
        )

    def orders_on(self, symbol: str) -> tuple[Order, ...]:
        """Open orders that name the symbol, alone or as a leg."""
        return self._orders.get(symbol, ())

    def ours_on(self, symbol: str) -> tuple[Order, ...]:
        """Our own open orders on the symbol."""
        return tuple(order for order in self.orders_on(symbol) if order.is_ours)

    def may_have_unseen_cover(self, holding: Holding) -> bool:
        """Whether a row that could not be read may be what covers this short."""
        return not self._unseen.isdisjoint({"", holding.position.instrument.underlying})


def _with_prices(holding: Holding, snapshot: Snapshot) -> Holding:
    asset = holding.position.instrument.asset_class
    prices = judge_quote(holding.quote, asset, snapshot.market, holding.track.wide_for)
    return Holding(holding.position, holding.quote, holding.track, prices)


def _unfit(holdings: Iterable[Holding]) -> dict[str, str]:
    """Positions that can't be judged at all: listed twice, or without a quantity above zero."""
    everything = tuple(holdings)
    unfit = {h.symbol: f"its quantity is {h.position.qty}" for h in everything if not _is_a_quantity(h)}
    times = Counter(holding.symbol for holding in everything)
    return unfit | {symbol: f"the broker lists it {n} times" for symbol, n in times.items() if n > 1}


def _is_a_quantity(holding: Holding) -> bool:
    return holding.position.qty.is_finite() and holding.position.qty > 0


def _by_symbol(orders: Iterable[Order]) -> dict[str, tuple[Order, ...]]:
    found: dict[str, tuple[Order, ...]] = {}
    for order in orders:
        if is_live(order):
            for symbol in {order.symbol, *(leg.symbol for leg in order.legs)}:
                found[symbol] = (*found.get(symbol, ()), order)
    return found


def _underlying(symbol: str) -> str:
    option = an_option(symbol)
    return option.underlying if option else symbol
