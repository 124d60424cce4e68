"""Runs one market day: the exchange, the program's processes one after the other, the faults and all checkers."""

import datetime as dt
import random
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

from faults.checkers import ExchangeChecker, is_ours
from faults.draws import with_draws
from faults.evidence import EvidenceChecker
from faults.findings import Findings, Outcome
from faults.generate import DUE, MUST_STAY, Day, Role, generate_day
from faults.injector import FaultInjector
from faults.liveness import LivenessChecker
from faults.loop import LoopClock
from faults.network import Network
from faults.people import People
from faults.people_checks import ENDED_WITHIN, PeopleChecker
from faults.polls import PollChecker
from faults.process_run import Connections, ProcessRun
from faults.remembered import ANOTHER_NUMBER, check_another_account, check_feeds_tried, check_increments
from faults.steps import Steps
from faults.streams import Streams
from faults.structure_checks import StructureChecker
from faults.structure_draws import with_structures
from faults.structures import Entry
from faults.transport import through_adapter
from sellctl.bootstrap import Runtime
from sellctl.core.config.schema import (
    AccountConfig,
    AccountGuardConfig,
    AssetKind,
    Config,
    ExecutionConfig,
    LockStep,
    MatchConfig,
    Preempt,
    Pullback,
    RulesConfig,
    SellModuleConfig,
    StrategyConfig,
    StrategyOneConfig,
    Style,
    TrailingStopConfig,
)
from sellctl.core.decision.policy import compile_policy
from sellctl.core.model.gain import Amount
from sellctl.core.model.instrument import StructureKind
from sellctl.core.model.plan import SubmitOrder
from sellctl.core.ports import Broker
from sellctl.journal.head import read_head
from sellctl.sim.inprocess import SimBroker, SimQuotes
from sellctl.sim.market.market import Market
from sellctl.sim.market.price_paths import Path as PricePath
from sellctl.sim.venue.accounts import SimAccount
from sellctl.sim.venue.exchange import Exchange
from sellctl.sim.venue.orders import SimPosition

ACCOUNT = "main"
MOST_PROCESSES, MOST_VIOLATIONS = 60, 40  # a run is aborted beyond them
ConnectionsOf = Callable[[Exchange, EvidenceChecker], Connections]
_MEMORY = Path("/dev/shm")  # noqa: S108  a disk would only cost time here


def scratch() -> "tempfile.TemporaryDirectory[str]":
    """A temporary folder, in memory where possible: crashes here lose no written data, so no disk is needed."""
    return tempfile.TemporaryDirectory(prefix="sellctl-faults-", dir=_MEMORY if _MEMORY.is_dir() else None)


def in_process(exchange: Exchange, _evidence: EvidenceChecker) -> Connections:
    """Connections to the exchange without the adapter."""
    return lambda _facts: (_sim_brokers(exchange), SimQuotes(exchange))


def _sim_brokers(exchange: Exchange) -> dict[str, Broker]:
    """One broker per account; `ProbedBroker` adds the method `body`."""
    return {name: cast("Broker", SimBroker(exchange, name)) for name in exchange.accounts}


def exchange_of(day: Day) -> Exchange:
    """The exchange at the day's start."""
    positions = {
        position.symbol: SimPosition(position.symbol, position.qty, position.entry) for position in day.positions
    }
    legs = [(structure, leg) for structure in day.structures for leg in structure.legs]
    positions |= {
        leg.symbol: SimPosition(leg.symbol, structure.qty_of(leg), leg.entry)
        for structure, leg in legs
        if structure.entry is Entry.HELD
    }
    account = SimAccount(ACCOUNT, "key-main", "secret-main", "PA0001", positions=positions)
    paths = {position.symbol: PricePath(list(position.path)) for position in day.positions}
    market = Market(paths | {leg.symbol: PricePath(list(leg.path)) for _, leg in legs})
    return Exchange(day.begins_at, [account], market, day.settings)


# What follows the best price. A day on which a person adds to an armed position (O16) draws one; others have points.
RUNNERS = {
    "points": RulesConfig(trailing_stop=TrailingStopConfig(Pullback(Decimal("0.15")), Decimal("0.3"))),
    "percent": RulesConfig(
        trailing_stop=TrailingStopConfig(Pullback(Decimal("0.1"), of_price=True), Decimal("0.3")),
    ),
    "lock": RulesConfig(profit_lock=(LockStep(at=Decimal("0.3"), keep=Decimal("0.28")),)),
}
# Far above what the positions of a day can win or lose, and below what is transferred (A07).
GUARD = AccountGuardConfig(loss=Amount(Decimal("0.25")), profit=Amount(Decimal("0.25")))


def strategies_of(day: Day) -> tuple[StrategyConfig, ...]:
    """The strategies of that day besides strategy one."""
    addition = day.planned("O16")
    return (
        StrategyConfig(
            "verticals",
            match=MatchConfig(underlying=("GOOG",), structure=(StructureKind.VERTICAL,)),
            rules=RulesConfig(stop_loss=Amount(Decimal("0.5"))),
        ),
        StrategyConfig(
            "runners",
            match=MatchConfig(underlying=("NFLX", "CRM")),
            rules=RUNNERS[addition.options["rule"] if addition else "points"],
        ),
        *(each.strategy for each in day.structures if each.strategy),
    )


def config_of(day: Day) -> Config:
    """The program's configuration on that day."""
    return Config(
        sell_module=SellModuleConfig(
            strategy_one=StrategyOneConfig(applies_to=(AssetKind.OPTION, AssetKind.STOCK)),
            take_over=Preempt(day.take_over),
            account_guard=GUARD if day.planned("A07") else AccountGuardConfig(),
            strategies=strategies_of(day),
        ),
        execution=ExecutionConfig(style=Style(day.style), backstop=day.backstop),
        accounts={ACCOUNT: AccountConfig("key-main", "secret-main")},
    )


@dataclass(slots=True)
class Stage:
    """One day with its exchange, program, faults and checkers."""

    day: Day
    exchange: Exchange
    folder: Path
    findings: Findings
    steps: Steps
    injector: FaultInjector
    liveness: LivenessChecker
    evidence: EvidenceChecker
    network: Network
    polls: PollChecker
    structures: StructureChecker
    people: People
    requests: PeopleChecker
    clock: LoopClock
    connections: Connections
    streams: Streams | None = None
    now: ProcessRun | None = None
    once: bool = False
    processes: int = 0

    def play(self) -> None:
        """Run from the first poll until after the close, starting a new process after each end of one."""
        self.injector.plan()
        if not self.once:  # between two cron runs no target order works, by design
            self.liveness.plan()
            self.structures.plan()
            self.requests.plan()
        self.exchange.advance_to(self.exchange.now)
        while self.exchange.now < self.day.ends_at:
            self._run_process()
            self.injector.between_processes()
            self.evidence.check_intact()
            if len(self.findings.found) > MOST_VIOLATIONS or self.processes > MOST_PROCESSES:
                break
            self.exchange.advance_to(self._next_start())
        self.liveness.at_the_end()
        self.structures.at_the_end()
        self.requests.at_the_end()
        self.evidence.check_all(compile_policy(config_of(self.day), ACCOUNT), self.network.log)
        self._check_memory()

    def _check_memory(self) -> None:
        """A6, D8, D9: what was remembered and is wrong by now was noticed."""
        now = self.exchange.now
        if planned := self.day.planned("O17"):
            check_increments(planned, self.injector.outdated, self.day, self.network, self.findings)
        if (planned := self.day.planned("H22")) and self.streams is None:
            check_feeds_tried(planned, self.evidence, self.processes, now)
        if since := self.injector.another_account_since:
            told = [event for event in self.liveness.events if f"belongs to {ANOTHER_NUMBER} now" in event.sentence]
            check_another_account(since, len(told) if not self.steps.kills else 1, self.network, self.findings)

    def _next_start(self) -> dt.datetime:
        """A service manager restarts after two seconds, cron at the next minute."""
        soon = self.exchange.now + dt.timedelta(seconds=2)
        return soon + dt.timedelta(seconds=60 - soon.second) if self.once else soon

    def _after_poll(self, runtime: Runtime) -> None:
        self.polls.after_poll(runtime)
        self.requests.after_poll(runtime)

    def _polling_interval(self, now: dt.datetime) -> tuple[dt.timedelta, dt.datetime]:
        return self.day.interval_at(now, self.network.polls)

    def _run_process(self) -> None:
        self.processes += 1
        self.network.process = self.processes
        self.injector.restore_journal()  # it may have been moved while no process was running
        self.steps.restart()
        process = self.now = ProcessRun(
            self.exchange, self.folder, config_of(self.day), self.connections, self.clock, self.network,
            self.injector.step, self.liveness.on_event, self._polling_interval, self.once, self.streams,
            after_poll=self._after_poll, people=self.people.ask if self.people.asked else None,
        )  # fmt: skip
        try:
            process.run(self.day.ends_at)
        except Exception as error:  # noqa: BLE001  whatever ends the program is a finding
            where = traceback.extract_tb(error.__traceback__)[-1]
            text = f"the watcher failed: {type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"
            self.findings.add("R7", self.exchange.now, text)
            process.close()


def a_stage(day: Day, folder: Path, connections_of: ConnectionsOf = in_process, *, once: bool = False) -> Stage:
    """Set a day up without starting it; `once`: run-once every minute instead of one watch."""
    exchange = exchange_of(day)
    account = exchange.accounts[ACCOUNT]
    findings, steps, clock = Findings(), Steps(rng=_rng(day.seed + 2)), LoopClock(exchange)
    must_stay = frozenset(position.symbol for position in day.positions_with(*MUST_STAY))
    must_stay -= {action.symbol for action in day.human_actions} | _changed_pair(day)
    names = {structure.symbols: structure.name for structure in day.structures}
    checker = ExchangeChecker(exchange, findings, (folder,), must_stay, names)
    checker.listen()
    evidence = EvidenceChecker(exchange, findings, (folder,))
    stage: Stage
    injector = FaultInjector(day, exchange, account, steps, clock, checker, lambda: stage.now)

    def arrives(name: str, order: SubmitOrder) -> None:
        checker.arrives(name, order)
        injector.trades.order_arrives(order)

    network = Network(clock, injector.step, day.latency, _rng(day.seed + 3).random, arrives, checker.cancels)
    polls = PollChecker(exchange, findings, network, injector.clock_outages)
    people = People(day, exchange, account, findings, clock, checker, injector.requests_accepted)
    liveness = LivenessChecker(
        day, exchange, account, findings, injector.changed_by_others, network.clock_reads, polls.decided_at,
        kept=lambda name: people.may_keep(name, ENDED_WITHIN),
    )  # fmt: skip
    requests = PeopleChecker(
        day, exchange, account, findings, folder, people, checker, injector, liveness, network,
        injector.changed_by_others,
    )  # fmt: skip
    people.listen()
    requests.listen()
    stage = Stage(
        day=day,
        exchange=exchange,
        folder=folder,
        findings=findings,
        steps=steps,
        injector=injector,
        liveness=liveness,
        evidence=evidence,
        network=network,
        polls=polls,
        structures=StructureChecker(day, exchange, account, findings, injector.trades, liveness, polls.decided_at),
        people=people,
        requests=requests,
        clock=clock,
        connections=connections_of(exchange, evidence),
        streams=Streams(exchange, clock, day.seed + 6) if day.streams and not once else None,
        once=once,
    )
    return stage


def _changed_pair(day: Day) -> set[str]:
    """The symbols of a covered short and its cover, when one of them is traded manually."""
    pair = {position.symbol for position in day.positions_with(Role.COVERED, Role.COVERING)}
    return pair if any(action.symbol in pair for action in day.human_actions) else set()


def _rng(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311  a bench's seed, not a secret


def play(
    seed: int,
    families: Sequence[str] | None = None,
    *,
    adapter: bool = False,
    report: Callable[[str], None] | None = None,
) -> Outcome:
    """Run the day of a seed, directly or through the adapter; `report` receives one line per event of the day."""
    started = time.perf_counter()
    day = with_structures(generate_day(seed, families, adapter=adapter))
    day = with_draws(day, families, adapter=adapter)
    with scratch() as name:
        stage = a_stage(day, Path(name) / "state", through_adapter if adapter else in_process)
        stage.play()
        if report:
            print_events(stage, report)
        return _outcome(stage, time.perf_counter() - started)


def _outcome(stage: Stage, seconds: float) -> Outcome:
    day, fired = stage.day, stage.injector.all_fired
    head = read_head(stage.folder / "journal.sqlite")
    return Outcome(
        seed=day.seed,
        polls=stage.network.polls,
        exits=_exits(stage),
        orders=sum(map(is_ours, stage.exchange.accounts[ACCOUNT].orders.values())),
        processes=stage.processes,
        faults=fired,
        unfired=stage.injector.unfired,
        violations=tuple(stage.findings.found),
        head=f"{head.link.seq}:{head.link.hash}" if head else "",
        seconds=seconds,
    )


def print_events(stage: Stage, report: Callable[[str], None]) -> None:
    """Report in order of time: planned faults, manual trades, exchange events, requests, messages to the user."""
    lines = [
        (p.at, f"plan  {p.fault.name} ({p.fault.text}) rate {p.rate} until {p.until:%H:%M:%S} {p.options}")
        for p in stage.day.faults
    ]
    lines += [(d.at, f"human {d.what} {d.symbol} {d.share}") for d in stage.day.human_actions]
    lines += [
        (position.due_at, f"due   {position.symbol} {position.qty} ({position.role})")
        for position in stage.day.positions
        if position.due_at
    ]
    lines += [
        (each.due_at or each.enters_at or stage.day.begins_at, f"due   {each.units} {each.name} ({each.course})")
        for each in stage.day.structures
    ]
    lines += [(e.at, f"venue {e.kind} {_order_description(e.order)}") for e in stage.exchange.events]
    lines += [(s.at, f"sent  {s.what} {s.client_order_id[-6:]} {s.answer}") for s in stage.network.log]
    lines += [(e.at, f"event {e.severity} {e.sentence}") for e in stage.liveness.events]
    lines += [(at, f"asked {text}") for at, text in stage.people.done]
    lines += [(v.at, f"***   {v}") for v in stage.findings.found]
    lines += [(stage.day.recovers_at, "all faults end")]
    for at, text in sorted(lines, key=lambda line: line[0]):
        report(f"{at:%H:%M:%S.%f} {text}")


def _order_description(order: dict[str, Any] | None) -> str:
    if order is None:
        return ""
    keys = ("symbol", "side", "qty", "filled_qty", "limit_price", "status")
    legs = "".join(f" {leg['side']} {leg['ratio_qty']} {leg['symbol']}" for leg in order.get("legs") or ())
    return f"{' '.join(str(order[key]) for key in keys)}{legs} {order['client_order_id'][-6:]}"


def _exits(stage: Stage) -> int:
    """How many due positions and structures are closed."""
    account = stage.exchange.accounts[ACCOUNT]
    positions = sum(not account.qty_of(position.symbol) for position in stage.day.positions if position.role in DUE)
    return positions + stage.structures.exits
