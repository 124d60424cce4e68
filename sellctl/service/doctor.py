"""The checks of `sellctl doctor`: each result has a finding and, where something is wrong, a remedy.

What can't be checked because an account or the clock can't be read is "not checked": it is no problem of its own.
"""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from sellctl.core.errors import ConfigError, SellctlError
from sellctl.core.model.instrument import AssetClass, a_stock
from sellctl.core.model.market import NEW_YORK
from sellctl.core.model.view import totals_of
from sellctl.core.ports import HasAccountSettings, MayBeSimulated
from sellctl.journal.error_types import JournalConnectionError
from sellctl.service.config_in_use import outdated
from sellctl.service.diagnosis import CheckResult, CheckState, bad, not_checked, ok, remedy_of
from sellctl.ui.formatting import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sellctl.bootstrap import Runtime
    from sellctl.core.errors import BrokerError
    from sellctl.core.model.instrument import Instrument
    from sellctl.core.model.market import Quote
    from sellctl.core.sell_watcher import SellWatcher
    from sellctl.journal.verify import Verification

SKEW_WARNING, SKEW_ERROR = dt.timedelta(seconds=2), dt.timedelta(seconds=10)
SLOW_DATABASE = dt.timedelta(milliseconds=20)  # an answer that delays orders noticeably
STREAM_TIMEOUT = 8.0  # seconds until a stream counts as not connected
_STREAM_START = 0.2
_PROBE = "SPY"
_OPTIONS_LEVEL_TO_CLOSE = 1
_LIMITED_FEEDS = {
    "iex": "it has only a fraction of all trades, so a stop also needs a confirming trade",
    "indicative": "delayed estimates",
}
_IN_USE = ("(406)", "uses its only connection")  # what a stream says while another program has the key's connection
_WITH_STREAMS = ("watch", "serve")  # the commands that have streams
_SUMMER, _WINTER = dt.datetime(2026, 7, 1, 12, tzinfo=dt.UTC), dt.datetime(2026, 12, 1, 12, tzinfo=dt.UTC)
_OFFSETS = (dt.timedelta(hours=-4), dt.timedelta(hours=-5))


async def run_checks(runtime: "Runtime") -> AsyncIterator[CheckResult]:
    """Run all checks one after the other."""
    yield _config(runtime)
    yield _time_zones()
    for result in _notifications(runtime):
        yield result
    for result in _database(runtime):
        yield result
    for result in _journal(runtime):
        yield result
    for result in await _poll(runtime):
        yield result
    yield await _clock(runtime)
    for watcher in runtime.scheduler.watchers:
        async for result in _account(watcher, runtime):
            yield result
    async for result in _feeds(runtime):
        yield result
    for result in await _streams(runtime):
        yield result


def _config(runtime: "Runtime") -> CheckResult:
    loaded = runtime.loaded
    where = str(loaded.path) if loaded.path else "no file: keys from the environment, default settings"
    if not loaded.config.sell_module.enabled:
        remedy = "set sell_module.enabled: true; now nothing is sold"
        return CheckResult(CheckState.WARN, "configuration", where, remedy, is_next=True)
    sources = [text for text in loaded.warnings if "profile" in text]
    if sources:
        return CheckResult(CheckState.WARN, "configuration", sources[0], "unset the variables, or name that key")
    for each in outdated(runtime.state, loaded):
        return CheckResult(CheckState.WARN, "configuration", each.finding, each.remedy, is_next=True)
    return ok("configuration", where)


def _time_zones() -> CheckResult:
    offsets = tuple(when.astimezone(NEW_YORK).utcoffset() for when in (_SUMMER, _WINTER))
    if offsets != _OFFSETS:
        return CheckResult(CheckState.BAD, "time-zone data", "New York time is wrong", "pip install --upgrade tzdata")
    return ok("time-zone data", "time zones OK")


def _notifications(runtime: "Runtime") -> Iterator[CheckResult]:
    """Whether recipients, heartbeat and bot can be used; nothing when none is configured. Sends nothing."""
    from sellctl.service.notifier import check_recipients  # noqa: PLC0415  most configurations have none

    config = runtime.loaded.config
    chats = counted(len(config.telegram.chats), "Telegram chat") if config.telegram.token else ""
    if not config.notify and not config.watch.heartbeat and not chats:
        return
    try:
        check_recipients(config)
    except ConfigError as error:
        yield bad("notifications", error, remedy_of(error))
        return
    recipients = counted(len(config.notify), "recipient") if config.notify or not chats else ""
    heartbeat = "a heartbeat" if config.watch.heartbeat else ""
    found = ", ".join(filter(None, (recipients, heartbeat, chats)))
    yield ok("notifications", f"{found}; nothing was sent")


def _database(runtime: "Runtime") -> Iterator[CheckResult]:
    """The server of the journal; nothing when the journal is a file."""
    location = runtime.state.journal
    if isinstance(location, Path):
        return
    from sellctl.journal.location import require_driver  # noqa: PLC0415  most journals are files

    try:
        require_driver()
        from sellctl.journal.postgres.checks import facts_of  # noqa: PLC0415  loads the driver

        facts = facts_of(location)
    except SellctlError as error:
        yield bad("database", error, remedy_of(error))
        return
    finding = f"{location}: PostgreSQL {facts.version}, answers in {facts.seconds * 1000:.1f} ms"
    if facts.risk:
        remedy = "set it right in postgresql.conf, or name the primary server in journal.url"
        yield CheckResult(CheckState.BAD, "database", f"{location}: {facts.risk}", remedy)
    elif facts.seconds > SLOW_DATABASE.total_seconds():
        remedy = "move the server nearer: each order waits for two such answers before it is sent"
        yield CheckResult(CheckState.WARN, "database", finding, remedy)
    else:
        yield ok("database", finding)


def _verified(verification: "Verification", runtime: "Runtime") -> CheckResult:
    if verification.fault:
        remedy = f"keep the file and run {runtime.program} history --verify; restore a backup or use a new state folder"
        return CheckResult(CheckState.BAD, "journal", verification.sentence, remedy)
    entries = f"{verification.rows} {'entry' if verification.rows == 1 else 'entries'}"
    return ok("journal", f"intact: {entries}" if verification.rows else "empty")


def _journal(runtime: "Runtime") -> Iterator[CheckResult]:
    from sellctl.journal.verify import verify  # noqa: PLC0415  SQLAlchemy

    try:
        verification = verify(runtime.state.journal)
    except JournalConnectionError:
        yield not_checked("journal", "its database can't be used")  # the check of the database says why
    else:
        yield _verified(verification, runtime)
    halted = runtime.halted
    if halted:
        remedy = f'{runtime.program} resume --reason "..." lifts the halt'
        yield CheckResult(CheckState.WARN, "halt", f"halted ({halted})", remedy, is_next=True)


async def _poll(runtime: "Runtime") -> list[CheckResult]:
    """Read the accounts. A mistake in the structures that the user names is found with what they hold."""
    try:
        await runtime.scheduler.poll()
    except ConfigError as error:
        runtime.scheduler.read_at_once(watcher.name for watcher in runtime.scheduler.watchers)
        await runtime.scheduler.poll()  # without the check, which is made once
        return [CheckResult(CheckState.BAD, "structures", error.sentence, error.hint, error.exit_code)]
    return []


async def _clock(runtime: "Runtime") -> CheckResult:
    broker = runtime.scheduler.market_clock.instant
    if broker is None:
        return _no_clock(runtime)
    simulated = f"simulated: {broker.astimezone(NEW_YORK):%a %Y-%m-%d %H:%M} in New York"
    if runtime.loaded.config.simulator:
        return ok("clock", simulated)
    skew = runtime.clock.now() - broker
    direction = "ahead of" if skew > dt.timedelta(0) else "behind"
    finding = f"this machine is {abs(skew.total_seconds()):.1f} s {direction} the broker"
    if abs(skew) <= SKEW_WARNING:
        return ok("clock", finding)
    if await _is_simulated(runtime):
        remedy = "write simulator: true, so that its journal is kept apart from that of real accounts"
        return CheckResult(CheckState.WARN, "clock", simulated, remedy)
    if abs(skew) > SKEW_ERROR:
        remedy = "set the clock (timedatectl set-ntp true); rules use the broker's time"
        return CheckResult(CheckState.BAD, "clock", finding, remedy)
    return CheckResult(CheckState.WARN, "clock", finding, "turn NTP on; rules use the broker's time")


def _no_clock(runtime: "Runtime") -> CheckResult:
    """The clock could not be read: a problem of its own only where the accounts could be."""
    problem = runtime.scheduler.problem
    unread = next((watcher.name for watcher in runtime.scheduler.watchers if _problem_of(watcher)), None)
    if unread is not None or problem is None:
        return not_checked("clock", f"account {unread} can't be read" if unread else "it was not read")
    return bad("clock", problem, remedy_of(problem))


async def _is_simulated(runtime: "Runtime") -> bool:
    """Whether sellctl's simulator answers for every account."""
    brokers = [watcher.broker for watcher in runtime.scheduler.watchers]
    return all([isinstance(broker, MayBeSimulated) and await broker.is_simulated() for broker in brokers])


def _problem_of(watcher: "SellWatcher") -> SellctlError | None:
    """Why an account could not be read; None when it was, or when nothing says why."""
    state = watcher.state
    return state.problem if state.facts is None else None


async def _account(watcher: "SellWatcher", runtime: "Runtime") -> AsyncIterator[CheckResult]:
    check = f"account {watcher.name}"
    state = watcher.state
    if state.facts is None:
        problem = state.problem or runtime.scheduler.problem or SellctlError("The account could not be read.")
        yield bad(check, problem, remedy_of(problem, _key_of(watcher, runtime)))
        return
    facts = state.facts
    simulated = runtime.loaded.config.simulator
    kind = "simulated" if simulated else "paper" if facts.paper else "REAL MONEY"
    if facts.blocked:
        finding = f"{facts.number}, {kind}, trading is blocked: {facts.blocked}"
        yield CheckResult(CheckState.BAD, check, finding, "contact Alpaca support")
    else:
        yield ok(check, f"{facts.number}, {kind}, {_positions_of(watcher, runtime)}")
    holder = runtime.state.lock_holder(facts.number)
    if holder:
        yield ok(f"{check}, lock", f"in use by {holder.text}")
    async for result in _account_settings(watcher, check):
        yield result


def _positions_of(watcher: "SellWatcher", runtime: "Runtime") -> str:
    """How many positions there are, and how many of them nothing will ever close."""
    from sellctl.service.listings import listing_of  # noqa: PLC0415  the decisions, which most checks don't need

    listing = listing_of(runtime, watcher, watcher.state.plan)
    totals = totals_of([(listing.plan, listing.structures)] if listing.plan else [])
    not_managed = f", {totals.not_managed} NOT MANAGED" if totals.not_managed else ""
    return f"{counted(totals.positions, 'position')}{not_managed}"


def _key_of(watcher: "SellWatcher", runtime: "Runtime") -> str:
    """Where the key of an account came from, and which kind of account it is taken for."""
    account = runtime.loaded.config.accounts[watcher.name]
    origin = runtime.loaded.origins.get(f"accounts.{watcher.name}.secret_key", "the configuration")
    return f"{origin}; paper is {str(account.paper).lower()}"


async def _account_settings(watcher: "SellWatcher", check: str) -> AsyncIterator[CheckResult]:
    if not isinstance(watcher.broker, HasAccountSettings):
        return
    try:
        settings = await watcher.broker.account_settings()
    except SellctlError as error:
        yield CheckResult(CheckState.WARN, f"{check}, settings", error.sentence, error.hint)
        return
    level = settings.options_level
    if level is not None and level < _OPTIONS_LEVEL_TO_CLOSE:
        remedy = "request options trading from Alpaca"
        yield CheckResult(CheckState.WARN, f"{check}, options", f"options level {level}", remedy)
    else:
        yield ok(f"{check}, options", f"options level {level if level is not None else 'unknown'}")
    if settings.no_shorting:
        yield ok(f"{check}, shorting", "no_shorting is on: a sale can never open a short position")
    else:
        remedy = "turn no_shorting on in Alpaca's account configuration, unless you sell short"
        yield CheckResult(CheckState.WARN, f"{check}, shorting", "short selling is allowed", remedy)


def _probes(runtime: "Runtime") -> "dict[AssetClass, Instrument]":
    """Something of each asset class to ask prices of: what is held, or a well-known stock. No option unless one is."""
    plans = [state.plan for state in runtime.scheduler.states if state.plan]
    held = (decision.holding.position.instrument for plan in plans for decision in plan.decisions)
    return {AssetClass.STOCK: a_stock(_PROBE)} | {instrument.asset_class: instrument for instrument in held}


async def _feeds(runtime: "Runtime") -> AsyncIterator[CheckResult]:
    """The feed of stock and of option quotes, found by requesting one quote of each."""
    prices, probes = runtime.scheduler.prices, _probes(runtime)
    unread = next((watcher.name for watcher in runtime.scheduler.watchers if watcher.state.facts is None), "")
    for asset in (AssetClass.STOCK, AssetClass.OPTION):
        check = f"{asset.value.removeprefix('us_')} quotes"
        probe = probes.get(asset)
        if len(runtime.scheduler.watchers) == 1 and unread:
            yield not_checked(check, f"account {unread} can't be read")
        elif probe is None:
            yield ok(check, "not checked: no such position")
        else:
            await prices.refresh([probe])
            yield _feed(check, probe.symbol, prices.newest(probe.symbol), prices.error)


def _feed(check: str, symbol: str, quote: "Quote | None", error: "BrokerError | None") -> CheckResult:
    if error is not None:
        return bad(check, error, remedy_of(error, "market data"))
    if quote is None:
        return CheckResult(CheckState.WARN, check, f"no quote for {symbol}", f"look up {symbol} at Alpaca")
    if quote.feed in _LIMITED_FEEDS:
        finding = f"feed {quote.feed}: {_LIMITED_FEEDS[quote.feed]}"
        return CheckResult(CheckState.WARN, check, finding, "a data plan with SIP and OPRA is more reliable")
    return ok(check, f"feed {quote.feed}")


@dataclass(slots=True)
class _NullListener:
    """A stream listener that ignores all messages: only the connection is checked."""

    def quotes_received(self, quotes: "Sequence[Quote]") -> None:
        """Ignored."""

    def trade_received(self, symbol: str, price: Decimal) -> None:
        """Ignored."""

    def order_changed(self, account: str, symbol: str) -> None:
        """Ignored."""

    def connection_changed(self, name: str, problem: str) -> None:
        """Ignored: `problems` of the stream is read instead."""


async def _streams(runtime: "Runtime") -> list[CheckResult]:
    """Whether the streams accept a connection. Alpaca allows one per key, so it may be in use by another program."""
    if runtime.scheduler.tick_handler is None:
        return []
    if all(watcher.state.facts is None for watcher in runtime.scheduler.watchers):
        return [not_checked("streams", "no account can be read")]
    stream = runtime.scheduler.tick_handler.stream
    stream.start(_NullListener())
    stream.subscribe(list(_probes(runtime).values()))
    try:
        async with asyncio.timeout(STREAM_TIMEOUT):
            await asyncio.sleep(_STREAM_START)
            while "connecting" in stream.problems.values():  # noqa: ASYNC110  another thread changes them
                await asyncio.sleep(0.05)
    except TimeoutError:
        pass
    problems = dict(stream.problems)
    await stream.stop()
    if not problems:
        return [ok("streams", "none configured: prices and orders are polled")]
    return [_stream(name, problem, _own_watcher(name, runtime)) for name, problem in problems.items()]


def _own_watcher(stream: str, runtime: "Runtime") -> str:
    """The running sellctl process or host that has streams of an account that this one concerns; "" without one."""
    facts = [watcher.state.facts for watcher in runtime.scheduler.watchers]
    of_one = [each for each in facts if each and stream == f"orders of {each.name}"]
    known = [each for each in of_one or facts if each]
    holders = (runtime.state.lock_holder(each.number) for each in known)
    here = next((holder.text for holder in holders if holder and holder.command in _WITH_STREAMS), "")
    is_with_hosts = runtime.hosts is not None and any(runtime.hosts.watcher_of(each.name) for each in known)
    return here or ("one of the hosts" if is_with_hosts else "")


def _stream(name: str, problem: str, own_watcher: str) -> CheckResult:
    if not problem:
        return ok(f"stream, {name}", "connected")
    in_use = any(text in problem for text in _IN_USE)
    if in_use and own_watcher:
        return ok(f"stream, {name}", f"the key's only connection is used by {own_watcher}")
    remedy = "stop the program that uses the connection" if in_use else "none: polling instead"
    return CheckResult(CheckState.WARN, f"stream, {name}", problem, remedy)
