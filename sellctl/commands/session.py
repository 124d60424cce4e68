"""What the commands that look at accounts share: options, one run of the fleet, the log of events, the exit status."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sellctl.core.errors import BusyError, SellctlError
from sellctl.exit_codes import ExitCode
from sellctl.options import Options
from sellctl.render import OutputFormat

if TYPE_CHECKING:
    from sellctl.bootstrap import Runtime, Wish
    from sellctl.core.fleet import Fleet
    from sellctl.core.model.event import Event
    from sellctl.core.model.plan import Plan

FormatOption = Annotated[
    OutputFormat | None, typer.Option("--format", help="Left out: a table on a terminal, plain text elsewhere.")
]
AccountOption = Annotated[
    list[str] | None, typer.Option("--account", "-a", help="Only this account; may be given several times.")
]
NO_OPTIONS = Options(None, None, live=False, debug=False, log_file=None)


def options_of(context: typer.Context) -> Options:
    """The global options."""
    return context.find_object(Options) or NO_OPTIONS


def with_runtime(options: Options, wish: "Wish", work: "Callable[[Runtime], Coroutine[Any, Any, None]]") -> "Runtime":
    """Assemble a runtime, do the work in it and close it. Events go to the log."""
    from sellctl.bootstrap import assemble, load  # noqa: PLC0415  help does without it
    from sellctl.core.sell_watcher import Mode  # noqa: PLC0415  likewise

    runtime = assemble(load(options), options, wish, log_event)
    try:
        asyncio.run(work(runtime))
    except KeyboardInterrupt:
        acts = "" if wish.mode is Mode.DRY_RUN else " What was sent goes on working; the next run takes it up."
        typer.echo(f"sellctl: interrupted.{acts}", err=True)
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    finally:
        runtime.close()
    return runtime


def log_event(event: "Event") -> None:
    """One line of the log an event."""
    from loguru import logger  # noqa: PLC0415  help does without it

    account = f"{event.account} " if event.account else ""
    logger.log(event.weight.value.upper(), "{}", f"{account}{event.sentence}")


def plans_of(fleet: "Fleet") -> "list[Plan]":
    """The last plan of each account that has one."""
    return [watcher.plan for watcher in fleet.watchers if watcher.plan is not None]


def status_of(fleet: "Fleet", *, busy_is_fine: bool = False) -> ExitCode:
    """The exit status of a run over all accounts, after saying on stderr what went wrong where."""
    problems = [(w.name, w.problem) for w in fleet.watchers if w.problem is not None]
    counted = [(name, p) for name, p in problems if not (busy_is_fine and isinstance(p, BusyError))]
    for name, problem in problems:
        typer.echo(f"sellctl: {name}: {problem}", err=True)
    if fleet.problem is not None and not counted and len(problems) < len(fleet.watchers):
        typer.echo(f"sellctl: {fleet.problem}", err=True)
        return fleet.problem.exit_code
    if not counted:
        return ExitCode.FAILED if _say_what_is_unknown(fleet) else ExitCode.OK
    if len(counted) < len(fleet.watchers):
        return ExitCode.PARTLY
    return _common(problem for _, problem in counted)


def _say_what_is_unknown(fleet: "Fleet") -> bool:
    """Name the orders whose fate the broker hasn't told; whether there are any."""
    unknown = [(watcher.name, order_id) for watcher in fleet.watchers for order_id in watcher.orders.unknown]
    for name, order_id in unknown:
        typer.echo(f"sellctl: {name}: nobody knows yet what became of {order_id}; the next run looks it up.", err=True)
    return bool(unknown)


def _common(problems: Iterable[SellctlError]) -> ExitCode:
    """The one status that all problems share, else the general one."""
    codes = {problem.exit_code for problem in problems}
    return codes.pop() if len(codes) == 1 else ExitCode.FAILED


def is_enabled(options: Options) -> bool:
    """Whether the sell module is switched on; if not, say so."""
    from sellctl.bootstrap import load  # noqa: PLC0415  help does without it

    if load(options).config.sell_module.enabled:
        return True
    typer.echo("sell_module.enabled is false: nothing is watched and nothing is sold.", err=True)
    return False
