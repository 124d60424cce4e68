"""Checks that a day's structures leave when their rules are true, and that no short stays without its cover."""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from itertools import pairwise

from faults.checkers import ZERO, ours_on
from faults.findings import Findings
from faults.generate import MINUTE, SECOND, Day
from faults.liveness import MIN_POLL_PAIRS, RETRY, LivenessChecker
from faults.structure_trades import StructureTrades
from faults.structures import LEAVES_BY_ITS_RULES, PATIENT, Course, PlannedLeg, PlannedStructure
from sellctl.sim.market.assets import asset_of
from sellctl.sim.venue.accounts import SimAccount
from sellctl.sim.venue.coverage import uncovered_contracts
from sellctl.sim.venue.exchange import Exchange
from sellctl.sim.venue.multi_leg.trading import net_level
from sellctl.sim.venue.order_checks import cutoff
from sellctl.sim.venue.orders import SimOrder

WIDE = Decimal("0.5")  # of a net spread
NEXT_LEG = 20 * SECOND  # between the last fill of a short leg and the order of a long one, while positions lag


@dataclass(slots=True)
class StructureChecker:
    """Checks the structures of one day. `decided_at` are the polls that led to a decision."""

    day: Day
    exchange: Exchange
    account: SimAccount
    findings: Findings
    trades: StructureTrades
    liveness: LivenessChecker
    decided_at: Sequence[dt.datetime]

    def plan(self) -> None:
        """Schedule the checks on the exchange's timeline."""
        for structure in self.day.structures:
            recovered = max(structure.due_at or self.day.recovers_at, self.day.recovers_at) + RETRY
            if structure.due_at:
                self._check_at(recovered, partial(self._twice, self._idle, structure, "R6"))
            self._check_at(recovered, partial(self._twice, self._naked, structure, "R6"))
            for leg in structure.legs:
                if leg.expires_today:
                    deadline = cutoff(asset_of(leg.symbol), self.exchange.settings)
                    self._check_at(deadline, partial(self._t2, structure, leg))

    def at_the_end(self) -> None:
        """Must-fire: what was due has left, and each short that is left has its cover."""
        for structure in self.day.structures:
            if text := self._held(structure):
                self._violated("must-fire", f"{text} was never closed")
            if text := self._naked(structure):
                self._violated("must-fire", text)

    @property
    def exits(self) -> int:
        """How many of the structures that were due are closed."""
        due = (each for each in self.day.structures if each.course in LEAVES_BY_ITS_RULES)
        return sum(each.name in self.trades.entered and not self._left(each) for each in due)

    def _check_at(self, at: dt.datetime, check: Callable[[], None]) -> None:
        if at < self.day.closes:
            self.exchange.at(at, lambda _exchange: check())

    # --- the checks: each returns what is wrong, or "" ----------------------------------------------------------------

    def _twice(self, check: Callable[[PlannedStructure], str], structure: PlannedStructure, invariant: str) -> None:
        """A violation that is still the same some seconds later: between two orders of an exit none works."""
        first = check(structure)

        def again() -> None:
            if first and check(structure) == first:
                self._violated(invariant, first)

        self._check_at(self.exchange.now + NEXT_LEG, again)

    def _held(self, structure: PlannedStructure) -> str:
        """What is left of a structure that is due, unless it may stay."""
        left = self._left(structure)
        if not left or structure.course not in LEAVES_BY_ITS_RULES or self._may_stay(structure):
            return ""
        return f"{structure.name} ({structure.course}): {', '.join(left)}"

    def _idle(self, structure: PlannedStructure) -> str:
        """R6: what is due is closed or on its way."""
        text = self._held(structure)
        return f"{text}: due, and no order works" if text and not self._is_working(structure) else ""

    def _naked(self, structure: PlannedStructure) -> str:
        """A short without its cover is bought back, whoever took the cover away."""
        underlying = asset_of(structure.legs[0].symbol).underlying
        held = {s: p.qty for s, p in self.account.positions.items() if asset_of(s).underlying == underlying}
        naked = uncovered_contracts(held, ZERO)
        if not naked or self._is_working(structure):
            return ""
        return f"{structure.name} ({structure.course}): {naked} shorts have no cover, and no order works"

    def _t2(self, structure: PlannedStructure, leg: PlannedLeg) -> None:
        held = self.account.qty_of(leg.symbol)
        if held and not self.liveness.was_reported(leg.symbol) and not self.liveness.was_reported(structure.name):
            self._violated("T2", f"{leg.symbol} of {structure.name}: {held} held at the deadline without an alert")

    def _left(self, structure: PlannedStructure) -> list[str]:
        held = ((leg.symbol, self.account.qty_of(leg.symbol)) for leg in structure.legs)
        return [f"{qty} {symbol}" for symbol, qty in held if qty]

    def _is_working(self, structure: PlannedStructure) -> bool:
        """Whether an order of ours closes it; not one whose net limit is far better than any net price."""
        return any(
            not self._is_hopeless(order) for symbol in structure.symbols for order in ours_on(self.account, symbol)
        )

    def _is_hopeless(self, order: SimOrder) -> bool:
        net = net_level(self.exchange, order) if order.is_multi_leg else None
        if net is None or net.bid is None or order.limit_price is None:
            return False
        return net.bid - order.limit_price > max(abs(net.bid) / 2, WIDE)

    # --- what may stay ------------------------------------------------------------------------------------------------

    def _may_stay(self, structure: PlannedStructure) -> bool:
        changed = not self.trades.changed.isdisjoint(structure.symbols) or structure.name not in self.trades.entered
        return (
            changed
            or self.liveness.kept(structure.name)
            or self._peak_was_unobservable(structure)
            or self._halted(structure)
            or not self._still_due(structure)
        )

    def _halted(self, structure: PlannedStructure) -> bool:
        """Whether three rejects suspended a patient exit, and the user was informed (K4)."""
        names = (structure.name, *structure.symbols)
        return structure.course in PATIENT and any(map(self.liveness.rejected_in_a_row, names))

    def _peak_was_unobservable(self, structure: PlannedStructure) -> bool:
        """Whether too few polls could see its peak."""
        if structure.peak is None:
            return False
        since, until = structure.peak
        polls = [at for at in self.decided_at if since <= at <= until]
        return sum(later - earlier < MINUTE for earlier, later in pairwise(polls)) < MIN_POLL_PAIRS

    def _still_due(self, structure: PlannedStructure) -> bool:
        """Whether its rule is true at the exchange's prices. What is closed in part has been due, and goes on."""
        positions = [self.account.positions.get(leg.symbol) for leg in structure.legs]
        whole = all(
            p is not None and p.qty == structure.qty_of(leg) for p, leg in zip(positions, structure.legs, strict=True)
        )
        if not whole or structure.course not in {Course.TARGET, Course.STOP} or structure.rules is None:
            return True
        entry = sum(
            (leg.ratio * p.avg_entry_price for p, leg in zip(positions, structure.legs, strict=True) if p), ZERO
        )
        price = self._net(structure, at_mid=structure.course is Course.STOP)
        if price is None or not entry:
            return False
        gain = (price - entry) / abs(entry)
        target, stop = structure.rules.take_profit, structure.rules.stop_loss
        if structure.course is Course.TARGET:
            return target is not None and gain >= target.value
        return stop is not None and gain <= -stop.value

    def _net(self, structure: PlannedStructure, *, at_mid: bool) -> Decimal | None:
        """What one unit is worth: at the mid of each leg, or at the side at which it can be closed at once."""
        total = ZERO
        for leg in structure.legs:
            quote = self.exchange.quote(leg.symbol)
            if quote is None:
                return None
            price = quote.mid if at_mid else quote.bid if leg.is_long else quote.ask
            if price is None:
                return None
            total += leg.ratio * price
        return total

    def _violated(self, invariant: str, text: str) -> None:
        self.findings.add(invariant, self.exchange.now, text)
