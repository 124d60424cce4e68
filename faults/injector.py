"""Injects a day's faults: switches them on and off at the exchange, and causes those of the host itself."""

import datetime as dt
import random
import sqlite3
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import ROUND_UP, Decimal
from typing import TypeVar

from faults.catalogue import Timing
from faults.checkers import ExchangeChecker, is_ours
from faults.draws import CLOCK_OUTAGE, WRONG_CLOCK
from faults.generate import PEAK_DURATION, Day, HumanAction, PlannedFault, PlannedPosition, Role
from faults.intents import JOURNAL, away_from
from faults.loop import LoopClock
from faults.process_run import ProcessRun
from faults.remembered import put_another_account, remember_feeds, remember_increments
from faults.steps import Steps
from faults.structure_trades import StructureTrades
from sellctl.core.structures.names import name_since
from sellctl.service.state_folder import StateFolder
from sellctl.sim.market.assets import asset_of
from sellctl.sim.scenario.events import inject_fault, manual_cancel, manual_order, transfer
from sellctl.sim.venue.accounts import SimAccount
from sellctl.sim.venue.exchange import Exchange
from sellctl.sim.venue.orders import SimEvent, SimPosition
from sellctl.sim.ws.hub import TRADING_PATH

T = TypeVar("T")

OCCASION_WITHIN = dt.timedelta(
    minutes=10
)  # running time within which a fault has an occasion: an order or a streamed quote
SURE_OCCASION = 3  # orders while H21 lasts; another fault may meet one or two of them first
MOST_KILLS = 12
RELEASE_INTERVAL = dt.timedelta(minutes=7)
EXTENSION = dt.timedelta(minutes=3)
SOON = dt.timedelta(seconds=1)
_JOURNAL_FILES = f"{JOURNAL}*"
_DISK_ERRORS = {
    "D01": "database is locked",
    "D02": "database or disk is full",
    "D03": "disk I/O error",
    "D04": "attempt to write a readonly database",
    "D05": "database disk image is malformed",
}


@dataclass(slots=True)
class FaultInjector:
    """The faults of one day.

    `process` returns the running process; `changed_by_others` are the symbols that somebody else traded or changed.
    """

    day: Day
    exchange: Exchange
    account: SimAccount
    steps: Steps
    clock: LoopClock
    checker: ExchangeChecker
    process: Callable[[], ProcessRun | None]
    fired: Counter[str] = field(default_factory=Counter)
    changed_by_others: set[str] = field(default_factory=set)
    recovered: bool = False
    suspensions: list[tuple[dt.datetime, dt.datetime]] = field(default_factory=list)
    clock_outages: list[tuple[dt.datetime, dt.datetime]] = field(default_factory=list)
    outdated: set[str] = field(default_factory=set)  # underlyings whose increment is remembered from an earlier day
    another_account_since: dt.datetime | None = None
    requests_accepted: list[tuple[dt.datetime, str]] = field(default_factory=list)  # what people asked for (O21)
    _next_account: bool = False
    _disk: dict[str, float] = field(default_factory=dict)
    _wrote: bool = False
    trades: StructureTrades = field(init=False)
    _rng: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._rng = random.Random(self.day.seed + 1)  # noqa: S311  a bench's seed, not a secret
        self.trades = StructureTrades(
            self.day, self.exchange, self.account, self.checker, self.changed_by_others, lambda: self.recovered
        )

    def plan(self) -> None:
        """Schedule everything on the exchange's timeline."""
        self.trades.plan()
        self.account.last_equity = self.account.equity(self.exchange.quote)
        for planned in self.day.faults:
            self.exchange.at(planned.at, _scheduled(self._begin, planned))
        for action in self.day.human_actions:
            self.exchange.at(action.at, _scheduled(self._act, action))
        at = self.day.begins_at
        while (at := at + RELEASE_INTERVAL) < self.day.recovers_at:
            self.exchange.at(at, lambda _exchange: self._release_stuck_orders())
        self.exchange.at(self.day.recovers_at, lambda _exchange: self.recover())

    # --- the faults ---------------------------------------------------------------------------------------------------

    def _begin(self, planned: PlannedFault) -> None:
        name, how = planned.fault.name, planned.fault.timing
        if how in {Timing.RATE, Timing.WHILE, Timing.SPACED}:
            self.exchange.inject(name, rate=planned.rate, times=planned.times, **planned.options)
            if how is Timing.WHILE:
                self.exchange.at(planned.until, lambda _exchange: self._end(planned))
        elif how is Timing.AT_ORDER:
            self.exchange.listeners.append(lambda event: self._at_order(event, planned))
        else:
            _BENCH_FAULTS[name](self, planned)

    def _end(self, planned: PlannedFault) -> None:
        """End a fault once it has occurred; the program may have been suspended since it began."""
        if self.exchange.faults.fired[planned.fault.name] or self.recovered:
            self.exchange.clear_faults(planned.fault.name)
        else:
            self.exchange.at(self.exchange.now + EXTENSION, lambda _exchange: self._end(planned))

    def _at_order(self, event: SimEvent, planned: PlannedFault) -> None:
        """Inject the fault for the first order of ours, and with a probability for every other one."""
        if self.recovered or event.kind != "new" or event.order is None:
            return
        order = self.account.orders[event.order["id"]]
        name = planned.fault.name
        if is_ours(order) and not order.legs and (not self.fired[name] or self._rng.random() < planned.rate):
            self.fired[name] += 1
            self._mark_changed(order.symbol)
            self.exchange.at(self.exchange.now + SOON, inject_fault({"name": name, "symbol": order.symbol}))

    def _skew(self, planned: PlannedFault) -> None:
        self.fired[planned.fault.name] += 1
        self.clock.skew = dt.timedelta(seconds=self._rng.choice((-600, 600, 7200)))

    def _suspend(self, planned: PlannedFault) -> None:
        """The host (T07) or the process (P03) is suspended, except in the last hour for options that expire today."""
        process, most = self.process(), 3 * 3600 if planned.fault.name == "T07" else self._rng.choice((30, 600))
        latest = self.day.closes - dt.timedelta(minutes=72)
        seconds = min(most, (latest - self.exchange.now).total_seconds())
        if process and seconds > 0:
            suspended = (self.exchange.now, self.exchange.now + dt.timedelta(seconds=seconds))
            self.suspensions.append(suspended)
            self.changed_by_others |= {
                position.symbol
                for position in self.day.positions_with(Role.TRAILING)
                if _misses_peak(position, *suspended)
            }
            process.suspend(seconds)
        self.fired[planned.fault.name] += 1

    def _terminate(self, planned: PlannedFault) -> None:
        process = self.process()
        self.fired[planned.fault.name] += 1
        if process:
            process.stop()

    def _kill(self, planned: PlannedFault) -> None:
        self.steps.rate = min(planned.rate, 0.03)
        self.steps.kill_at_total = self.steps.total + self._rng.randint(5, 120)

    def _break_disk(self, planned: PlannedFault) -> None:
        self._disk[planned.fault.name] = planned.rate

    def _move_journal(self, planned: PlannedFault) -> None:
        """Move the journal's files away from a running process, and back some minutes later."""
        folder = self.checker.folders[0]
        away = away_from(folder)
        away.mkdir(exist_ok=True)
        for path in folder.glob(_JOURNAL_FILES):
            path.rename(away / path.name)
        self.fired["D06"] += 1
        self.exchange.at(planned.until, lambda _exchange: self.restore_journal())

    def restore_journal(self) -> None:
        """Move the journal's files back, as an operator would before a new process starts."""
        folder = self.checker.folders[0]
        for path in away_from(folder).glob(_JOURNAL_FILES):
            path.rename(folder / path.name)

    def _block(self, planned: PlannedFault) -> None:
        self.account.trading_blocked = True
        self.fired["A04"] += 1
        self.exchange.at(planned.until, lambda _exchange: self._unblock())

    def _unblock(self) -> None:
        self.account.trading_blocked = False

    def _halt(self, planned: PlannedFault) -> None:
        """An operator halts and, some minutes later, resumes (K1)."""
        state = StateFolder(self.checker.folders[0])
        state.halt("set by the bench", "an operator")
        self.checker.halted_at = self.exchange.now
        self.fired["K01"] += 1
        self.exchange.at(planned.until, lambda _exchange: self._resume(state))

    def _resume(self, state: StateFolder) -> None:
        self.checker.halted_at = None
        state.resume()

    def _replay(self, planned: PlannedFault) -> None:
        """Disconnect the order updates, and replay earlier ones after the reconnect (W06)."""
        self.exchange.inject("W06", times=1, **planned.options)
        self.exchange.inject("W01", times=1, path=TRADING_PATH)

    def _gap(self, planned: PlannedFault) -> None:
        """Refuse stream connections for some time (W12)."""
        self.exchange.inject("W12", times=1, **planned.options)

    def _transfer(self, planned: PlannedFault) -> None:
        """Transfer money (A07). The account's result of the day, without it, stays far below the guard's limits."""
        transfer(self.account.name, Decimal(planned.options["amount"]))(self.exchange)
        if not planned.options["known"]:
            self.account.transfers = None
        self.fired["A07"] += 1

    def _foreign_symbol(self, planned: PlannedFault) -> None:
        """A position with a foreign text as its symbol appears (A11); its price stays at its entry."""
        symbol = planned.options["symbol"]
        if symbol == "structure":
            short, long = self.day.positions_with(Role.SHORT_LEG, Role.COVERING_LEG)
            symbol = name_since(f"{short.symbol}+{long.symbol}")
        self.account.positions[symbol] = SimPosition(symbol, Decimal(7), Decimal(30))
        self.exchange.set_quote(symbol, Decimal("29.99"), Decimal("30.01"))
        self.checker.must_stay |= {symbol}
        self.fired["A11"] += 1

    def _add_to_armed(self, planned: PlannedFault) -> None:
        """A person adds to the armed position (O16), which is not sold until its price falls, and is then (D7)."""
        position = self.day.positions_with(Role.TRAILING)[0]
        symbol, held = position.symbol, self.account.qty_of(position.symbol)
        self.fired["O16"] += 1
        if not held:
            return
        qty = (held * Decimal(planned.options["share"])).to_integral_value(ROUND_UP)
        body = {"symbol": symbol, "side": "buy", "qty": str(qty), "time_in_force": "day", "type": "market"}
        manual_order(self.account.name, body)(self.exchange)
        if symbol not in {action.symbol for action in self.day.human_actions}:
            self.checker.must_stay |= {symbol}
            self.exchange.at(planned.until, lambda _exchange: self._may_leave(symbol))

    def _may_leave(self, symbol: str) -> None:
        self.checker.must_stay -= {symbol}

    def _lower_level(self, _planned: PlannedFault) -> None:
        """Multi-leg orders are above the account's options level from now on (A13)."""
        self.account.configuration["max_options_trading_level"] = 2
        self.fired["A13"] += 1

    def _refuse_multi_leg(self, planned: PlannedFault) -> None:
        """Multi-leg orders are refused from now on, also after the recovery: they are refused for good (O18)."""
        self.exchange.inject("O18", times=None, **planned.options)

    def _close_a_leg(self, planned: PlannedFault) -> None:
        self.trades.close_a_leg(planned)

    def _meet_orders(self, _planned: PlannedFault) -> None:
        """Each order meets its fault when it arrives (O20)."""

    def _people_ask(self, _planned: PlannedFault) -> None:
        """They begin with the first process (O21)."""

    def _change_increments(self, planned: PlannedFault) -> None:
        """The remembered price increments are wrong (O17)."""
        age, folder = planned.options["age_in_days"], self.checker.folders[0]
        names = remember_increments(folder, self.account.positions, self.exchange.now, age_in_days=age)
        self.outdated |= names if age else set()
        self.fired["O17"] += 1

    def _change_feeds(self, planned: PlannedFault) -> None:
        """The remembered feeds are not those that the key is granted (H22)."""
        best = planned.options["best"]
        self.account.sip = self.account.opra = not best
        remember_feeds(self.checker.folders[0], self.account.key, self.exchange.now, best=best)
        self.fired["H22"] += 1

    def _change_account(self, planned: PlannedFault) -> None:
        """An order of ours gets no answer; then the process ends, and another account is behind the key (A12)."""
        before = self.exchange.faults.fired["H01"]
        self.exchange.inject("H01", method="POST", path="/v2/orders", times=1)
        self._end_process_after(planned, before)

    def _end_process_after(self, planned: PlannedFault, before: int) -> None:
        now, process = self.exchange.now, self.process()
        if now < planned.until and not self.recovered and self.exchange.faults.fired["H01"] == before:
            self.exchange.at(now + SOON, lambda _exchange: self._end_process_after(planned, before))
            return
        self._next_account = True
        self.fired["A12"] += 1
        if process:
            process.stop()

    def between_processes(self) -> None:
        """Put another account behind the key if the process ended for that. Its peaks start anew."""
        self.restore_journal()
        if self._next_account:
            self._next_account, self.another_account_since = False, self.exchange.now
            put_another_account(self.account, self.exchange.now)
            self.changed_by_others |= {position.symbol for position in self.day.positions_with(Role.TRAILING)}
            self.changed_by_others |= {symbol for each in self.day.structures if each.peak for symbol in each.symbols}

    def _stop_clock(self, planned: PlannedFault) -> None:
        """The clock can't be read for some time (T11)."""
        self.exchange.inject(WRONG_CLOCK, down=True, path="/v2/clock")
        self.clock_outages.append((planned.at, planned.until))
        self.fired[planned.fault.name] += 1
        self.exchange.at(planned.until, lambda exchange: exchange.clear_faults(WRONG_CLOCK))

    def _no_entry(self, _planned: PlannedFault) -> None:
        symbol = self._rng.choice(sorted(self.account.positions))
        self.account.positions[symbol].avg_entry_price = Decimal(0)
        self._mark_changed(symbol)
        self.fired["A08"] += 1

    def _mark_changed(self, symbol: str) -> None:
        """Record that somebody else changed a symbol, and with it the other positions of its underlying."""
        underlying, held = asset_of(symbol).underlying, [position.symbol for position in self.day.positions]
        held += [leg.symbol for structure in self.day.structures for leg in structure.legs]
        self.changed_by_others |= {each for each in held if asset_of(each).underlying == underlying}

    def step(self, name: str) -> None:
        """Called at every named step of the program: the disk may fail, the process may be killed."""
        if name == "journal.written" and not self.recovered:
            self._wrote = True
            for fault, rate in self._disk.items():
                if not self.fired[fault] or self._rng.random() < rate:
                    self.fired[fault] += 1
                    raise sqlite3.OperationalError(_DISK_ERRORS[fault])
        if self.steps.kills >= MOST_KILLS or self.recovered:
            self.steps.rate = 0.0
        self.steps(name)

    def recover(self) -> None:
        """End all faults: the liveness phase begins."""
        self.recovered = True
        self.restore_journal()
        self.exchange.clear_faults()
        if refused := self.day.planned("O18"):
            self._refuse_multi_leg(refused)
        self._unblock()
        self._release_stuck_orders()

    def _release_stuck_orders(self) -> None:
        """Let stuck orders at the broker continue; hours of the same state would only repeat the same polls."""
        self.exchange.stuck.clear()
        for order in list(self.account.open_orders.values()):
            order.visible_at = None
            if order.status == "pending_cancel":
                order.cancel_done_at = self.exchange.now
            elif order.status in {"held", "suspended", "stopped", "calculated", "done_for_day"}:
                order.set_status("new", self.exchange.now)

    @property
    def all_fired(self) -> Counter[str]:
        """How often each fault occurred."""
        theirs = Counter({p.fault.name: self.exchange.faults.fired[p.fault.name] for p in self.day.faults})
        others = {"O19": self.trades.closed_a_leg, "O20": self.trades.met, "O21": len(self.requests_accepted)}
        return +(theirs + self.fired + Counter(others) + Counter({"P01": self.steps.kills}))

    @property
    def unfired(self) -> tuple[str, ...]:
        """The faults that were drawn and never occurred although there was an occasion, such as a cancel or a write."""
        cancels = [o.cancel_requested_at for o in self.account.orders.values() if o.cancel_requested_at]
        no_occasion = set() if any(at < self.day.recovers_at for at in cancels) else {"H19", "O04"}
        no_occasion |= set() if self._wrote else set(_DISK_ERRORS)
        if any(is_ours(o) and o.created_at < self.day.recovers_at for o in self.account.orders.values()):
            # All of them were held, as by O06: the first that becomes new meets every such fault.
            no_occasion |= {p.fault.name for p in self.day.faults if p.fault.timing is Timing.AT_ORDER}
        no_occasion |= {p.fault.name for p in self.day.faults if self._running_since(p.at) < OCCASION_WITHIN}
        refusing = self.day.planned("H21")
        if refusing and sum(refusing.at < at < refusing.until for at in self.checker.arrivals) < SURE_OCCASION:
            no_occasion.add("H21")
        refused = self.day.planned("O18")
        if refused and not any(at > refused.at for at in self.checker.multi_leg_arrivals):
            no_occasion.add("O18")
        if self.all_fired["A13"] or self.all_fired["H21"]:
            no_occasion.add("O18")  # after another refusal none is sent any more
        no_occasion |= {"O19", "O20"}  # without an order that closes the structure, nothing happens to it
        no_occasion.add("O21")  # they may be refused each time, as long as the account can't be read
        held = self.account.positions.keys()
        no_occasion |= {p.fault.name for p in self.day.faults if p.options.get("symbol") not in {None, *held}}
        return tuple(sorted({p.fault.name for p in self.day.faults} - set(self.all_fired) - no_occasion))

    def _running_since(self, at: dt.datetime) -> dt.timedelta:
        """How long the program was running from an instant until all faults ended."""
        recovers_at = self.day.recovers_at
        suspended = ((max(since, at), min(until, recovers_at)) for since, until in self.suspensions)
        return recovers_at - at - sum((until - since for since, until in suspended if since < until), dt.timedelta(0))

    # --- manual trades -----------------------------------------------------------------------------------------------

    def _act(self, action: HumanAction) -> None:
        held = self.account.qty_of(action.symbol)
        self.fired["O10"] += 1
        if not held:
            return
        self._mark_changed(action.symbol)
        if action.what == "cancel":
            manual_cancel(self.account.name, "", action.symbol)(self.exchange)
            return
        manual_order(self.account.name, self._body(action, held))(self.exchange)

    def _body(self, action: HumanAction, held: Decimal) -> dict[str, str]:
        closing = "sell" if held > 0 else "buy"
        opening = "buy" if held > 0 else "sell"
        share = Decimal(1) if action.what == "close" else action.share
        qty = (abs(held) * share).to_integral_value(ROUND_UP)
        side = opening if action.what == "buy" else closing
        body = {"symbol": action.symbol, "side": side, "qty": str(qty), "time_in_force": "day", "type": "market"}
        quote = self.exchange.quote(action.symbol)
        if action.what == "bid" and quote:
            near = quote.mid * (Decimal("0.5") if opening == "buy" else 2)
            return {**body, "side": opening, "type": "limit", "limit_price": str(near.quantize(Decimal("0.1")))}
        if action.what == "rest" and quote:
            far = quote.mid * (3 if closing == "sell" else Decimal("0.3"))
            body |= {"type": "limit", "limit_price": str(far.quantize(Decimal("0.1")))}
        return body


def _misses_peak(position: PlannedPosition, since: dt.datetime, until: dt.datetime) -> bool:
    """Whether a program that is suspended in this time may miss a position's peak."""
    return position.due_at is not None and since < position.due_at and until > position.due_at - PEAK_DURATION


def _scheduled(action: Callable[[T], None], argument: T) -> Callable[[Exchange], None]:
    """The action as a callback of the exchange's timeline."""
    return lambda _exchange: action(argument)


_BENCH_FAULTS: dict[str, Callable[[FaultInjector, PlannedFault], None]] = {
    "T01": FaultInjector._skew,  # noqa: SLF001  the table of its own methods
    "T02": FaultInjector._skew,  # noqa: SLF001  likewise
    "T07": FaultInjector._suspend,  # noqa: SLF001  likewise
    "P01": FaultInjector._kill,  # noqa: SLF001  likewise
    "P02": FaultInjector._terminate,  # noqa: SLF001  likewise
    "P03": FaultInjector._suspend,  # noqa: SLF001  likewise
    "D01": FaultInjector._break_disk,  # noqa: SLF001  likewise
    "D02": FaultInjector._break_disk,  # noqa: SLF001  likewise
    "D03": FaultInjector._break_disk,  # noqa: SLF001  likewise
    "D04": FaultInjector._break_disk,  # noqa: SLF001  likewise
    "D05": FaultInjector._break_disk,  # noqa: SLF001  likewise
    "D06": FaultInjector._move_journal,  # noqa: SLF001  likewise
    "A04": FaultInjector._block,  # noqa: SLF001  likewise
    "K01": FaultInjector._halt,  # noqa: SLF001  likewise
    "W06": FaultInjector._replay,  # noqa: SLF001  likewise
    "W12": FaultInjector._gap,  # noqa: SLF001  likewise
    "A08": FaultInjector._no_entry,  # noqa: SLF001  likewise
    "A07": FaultInjector._transfer,  # noqa: SLF001  likewise
    "A11": FaultInjector._foreign_symbol,  # noqa: SLF001  likewise
    "O16": FaultInjector._add_to_armed,  # noqa: SLF001  likewise
    "O17": FaultInjector._change_increments,  # noqa: SLF001  likewise
    "H22": FaultInjector._change_feeds,  # noqa: SLF001  likewise
    "A12": FaultInjector._change_account,  # noqa: SLF001  likewise
    "A13": FaultInjector._lower_level,  # noqa: SLF001  likewise
    "O18": FaultInjector._refuse_multi_leg,  # noqa: SLF001  likewise
    "O19": FaultInjector._close_a_leg,  # noqa: SLF001  likewise
    "O20": FaultInjector._meet_orders,  # noqa: SLF001  likewise
    "O21": FaultInjector._people_ask,  # noqa: SLF001  likewise
    CLOCK_OUTAGE: FaultInjector._stop_clock,  # noqa: SLF001  likewise
}
