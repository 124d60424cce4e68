"""`sellctl demo`: the real watcher against a simulated market afternoon, then what happened and whether it had to."""

import datetime as dt
import sys
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sellctl.commands.session import FormatOption, log_event
from sellctl.core.exit_codes import ExitCode
from sellctl.service.options import Options
from sellctl.ui.formats import OutputFormat

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sellctl.bootstrap import Runtime
    from sellctl.core.config.schema import Config
    from sellctl.core.model.event import Event
    from sellctl.sim.scenario.reader import Promise
    from sellctl.sim.server import SimServer
    from sellctl.ui.displays import Display

_FAST = dt.timedelta(seconds=90)
_ALL = 1_000_000
_COLUMNS = ("account", "what", "promise", "ended", "kept")


def demo(
    speed: Annotated[
        float | None,
        typer.Option(min=1, help="Simulated seconds a second; left out: the scenario's.", show_default=False),
    ] = None,
    output: FormatOption = None,
) -> None:
    """Play a market afternoon in half a minute; needs no keys.

    The real watcher over real HTTP against a simulated Alpaca; then what happened beside what had to happen.
    """
    import tempfile

    from sellctl.service.logs import configure
    from sellctl.sim.scenario.reader import load_scenario
    from sellctl.sim.server import SimServer

    configure(debug=False)
    scenario = load_scenario("demo")
    pace = speed or float(scenario.speed)
    typer.echo(f"{scenario.name}: {scenario.description}", err=True)
    with tempfile.TemporaryDirectory(prefix="sellctl-demo-") as folder, SimServer(scenario, speed=pace) as server:
        on_screen = sys.stdout.isatty() and output in {None, OutputFormat.TABLE}
        play(server, Path(folder), pace, _screen if on_screen else None)
        findings = _findings(server, Path(folder))
    raise typer.Exit(_report(findings, output))


def _report(findings: "list[_Finding]", output: OutputFormat | None) -> ExitCode:
    """Show what was promised and what happened; the status says whether it is the same."""
    from sellctl.ui.render import VERSION, emit

    document = {"version": VERSION, "promises": [finding.document for finding in findings]}
    emit(_COLUMNS, [finding.row for finding in findings], output, title="Promised and kept", document=document)
    broken = [finding for finding in findings if not finding.kept]
    for finding in broken:
        typer.echo(f"Broken: {finding.sentence}", err=True)
    typer.echo(f"{len(findings) - len(broken)} of {len(findings)} promises kept.", err=True)
    return ExitCode.FAILED if broken else ExitCode.OK


def _screen(runtime: "Runtime", events: "Sequence[Event]") -> "Display":
    from sellctl.ui.displays import Screen

    return Screen(runtime, events)


def play(
    server: "SimServer",
    folder: Path,
    pace: float,
    show: "Callable[[Runtime, Sequence[Event]], Display] | None" = None,
) -> None:
    """Run the real watcher until the scenario is over. `show` makes what shows it; left out, events are logged."""
    import asyncio

    from sellctl.bootstrap import RunOptions, assemble
    from sellctl.core.config_manager import LoadedConfig
    from sellctl.core.model.account_state import RunMode
    from sellctl.service.host_clock import RealClock
    from sellctl.ui.displays import LogOnly

    events: deque[Event] = deque(maxlen=50)

    def listen(event: "Event") -> None:
        events.append(event)
        if show is None:
            log_event(event)

    loaded = LoadedConfig(_config(server), None, {}, ())
    options = Options(None, folder, live=False, debug=False, log_file=None)
    runtime = assemble(loaded, options, RunOptions("demo", RunMode.ACT), listen, RealClock(pace))
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
    """A configuration that points every account of the scenario at the simulator."""
    from sellctl.core.config.schema import (
        AccountConfig,
        AssetKind,
        Config,
        EndpointsConfig,
        SellModuleConfig,
        StrategyOneConfig,
    )

    endpoints = EndpointsConfig(trading=server.url, data=server.url)
    return Config(
        sell_module=SellModuleConfig(
            strategy_one=StrategyOneConfig(applies_to=(AssetKind.OPTION, AssetKind.STOCK)),
            max_position_age=_FAST,  # at this speed a look takes many of the market's seconds
        ),
        accounts={
            account.name: AccountConfig(account.key, account.secret, endpoints=endpoints)
            for account in server.scenario.accounts
        },
    )


@dataclass(frozen=True, slots=True)
class _Finding:
    """One promise of the scenario beside what the simulated broker and the journal show."""

    promise: "Promise"
    ended: str
    reason: str
    kept: bool

    @property
    def row(self) -> tuple[str, str, str, str, str]:
        """Under _COLUMNS. The reason stands in the promise's own words, unless it is another."""
        what = self.promise.symbol or self.promise.order
        return self.promise.account, what, self.promise.text, self.ended, "yes" if self.kept else "NO"

    @property
    def document(self) -> dict[str, object]:
        """The same with every name."""
        promised = {name: getattr(self.promise, name) for name in self.promise.__dataclass_fields__}
        return promised | {"ended": self.ended, "ended_for": self.reason, "kept": self.kept}

    @property
    def sentence(self) -> str:
        """What was promised and what came of it."""
        account, what, *_ = self.row
        promised = f"{self.promise.ends} {self.promise.reason}".strip()
        return f"{account} {what}: promised {promised}, ended {self.ended} {self.reason}".rstrip()


def _findings(server: "SimServer", folder: Path) -> list[_Finding]:
    from sellctl.sim.scenario.expectations import is_kept, outcome_of

    reasons = _reasons(folder)
    findings = []
    with server.hold() as exchange:
        for promise in server.scenario.promises:
            ended = outcome_of(promise, server.scenario, exchange)
            reason = reasons.get((promise.account, promise.symbol), "")
            kept = is_kept(promise, ended) and promise.reason in {"", reason}
            findings.append(_Finding(promise, ended, reason, kept))
    return findings


def _reasons(folder: Path) -> dict[tuple[str, str], str]:
    """The reason of the last intent on each symbol of each account, as the journal has it."""
    from sellctl.journal.queries import Filters, history
    from sellctl.service.state_folder import StateFolder

    newest_first = history(StateFolder(folder).journal, Filters(limit=_ALL))
    return {(row.account, row.symbol): row.reason for row in reversed(newest_first) if row.kind == "intent"}
