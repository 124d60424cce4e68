"""Shared by the commands that poll accounts: options, one run over all accounts, its output and its exit status."""

import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from sellctl.commands.completion import account_names
from sellctl.core.errors import (
    BusyError,
    ConfigError,
    JournalError,
    RateLimitedError,
    SafetyRefusalError,
    SellctlError,
    UnknownOutcomeError,
)
from sellctl.core.exit_codes import ExitCode
from sellctl.service.log_format import LOG_FORMAT, LogFormat
from sellctl.service.options import Options
from sellctl.ui.formats import OutputFormat

if TYPE_CHECKING:
    from sellctl.bootstrap import RunOptions, Runtime
    from sellctl.core.config_manager import LoadedConfig
    from sellctl.core.model.event import Event
    from sellctl.core.model.view import AccountListing
    from sellctl.core.scheduler import AccountScheduler
    from sellctl.service.notifier import Notifier
    from sellctl.service.state_folder import StateFolder

FormatOption = Annotated[
    OutputFormat | None,
    typer.Option(
        "--format",
        metavar="<format>",
        help="table, plain, json, csv or markdown. Default: a table on a terminal, plain text elsewhere.",
    ),
]
AccountOption = Annotated[
    list[str] | None,
    typer.Option(
        "--account",
        "-a",
        metavar="<name>",
        help="Only this account; may be given several times.",
        autocompletion=account_names,
    ),
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]
RUN_SECONDS = 48.5  # run-once ends within 50 s, also when a recipient of notifications does not answer
LEAST_SECONDS = 0.5  # to deliver the last notifications of a run that has used all of that
NO_OPTIONS = Options(None, None, live=False, debug=False, log_file=None)


def options_of(context: typer.Context) -> Options:
    """The global options."""
    return context.find_object(Options) or NO_OPTIONS


class Command(TyperCommand):
    """A command whose help is wrapped at the width of the terminal, and not also where its docstring is."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help, each paragraph of it in one line for typer to wrap."""
        paragraphs = (self.help or "").split("\n\n")
        self.help = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
        super().format_help(ctx, formatter)


class AccountCommand(Command):
    """A command on accounts or on what is kept of them. Its first line says when they are simulated ones."""

    def invoke(self, ctx: Any) -> Any:
        """Print where the state of simulated accounts is, then do what the command does."""
        print_simulator(ctx.find_object(Options) or NO_OPTIONS)
        return super().invoke(ctx)


def print_simulator(options: Options) -> None:
    """Print on stderr where the state of simulated accounts is; nothing for real ones.

    What is wrong with the configuration is left to the command.
    """
    from sellctl.core.config_manager import ConfigManager, state_dir

    try:
        if ConfigManager(options.config).is_simulated():
            print_line(f"Simulator: state in {state_dir(options.state_dir, simulator=True)}")
    except ConfigError:
        return


def say(text: str) -> None:
    """Print a sentence on stderr, on a terminal broken between words."""
    from sellctl.ui.sentences import for_terminal

    print_line(text, for_terminal(text))


def print_line(text: str, shown: str = "") -> None:
    """Print a text on stderr as it is, or as it is to be `shown`; one line of the log where that is JSON."""
    if LOG_FORMAT.get() is LogFormat.JSON:
        from sellctl.service.logs import log_sentence

        log_sentence(text.strip())
    else:
        typer.echo(shown or text, err=True)


def run(
    options: Options,
    run_options: "RunOptions",
    then: "Callable[[Runtime], Awaitable[None]] | None" = None,
    *,
    loaded: "LoadedConfig | None" = None,
    notifies: bool = False,
    quiet: bool = False,
) -> "Runtime":
    """Do what `run-once` does with these options, then await `then`. Returns the runtime, closed; events are logged.

    With `notifies` they are sent to the configured recipients too, and the heartbeat at the end. With `quiet` only
    problems are logged. `loaded` is the configuration, where the command has read it already.
    """
    from sellctl.bootstrap import load

    loaded = loaded or load(options, notifies=notifies)
    confirm_first_live(loaded, options, run_options)
    try:
        with _notifying(loaded, options) if notifies else nullcontext() as notifier:
            return _run_loaded(loaded, options, run_options, then, notifier, quiet=quiet)
    except KeyboardInterrupt:
        acts = " Orders already sent keep working; the next run takes them over." if run_options.acts else ""
        say(f"sellctl: interrupted.{acts}")
        raise typer.Exit(ExitCode.INTERRUPTED) from None


def _run_loaded(
    loaded: "LoadedConfig",
    options: Options,
    run_options: "RunOptions",
    then: "Callable[[Runtime], Awaitable[None]] | None" = None,
    notifier: "Notifier | None" = None,
    *,
    quiet: bool = False,
) -> "Runtime":
    import asyncio

    from sellctl.bootstrap import assemble
    from sellctl.core.model.event import Severity
    from sellctl.service.garbage_collection import exempt_what_is_imported
    from sellctl.service.logs import log_event

    def listen(event: "Event") -> None:
        if not quiet or event.severity is not Severity.INFO:
            log_event(event)
        if notifier:
            notifier.notify(event)

    runtime = assemble(loaded, options, run_options, listen)
    exempt_what_is_imported()

    async def work() -> None:
        await runtime.scheduler.run_once()
        if notifier:
            market = runtime.scheduler.market
            notifier.after_poll(market.is_open if market else None)
        if then is not None:
            await then(runtime)

    try:
        asyncio.run(work())
    finally:
        runtime.close()
    return runtime


@contextmanager
def _notifying(loaded: "LoadedConfig", options: Options) -> "Iterator[Notifier]":
    """A notifier for one run, which knows what earlier runs have sent. It ends within RUN_SECONDS of its start."""
    import time

    from sellctl.bootstrap import state_of
    from sellctl.service.logs import redactor
    from sellctl.service.notifier import CLOSE_SECONDS, Notifier
    from sellctl.service.sent_notifications import SentNotifications

    ends_at = time.monotonic() + RUN_SECONDS
    sent = SentNotifications(state_of(options, loaded).notifications)
    notifier = Notifier(loaded.config, redactor(loaded.secrets()), time.time, sent.load(time.time()))
    try:
        yield notifier
    finally:
        notifier.close(min(max(ends_at - time.monotonic(), LEAST_SECONDS), CLOSE_SECONDS))
        if notifier.sent_at:
            sent.save(notifier.sent_at)


def confirm_first_live(loaded: "LoadedConfig", options: Options, run_options: "RunOptions") -> None:
    """Before the first run that acts with real money, print its plan and ask for confirmation.

    SafetyRefusalError when the answer is no, or when stdin is no terminal and --yes was not given.
    """
    from sellctl.bootstrap import state_of, unconfirmed_live

    unconfirmed_accounts = unconfirmed_live(loaded, options, run_options)
    if not unconfirmed_accounts or not run_options.acts:
        return
    if not run_options.yes:
        _show_what_would_happen(loaded, options, run_options)
        names = ", ".join(unconfirmed_accounts)
        question = f"This is the first run that acts with real money ({names}). Continue?"
        if not sys.stdin.isatty():
            raise SafetyRefusalError("The first run with real money must be confirmed.", hint="Add --yes to confirm.")
        if not ask_yes_no(question):
            raise SafetyRefusalError("Nothing was sent.")
    state_of(options, loaded).confirm_live(unconfirmed_accounts.values())


def ask_yes_no(question: str, *, done: str = "sent") -> bool:
    """Ask a question. Ctrl-C and Ctrl-D end the command, with nothing `done`."""
    from sellctl.ui.sentences import question_for_terminal

    try:
        return typer.confirm(question_for_terminal(question), err=True)
    except typer.Abort:
        say(f"\nsellctl: interrupted. Nothing was {done}.")
        raise typer.Exit(ExitCode.INTERRUPTED) from None


def answered(question: str) -> str:
    """What is typed as an answer, which isn't empty. Ctrl-C and Ctrl-D end the command."""
    answer = ""
    try:
        while not answer:
            answer = str(typer.prompt(question, prompt_suffix=" ", err=True)).strip()
    except typer.Abort:
        say("\nsellctl: interrupted.")
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    return answer


def _show_what_would_happen(loaded: "LoadedConfig", options: Options, run_options: "RunOptions") -> None:
    from sellctl.core.model.account_state import RunMode

    dry = replace(run_options, mode=RunMode.DRY_RUN)
    show_plans(_run_loaded(loaded, options, dry), dry, None, "Orders that would be sent now")


def show_plans(runtime: "Runtime", run_options: "RunOptions", output: OutputFormat | None, title: str) -> None:
    """Print the decision of the first poll on every position, with its reason, and a halt if there is one."""
    from sellctl.ui.documents import plans_listing
    from sellctl.ui.render import emit
    from sellctl.ui.rows import PLAN_COLUMNS, plan_rows

    accounts, halted = first_listings(runtime), print_halt(runtime)
    document = plans_listing(accounts, run_options.mode.value, halted)
    emit(PLAN_COLUMNS, plan_rows(accounts), output, title=title, document=document)


def print_halt(runtime: "Runtime") -> str:
    """Print on stderr that new orders are halted, even if no order is due. Returns why; "" when they aren't."""
    from sellctl.ui.formatting import sanitize

    halted = runtime.halted
    if halted:
        hint = f"Lift the halt: {runtime.program} resume --reason ..."
        say(f"HALTED: no new orders are sent ({sanitize(halted)}). {hint}")
    return halted


def print_outdated(state: "StateFolder", loaded: "LoadedConfig") -> None:
    """Print on stderr which running processes still use the configuration as it was before it was changed."""
    from sellctl.service.config_in_use import outdated

    for each in outdated(state, loaded):
        say(each.sentence)


def all_busy(scheduler: "AccountScheduler") -> bool:
    """Whether other sellctl processes hold every account, so that nothing is left to do here."""
    states = scheduler.states
    return bool(states) and all(isinstance(state.problem, BusyError) for state in states)


def record(state: "StateFolder", kind: str, detail: dict[str, object], account: str = "") -> None:
    """Record a command in the journal, with who gave it.

    A failure is only printed, because a halt must not depend on the journal.
    """
    from sellctl.bootstrap import note
    from sellctl.service.person import at_the_command_line

    try:
        note(state, kind, {"by": at_the_command_line(), **detail}, account)
    except (JournalError, ConfigError) as error:
        say(f"sellctl: not recorded in the journal: {error}")


def listings(runtime: "Runtime") -> "list[AccountListing]":
    """Each account with its last plan, explained, or with why there is none."""
    from sellctl.service.listings import listing_of

    return [listing_of(runtime, watcher, watcher.state.plan) for watcher in runtime.scheduler.watchers]


def first_listings(runtime: "Runtime") -> "list[AccountListing]":
    """Each account with its first plan, explained, or with why there is none."""
    from sellctl.service.listings import listing_of

    return [listing_of(runtime, watcher, watcher.state.first_plan) for watcher in runtime.scheduler.watchers]


def status_of(scheduler: "AccountScheduler", *, busy_is_fine: bool = False, stopped: bool = False) -> ExitCode:
    """The exit status of a run over all accounts. Their problems aren't printed, because they were published before.

    If the user stopped the watcher, transient problems (rate limit, unknown outcome) don't count as failures.
    """
    problems = [state.problem for state in scheduler.states if state.problem is not None]
    if stopped:
        problems = [problem for problem in problems if not isinstance(problem, RateLimitedError | UnknownOutcomeError)]
        if isinstance(scheduler.problem, RateLimitedError | UnknownOutcomeError) and not problems:
            return ExitCode.OK
    counted = [problem for problem in problems if not (busy_is_fine and isinstance(problem, BusyError))]
    if scheduler.problem is not None and not counted and len(problems) < len(scheduler.watchers):
        say(f"sellctl: {scheduler.problem}")
        return scheduler.problem.exit_code
    if not counted:
        return ExitCode.FAILED if _print_unknown(scheduler) else _partial_or_ok(scheduler)
    if len(counted) < len(scheduler.watchers):
        return ExitCode.PARTLY
    return _common(counted)


def print_problems(scheduler: "AccountScheduler") -> None:
    """Print the problem of each account on stderr, for runs whose log wasn't visible."""
    for state in scheduler.states:
        if state.problem is not None:
            say(f"sellctl: {_named(state.name, state.problem)}")


def _named(account: str, problem: SellctlError) -> str:
    """A problem, prefixed with the account's name unless it starts with it."""
    return str(problem) if problem.sentence.startswith(f"{account}: ") else f"{account}: {problem}"


def _print_unknown(scheduler: "AccountScheduler") -> bool:
    """Print the orders whose outcome is unknown. Returns whether there are any."""
    unknown = [(state.name, order_id) for state in scheduler.states for order_id in state.unknown_orders]
    for name, order_id in unknown:
        say(f"sellctl: {name}: the outcome of order {order_id} is unknown; the next run looks it up.")
    return bool(unknown)


def _partial_or_ok(scheduler: "AccountScheduler") -> ExitCode:
    """PARTLY when an order was rejected or quotes are missing, which was published when it happened; else OK."""
    failed = scheduler.prices.failures or any(state.rejected for state in scheduler.states)
    return ExitCode.PARTLY if failed else ExitCode.OK


def _common(problems: Iterable[SellctlError]) -> ExitCode:
    """The exit status that all problems share, else FAILED."""
    codes = {problem.exit_code for problem in problems}
    return codes.pop() if len(codes) == 1 else ExitCode.FAILED


def check_enabled(loaded: "LoadedConfig") -> bool:
    """Whether the sell module is enabled; prints a message when it isn't."""
    if loaded.config.sell_module.enabled:
        return True
    say("sell_module.enabled is false: nothing is watched and nothing is sold.")
    return False
