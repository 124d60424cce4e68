"""`sellctl demo`: run the real watcher against a simulated market afternoon, and compare each outcome."""

import datetime as dt
import sys
from collections import deque
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sellctl.commands.session import FormatOption, print_line, say
from sellctl.core.exit_codes import ExitCode
from sellctl.service.log_format import LOG_FORMAT
from sellctl.service.options import Options
from sellctl.ui.formats import OutputFormat

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sellctl.bootstrap import Runtime
    from sellctl.core.config.schema import Config
    from sellctl.core.model.event import Event
    from sellctl.sim.scenario.reader import Expectation
    from sellctl.sim.server import SimServer
    from sellctl.ui.displays import Display

_MAX_POSITION_AGE = dt.timedelta(seconds=90)
_MAX_ROWS = 1_000_000
_HALF = Decimal("0.5")  # of the credit
_FIRST_LINE = "sellctl demo: the real watcher against a simulated Alpaca. No keys, no real money, half a minute."
_COLUMNS = ("account", "what", "expected", "ended", "met")


def demo(
    speed: Annotated[
        float | None,
        typer.Option(min=1, help="Simulated seconds per second; default: the scenario's.", show_default=False),
    ] = None,
    output: FormatOption = None,
) -> None:
    """Play a market afternoon in half a minute; needs no keys.

    Runs the real watcher over HTTP against a simulated Alpaca, then compares each outcome with the expected one.
    """
    try:
        print_line(_FIRST_LINE)  # before the imports, which take most of the time until the first screen
        code = _played(speed, output)
    except KeyboardInterrupt:
        say("sellctl demo: interrupted. Nothing is left of it: its market and its files were for this run only.")
        code = ExitCode.INTERRUPTED
    raise typer.Exit(code)


def _played(speed: float | None, output: OutputFormat | None) -> ExitCode:
    """Play the demo and print its outcomes."""
    import tempfile

    from sellctl.service.logs import configure
    from sellctl.sim.scenario.reader import load_scenario
    from sellctl.sim.server import SimServer

    configure(log_format=LOG_FORMAT.get())
    load_watcher()
    scenario = load_scenario("demo")
    pace = speed or float(scenario.speed)
    say(f"{scenario.name}: {scenario.description}")
    with tempfile.TemporaryDirectory(prefix="sellctl-demo-") as folder, SimServer(scenario, speed=0) as server:
        on_screen = sys.stdout.isatty() and output in {None, OutputFormat.TABLE}
        play(server, Path(folder), pace, _screen if on_screen else None)
        outcomes = _outcomes(server, Path(folder))
    return _report(outcomes, output)


def load_watcher() -> None:
    """Import what the watcher runs on before the simulated clock does: the first time it takes minutes at its speed."""
    import importlib

    adapters = ("alpaca.connect", "journal.opening", "journal.episode_store", "journal.exits_since", "journal.queries")
    for name in ("bootstrap", *adapters, "service.logs", "ui.contracts", "ui.displays", "ui.render", "ui.sentences"):
        importlib.import_module(f"sellctl.{name}")


def _report(outcomes: "list[_Outcome]", output: OutputFormat | None) -> ExitCode:
    """Print the outcomes with the expected ones. OK when all expectations were met, else FAILED."""
    from sellctl.ui.render import JSON_VERSION, emit

    document = {"version": JSON_VERSION, "expectations": [outcome.document for outcome in outcomes]}
    emit(_COLUMNS, [outcome.row for outcome in outcomes], output, title="Expected outcomes", document=document)
    unmet = [outcome for outcome in outcomes if not outcome.met]
    for outcome in unmet:
        say(f"Not met: {outcome.sentence}")
    say(f"{len(outcomes) - len(unmet)} of {len(outcomes)} expectations met.")
    return ExitCode.FAILED if unmet else ExitCode.OK


def _screen(runtime: "Runtime", events: "Sequence[Event]") -> "Display":
    from sellctl.ui.displays import Screen

    return Screen(runtime, events)


def play(
    server: "SimServer",
    folder: Path,
    pace: float,
    show: "Callable[[Runtime, Sequence[Event]], Display] | None" = None,
) -> None:
    """Run the real watcher until the scenario is over. `show` creates the display; without it events are logged.

    The simulated clock runs from when the watcher is ready.
    """
    import asyncio

    from sellctl.bootstrap import RunOptions, assemble
    from sellctl.core.config_manager import LoadedConfig
    from sellctl.core.model.account_state import RunMode
    from sellctl.service.host_clock import RealClock
    from sellctl.service.logs import log_event
    from sellctl.ui.displays import LogOnly

    events: deque[Event] = deque(maxlen=50)

    def listen(event: "Event") -> None:
        events.append(event)
        if show is None:
            log_event(event)

    loaded = LoadedConfig(_config(server), None, {}, ())
    options = Options(None, folder, live=False, debug=False, log_file=None)
    runtime = assemble(loaded, options, RunOptions("demo", RunMode.ACT), listen, RealClock(pace))
    server.host.time.set_speed(pace)
    try:
        asyncio.run(_until_over(runtime, server, show(runtime, events) if show else LogOnly()))
    finally:
        runtime.close()


async def _until_over(runtime: "Runtime", server: "SimServer", display: "Display") -> None:
    import asyncio

    stop = asyncio.Event()
    until = server.scenario.until

    def after_poll(wait: float) -> None:
        display.update(wait)
        if until is not None and server.exchange.now >= until:
            stop.set()

    with display:
        await runtime.scheduler.watch(stop, after_poll)


def _config(server: "SimServer") -> "Config":
    """A configuration with every account of the scenario at the simulator."""
    from sellctl.core.config.schema import (
        AccountConfig,
        AssetKind,
        Config,
        EndpointsConfig,
        MatchConfig,
        RulesConfig,
        SellModuleConfig,
        StrategyConfig,
        StrategyOneConfig,
    )
    from sellctl.core.model.gain import Amount
    from sellctl.core.model.instrument import StructureKind

    condors = StrategyConfig(
        name="condors",
        match=MatchConfig(structure=(StructureKind.IRON_CONDOR,)),
        rules=RulesConfig(take_profit=Amount(_HALF)),
    )
    endpoints = EndpointsConfig(trading=server.url, data=server.url)
    return Config(
        sell_module=SellModuleConfig(
            strategies=(condors,),
            strategy_one=StrategyOneConfig(applies_to=(AssetKind.OPTION, AssetKind.STOCK)),
            max_position_age=_MAX_POSITION_AGE,  # at the demo's speed one check takes many simulated seconds
        ),
        accounts={
            account.name: AccountConfig(account.key, account.secret, endpoints=endpoints)
            for account in server.scenario.accounts
        },
        simulator=True,
    )


@dataclass(frozen=True, slots=True)
class _Outcome:
    """One expectation of the scenario, with the outcome at the simulated broker and the exit reason in the journal."""

    expected: "Expectation"
    ended: str
    reason: str
    met: bool

    @property
    def row(self) -> tuple[str, str, str, str, str]:
        """The cells of the table, in the order of _COLUMNS."""
        what = _short_name(self.expected.symbol) or self.expected.order
        return self.expected.account, what, self.expected.text, self.ended, "yes" if self.met else "NO"

    @property
    def document(self) -> dict[str, object]:
        """The JSON object of this outcome."""
        return asdict(self.expected) | {"ended": self.ended, "ended_for": self.reason, "met": self.met}

    @property
    def sentence(self) -> str:
        """The expected and the actual outcome in one line."""
        account, what, *_ = self.row
        expected = f"{self.expected.ends} {self.expected.reason}".strip()
        return f"{account} {what}: expected {expected}, ended {self.ended} {self.reason}".rstrip()


def _short_name(symbol: str) -> str:
    """A contract as people read it, and the name of a structure as its underlying and its kind."""
    from sellctl.core.structures.names import kind_named, legs_named
    from sellctl.ui.contracts import readable_name

    legs = legs_named(symbol)
    return (
        f"{legs[0].instrument.underlying} {kind_named(symbol).value.replace('_', ' ')}"
        if legs
        else readable_name(symbol)
    )


def _outcomes(server: "SimServer", folder: Path) -> list[_Outcome]:
    from sellctl.sim.scenario.expectations import is_met, outcome_of

    reasons = _reasons(folder)
    outcomes = []
    with server.hold() as exchange:
        for expected in server.scenario.expectations:
            ended = outcome_of(expected, server.scenario, exchange)
            reason = reasons.get((expected.account, expected.symbol), "")
            met = is_met(expected, ended) and expected.reason in {"", reason}
            outcomes.append(_Outcome(expected, ended, reason, met))
    return outcomes


def _reasons(folder: Path) -> dict[tuple[str, str], str]:
    """The reason of the last intent in the journal, by account and symbol."""
    from sellctl.core.config_manager import state_dir
    from sellctl.journal.queries import Filters, history
    from sellctl.service.state_folder import StateFolder

    journal = StateFolder(state_dir(folder, simulator=True)).journal
    newest_first = history(journal, Filters(limit=_MAX_ROWS))
    return {(row.account, row.symbol): row.reason for row in reversed(newest_first) if row.kind == "intent"}
