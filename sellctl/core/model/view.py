"""What the live screen and the listing commands show, as immutable values."""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from enum import StrEnum

from msgspec import Struct

from sellctl.core.model.event import Event
from sellctl.core.model.gain import Total, total_of
from sellctl.core.model.instrument import StructureKind
from sellctl.core.model.market import Market
from sellctl.core.model.order import Order
from sellctl.core.model.plan import DecisionState, Plan, PositionDecision
from sellctl.core.model.snapshot import AccountFacts


class Mode(StrEnum):
    """Whether an account's orders are sent, and with real money or not."""

    PAPER = "paper"
    SIMULATED = "simulated"  # simulated accounts, as of `sellctl sim`
    LIVE = "live"  # real money
    DRY_RUN = "dry run"  # decides, sends nothing


def mode_of(*, paper: bool, simulated: bool) -> Mode:
    """What trades in an account: simulated money, paper money or real money. `simulated` is the configuration's."""
    return Mode.SIMULATED if simulated else Mode.PAPER if paper else Mode.LIVE


class ShownStructure(Struct, frozen=True):
    """A structure that is held. `name` is sellctl's and `own_name` the user's name for it; "" when there is none.

    `decision` is on the whole, at net prices, and `legs` are those on its legs, of which `quantities` belong to it.
    `is_one` says whether a strategy judges it as one position; else its legs are judged alone. `most_profit` and
    `most_loss` are dollars that all of its units can win and lose at expiration: infinite without a bound, None when
    unknown. `breakevens` are prices of the underlying.
    """

    name: str
    own_name: str
    kind: StructureKind
    units: int
    quantities: Mapping[str, Decimal]
    decision: PositionDecision
    legs: tuple[PositionDecision, ...]
    is_one: bool
    most_profit: Decimal | None
    most_loss: Decimal | None
    breakevens: tuple[Decimal, ...]

    @property
    def title(self) -> str:
        """A short name for people, which another structure may have too: AAPL iron condor."""
        underlying = self.decision.holding.position.instrument.underlying
        return self.own_name or f"{underlying} {self.kind.value.replace('_', ' ')}"

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols of its legs."""
        return tuple(self.quantities)

    def is_called(self, name: str) -> bool:
        """Whether this is its name, or the user's for it, in capitals or not."""
        return name.lower() in {self.name.lower(), (self.own_name or self.name).lower()}


class Totals(Struct, frozen=True):
    """What is counted over all positions of an account, or of several.

    Amounts are at the prices one could get now. Of a structure whose net is known although a leg has no price of its
    own, as of one that is worth nothing, the net counts for all of its legs.
    """

    positions: int
    not_managed: int
    exempt: int
    market_value: Total
    open_pnl: Total


Listed = tuple[Plan, Iterable[ShownStructure]]


def totals_of(listed: Iterable[Listed]) -> Totals:
    """The totals over explained plans, each with its structures."""
    every = [(plan, tuple(structures)) for plan, structures in listed]
    decisions = [decision for plan, _ in every for decision in plan.decisions]
    parts = [part for plan, structures in every for part in _priced_parts(plan, structures)]
    return Totals(
        positions=len(decisions),
        not_managed=sum(each.state is DecisionState.NOT_MANAGED for each in decisions),
        exempt=sum(each.state is DecisionState.EXEMPT for each in decisions),
        market_value=total_of((part.market_value, count) for part, count in parts),
        open_pnl=total_of((part.open_pnl, count) for part, count in parts),
    )


def _priced_parts(plan: Plan, structures: Iterable[ShownStructure]) -> Iterator[tuple[PositionDecision, int]]:
    """Each decision once with the number of positions that it values: wholes of structures, and all else."""
    decisions = {decision.holding.symbol: decision for decision in plan.decisions}
    valued: set[str] = set()
    for structure in structures:
        is_all = all(decisions[symbol].holding.position.qty == qty for symbol, qty in structure.quantities.items())
        if is_all and structure.decision.open_pnl is not None:
            valued.update(structure.symbols)
            yield structure.decision, len(structure.symbols)
    yield from ((decision, 1) for symbol, decision in decisions.items() if symbol not in valued)


def only_due(plan: Plan, orders: Iterable[Order]) -> frozenset[str]:
    """The symbols whose exit is due and of which no order of ours works: what a process that acts would send now.

    `orders` are the open ones of the account. An order whose outcome is unknown, or that has just filled, may still be
    the exit, so that its symbol is left out.
    """
    working = {symbol for order in orders if order.is_ours and not order.is_backstop for symbol in order.symbols}
    return frozenset(
        each.holding.symbol
        for each in plan.of(DecisionState.CLOSING)
        if each.signal
        and (each.submit or not each.unconfirmed)
        and not each.holding.state.unresolved
        and each.holding.symbol not in working
    )


class AccountView(Struct, frozen=True):
    """One account as it was last polled. `market` and `plan` are None until a poll has succeeded.

    `age` is how long ago that poll was, None before it. `problem` says what is wrong now; "" when nothing is.
    `source` says whether prices are streamed, with the age of the last one, or polled, and why; "" when unknown.
    `requests_used` counts the requests of the last minute. `orders_working` counts all open orders of the account.
    `realised` is what our fills of today gained or lost, in dollars; None while one of them can't be valued. `halted`
    says who or what has stopped new orders, and why; "" when they aren't stopped. `structures` are those of the plan.
    `only_due` has the symbols whose exit is due while this process sends nothing, and no order of it works.
    """

    facts: AccountFacts
    mode: Mode
    market: Market | None = None
    plan: Plan | None = None
    age: dt.timedelta | None = None
    problem: str = ""
    requests_used: int | None = None
    source: str = ""
    orders_working: int | None = None
    realised: Decimal | None = None
    halted: str = ""
    structures: tuple[ShownStructure, ...] = ()
    only_due: frozenset[str] = frozenset()


class AccountListing(Struct, frozen=True):
    """One account in a listing command: its plan, explained, or without one the problem that prevented it.

    `mode` is PAPER, SIMULATED or LIVE. `structures` are those of the plan. `only_due` has the symbols whose exit is due
    while this process sends nothing, and no order of it works.
    """

    account: str
    mode: Mode
    plan: Plan | None = None
    problem: str = ""
    in_use: bool = False  # the problem is that another process has locked the account
    structures: tuple[ShownStructure, ...] = ()
    only_due: frozenset[str] = frozenset()


class WatchView(Struct, frozen=True):
    """The contents of the screen at one instant of the broker's clock. `events` are oldest first."""

    now: dt.datetime
    accounts: tuple[AccountView, ...]
    events: tuple[Event, ...] = ()
    next_poll_in: dt.timedelta | None = None
