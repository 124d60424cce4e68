"""Checks what follows from what people ask of the running program: D10, S9, and that a stop set by hand is heeded."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from pathlib import Path

from faults.checkers import ZERO, ExchangeChecker, is_backstop, is_ours, parts
from faults.findings import Findings
from faults.generate import IDLE_INTERVAL, MINUTE, SECOND, Day
from faults.injector import FaultInjector
from faults.intents import REST_OF_A_REQUEST, reason_of
from faults.liveness import RETRY, LivenessChecker
from faults.loop import seconds
from faults.network import Network
from faults.people import Asked, People
from faults.people_draws import Effect
from sellctl.bootstrap import Runtime
from sellctl.core.model.plan import Reason
from sellctl.core.model.position import Override
from sellctl.core.model.snapshot import Snapshot
from sellctl.sim.venue.accounts import SimAccount
from sellctl.sim.venue.exchange import Exchange
from sellctl.sim.venue.orders import SimEvent, SimOrder

SENT_WITHIN = 20 * SECOND  # an order that was decided before a rule was replaced is sent by then
ENDED_WITHIN = RETRY + IDLE_INTERVAL  # after the end of what was set its exit works: nobody polls at once for that
NEAR_ITS_END = 5 * SECOND


@dataclass(slots=True)
class PeopleChecker:
    """Checks the requests of one day. `folder` is the program's state folder."""

    day: Day
    exchange: Exchange
    account: SimAccount
    findings: Findings
    folder: Path
    people: People
    checker: ExchangeChecker
    injector: FaultInjector
    liveness: LivenessChecker
    network: Network
    changed: set[str]
    _reasons: dict[str, str] = field(default_factory=dict)  # by client order id

    def listen(self) -> None:
        """Subscribe to the exchange's events."""
        self.people.closed_by_request = self._closed_by_request
        self.exchange.listeners.append(self._on_event)

    # --- at the exchange ----------------------------------------------------------------------------------------------

    def _on_event(self, event: SimEvent) -> None:
        order = self.account.orders.get(event.order["id"]) if event.order else None
        if order is None:
            return
        concerned = [each for each in self.people.asked.values() if not each.errand.symbols.isdisjoint(order.symbols)]
        for asked in concerned:
            if is_ours(order) and not is_backstop(order) and event.kind in {"new", "fill", "partial_fill"}:
                self._check_order(asked, order)
            if any(not self.account.qty_of(symbol) for symbol in asked.errand.symbols):
                asked.gone = asked.gone or asked.was_set or bool(asked.parts)

    def _check_order(self, asked: Asked, order: SimOrder) -> None:
        reason = self._reason(order)
        self._s9(asked, order, reason)
        if self._is_excused(asked):
            return
        is_other = asked.errand.effect is Effect.PART and bool(asked.parts) and reason not in _reasons_of(asked)
        if is_other and not any(map(self.checker.is_far_from_market, parts(order))):
            self._violated("must-not-fire", f"{asked.errand.name} was closed for {reason}, and only a part was asked")
        set_now = self.people.set_on(asked.errand.name)
        if set_now is None or reason != asked.errand.reason or not _is_in_force(set_now, self.exchange.now):
            return
        first = next((e.at for e in self.network.log if e.client_order_id == order.client_order_id), None)
        if first is not None and asked.since is not None and first > asked.since + SENT_WITHIN:
            self._violated("D10", f"{asked.errand.name} was sent for {reason}, which {set_now.text} replaces")

    def _s9(self, asked: Asked, order: SimOrder, reason: str) -> None:
        """S9: of each symbol no more is filled by request than was asked."""
        if reason not in _reasons_of(asked):
            return
        for symbol in {part.symbol for part in parts(order)} & asked.errand.symbols:
            filled = self._filled_by_request(asked, symbol)
            if filled > asked.parts.get(symbol, ZERO):
                self._violated("S9", f"{filled} of {symbol} closed, {asked.parts.get(symbol, ZERO)} were asked")

    def _filled_by_request(self, asked: Asked, symbol: str) -> Decimal:
        """How much of a symbol is closed by the last request."""
        return self._closed_by_request(asked, symbol) - asked.closed_before.get(symbol, ZERO)

    def _closed_by_request(self, asked: Asked, symbol: str) -> Decimal:
        ours = (order for order in self.account.orders.values() if is_ours(order) and symbol in order.symbols)
        by_request = (order for order in ours if self._reason(order) in _reasons_of(asked))
        return sum((part.filled_qty for order in by_request for part in parts(order) if part.symbol == symbol), ZERO)

    def _reason(self, order: SimOrder) -> str:
        """Why we sent an order, by the journal; "" while it can't be read."""
        known = self._reasons.get(order.client_order_id, "")
        if not known:
            known = self._reasons[order.client_order_id] = reason_of(self.folder, order.client_order_id)
        return known

    # --- after every poll ---------------------------------------------------------------------------------------------

    def after_poll(self, runtime: Runtime) -> None:
        """D10: what was set is there, with its rules, until its end, also after a restart."""
        state = runtime.scheduler.watchers[0].state if self.people.asked else None
        snapshot = state.snapshot if state else None
        if state is None or snapshot is None or state.polled_at is None or state.problem is not None:
            return
        for name, asked in self.people.asked.items():
            if (
                asked.is_certain
                and asked.since
                and state.polled_at > seconds(asked.since)
                and not self._is_excused(asked)
            ):
                self._is_set(name, asked.override, snapshot)

    def _is_set(self, name: str, expected: Override | None, snapshot: Snapshot) -> None:
        found = next((each.state for each in snapshot.holdings if each.symbol == name), snapshot.structures.get(name))
        now = snapshot.market.now
        if found is None or (expected and expected.until and abs(now - expected.until) < NEAR_ITS_END):
            return
        wanted = expected if expected and _is_in_force(expected, now) else None
        texts = [each.text if each else "nothing" for each in (wanted, found.override)]
        if texts[0] != texts[1]:
            self._violated("D10", f"{texts[0]} should be set for {name}, and {texts[1]} is")

    # --- at instants of the day ---------------------------------------------------------------------------------------

    def plan(self) -> None:
        """Schedule the checks on the exchange's timeline."""
        for asked in self.people.asked.values():
            first = asked.errand.steps[0].at
            if first is not None and asked.errand.effect in {Effect.FIRES, Effect.PART}:
                self._check_at(max(first, self.day.recovers_at) + RETRY, partial(self._is_heeded, asked))

    def at_the_end(self) -> None:
        """A stop that was set and passed has closed its position."""
        for asked in self.people.asked.values():
            if asked.errand.effect is Effect.FIRES and asked.since and asked.since + RETRY < self.day.closes:
                self._fires(asked, "must-fire", works=False)

    def _check_at(self, at: dt.datetime, check: Callable[[], None]) -> None:
        if at < self.day.closes - MINUTE:
            self.exchange.at(at, lambda _exchange: check())

    def _is_heeded(self, asked: Asked) -> None:
        """Once faults have stopped, what was asked for is done or on its way; if it was on record only now, later."""
        begun = asked.since or asked.accepted_at
        if begun is None:
            return
        if self.exchange.now < begun + RETRY:
            self._check_at(begun + RETRY, partial(self._is_heeded, asked))
        elif asked.errand.effect is Effect.FIRES:
            self._fires(asked, "R6", works=True)
        else:
            self._is_closed(asked)

    def _fires(self, asked: Asked, invariant: str, *, works: bool) -> None:
        name, quote = asked.errand.name, self.exchange.quote(asked.errand.name)
        held = self.account.positions.get(name)
        if held is None or quote is None or self._is_excused(asked) or (works and self._works(asked)):
            return
        self._violated(invariant, f"{name}: a stop set by hand is passed at {quote.mid}, and {held.qty} are held")

    def _is_closed(self, asked: Asked) -> None:
        """A part that was asked for without a limit; a process that ends forgets requests."""
        if asked.process != self.people.processes or asked.has_limit or self._is_excused(asked) or self._works(asked):
            return
        for symbol, wanted in asked.parts.items():
            if (filled := self._filled_by_request(asked, symbol)) < wanted:
                self._violated("R6", f"{wanted} of {symbol} were asked to be closed, {filled} are and no order works")

    def _works(self, asked: Asked) -> bool:
        ours = (order for order in self.account.open_orders.values() if is_ours(order) and not is_backstop(order))
        return any(not asked.errand.symbols.isdisjoint(order.symbols) for order in ours)

    def _is_excused(self, asked: Asked) -> bool:
        """Whether somebody else changed it, it was closed once, it was suspended, or it is another account now."""
        names = (asked.errand.name, *asked.errand.symbols)
        return (
            asked.gone
            or not self.changed.isdisjoint(asked.errand.symbols)
            or self.injector.another_account_since is not None
            or any(map(self.liveness.rejected_in_a_row, names))
        )

    def _violated(self, invariant: str, text: str) -> None:
        self.findings.add(invariant, self.exchange.now, text)


def _reasons_of(asked: Asked) -> frozenset[str]:
    """The reasons of the orders of a request. Where only a part is closed, what is left of a structure follows it."""
    is_part = asked.errand.effect is Effect.PART
    return frozenset({Reason.CLOSED_MANUALLY, REST_OF_A_REQUEST} if is_part else {Reason.CLOSED_MANUALLY})


def _is_in_force(override: Override, now: dt.datetime) -> bool:
    """Whether its time has not ended, without the program's own code."""
    return override.until is None or now < override.until
