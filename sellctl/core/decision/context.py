"""Everything that judging one holding may look at: the snapshot with its quotes judged, who covers whom, the policy."""

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from sellctl.core.config.schema import WalkConfig
from sellctl.core.decision.confirmation import at_the_best, at_the_worst
from sellctl.core.decision.guards import MOST_A_MINUTE_PATIENT, judge_quote, standing_violations
from sellctl.core.decision.policy import Policy
from sellctl.core.model.instrument import AssetClass, underlying_of
from sellctl.core.model.order import ZERO, Order
from sellctl.core.model.plan import Urgency
from sellctl.core.model.position import Holding
from sellctl.core.model.snapshot import Snapshot
from sellctl.core.orders.claims import is_live
from sellctl.core.rules.account_guard import tripped
from sellctl.core.sell_strategies.base_strategy import BaseStrategy
from sellctl.core.structures.coverage import Cover, cover_of
from sellctl.core.structures.pairs import Pair, kind_of, pair_at, pairs_of


@dataclass(frozen=True, slots=True)
class DecisionContext:
    """A snapshot made ready for judging.

    `unfit` says, by symbol, why a row of positions makes no sense. `standing` is what forbids every order and every
    cancel of this account right now. `pairs` are option legs that belong together, by the symbol of either leg, where
    a strategy judges pairs. `tripped` is the account guard's limit that is reached, or was earlier today. `walks` are
    the walks of the patient classes, shortened where a crowd of exits shares the account's orders of this minute.
    """

    snapshot: Snapshot
    policy: Policy
    holdings: tuple[Holding, ...]
    unfit: Mapping[str, str]
    cover: Cover
    standing: tuple[str, ...]
    today: dt.date
    pairs: Mapping[str, Pair]
    tripped: str
    walks: Mapping[Urgency, WalkConfig]
    _orders: Mapping[str, tuple[Order, ...]]
    _unseen: frozenset[str]

    @classmethod
    def of(cls, snapshot: Snapshot, policy: Policy) -> "DecisionContext":
        """The room for one decision."""
        unfit = _unfit(snapshot.holdings)
        holdings = tuple([_with_prices(holding, snapshot) for holding in snapshot.holdings])
        cover = cover_of(_fit(holdings, unfit))
        pairs: dict[str, Pair] = {}
        if policy.knows_structures:
            found = pairs_of(_fit(holdings, unfit), cover, snapshot.structures)
            pairs = {symbol: pair for pair in found for symbol in (pair.short.symbol, pair.long.symbol)}
            holdings = tuple(replace(h, structure=kind_of(h, cover, pairs)) for h in holdings)
        return cls(
            snapshot=snapshot,
            policy=policy,
            holdings=holdings,
            unfit=unfit,
            cover=cover,
            standing=standing_violations(snapshot, policy),
            today=snapshot.market.today,
            pairs=pairs,
            tripped=snapshot.tripped or tripped(policy.account_guard, snapshot.account),
            walks=policy.walks,
            _orders=_by_symbol(snapshot.orders),
            _unseen=frozenset(
                underlying_of(symbol)
                for symbol in (*unfit, *(row.symbol for row in snapshot.invalid), *_strange(holdings))
            ),
        )

    def expires_today(self, holding: Holding) -> bool:
        """Whether the holding is an option on its last day."""
        option = holding.position.instrument.option
        return option is not None and option.expires == self.today

    def strategy_of(self, holding: Holding) -> tuple[BaseStrategy | None, Holding]:
        """The first strategy that takes a holding, and what it judges: the holding, or the pair that it is a leg of."""
        pair, market = (self.pairs.get(holding.symbol) if self.pairs else None), self.snapshot.market
        for strategy in self.policy.strategies:
            subject = pair.whole if pair and strategy.judges_pairs else holding
            if strategy.takes(subject, market):
                return strategy, subject
        return None, holding

    def at_the_best(self, holding: Holding) -> Holding | None:
        """A holding, or a pair, at its best prices over the looks that must agree; None without an earlier look."""
        return self._at_a_price_of_the_looks(holding, at_the_best)

    def at_the_worst(self, holding: Holding) -> Holding | None:
        """Likewise at its worst prices."""
        return self._at_a_price_of_the_looks(holding, at_the_worst)

    def _at_a_price_of_the_looks(
        self, holding: Holding, at: Callable[[Holding, Snapshot], Holding | None]
    ) -> Holding | None:
        pair = next((pair for pair in self.pairs.values() if pair.whole is holding), None)
        if pair is None:
            return at(holding, self.snapshot)
        short, long = at(pair.short, self.snapshot), at(pair.long, self.snapshot)
        return pair_at(pair, short.prices, long.prices) if short and long else None

    def orders_on(self, symbol: str) -> tuple[Order, ...]:
        """Open orders that name the symbol, alone or as a leg."""
        return self._orders.get(symbol, ())

    def ours_on(self, symbol: str) -> tuple[Order, ...]:
        """Our own open orders on the symbol that are exits."""
        orders = self._orders.get(symbol)
        return tuple(order for order in orders if order.is_ours and not order.is_backstop) if orders else ()

    def backstops_on(self, symbol: str) -> tuple[Order, ...]:
        """Our own open orders on the symbol that rest under it."""
        return tuple(order for order in self.orders_on(symbol) if order.is_backstop)

    def shared_by(self, exits: int) -> "DecisionContext":
        """The room where so many patient exits at once walk so short that all come out within the orders of a minute.

        It is the same room while all can walk in full.
        """
        most = MOST_A_MINUTE_PATIENT[1]
        if all(exits * walk.steps <= most for walk in self.walks.values()):
            return self
        short = {u: replace(walk, steps=max(min(walk.steps, most // exits), 1)) for u, walk in self.walks.items()}
        return replace(self, walks=short)

    def may_have_unseen_cover(self, holding: Holding) -> bool:
        """Whether a row that can't be made out, unreadable or of an unknown class, may be what covers this short."""
        return not self._unseen.isdisjoint({"", holding.position.instrument.underlying})


def _with_prices(holding: Holding, snapshot: Snapshot) -> Holding:
    position, quote, state = holding.position, holding.quote, holding.state
    instrument = position.instrument
    prices = judge_quote(quote, instrument.asset_class, snapshot.market, state.wide_for)
    underlyings = snapshot.underlyings
    quote_of_underlying = underlyings.get(instrument.underlying) if underlyings else None
    if quote_of_underlying is None:
        return Holding(position, quote, state, prices)
    underlying = judge_quote(quote_of_underlying, AssetClass.STOCK, snapshot.market, dt.timedelta(0))
    return Holding(position, quote, state, prices, underlying)


def _unfit(holdings: Iterable[Holding]) -> dict[str, str]:
    """Positions that can't be judged at all: listed twice, or without a quantity above zero."""
    positions = [holding.position for holding in holdings]
    symbols = [position.instrument.symbol for position in positions]
    unfit = {p.symbol: f"its quantity is {p.qty}" for p in positions if not (p.qty.is_finite() and p.qty > ZERO)}
    if len(set(symbols)) == len(symbols):
        return unfit
    return unfit | {symbol: f"the broker lists it {n} times" for symbol, n in Counter(symbols).items() if n > 1}


def _strange(holdings: Iterable[Holding]) -> list[str]:
    """Symbols whose class the broker calls by a name that we don't know."""
    return [h.symbol for h in holdings if h.position.instrument.asset_class is AssetClass.OTHER]


def _fit(holdings: tuple[Holding, ...], unfit: Mapping[str, str]) -> tuple[Holding, ...]:
    return tuple(holding for holding in holdings if holding.symbol not in unfit) if unfit else holdings


def _by_symbol(orders: Iterable[Order]) -> dict[str, tuple[Order, ...]]:
    found: dict[str, tuple[Order, ...]] = {}
    for order in orders:
        if is_live(order):
            for symbol in {order.symbol, *(leg.symbol for leg in order.legs)}:
                found[symbol] = (*found.get(symbol, ()), order)
    return found
