"""`sellctl demo`: the real watcher against a simulated market afternoon, then what happened and whether it had to."""

import asyncio
import datetime as dt
import sys
import tempfile
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sellctl.commands.session import FormatOption, log_event
from sellctl.exit_codes import ExitCode
from sellctl.options import Options
from sellctl.render import OutputFormat, emit

if TYPE_CHECKING:
    from sellctl.bootstrap import Runtime
    from sellctl.core.model.config import Config
    from sellctl.core.model.event import Event
    from sellctl.live import Display
    from sellctl.sim.server import SimServer

_FAST = dt.timedelta(seconds=90)
_ALL = 1_000_000
_COLUMNS = ("account", "what", "promised", "what happened", "kept")


def demo(
    speed: Annotated[
        float | None,
        typer.Option(min=1, help="Simulated seconds a second; left out: the scenario's.", show_default=False),
    ] = None,
    output: FormatOption = None,
) -> None:
    """Play a market afternoon in under a minute: no keys, no real market, the real program."""
    from sellctl.logs import configure  # noqa: PLC0415  help does without it
    from sellctl.sim.scenario import load_scenario  # noqa: PLC0415  likewise
    from sellctl.sim.server import SimServer  # noqa: PLC0415  likewise

    configure(debug=False)
    scenario = load_scenario("demo")
    pace = speed or float(scenario.speed)
    typer.echo(f"{scenario.name}: {scenario.description}", err=True)
    with tempfile.TemporaryDirectory(prefix="sellctl-demo-") as folder, SimServer(scenario, speed=pace) as server:
        _play(server, Path(folder), pace, on_screen=sys.stdout.isatty() and output in {None, OutputFormat.TABLE})
        rows = _promises(server, Path(folder))
    emit(_COLUMNS, rows, output, title="What was promised, and what happened")
    broken = [row for row in rows if row[-1] != "yes"]
    typer.echo(f"{len(rows) - len(broken)} of {len(rows)} promises kept.", err=True)
    raise typer.Exit(ExitCode.FAILED if broken else ExitCode.OK)


def _play(server: "SimServer", folder: Path, pace: float, *, on_screen: bool) -> None:
    """Run the watcher until the scenario is over."""
    from sellctl.bootstrap import Wish, assemble  # noqa: PLC0415  help does without it
    from sellctl.core.config_manager import LoadedConfig  # noqa: PLC0415  likewise
    from sellctl.core.real_clock import RealClock  # noqa: PLC0415  likewise
    from sellctl.core.sell_watcher import Mode  # noqa: PLC0415  likewise
    from sellctl.live import LogOnly, Screen  # noqa: PLC0415  likewise

    events: deque[Event] = deque(maxlen=50)

    def listen(event: "Event") -> None:
        events.append(event)
        if not on_screen:
            log_event(event)

    loaded = LoadedConfig(_config(server), None, {}, ())
    options = Options(None, folder, live=False, debug=False, log_file=None)
    runtime = assemble(loaded, options, Wish("demo", Mode.ACT), listen, RealClock(pace))
    try:
        asyncio.run(_until_over(runtime, server, Screen(runtime, events) if on_screen else LogOnly()))
    finally:
        runtime.close()


async def _until_over(runtime: "Runtime", server: "SimServer", display: "Display") -> None:
    stop = asyncio.Event()
    until = server.scenario.until

    def after_look(wait: float) -> None:
        display.update(wait)
        if until is not None and server.exchange.now >= until:
            stop.set()

    with display:
        await runtime.fleet.watch(stop, after_look)


def _config(server: "SimServer") -> "Config":
    """A configuration that points every account of the scenario at the simulator."""
    from sellctl.core.model.config import (  # noqa: PLC0415  help does without it
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


def _promises(server: "SimServer", folder: Path) -> list[tuple[str, str, str, str, str]]:
    """Each promise of the scenario beside what the simulated broker and the journal show."""
    from sellctl.sim.promises import is_kept, outcome_of  # noqa: PLC0415  help does without it

    reasons = _reasons(folder)
    rows = []
    with server.hold() as exchange:
        for promise in server.scenario.promises:
            happened = outcome_of(promise, server.scenario, exchange)
            why = reasons.get((promise.account, promise.symbol), "")
            kept = is_kept(promise, happened) and promise.reason in {"", why}
            told = " ".join(part for part in (happened, why and f"({why})") if part)
            promised = " ".join(part for part in (promise.ends, promise.reason and f"({promise.reason})") if part)
            what = f"{promise.symbol or promise.order} {promise.text}".strip()
            rows.append((promise.account, what, promised, told, "yes" if kept else "NO"))
    return rows


def _reasons(folder: Path) -> dict[tuple[str, str], str]:
    """The reason of the last intent on each symbol of each account, as the journal has it."""
    from sellctl.journal.queries import Filters, history  # noqa: PLC0415  help does without SQLAlchemy
    from sellctl.state import StateFolder  # noqa: PLC0415  likewise

    newest_first = history(StateFolder(folder).journal, Filters(limit=_ALL))
    return {(row.account, row.symbol): row.reason for row in reversed(newest_first) if row.kind == "intent"}
