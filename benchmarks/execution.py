"""Figures of execution: seeded exits in process and in virtual time, with limits against market orders.

Prices are random walks from seeds; a limit inside the spread fills with probability p per second
(docs/market-model.md). Slippage is read back from the journal, as `sellctl report` does.
"""

import asyncio
import datetime as dt
import os
import random
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import mean
from typing import Any, TypeVar

from faults.loop import LoopClock, VirtualLoop
from faults.patching import patched
from sellctl.alpaca import connect as connect_module
from sellctl.alpaca.budget import Budget
from sellctl.bootstrap import RunOptions, assemble
from sellctl.core.config.schema import AccountConfig, Config, ExecutionConfig, Style
from sellctl.core.config_manager import LoadedConfig
from sellctl.core.errors import BrokerAnswer, RateLimitedError
from sellctl.core.model.account_state import RunMode
from sellctl.core.model.event import Event, EventKind, Severity
from sellctl.core.model.exit_record import Exit
from sellctl.core.model.market import NEW_YORK
from sellctl.core.model.order import Order
from sellctl.core.model.plan import SubmitOrder, Urgency
from sellctl.journal.exits import exits
from sellctl.journal.queries import Filters
from sellctl.journal.schema import FILE_NAME
from sellctl.service.options import Options
from sellctl.sim.inprocess import SimBroker, SimQuotes, body_of
from sellctl.sim.market.assets import asset_of
from sellctl.sim.market.market import Market, quoted
from sellctl.sim.market.price_paths import Fixed, Segment, Walk, level
from sellctl.sim.market.price_paths import Path as PricePath
from sellctl.sim.settings import Settings
from sellctl.sim.venue.accounts import SimAccount
from sellctl.sim.venue.exchange import Exchange
from sellctl.sim.venue.orders import SimPosition

Figure = tuple[str, str, str]
T = TypeVar("T")
SEED = 20_261_124
CHANCES = ("0", "0.05", "0.2")
EXITS, AT_ONCE = 1_000, 50  # exits per setting, and how many share an exchange, each in an account of its own
DAY = dt.date(2026, 11, 24)
SIGMA = 0.0005  # of the mid, per second
PARTS = {"target": ("12:00", Decimal("0.8")), "time": ("14:55:30", Decimal(1)), "stop": ("12:00", Decimal(2))}
BOOKED_SECONDS = 4.0  # until the last fill is recorded
_MEMORY = Path("/dev/shm")  # noqa: S108  a disk would only cost time here
_FOR_ORDERS = frozenset({"POST", "DELETE"})


def figures() -> Iterator[Figure]:
    """Name, measured value, bound; each as soon as it is measured."""
    yield from slippage("target")
    yield from slippage("time")
    yield stops()
    yield deadlines()
    yield from simultaneous_exits()


# --- slippage ---------------------------------------------------------------------------------------------------------


def slippage(kind: str) -> Iterator[Figure]:
    """Mean slippage of limits and of market orders on the same seeds, for each fill probability inside the spread."""
    market = play_all(kind, "0", Style.MARKET)
    for chance in CHANCES:
        smart = play_all(kind, chance, Style.SMART)
        ours, theirs = _cost(smart), _cost(market)
        worse = sum(1 for one in smart if one.worse_than_market)
        measured = (
            f"{ours:.4f} / {theirs:.4f} $ per share: {(1 - ours / theirs):.0%} less; {_filled(smart)}; {worse} worse"
        )
        bound = {"0": "0 worse than a market order at that instant", "0.05": ">= 40% less"}.get(chance, "listed")
        yield f"{kind}s, p = {chance}: slippage against the mid, limits / market orders", measured, bound


def _cost(played: Sequence["Played"]) -> float:
    return mean(float(one.exit.against_mid) for one in played if one.exit.against_mid is not None)


def _filled(played: Sequence["Played"]) -> str:
    filled = [one.exit.seconds for one in played if one.exit.seconds is not None]
    steps = mean(one.exit.steps for one in played)
    return f"{len(filled)} of {len(played)} filled in {mean(filled):.1f} s and {steps:.1f} steps"


def stops() -> Figure:
    """The share of stops that fill within 2 s of the confirming quote when there is a bid."""
    played = play_all("stop", "0", Style.SMART)
    seconds = [one.exit.seconds for one in played if one.exit.seconds is not None]
    share = sum(1 for each in seconds if each <= 2) / EXITS  # noqa: PLR2004  the figure's own bound
    return "stops filled within 2 s of the confirming quote", f"{share:.1%} of {EXITS}", ">= 99%"


# --- the last day -----------------------------------------------------------------------------------------------------


def deadlines(count: int = 200) -> Figure:
    """Zero-day options with intermittent bids: those neither closed nor reported by Alpaca's cutoff."""
    contracts = [_intermittent(number) for number in range(count)]
    stage = Stage.of(contracts, Settings(seed=SEED, rate_limit=0), "14:54:30", Style.SMART)
    stage.play("15:15:00")
    missed = [
        contract
        for contract in contracts
        if stage.exchange.accounts[contract.name].qty_of(contract.symbol) and not stage.alerts[contract.name]
    ]
    flat = sum(1 for contract in contracts if not stage.exchange.accounts[contract.name].qty_of(contract.symbol))
    return f"zero-day deadlines missed, {count} options with intermittent bids", f"{len(missed)} ({flat} flat)", "0"


def _intermittent(number: int) -> "Contract":
    """An option that expires today. Its bid disappears for up to five minutes, or for good one time in ten."""
    rng = random.Random(SEED + number)  # noqa: S311  a bench's seed
    at, stands = instant("14:54:00"), level(Decimal(rng.randint(5, 300)) / 100, Decimal("0.04"))
    segments: list[Segment] = [Fixed(at, stands)]
    while at < instant("15:20:00"):
        at += dt.timedelta(seconds=rng.randint(5, 300))
        segments.append(Fixed(at, replace(stands, bid=None)))
        at += dt.timedelta(hours=1) if rng.random() < 0.1 else dt.timedelta(seconds=rng.randint(5, 300))  # noqa: PLR2004  one in ten
        segments.append(Fixed(at, stands))
    return Contract(f"a{number}", "AAPL261124C00200000", stands.mid, PricePath(segments))


# --- simultaneous exits ----------------------------------------------------------------------------------------------


def simultaneous_exits(count: int = 20) -> list[Figure]:
    """Exits that become due at once in one account: the most requests per minute, and the sequence of the orders."""
    kinds = [("stop", Decimal(2)), ("time", Decimal(1)), ("target", Decimal("0.8"))]
    contracts = [_contract(number, *kinds[number % 3], name="main") for number in range(count)]
    stage = Stage.of(contracts, Settings(inside_fill=Decimal("0.05"), seed=SEED, rate_limit=0), "14:55:30", Style.SMART)
    stage.play("14:58:30")
    times = [at for at, _ in stage.requests]
    most = max(sum(1 for each in times if 0 <= (each - at).total_seconds() < 60) for at in times)  # noqa: PLR2004  one minute
    left = sum(1 for contract in contracts if stage.exchange.accounts["main"].qty_of(contract.symbol))
    sent = [_urgency(contracts, symbol) for symbol in stage.sent]
    first = list(dict.fromkeys(zip(stage.sent, sent, strict=True)))
    by_batch = all(a <= b for a, b in pairwise(urgency for _, urgency in first if urgency != Urgency.PROTECTIVE))
    return [
        (f"{count} exits at once on one account: most requests in 60 s", f"{most}; {left} not closed", "<= 180"),
        ("more urgent ones are sent first", "yes" if by_batch else "no", "yes"),
    ]


def _urgency(contracts: Sequence["Contract"], symbol: str) -> Urgency:
    return next(contract.urgency for contract in contracts if contract.symbol == symbol)


# --- the stage --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Contract:
    """One contract in one account, and its price path."""

    name: str
    symbol: str
    entry: Decimal
    path: PricePath
    urgency: Urgency = Urgency.TIME


@dataclass(frozen=True, slots=True)
class Played:
    """An exit, and whether a market order at the time of its last fill would have had a better price."""

    exit: Exit
    worse_than_market: bool


def play_all(kind: str, chance: str, style: Style) -> list[Played]:
    """All exits of one kind, in batches on each core."""
    with ProcessPoolExecutor(os.cpu_count()) as cores:
        batches = cores.map(partial(_batch, kind, chance, style), range(0, EXITS, AT_ONCE))
        return [played for batch in batches for played in batch]


def _batch(kind: str, chance: str, style: Style, first: int) -> list[Played]:
    clock, ratio = PARTS[kind]
    contracts = [_contract(number, kind, ratio) for number in range(first, first + AT_ONCE)]
    settings = Settings(inside_fill=Decimal(chance), seed=SEED + first, rate_limit=0)
    stage = Stage.of(contracts, settings, clock, style)
    ends = (instant(clock) + dt.timedelta(seconds=75)).astimezone(NEW_YORK).strftime("%H:%M:%S")
    found = stage.play(ends, until_flat=True)
    return [Played(one, _is_worse(one, stage)) for one in _firsts(found)]


def _firsts(found: Sequence[Exit]) -> list[Exit]:
    """The first exit of each account."""
    return list({one.account: one for one in reversed(found)}.values())


def _is_worse(one: Exit, stage: "Stage") -> bool:
    stands = stage.exchange.market.paths[one.symbol].at(one.parts[-1].at) if one.parts else None
    bid = quoted(asset_of(one.symbol), stands).bid if stands else None
    return bid is None or (one.price or 0) < bid


def _contract(number: int, kind: str, ratio: Decimal, name: str = "") -> Contract:
    """A contract between $1 and $8 with a spread of 4% to 14% of the mid and a random walk."""
    rng = random.Random(SEED + number)  # noqa: S311  a bench's seed
    mid = Decimal(rng.randint(100, 800)) / 100
    spread = max((mid * Decimal(rng.randint(4, 14)) / 100).quantize(Decimal("0.01")), Decimal("0.03"))
    expires = "261124" if kind == "time" else "261218"
    starts = instant("09:30:00") if kind == "none" else instant(PARTS[kind][0]) - dt.timedelta(seconds=600)
    path = PricePath([Fixed(starts, level(mid, spread)), Walk(starts, SEED + number, SIGMA)])
    urgency = {"stop": Urgency.PROTECTIVE, "time": Urgency.TIME, "target": Urgency.PROFIT}[kind]
    symbol = f"SPY{expires}C{(number + 1) * 1000:08d}"
    if kind == "time":
        symbol = f"AAPL{expires}C{(number + 1) * 1000:08d}"
    return Contract(name or f"a{number}", symbol, (mid * ratio).quantize(Decimal("0.01")), path, urgency)


def instant(clock: str) -> dt.datetime:
    """A time of day in New York on the day that is played."""
    return dt.datetime.combine(DAY, dt.time.fromisoformat(clock), NEW_YORK).astimezone(dt.UTC)


class _Metered(SimBroker):
    """A SimBroker with the adapter's request budget in the exchange's time; calls `on_request` for each request."""

    def __init__(
        self, exchange: Exchange, account: str, on_request: Callable[[str], None], monotonic: Callable[[], float]
    ) -> None:
        super().__init__(exchange, account)
        self._budget = Budget(monotonic)
        self._on_request = on_request

    def _call(self, method: str, path: str, action: Callable[[SimAccount], T]) -> T:
        for_order = method in _FOR_ORDERS or "by_client" in path
        if self._budget.take(for_order=for_order):
            raise RateLimitedError("the budget is used up", answer=BrokerAnswer(429, None, "", {}))
        self._on_request(method)
        return super()._call(method, path, action)

    @property
    def load(self) -> float:
        """The share of the budget that the last minute has used."""
        return self._budget.load

    def body(self, order: SubmitOrder) -> dict[str, str]:
        """The fields of the request that submits an order."""
        return {key: str(value) for key, value in body_of(order).items()}

    async def submit(self, order: SubmitOrder) -> Order:
        """Submit an order, and report its symbol."""
        self._on_request(f"POST {order.symbol}")
        return await super().submit(order)


@dataclass(slots=True)
class Stage:
    """An exchange, and the whole program running against it in virtual time."""

    exchange: Exchange
    config: Config
    alerts: Counter[str] = field(default_factory=Counter)
    critical: list[tuple[str, str]] = field(default_factory=list)  # time of day in New York, and the text
    requests: list[tuple[dt.datetime, str]] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, contracts: Sequence[Contract], settings: Settings, clock: str, style: Style) -> "Stage":
        """Set everything up at a time of day."""
        accounts: dict[str, SimAccount] = {}
        for contract in contracts:
            books = accounts.setdefault(
                contract.name, SimAccount(contract.name, contract.name, "s", f"PA{contract.name}")
            )
            books.positions[contract.symbol] = SimPosition(contract.symbol, Decimal(1), contract.entry)
        market = Market({contract.symbol: contract.path for contract in contracts})
        config = Config(
            accounts={name: AccountConfig(name, "s") for name in accounts}, execution=ExecutionConfig(style=style)
        )
        return cls(Exchange(instant(clock), list(accounts.values()), market, settings), config)

    def play(self, until: str, *, until_flat: bool = False) -> tuple[Exit, ...]:
        """Watch until a time of day, or until no position is left; returns the exits in the journal."""
        loop, clock = VirtualLoop(self.exchange), LoopClock(self.exchange)
        with tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as folder, ExitStack() as stack:
            options = Options(None, Path(folder) / "state", live=False, debug=False, log_file=None)
            stack.enter_context(patched(connect_module, "connect", lambda *_, **__: self._connected(clock)))
            runtime = assemble(
                LoadedConfig(self.config, None, {}, ()),
                options,
                RunOptions("bench", RunMode.ACT),
                self._on_event,
                clock,
            )
            seconds = (instant(until) - self.exchange.now).total_seconds()
            loop.run_until_complete(self._watch(runtime.scheduler, clock, seconds, until_flat=until_flat))
            runtime.close()
            loop.close()
            return exits(Path(folder) / "state" / FILE_NAME, Filters())

    async def _watch(self, scheduler: Any, clock: LoopClock, seconds: float, *, until_flat: bool) -> None:
        stop, flat = asyncio.Event(), asyncio.Event()
        if until_flat:
            self.exchange.listeners.append(lambda _event: None if self._holds() else flat.set())
        watching = asyncio.ensure_future(scheduler.watch(stop, lambda _wait: None))
        waits = [asyncio.ensure_future(wait) for wait in (clock.sleep(seconds), flat.wait())]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        if flat.is_set():
            await clock.sleep(BOOKED_SECONDS)
        stop.set()
        await watching

    def _holds(self) -> bool:
        return any(account.positions for account in self.exchange.accounts.values())

    def _connected(self, clock: LoopClock) -> Any:
        brokers = {name: _Metered(self.exchange, name, self._note, clock.monotonic) for name in self.exchange.accounts}
        return _Connected(brokers, SimQuotes(self.exchange))

    def _note(self, request: str) -> None:
        if request.startswith("POST "):
            self.sent.append(request.removeprefix("POST "))
        else:
            self.requests.append((self.exchange.now, request))

    def _on_event(self, event: Event) -> None:
        if event.kind in {EventKind.ALERT, EventKind.DENIED, EventKind.BLOCKED}:
            self.alerts[event.account] += 1
        if event.severity is Severity.CRITICAL:
            self.critical.append((f"{event.at.astimezone(NEW_YORK):%H:%M}", event.text))


@dataclass(frozen=True, slots=True)
class _Connected:
    """Replaces the composition root's connections to Alpaca."""

    brokers: dict[str, _Metered]
    quotes: SimQuotes

    def close(self) -> None:
        """Nothing is open."""


if __name__ == "__main__":
    for figure in figures():
        print(*figure, sep=" | ")  # noqa: T201  its output
