"""The inputs of every step of a decision: snapshot, usable prices, matching of covered shorts, and policy. Pure."""

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from types import MappingProxyType

from msgspec import Struct
from msgspec.structs import replace

from sellctl.core.config.schema import PutAction, WalkConfig
from sellctl.core.decision.confirmation import at_the_best, at_the_worst
from sellctl.core.decision.multi_leg.wholes import with_state_of_legs
from sellctl.core.decision.policy import Policy
from sellctl.core.decision.quote_checks import judge_quote
from sellctl.core.decision.risk_checks import MAX_NON_URGENT_ORDERS_PER_MINUTE, account_violations, remaining_qty
from sellctl.core.model.holding_time import days_left, is_last_day
from sellctl.core.model.instrument import AssetClass, Right, underlying_of
from sellctl.core.model.order import ZERO, Order
from sellctl.core.model.plan import MOST_LEGS, ExitSignal, Urgency
from sellctl.core.model.position import NO_PRICES, ExitAfter, Holding, Prices
from sellctl.core.model.snapshot import CloseTerms, Snapshot
from sellctl.core.orders.claims import closes, is_live
from sellctl.core.rules.account_guard import reached_limit, why_unknown
from sellctl.core.sell_strategies.base_strategy import BaseStrategy
from sellctl.core.sell_strategies.overridden import overridden
from sellctl.core.structures.coverage import Cover, cover_of
from sellctl.core.structures.held import WITH_SHARES, HeldStructure, held_parts, held_structures, kind_of, rest_of
from sellctl.core.structures.names import is_structure_name, legs_of


class DecisionContext(Struct, frozen=True):
    """A snapshot and a policy, with the values that every step of a decision derives from them.

    `holdings` have their usable prices. `invalid_reasons` say, by symbol, why a position can't be evaluated.
    `account_violations` are the reasons why no order or cancel may be sent for this account. `structures` are legs that
    belong together, by the symbol of each leg, where a match uses structures; `structures_by_name` are the same by
    their names. `parts` are those of structures that leave in parts, by the symbol of each leg. `tripped_limit` is the
    account guard's limit that is reached, or was earlier today; `guard_problem` says why the guard can't be evaluated,
    "" when it can. `walks` are the price walks (WalkConfig) by urgency class, with fewer steps when many exits share
    the account's limit of orders per minute. `closed_as_one` is what of each symbol multi-leg orders of ours close,
    those that work and those that are about to be sent. `cover_if_shown` is the cover if the shorts that are missing in
    the last read of the positions were shown.
    """

    snapshot: Snapshot
    policy: Policy
    holdings: tuple[Holding, ...]
    invalid_reasons: Mapping[str, str]
    cover: Cover
    account_violations: tuple[str, ...]
    today: dt.date
    structures: Mapping[str, HeldStructure]
    structures_by_name: Mapping[str, HeldStructure]
    parts: Mapping[str, HeldStructure]
    tripped_limit: str
    guard_problem: str
    walks: Mapping[Urgency, WalkConfig]
    _orders: Mapping[str, tuple[Order, ...]]
    _by_underlying: Mapping[str, tuple[Holding, ...]]
    _underlyings_with_unknown_cover: frozenset[str]
    _exempt: frozenset[str]  # what the user exempted, without what has ended
    _exempt_legs: frozenset[str]  # of the structures among them
    cover_if_shown: Cover
    closed_as_one: Mapping[str, Decimal] = MappingProxyType({})

    @classmethod
    def of(cls, snapshot: Snapshot, policy: Policy) -> "DecisionContext":
        """The context of one decision."""
        invalid_reasons, guard_problem = _invalid_reasons(snapshot.holdings), _guard_problem(snapshot, policy)
        holdings = tuple(_with_prices(holding, snapshot) for holding in snapshot.holdings)
        valid = tuple(holding for holding in holdings if holding.symbol not in invalid_reasons)
        cover = cover_of(valid)
        structures: dict[str, HeldStructure] = {}
        by_name: dict[str, HeldStructure] = {}
        asked = sorted(filter(is_structure_name, snapshot.manual_closes))
        leaving = {h.symbol: ExitAfter.of(h.state.exit_after) for h in valid if h.state.exit_after}
        if policy.structure_kinds or asked:
            states = snapshot.structures
            first = (*asked, *snapshot.named) if policy.structure_kinds else asked
            found = held_structures(valid, states, states, policy.structure_kinds, leaving, first=first)
            by_name = {structure.name: with_state_of_legs(structure) for structure in found}
            structures = {symbol: structure for structure in by_name.values() for symbol in structure.holdings}
            holdings = tuple(replace(h, structure=kind_of(h, cover, structures)) for h in holdings)
            if leaving:  # the rest of a structure whose unit is leaving by legs is covered by its own legs
                cover = cover_of(valid, {symbol: each.qty_of(symbol) for symbol, each in structures.items()})
        parts = _parts(valid, by_name, leaving)
        exempt = _exempt_now(snapshot)
        may_leave_as_one = policy.recognises_structures and bool(cover.uncovered)
        is_any_multi_leg = any(order.is_multi_leg for order in snapshot.orders)
        needs_underlyings = bool(structures or parts) or is_any_multi_leg or may_leave_as_one
        unknown = (h.symbol for h in holdings if h.position.instrument.asset_class is AssetClass.OTHER)
        unread = (row.symbol for row in snapshot.invalid if not row.is_order)
        unknown_cover = (*invalid_reasons, *unread, *unknown)
        return cls(
            snapshot=snapshot,
            policy=policy,
            holdings=holdings,
            invalid_reasons=invalid_reasons,
            cover=cover,
            account_violations=account_violations(snapshot, policy),
            today=snapshot.market.today,
            structures=structures,
            structures_by_name=by_name,
            parts=parts,
            tripped_limit=snapshot.tripped_limit
            or ("" if guard_problem else reached_limit(policy.account_guard, snapshot.account)),
            guard_problem=guard_problem,
            walks=policy.walks,
            _orders=_by_symbol(snapshot.orders),
            _by_underlying=_by_underlying(holdings) if needs_underlyings else {},
            _underlyings_with_unknown_cover=frozenset(underlying_of(symbol) for symbol in unknown_cover),
            _exempt=exempt,
            _exempt_legs=frozenset(leg for name in exempt for leg in legs_of(name)),
            cover_if_shown=cover_of((*valid, *map(Holding, snapshot.missing))) if snapshot.missing else cover,
        )

    def is_last_day(self, holding: Holding) -> bool:
        """Whether the position is an option on its last trading day."""
        return is_last_day(holding, self.snapshot.market)

    def has_ended(self, holding: Holding) -> bool:
        """Whether the position is an option that doesn't trade any more."""
        left = days_left(holding, self.snapshot.market)
        return left is not None and left < 0

    def is_cash_secured_put(self, holding: Holding) -> bool:
        """Whether it is a put that is kept as cash-secured. The caller must ensure that it is short."""
        option = holding.position.instrument.option
        return option is not None and option.right is Right.PUT and self.policy.cash_secured_puts is PutAction.KEEP

    def strategy_and_subject(self, holding: Holding) -> tuple[BaseStrategy | None, Holding]:
        """The first strategy that matches, with its subject: the position, or the structure of which it is a leg.

        One that doesn't match a structure with shares may match its option alone, as with `side: short`.
        """
        structure, market = self.structures.get(holding.symbol), self.snapshot.market
        for strategy in self.policy.strategies:
            whole = structure.whole if structure and strategy.evaluates_structures else None
            if whole and strategy.accepts(whole, market):
                return self._overridden(strategy, whole), whole
            if (whole is None or whole.structure in WITH_SHARES) and strategy.accepts(holding, market):
                return self._overridden(strategy, holding), holding
        return self._overridden(None, holding), holding

    def strategy_of(self, structure: HeldStructure) -> BaseStrategy | None:
        """The first strategy that matches a structure as one position."""
        whole, market = structure.whole, self.snapshot.market
        strategies = self.policy.strategies
        found = next((each for each in strategies if each.evaluates_structures and each.accepts(whole, market)), None)
        return self._overridden(found, whole) if found else None

    def _overridden(self, strategy: BaseStrategy | None, subject: Holding) -> BaseStrategy | None:
        """The strategy with the rules that a person has set for this position in place of its own."""
        override = subject.state.override
        if override is None or not override.is_in_force(self.snapshot.market.now):
            return strategy
        return overridden(strategy, override, self.policy.price_basis)

    def rest_of(self, holding: Holding) -> tuple[BaseStrategy | None, Holding] | None:
        """What of a position exceeds its structure, with the first strategy that matches it; None when nothing does."""
        structure = self.structures.get(holding.symbol)
        rest = rest_of(holding, structure, self.cover) if structure else None
        if rest is None:
            return None
        strategies, market = self.policy.strategies, self.snapshot.market
        return self._overridden(next((each for each in strategies if each.accepts(rest, market)), None), rest), rest

    def is_exempt(self, symbol: str) -> bool:
        """Whether the user exempted a symbol, its underlying, or a structure of which it is a leg."""
        if not self._exempt:
            return False
        return symbol in self._exempt_legs or not self._exempt.isdisjoint({symbol, underlying_of(symbol)})

    def exempt_until(self, symbol: str) -> dt.datetime | None:
        """When a symbol stops being exempt by itself; None when it doesn't, or isn't exempt."""
        names = {symbol, underlying_of(symbol), *(name for name in self._exempt if symbol in legs_of(name))}
        ends = [self.snapshot.exempt_until.get(name) for name in names & self._exempt]
        known = [end for end in ends if end is not None]
        return max(known) if known and len(known) == len(ends) else None

    def asked_to_close(self, holding: Holding) -> tuple[Decimal, HeldStructure | None]:
        """How much of a position the user asked to close, and the structure of which it is to close as a leg.

        That is all of it, its part of the structure, or what is left of the quantity that was asked.
        """
        symbol, structure = holding.symbol, self.structures.get(holding.symbol)
        if symbol in self.snapshot.manual_closes:
            return self._left_of_request(symbol, holding, holding.position.qty), None
        if structure and structure.name in self.snapshot.manual_closes:
            asked = self._left_of_request(structure.name, holding, structure.qty_of(symbol))
            return asked, structure if asked > 0 else None
        return ZERO, None

    def terms_of(self, holding: Holding) -> CloseTerms | None:
        """How the user asked to close a position or its structure; None when all of it at the usual pace, or not."""
        terms = self.snapshot.close_terms
        if not terms:
            return None
        if holding.symbol in self.snapshot.manual_closes:
            return terms.get(holding.symbol)
        structure = self.structures.get(holding.symbol)
        return terms.get(structure.name) if structure else None

    def _left_of_request(self, name: str, holding: Holding, most: Decimal) -> Decimal:
        """How much of a position is left of the quantity that was asked under this name, at most `most`.

        What our orders have filled since is counted by us and shown by the broker in today's orders: the greater of
        both counts, so that no fill that one of them lacks is closed a second time.
        """
        terms = self.snapshot.close_terms.get(name)
        if terms is None or not terms.parts:
            return most
        symbol = holding.symbol
        before = terms.before.get(symbol, {})
        filled = {**before, **terms.filled.get(symbol, {})}
        for order in (*self.snapshot.history.get(symbol, ()), *self.orders_on(symbol)):
            known = filled.get(order.client_order_id)
            for part in order.parts_on(symbol):
                at = part.last_fill_at
                is_later = at is not None and terms.since is not None and at > terms.since
                if order.is_ours and closes(part, holding.position.direction) and (known is not None or is_later):
                    filled[order.client_order_id] = max(known or ZERO, part.filled_qty)
        closed = sum((qty - before.get(order, ZERO) for order, qty in filled.items()), ZERO)
        return min(max(terms.parts.get(symbol, ZERO) - closed, ZERO), most)

    def leaves_as(self, symbol: str) -> HeldStructure | None:
        """What a leg leaves with as one order: a part of its structure, or all of it; None when it is a leg of none."""
        return self.parts.get(symbol) or self.structures.get(symbol)

    def other_parts(self, part: HeldStructure) -> tuple[HeldStructure, ...]:
        """The other parts of the structure of which this is one."""
        found = {each.name: each for each in self.parts.values() if each.part_of == part.part_of}
        return tuple(each for name, each in found.items() if name != part.name)

    def left_to_follow(self, holding: Holding) -> Decimal:
        """How much of a leg is to be closed because its structure is being closed and has lost that much of it.

        Our own fills count before the position shows them: otherwise each of them would be repeated meanwhile.
        """
        if not holding.state.exit_after:
            return ZERO
        mark, structure = ExitAfter.of(holding.state.exit_after), self.structures.get(holding.symbol)
        in_it = structure.qty_of(holding.symbol) if structure and structure.name == mark.structure else ZERO
        return remaining_qty(holding) - mark.kept - in_it

    def at_the_best(self, holding: Holding) -> Holding | None:
        """A holding, or a structure, at its best prices in the window of quotes; None without an earlier quote."""
        return self._in_the_window(holding, at_the_best)

    def at_the_worst(self, holding: Holding) -> Holding | None:
        """A holding, or a structure, at its worst prices in the window of quotes; None without an earlier quote."""
        return self._in_the_window(holding, at_the_worst)

    def _in_the_window(self, holding: Holding, at: Callable[[Holding, Snapshot], Holding | None]) -> Holding | None:
        structure = self.structures_by_name.get(holding.symbol)
        if structure is None:
            return at(holding, self.snapshot)

        def prices(leg: Holding) -> Prices | None:
            there = at(leg, self.snapshot)
            return there.prices if there else None

        return structure.at(prices)

    def orders_on(self, symbol: str) -> tuple[Order, ...]:
        """Open orders for the symbol, or with it as a leg; also multi-leg orders whose legs aren't shown."""
        return (*self._orders.get(symbol, ()), *self._orders.get("", ()))

    def held(self, symbol: str) -> Holding | None:
        """The holding of a leg of a structure or of a multi-leg order; None when it isn't held."""
        return next((each for each in self.on_underlying(underlying_of(symbol)) if each.symbol == symbol), None)

    def on_underlying(self, underlying: str) -> tuple[Holding, ...]:
        """The holdings on an underlying, where structures or multi-leg orders make a difference."""
        return self._by_underlying.get(underlying, ())

    def ours_on(self, symbol: str) -> tuple[Order, ...]:
        """Our open exit orders for the symbol."""
        return tuple(order for order in self.orders_on(symbol) if order.is_ours and not order.is_backstop)

    def backstops_on(self, symbol: str) -> tuple[Order, ...]:
        """Our backstops for the symbol that rest at the broker."""
        return tuple(order for order in self.orders_on(symbol) if order.is_backstop)

    def with_walks_for(self, signals: Iterable[ExitSignal]) -> "DecisionContext":
        """The context with walks shortened so that these exits stay within the account's non-urgent orders per minute.

        Orders that other exits sent in the last minute count too. Unchanged when the full walks fit.
        """
        non_urgent = [signal for signal in signals if signal.urgency >= Urgency.TIME]
        exits = len(non_urgent)
        of_others = self.snapshot.order_count.non_urgent - sum(
            signal.holding.state.order_count.non_urgent for signal in non_urgent
        )
        limit = MAX_NON_URGENT_ORDERS_PER_MINUTE[1] - max(of_others, 0)
        if all(exits * walk.steps <= limit for walk in self.walks.values()) or not exits:
            return self
        short = {
            urgency: WalkConfig(max(min(walk.steps, limit // exits), 1), walk.every, walk.final)
            for urgency, walk in self.walks.items()
        }
        return replace(self, walks=short)

    def may_have_unknown_cover(self, holding: Holding) -> bool:
        """Whether a position that can't be read, or whose asset class is unknown, may cover this short."""
        return not self._underlyings_with_unknown_cover.isdisjoint({"", holding.position.instrument.underlying})


def _exempt_now(snapshot: Snapshot) -> frozenset[str]:
    """What the user exempted, without the exemptions that have ended by the broker's clock."""
    ended = {name for name, end in snapshot.exempt_until.items() if end <= snapshot.market.now}
    return snapshot.exempt - ended


def _parts(
    holdings: Iterable[Holding], structures: Mapping[str, HeldStructure], leaving: Mapping[str, ExitAfter]
) -> dict[str, HeldStructure]:
    """The parts of structures that are held, or being closed, and have more legs than one order, by leg."""
    wide = {name for name, each in structures.items() if len(each.holdings) > MOST_LEGS}
    wide |= {mark.structure for mark in leaving.values() if len(legs_of(mark.structure)) > MOST_LEGS}
    if not wide:
        return {}
    taken = {symbol: name for name, each in structures.items() for symbol in each.holdings}
    found: dict[str, HeldStructure] = {}
    for name in sorted(wide):
        free = {holding.symbol: holding for holding in holdings if taken.get(holding.symbol, name) == name}
        for part in held_parts(name, free, structures.get(name), leaving):
            found |= dict.fromkeys(part.holdings, with_state_of_legs(part))
    return found


def _with_prices(holding: Holding, snapshot: Snapshot) -> Holding:
    instrument, market = holding.position.instrument, snapshot.market
    prices = judge_quote(holding.quote, instrument.asset_class, market, holding.state.wide_for)
    quote = snapshot.underlyings.get(instrument.underlying)
    underlying = judge_quote(quote, AssetClass.STOCK, market, dt.timedelta(0)) if quote else NO_PRICES
    return Holding(holding.position, holding.quote, holding.state, prices, underlying)


def _guard_problem(snapshot: Snapshot, policy: Policy) -> str:
    """Why the account guard can't be evaluated; "" when it can, has fired today, or is off."""
    if not policy.guards_the_account or snapshot.tripped_limit:
        return ""
    if snapshot.unbooked_splits:
        splits = f"a split of {', '.join(snapshot.unbooked_splits)} may not be reflected in the position yet"
        return f"the account guard can't be evaluated: {splits}"
    unknown = why_unknown(snapshot.account)
    return f"the account guard can't be evaluated: the broker did not report {unknown}" if unknown else ""


def _invalid_reasons(holdings: Iterable[Holding]) -> dict[str, str]:
    """Why positions can't be evaluated at all, by symbol: listed twice, or without a quantity above zero."""
    positions = [holding.position for holding in holdings]
    counts = Counter(position.symbol for position in positions)
    without_qty = {p.symbol: f"its quantity is {p.qty}" for p in positions if not (p.qty.is_finite() and p.qty > ZERO)}
    return without_qty | {symbol: f"the broker lists it {n} times" for symbol, n in counts.items() if n > 1}


def _by_underlying(holdings: Iterable[Holding]) -> dict[str, tuple[Holding, ...]]:
    found: dict[str, list[Holding]] = {}
    for holding in holdings:
        found.setdefault(holding.position.instrument.underlying, []).append(holding)
    return {underlying: tuple(each) for underlying, each in found.items()}


def _by_symbol(orders: Iterable[Order]) -> dict[str, tuple[Order, ...]]:
    found: dict[str, tuple[Order, ...]] = {}
    for order in orders:
        if is_live(order):
            for symbol in order.symbols:
                found[symbol] = (*found.get(symbol, ()), order)
    return found
