"""What the commands that poll accounts share: options, one run over all accounts, the event log, the exit status."""

import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from sellctl.core.errors import BusyError, JournalError, SafetyRefusalError, SellctlError
from sellctl.core.exit_codes import ExitCode
from sellctl.service.options import Options
from sellctl.ui.formats import OutputFormat

if TYPE_CHECKING:
    from sellctl.bootstrap import RunOptions, Runtime
    from sellctl.core.config_manager import LoadedConfig
    from sellctl.core.model.plan import Plan
    from sellctl.core.scheduler import AccountScheduler
    from sellctl.core.watching.manual_requests import Verb
    from sellctl.service.state_folder import StateFolder

FormatOption = Annotated[
    OutputFormat | None, typer.Option("--format", help="Left out: a table on a terminal, plain text elsewhere.")
]
AccountOption = Annotated[
    list[str] | None, typer.Option("--account", "-a", help="Only this account; may be given several times.")
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]
NO_OPTIONS = Options(None, None, live=False, debug=False, log_file=None)


def options_of(context: typer.Context) -> Options:
    """The global options."""
    return context.find_object(Options) or NO_OPTIONS


def run(
    options: Options, run_options: "RunOptions", then: "Callable[[Runtime], Awaitable[None]] | None" = None
) -> "Runtime":
    """Do what `run-once` does with these options, then `then`. Events go to the log; the runtime is closed."""
    from sellctl.bootstrap import load

    loaded = load(options)
    confirm_first_live(loaded, options, run_options)
    try:
        return _ran(loaded, options, run_options, then)
    except KeyboardInterrupt:
        acts = " Orders already sent keep working; the next run adopts them." if run_options.acts else ""
        typer.echo(f"sellctl: interrupted.{acts}", err=True)
        raise typer.Exit(ExitCode.INTERRUPTED) from None


def _ran(
    loaded: "LoadedConfig",
    options: Options,
    run_options: "RunOptions",
    then: "Callable[[Runtime], Awaitable[None]] | None" = None,
) -> "Runtime":
    import asyncio

    from sellctl.bootstrap import assemble
    from sellctl.service.logs import log_event

    runtime = assemble(loaded, options, run_options, log_event)

    async def work() -> None:
        await runtime.scheduler.run_once()
        if then is not None:
            await then(runtime)

    try:
        asyncio.run(work())
    finally:
        runtime.close()
    return runtime


def confirm_first_live(loaded: "LoadedConfig", options: Options, run_options: "RunOptions") -> None:
    """The first run that would act with real money shows what it would do at once, and asks.

    SafetyRefusalError when the answer is no, or when there is nobody to ask and --yes was not given.
    """
    from sellctl.bootstrap import state_of, unconfirmed_live

    new = unconfirmed_live(loaded, options, run_options)
    if not new or not run_options.acts:
        return
    if not run_options.yes:
        _show_what_would_happen(loaded, options, run_options)
        question = f"This is the first run that acts with real money ({', '.join(new)}). Go on?"
        if not sys.stdin.isatty():
            raise SafetyRefusalError("The first run with real money needs a yes.", hint="Add --yes to agree.")
        if not typer.confirm(question, err=True):
            raise SafetyRefusalError("Nothing was sent.")
    state_of(options).confirm_live(new.values())


def _show_what_would_happen(loaded: "LoadedConfig", options: Options, run_options: "RunOptions") -> None:
    from sellctl.core.model.account_state import RunMode

    dry = replace(run_options, mode=RunMode.DRY_RUN)
    show_plans(first_plans_of(_ran(loaded, options, dry).scheduler), dry, None, "What would be done at once")


def show_plans(plans: "Sequence[Plan]", run_options: "RunOptions", output: OutputFormat | None, title: str) -> None:
    """Print what is decided on every position, and why."""
    from sellctl.ui.documents import plan_document
    from sellctl.ui.render import emit
    from sellctl.ui.rows import PLAN_COLUMNS, plan_rows

    emit(PLAN_COLUMNS, plan_rows(plans), output, title=title, document=plan_document(plans, run_options.mode.value))


def all_busy(scheduler: "AccountScheduler") -> bool:
    """Whether other sellctl processes hold every account, so that nothing is left to do here."""
    return all(isinstance(state.problem, BusyError) for state in scheduler.states)


def hand_over(runtime: "Runtime", verb: "Verb", symbol: str = "") -> None:
    """Ask the processes that hold busy accounts to do it; an accepted request is no problem any more."""
    from sellctl.service.command_inbox import was_accepted

    for watcher in runtime.scheduler.watchers:
        if isinstance(watcher.state.problem, BusyError):
            request = runtime.state.ask(verb, symbol=symbol, accounts=(watcher.name,), by=f"sellctl {verb.value}")
            if was_accepted(request):
                typer.echo(f"{watcher.name}: passed to the running watcher.", err=True)
                watcher.handed_over()


def record(state: "StateFolder", kind: str, detail: dict[str, object]) -> None:
    """Note it in the journal if that works; a halt must not depend on it."""
    from sellctl.bootstrap import note

    try:
        note(state, kind, detail)
    except JournalError as error:
        typer.echo(f"sellctl: not recorded in the journal: {error}", err=True)


def plans_of(scheduler: "AccountScheduler") -> "list[Plan]":
    """The last plan of each account that has one, explained."""
    from sellctl.ui.displays import explained_plan

    return [explained_plan(plan, watcher) for watcher in scheduler.watchers if (plan := watcher.state.plan)]


def first_plans_of(scheduler: "AccountScheduler") -> "list[Plan]":
    """The first plan of each account that has one, explained."""
    from sellctl.ui.displays import explained_plan

    return [explained_plan(plan, watcher) for watcher in scheduler.watchers if (plan := watcher.state.first_plan)]


def status_of(scheduler: "AccountScheduler", *, busy_is_fine: bool = False) -> ExitCode:
    """The exit status of a run over all accounts. What went wrong in an account was published when it happened."""
    problems = [state.problem for state in scheduler.states if state.problem is not None]
    counted = [problem for problem in problems if not (busy_is_fine and isinstance(problem, BusyError))]
    if scheduler.problem is not None and not counted and len(problems) < len(scheduler.watchers):
        typer.echo(f"sellctl: {scheduler.problem}", err=True)
        return scheduler.problem.exit_code
    if not counted:
        return ExitCode.FAILED if _print_unknown(scheduler) else _partly(scheduler)
    if len(counted) < len(scheduler.watchers):
        return ExitCode.PARTLY
    return _common(counted)


def print_problems(scheduler: "AccountScheduler") -> None:
    """Print what is wrong in which account, on stderr, for whoever saw no log."""
    for state in scheduler.states:
        if state.problem is not None:
            typer.echo(f"sellctl: {_named(state.name, state.problem)}", err=True)


def _named(account: str, problem: SellctlError) -> str:
    """A problem with the account's name in front, once."""
    return str(problem) if problem.sentence.startswith(f"{account}: ") else f"{account}: {problem}"


def _print_unknown(scheduler: "AccountScheduler") -> bool:
    """Print the orders whose outcome is unknown; whether there are any."""
    unknown = [(state.name, order_id) for state in scheduler.states for order_id in state.unknown_orders]
    for name, order_id in unknown:
        typer.echo(f"sellctl: {name}: the outcome of order {order_id} is unknown; the next run looks it up.", err=True)
    return bool(unknown)


def _partly(scheduler: "AccountScheduler") -> ExitCode:
    """PARTLY when an order was rejected or quotes are missing, which was published when it happened; else OK."""
    failed = scheduler.prices.failures or any(state.rejected for state in scheduler.states)
    return ExitCode.PARTLY if failed else ExitCode.OK


def _common(problems: Iterable[SellctlError]) -> ExitCode:
    """The one status that all problems share, else the general one."""
    codes = {problem.exit_code for problem in problems}
    return codes.pop() if len(codes) == 1 else ExitCode.FAILED


def is_enabled(options: Options) -> bool:
    """Whether the sell module is switched on; if not, print so."""
    from sellctl.bootstrap import load

    if load(options).config.sell_module.enabled:
        return True
    typer.echo("sell_module.enabled is false: nothing is watched and nothing is sold.", err=True)
    return False
