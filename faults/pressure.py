"""Budget pressure: more exits at once than the request budget of a key can follow, and stops that fall in that time.

Some accounts sell targets by walks of several orders while stops fall one after the other. Nothing else goes wrong. The
requests pass through the adapter, whose budget counts them, in virtual time.
"""

import datetime as dt
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

from faults.checkers import ExchangeChecker
from faults.day import scratch
from faults.evidence import EvidenceChecker
from faults.findings import Findings, Violation
from faults.generate import HOUR, MINUTE, SECOND, occ
from faults.loop import LoopClock
from faults.network import LoggedRequest, Network
from faults.process_run import ProcessRun
from faults.steps import Steps
from faults.transport import through_adapter
from sellctl.core.config.schema import AccountConfig, Config
from sellctl.sim.market.market import Market
from sellctl.sim.market.price_paths import Fixed, Linear, level
from sellctl.sim.market.price_paths import Path as PricePath
from sellctl.sim.settings import Settings
from sellctl.sim.venue.accounts import SimAccount
from sellctl.sim.venue.exchange import Exchange
from sellctl.sim.venue.orders import SimPosition

BEGINS = dt.datetime(2026, 11, 24, 16, tzinfo=dt.UTC)  # 11:00 in New York
ENDS = BEGINS + 5 * MINUTE
EXPIRES = dt.date(2026, 12, 18)
STOP_WITHIN = dt.timedelta(seconds=10)  # from due to its first order: a poll, the confirming quote, and some to spare
STEP_WITHIN = dt.timedelta(seconds=20)  # from one order of a walk to the next, which is due after 6 s
WALKS = 8  # of one account; the requests of more at once don't fit into the budget, so that they take longer
BLIND_FOR = dt.timedelta(seconds=12)  # at most between two polls of an account, one of which may be late
MOST_PER_MINUTE = 180
FALL = 2 * SECOND
SPREAD = Decimal("0.10")


@dataclass(frozen=True, slots=True)
class PressurePlan:
    """How many accounts there are, and per account how many targets, stops and positions that stay.

    `targets_apart` and `stops_apart` are the seconds between two of a kind, and `stops_begin` those from the first
    target to the first stop. `interval` is the polling interval in seconds.
    """

    accounts: int
    targets: int
    stops: int
    staying: int
    targets_apart: float
    stops_begin: float
    stops_apart: float
    interval: int
    latency: float


@dataclass(frozen=True, slots=True)
class PlannedExit:
    """One exit: its account, its symbol and the instant at which its price has reached its rule."""

    account: str
    symbol: str
    due_at: dt.datetime
    is_stop: bool


@dataclass(frozen=True, slots=True)
class PressureRun:
    """The result of a seed: orders sent, the most requests of a key in a minute, and the slowest stop in seconds."""

    seed: int
    orders: int
    most_requests: int
    slowest: float
    violations: tuple[Violation, ...]


def plan_of(seed: int) -> PressurePlan:
    """One account with few or many exits, or many accounts with some each."""
    rng = random.Random(f"{seed} pressure")  # noqa: S311  a bench's seed, not a secret
    accounts, targets, staying = rng.choice(((1, 1, 0), (1, 8, 24), (1, 16, 8), (4, 6, 4), (10, 4, 0)))
    return PressurePlan(
        accounts=accounts,
        targets=targets,
        stops=rng.choice((2, 4, 8)) if accounts == 1 else 1,
        staying=staying,
        targets_apart=rng.choice((0.0, 0.25, 1.0)),
        stops_begin=rng.choice((5.0, 12.0, 20.0, 40.0)),
        stops_apart=rng.choice((0.5, 4.0)),
        interval=rng.choice((1, 5, 5)),
        latency=rng.choice((0.0, 0.1)),
    )


def play_pressure(seed: int) -> PressureRun:
    """Run one seed for five minutes."""
    plan = plan_of(seed)
    exits = tuple(_exits(plan))
    exchange, findings = _exchange(plan, exits, seed), Findings()
    with scratch() as name:
        folder = Path(name) / "state"
        checker = ExchangeChecker(exchange, findings, (folder,), frozenset(_staying(plan)))
        checker.listen()
        evidence = EvidenceChecker(exchange, findings, (folder,))
        network = _run(exchange, folder, plan, checker, evidence, random.Random(seed + 3))  # noqa: S311  likewise
        evidence.check_intact()
    most = max((len(window) for window in _minutes(evidence.requests)), default=0)
    if most > MOST_PER_MINUTE:
        findings.add("K3", exchange.now, f"{most} requests were sent with one key in a minute")
    for key, times in evidence.positions_asked.items():
        check_polls(key, times, findings)
    return PressureRun(
        seed=seed,
        orders=sum(entry.what == "sending" for entry in network.log),
        most_requests=most,
        slowest=check_exits(exits, network.log, findings, walks=plan.targets <= WALKS),
        violations=tuple(findings.found),
    )


# --- the accounts -----------------------------------------------------------------------------------------------------


def _names(plan: PressurePlan) -> list[str]:
    return [f"account{number}" for number in range(plan.accounts)]


def _exits(plan: PressurePlan) -> Iterable[PlannedExit]:
    """The targets of each account from a minute after the beginning on, and its stops."""
    begin = BEGINS + MINUTE
    for number, account in enumerate(_names(plan)):
        for index in range(plan.targets):
            symbol = occ("AAPL", EXPIRES, "C", 100 + 20 * number + index)
            yield PlannedExit(account, symbol, begin + index * plan.targets_apart * SECOND, is_stop=False)
        for index in range(plan.stops):
            falls = begin + (plan.stops_begin + (index + number) * plan.stops_apart) * SECOND
            yield PlannedExit(account, occ("NVDA", EXPIRES, "C", 100 + 20 * number + index), falls + FALL, is_stop=True)


def _staying(plan: PressurePlan) -> Iterable[str]:
    return (
        occ("MSFT", EXPIRES, "C", 100 + 40 * number + index)
        for number in range(plan.accounts)
        for index in range(plan.staying)
    )


def _exchange(plan: PressurePlan, exits: Sequence[PlannedExit], seed: int) -> Exchange:
    paths, held = {}, defaultdict[str, dict[str, SimPosition]](dict)
    for each in exits:
        entry, to = (Decimal(5), Decimal(3)) if each.is_stop else (Decimal(2), Decimal("2.40"))
        moves_at = each.due_at - FALL if each.is_stop else each.due_at - SECOND
        move = Linear(moves_at, each.due_at, level(to, SPREAD))
        paths[each.symbol] = PricePath([Fixed(BEGINS - HOUR, level(entry, SPREAD)), move])
        held[each.account][each.symbol] = SimPosition(each.symbol, Decimal(3), entry)
    for index, symbol in enumerate(_staying(plan)):
        paths[symbol] = PricePath([Fixed(BEGINS - HOUR, level(Decimal(4), SPREAD))])
        held[_names(plan)[index // plan.staying]][symbol] = SimPosition(symbol, Decimal(2), Decimal(4))
    accounts = [
        SimAccount(name, f"key-{name}", f"secret-{name}", f"PA{number:04d}", positions=held[name])
        for number, name in enumerate(_names(plan))
    ]
    return Exchange(BEGINS, accounts, Market(paths), Settings(seed=seed))


# --- the run ----------------------------------------------------------------------------------------------------------


def _run(  # noqa: PLR0913, PLR0917  what a process is made of
    exchange: Exchange,
    folder: Path,
    plan: PressurePlan,
    checker: ExchangeChecker,
    evidence: EvidenceChecker,
    rng: random.Random,
) -> Network:
    clock, steps = LoopClock(exchange), Steps()
    network = Network(clock, steps, plan.latency, rng.random, checker.arrives, checker.cancels)
    interval = plan.interval * SECOND
    config = Config(accounts={name: AccountConfig(f"key-{name}", f"secret-{name}") for name in _names(plan)})
    process = ProcessRun(
        exchange, folder, config, through_adapter(exchange, evidence), clock, network, steps,
        lambda _event: None, lambda _now: (interval, ENDS),
    )  # fmt: skip
    process.run(ENDS)
    return network


# --- the checks -------------------------------------------------------------------------------------------------------


def check_exits(
    exits: Iterable[PlannedExit], log: Iterable[LoggedRequest], findings: Findings, *, walks: bool
) -> float:
    """R8: each stop is sent in time, and each of the `walks` continues. Returns the slowest stop's seconds."""
    sent = defaultdict[str, list[dt.datetime]](list)
    for entry in log:
        if entry.what == "sending":
            for symbol in entry.symbols:
                sent[symbol].append(entry.at)
    slowest = 0.0
    for each in exits:
        times = sent[each.symbol]
        if not each.is_stop:
            if walks:
                _check_walk(each, times, findings)
            continue
        took = min(times, default=ENDS) - each.due_at
        slowest = max(slowest, took.total_seconds())
        if took > STOP_WITHIN:
            findings.add("R8", each.due_at + took, f"{each.symbol} of {each.account}: its stop left after {took}")
    return slowest


def _check_walk(target: PlannedExit, times: Sequence[dt.datetime], findings: Findings) -> None:
    for earlier, later in pairwise(times):
        if later - earlier > STEP_WITHIN:
            text = f"{target.symbol} of {target.account}: the next order of its walk came after {later - earlier}"
            findings.add("R8", later, text)


def check_polls(key: str, times: Sequence[dt.datetime], findings: Findings) -> None:
    """R8: no account is without a poll for long."""
    for earlier, later in pairwise((BEGINS, *times, ENDS)):
        if later - earlier > BLIND_FOR:
            text = f"{key}: no positions were read for {later - earlier} from {earlier:%H:%M:%S} on"
            findings.add("R8", later, text)


def _minutes(requests: Mapping[str, Sequence[dt.datetime]]) -> Iterable[list[dt.datetime]]:
    """Per request of a key: those of the minute that ends with it."""
    for times in requests.values():
        for end in times:
            yield [at for at in times if end - MINUTE < at <= end]
