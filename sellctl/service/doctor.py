"""What doctor looks at: one small check a matter, each with a sentence and, where something is wrong, what to do."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

from sellctl.core.errors import AuthError, SellctlError
from sellctl.core.exit_codes import ExitCode
from sellctl.core.model.instrument import AssetClass, a_stock
from sellctl.core.model.market import NEW_YORK
from sellctl.core.ports import Privileged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sellctl.bootstrap import Runtime
    from sellctl.core.model.market import Quote
    from sellctl.core.sell_watcher import SellWatcher

SKEW_WARNS, SKEW_REPORTED = dt.timedelta(seconds=2), dt.timedelta(seconds=10)
STREAM_PATIENCE = 8.0
_STREAM_BEGINS = 0.2
_PROBE = "SPY"
_OPTIONS_LEVEL_TO_CLOSE = 1
_SUMMER, _WINTER = dt.datetime(2026, 7, 1, 12, tzinfo=dt.UTC), dt.datetime(2026, 12, 1, 12, tzinfo=dt.UTC)
_OFFSETS = (dt.timedelta(hours=-4), dt.timedelta(hours=-5))


class Health(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARN = "warning"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the report; `todo` is "" when there is nothing to do."""

    health: Health
    what: str
    said: str
    todo: str = ""
    code: ExitCode = ExitCode.FAILED

    @property
    def row(self) -> tuple[str, str, str, str]:
        """The cells."""
        return (self.health.value, self.what, self.said, self.todo)


def ok(what: str, said: str) -> Line:
    """Nothing to do."""
    return Line(Health.OK, what, said)


def status_of(lines: "Sequence[Line]") -> ExitCode:
    """0 when nothing is bad, the one status of all that is, else 4."""
    codes = {line.code for line in lines if line.health is Health.BAD}
    if not codes:
        return ExitCode.OK
    return codes.pop() if len(codes) == 1 else ExitCode.PARTLY


async def checked(runtime: "Runtime") -> AsyncIterator[Line]:
    """Every line, as it is known."""
    yield _config(runtime)
    yield _zone()
    for line in _journal(runtime):
        yield line
    await runtime.scheduler.poll()
    yield _clock(runtime)
    for watcher in runtime.scheduler.watchers:
        for line in [line async for line in _account(watcher, runtime)]:
            yield line
    async for line in _feeds(runtime):
        yield line
    for line in await _streams(runtime):
        yield line


def _config(runtime: "Runtime") -> Line:
    loaded = runtime.loaded
    where = str(loaded.path) if loaded.path else "no file: keys from the environment, defaults for the rest"
    if not loaded.config.sell_module.enabled:
        return Line(Health.WARN, "configuration", where, "sell_module.enabled is false: nothing is sold")
    return ok("configuration", where)


def _zone() -> Line:
    offsets = tuple(when.astimezone(NEW_YORK).utcoffset() for when in (_SUMMER, _WINTER))
    if offsets != _OFFSETS:
        return Line(Health.BAD, "time-zone data", "New York's time is wrong", "pip install --upgrade tzdata")
    return ok("time-zone data", "New York is right in summer and winter")


def _journal(runtime: "Runtime") -> Iterator[Line]:
    from sellctl.journal.verify import verify  # noqa: PLC0415  SQLAlchemy

    decision = verify(runtime.state.journal)
    if decision.fault:
        todo = "keep the file, look at sellctl history --verify; restore from a backup or begin with a new state folder"
        yield Line(Health.BAD, "journal", decision.sentence, todo)
    else:
        yield ok("journal", f"{decision.rows} rows, whole" if decision.rows else "none yet")
    halted = runtime.state.halted()
    if halted:
        yield Line(Health.WARN, "halt", f"halted: {halted}", 'sellctl resume --reason "..." when it is over')


def _clock(runtime: "Runtime") -> Line:
    broker = runtime.scheduler.market_clock.instant
    if broker is None:
        return Line(Health.BAD, "clock", f"{runtime.scheduler.problem}", "check the network and the keys")
    skew = runtime.clock.now() - broker
    way = "ahead of" if skew > dt.timedelta(0) else "behind"
    said = f"this machine is {abs(skew.total_seconds()):.1f} s {way} the broker"
    if abs(skew) > SKEW_REPORTED:
        return Line(Health.BAD, "clock", said, "set the clock (timedatectl set-ntp true); rules go by the broker's")
    if abs(skew) > SKEW_WARNS:
        return Line(Health.WARN, "clock", said, "let NTP set the clock; rules go by the broker's")
    return ok("clock", said)


async def _account(watcher: "SellWatcher", runtime: "Runtime") -> AsyncIterator[Line]:
    what = f"account {watcher.name}"
    state = watcher.state
    if state.facts is None:
        problem = state.problem or SellctlError("It was not seen.")
        todo = problem.hint or "check api_key, secret_key and paper"
        code = ExitCode.AUTH if isinstance(problem, AuthError) else problem.exit_code
        yield Line(Health.BAD, what, problem.sentence, todo, code)
        return
    facts = state.facts
    kind = "paper" if facts.paper else "REAL MONEY"
    if facts.blocked:
        yield Line(Health.BAD, what, f"{facts.number}, {kind}, can't trade: {facts.blocked}", "ask Alpaca")
    else:
        count = len(state.plan.decisions) if state.plan else 0
        yield ok(what, f"{facts.number}, {kind}, {count} position{'s' * (count != 1)}")
    holder = runtime.state.worked_by(facts.number)
    if holder:
        yield ok(f"{what}, lock", f"worked by {holder}")
    async for line in _privileges(watcher, what):
        yield line


async def _privileges(watcher: "SellWatcher", what: str) -> AsyncIterator[Line]:
    if not isinstance(watcher.broker, Privileged):
        return
    try:
        allowed = await watcher.broker.privileges()
    except SellctlError as error:
        yield Line(Health.WARN, f"{what}, settings", error.sentence, error.hint)
        return
    level = allowed.options_level
    if level is not None and level < _OPTIONS_LEVEL_TO_CLOSE:
        yield Line(Health.WARN, f"{what}, options", f"options level {level}", "ask Alpaca for options trading")
    else:
        yield ok(f"{what}, options", f"options level {level if level is not None else 'unknown'}")
    if allowed.no_shorting:
        yield ok(f"{what}, shorting", "no_shorting is on: a sale can never turn a position round")
    else:
        todo = "set no_shorting in Alpaca's account configuration, unless you sell short"
        yield Line(Health.WARN, f"{what}, shorting", "short selling is allowed", todo)


async def _feeds(runtime: "Runtime") -> AsyncIterator[Line]:
    """The feed that quotes really come from, by asking for one."""
    prices = runtime.scheduler.prices
    held = [v.holding.position.instrument for s in runtime.scheduler.states if s.plan for v in s.plan.decisions]
    probes = {AssetClass.STOCK: a_stock(_PROBE)} | {i.asset_class: i for i in held}
    for asset in (AssetClass.STOCK, AssetClass.OPTION):
        what = f"{asset.value.removeprefix('us_')} quotes"
        probe = probes.get(asset)
        if probe is None:
            yield ok(what, "not asked: none is held")
            continue
        await prices.refresh([probe])
        quote = prices.newest(probe.symbol)
        yield _feed(what, probe.symbol, quote, prices.problem)


def _feed(what: str, symbol: str, quote: "Quote | None", problem: str) -> Line:
    if quote is None:
        return Line(Health.WARN, what, problem or f"no quote for {symbol}", "check the data subscription of the key")
    poor = {"iex": "IEX sees a fraction of all trades: stops wait for a trade as well", "indicative": "estimates, late"}
    if quote.feed in poor:
        return Line(
            Health.WARN, what, f"feed {quote.feed}: {poor[quote.feed]}", "a data plan with SIP and OPRA is better"
        )
    return ok(what, f"feed {quote.feed}")


@dataclass(slots=True)
class _Hears:
    """Listens to a stream only to see whether it comes up."""

    def quotes_received(self, quotes: "Sequence[Quote]") -> None:
        """Nothing."""

    def trade_received(self, symbol: str, price: Decimal) -> None:
        """Nothing."""

    def order_changed(self, account: str, symbol: str) -> None:
        """Nothing."""

    def connection_changed(self, name: str, problem: str) -> None:
        """Nothing; the stream remembers."""


async def _streams(runtime: "Runtime") -> list[Line]:
    """Whether the streams let us in: each key has one slot."""
    if runtime.scheduler.tick_handler is None:
        return []
    stream = runtime.scheduler.tick_handler.stream
    stream.start(_Hears())
    stream.subscribe([a_stock(_PROBE)])
    try:
        async with asyncio.timeout(STREAM_PATIENCE):
            await asyncio.sleep(_STREAM_BEGINS)
            while "connecting" in stream.problems.values():  # noqa: ASYNC110  another thread's
                await asyncio.sleep(0.05)
    except TimeoutError:
        pass
    troubles = dict(stream.problems)
    await stream.stop()
    if not troubles:
        return [ok("streams", "none configured: prices and orders are fetched")]
    return [_stream(name, trouble) for name, trouble in troubles.items()]


def _stream(name: str, trouble: str) -> Line:
    if not trouble:
        return ok(f"stream, {name}", "live")
    todo = "fine if your own watcher runs; else end the program that uses it" if "(406)" in trouble else "looks go on"
    return Line(Health.WARN, f"stream, {name}", trouble, todo)
