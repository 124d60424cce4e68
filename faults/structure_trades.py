"""What happens to a day's structures besides prices: people enter them and close a leg, their orders meet faults."""

import datetime as dt
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import ROUND_UP, Decimal
from functools import partial
from typing import Any

from faults.checkers import ExchangeChecker, is_ours, legs_of
from faults.generate import MINUTE, SECOND, Day, PlannedFault
from faults.structures import STAYS, Entry, PlannedLeg, PlannedStructure
from sellctl.core.model.plan import SubmitOrder
from sellctl.sim.scenario.events import manual_cancel, manual_order
from sellctl.sim.venue.accounts import SimAccount
from sellctl.sim.venue.exchange import Exchange
from sellctl.sim.venue.orders import SimEvent

ENTRY_TRIES = 60  # seconds; an order for an entry may fill in parts, or late
POSITIONS_LAG = 10 * SECOND  # a list that lags behind fills (H18) may show a short leg without its cover until then
CLOSE_TRIES = 30  # seconds; the leg may be reserved by an order of ours whose cancel takes a while
MAX_ENTRY_ERROR = Decimal("0.2")  # of the planned price; of an absurd fill (O13) other rules would be true

# What may happen to an order that closes a structure: the fault, its options, and whether it acts on one of its legs.
ORDER_FAULTS: tuple[tuple[str, dict[str, Any], bool], ...] = (
    ("H01", {"method": "POST", "path": "/v2/orders"}, False),
    ("H02", {"method": "POST", "path": "/v2/orders"}, False),
    ("H04", {"method": "POST", "path": "/v2/orders"}, False),
    ("H05", {"method": "POST", "path": "/v2/orders", "after": True}, False),
    ("H19", {"seconds": 10}, True),
    ("H19", {"seconds": None}, True),
    ("O02", {}, True),
    ("O03", {"qty": 1}, True),
    ("O03", {"qty": 1}, True),
    ("O04", {}, True),
    ("O05", {}, True),
    ("O07", {}, True),
    ("O14", {"seconds": 8}, True),
)


@dataclass(slots=True)
class StructureTrades:
    """The trades and faults on the structures of one day.

    `entered` are the names of those that are held in full, `interrupted` of those of which a person closed a leg while
    sellctl closed them. `changed` are symbols that somebody else traded before that.
    """

    day: Day
    exchange: Exchange
    account: SimAccount
    checker: ExchangeChecker
    changed: set[str]
    recovered: Callable[[], bool]
    entered: set[str] = field(default_factory=set)
    interrupted: set[str] = field(default_factory=set)
    closed_a_leg: int = 0  # how often a person did
    met: int = 0  # how many of our orders met a fault of their own
    _rng: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._rng = random.Random(f"{self.day.seed} structure trades")  # noqa: S311  a bench's seed, not a secret

    def plan(self) -> None:
        """Schedule the entries."""
        for structure in self.day.structures:
            if structure.enters_at is None:
                self._is_held(structure)
            elif structure.entry is Entry.ORDER:
                self.exchange.at(structure.enters_at, manual_order(self.account.name, _entry_of(structure)))
                self._look_in_a_second(structure, structure.enters_at, self._check_entry)
            else:
                self._enter(structure.enters_at, structure, [leg for leg in structure.legs if leg.is_long])
                self._look_in_a_second(structure, structure.enters_at, self._enter_shorts)

    # --- entries ------------------------------------------------------------------------------------------------------

    def _enter(self, at: dt.datetime, structure: PlannedStructure, legs: Iterable[PlannedLeg]) -> None:
        for leg in legs:
            qty = structure.qty_of(leg)
            self.exchange.at(
                at, manual_order(self.account.name, _market(leg.symbol, "buy" if qty > 0 else "sell", qty))
            )

    def _enter_shorts(self, structure: PlannedStructure, tries: int) -> None:
        """The short legs follow once the long ones are held: nobody sells them naked."""
        if self._has(structure, [leg for leg in structure.legs if leg.is_long]):
            self._enter(self.exchange.now, structure, [leg for leg in structure.legs if not leg.is_long])
            self._look_in_a_second(structure, self.exchange.now, self._check_entry)
        elif tries < ENTRY_TRIES:
            self._look_in_a_second(structure, self.exchange.now, self._enter_shorts, tries + 1)
        else:
            self.changed |= structure.symbols

    def _check_entry(self, structure: PlannedStructure, tries: int) -> None:
        if self._has(structure, structure.legs):
            self.exchange.at(self.exchange.now + POSITIONS_LAG, lambda _exchange: self._is_still_held(structure))
        elif tries < ENTRY_TRIES:
            self._look_in_a_second(structure, self.exchange.now, self._check_entry, tries + 1)
        else:
            self.changed |= structure.symbols

    def _is_still_held(self, structure: PlannedStructure) -> None:
        """It was entered; a short leg whose cover wasn't listed yet may have been bought back since."""
        if self._has(structure, structure.legs):
            self._is_held(structure)
        else:
            self.changed |= structure.symbols

    def _look_in_a_second(
        self,
        structure: PlannedStructure,
        since: dt.datetime,
        look: Callable[[PlannedStructure, int], None],
        tries: int = 0,
    ) -> None:
        self.exchange.at(since + SECOND, lambda _exchange: look(structure, tries))

    def _has(self, structure: PlannedStructure, legs: Iterable[PlannedLeg]) -> bool:
        return all(self.account.qty_of(leg.symbol) == structure.qty_of(leg) for leg in legs)

    def _is_held(self, structure: PlannedStructure) -> None:
        """It is in the account; unless it was entered at absurd prices, its rules are true when they should be."""
        prices = [(self.account.positions[leg.symbol].avg_entry_price, leg.entry) for leg in structure.legs]
        if any(abs(price - planned) > planned * MAX_ENTRY_ERROR for price, planned in prices):
            self.changed |= structure.symbols
            return
        self.entered.add(structure.name)
        if structure.course in STAYS and self.changed.isdisjoint(structure.symbols):
            self.checker.must_stay |= structure.symbols

    # --- a person closes a leg (O19) ----------------------------------------------------------------------------------

    def close_a_leg(self, planned: PlannedFault) -> None:
        """Close all or a part of a leg: now, or soon after the first order of ours that closes the structure."""
        structure = self._structure_of(planned)
        leg = structure.legs[planned.options["leg"] % len(structure.legs)]
        close = partial(self._close, structure, leg, Decimal(planned.options["share"]))
        if not planned.options["during"] or structure.due_at is None:
            self._changes(structure)
            close(0)
            return
        delay, started = planned.options["delay"] * SECOND, list[str]()

        def on_event(event: SimEvent) -> None:
            if started or self.recovered() or event.order is None or event.kind != "new":
                return
            order = self.account.orders[event.order["id"]]
            if is_ours(order) and not structure.symbols.isdisjoint(order.symbols) and self._is_due(structure):
                started.append(order.id)
                self.exchange.at(self.exchange.now + delay, lambda _exchange: self._interrupt(structure, close))

        self.exchange.listeners.append(on_event)

    def _interrupt(self, structure: PlannedStructure, close: Callable[[int], None]) -> None:
        """Its rest must leave all the same, unless the exit ended before or something else had changed it."""
        if not self.recovered():
            self.interrupted.add(structure.name)
            close(0)

    def _close(self, structure: PlannedStructure, leg: PlannedLeg, share: Decimal, tries: int) -> None:
        """A person cancels what reserves the leg, and sells or buys it back at market."""
        held = self.account.qty_of(leg.symbol)
        if not held or held * leg.ratio < 0:
            return
        self.closed_a_leg += not tries
        notes = len(self.exchange.notes)
        manual_cancel(self.account.name, "", leg.symbol)(self.exchange)
        qty = (abs(held) * share).to_integral_value(ROUND_UP)
        manual_order(self.account.name, _market(leg.symbol, "sell" if held > 0 else "buy", qty, "close"))(self.exchange)
        if len(self.exchange.notes) > notes and tries < CLOSE_TRIES and not self.recovered():
            again = partial(self._close, structure, leg, share, tries + 1)
            self.exchange.at(self.exchange.now + SECOND, lambda _exchange: again())

    def _changes(self, structure: PlannedStructure) -> None:
        self.changed |= structure.symbols
        self.checker.must_stay -= structure.symbols

    def _is_due(self, structure: PlannedStructure) -> bool:
        """Its rule may be true already: prices move for up to a minute until it is in any case."""
        return structure.due_at is not None and self.exchange.now >= structure.due_at - MINUTE

    # --- faults of the orders that close it (O20) ---------------------------------------------------------------------

    def order_arrives(self, order: SubmitOrder) -> None:
        """Called before an order of ours reaches the exchange: the first ones for a structure meet faults."""
        planned = self.day.planned("O20")
        if planned is None or self.recovered() or self.exchange.now < planned.at:
            return
        legs = [leg.symbol for leg in legs_of(order)]
        if self._structure_of(planned).symbols.isdisjoint(legs) or self.met >= planned.options["orders"]:
            return
        self.met += 1
        name, options, on_leg = self._rng.choice(ORDER_FAULTS)
        self.exchange.inject(name, times=1, **options, **({"symbol": legs[0]} if on_leg else {}))

    def _structure_of(self, planned: PlannedFault) -> PlannedStructure:
        number: int = planned.options["structure"]
        return self.day.structures[number % len(self.day.structures)]


def _market(symbol: str, side: str, qty: Decimal, effect: str = "open") -> dict[str, str]:
    return {
        "symbol": symbol,
        "side": side,
        "qty": str(abs(qty)),
        "type": "market",
        "time_in_force": "day",
        "position_intent": f"{side}_to_{effect}",
    }


def _entry_of(structure: PlannedStructure) -> dict[str, Any]:
    """The multi-leg order that opens a structure."""
    legs = [
        {
            "symbol": leg.symbol,
            "ratio_qty": str(abs(leg.ratio)),
            "side": side,
            "position_intent": f"{side}_to_open",
        }
        for leg in structure.legs
        for side in ["buy" if leg.is_long else "sell"]
    ]
    return {"order_class": "mleg", "qty": str(structure.units), "type": "market", "time_in_force": "day", "legs": legs}
