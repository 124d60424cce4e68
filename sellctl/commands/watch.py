"""`sellctl watch`: poll all accounts until a signal stops it; a live screen on a terminal, log lines elsewhere."""

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from sellctl.commands.session import (
    AccountOption,
    YesOption,
    all_busy,
    check_enabled,
    confirm_first_live,
    options_of,
    print_problems,
    say,
    status_of,
)
from sellctl.core.exit_codes import ExitCode

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine, Iterable

    from sellctl.bootstrap import Runtime
    from sellctl.chat.service import Chat
    from sellctl.core.model.event import Event
    from sellctl.service.notifier import Notifier
    from sellctl.service.options import Options
    from sellctl.ui.displays import Display


HOST_ID_LENGTH = 64


def check_host_id(host_id: str, *, dry_run: bool) -> None:
    """ConfigError for a host id that isn't a short word, or in a dry run, which takes no lease."""
    from sellctl.core.errors import ConfigError

    if dry_run:
        raise ConfigError("--host-id and --dry-run contradict each other: a dry run takes no account.")
    if len(host_id) > HOST_ID_LENGTH or not all(each.isalnum() or each in "-_." for each in host_id):
        raise ConfigError(
            "The host id isn't a name.", hint=f"Use up to {HOST_ID_LENGTH} letters, digits, dots and hyphens."
        )


class WatchFormat(StrEnum):
    """The watcher's output format."""

    TABLE = "table"  # a live screen
    LOG = "log"  # one line per event
    JSON = "json"  # one object per line, one line per poll


def watch(
    context: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Decide and show; send and write nothing.")] = False,
    yes: YesOption = False,
    account: AccountOption = None,
    host_id: Annotated[
        str,
        typer.Option(
            "--host-id", metavar="<name>", help="This host's name, where several hosts share the accounts by leases."
        ),
    ] = "",
    output: Annotated[
        WatchFormat | None,
        typer.Option(
            "--format",
            metavar="<format>",
            help="table, log or json. Default: a table on a terminal, log lines elsewhere.",
        ),
    ] = None,
) -> None:
    """Watch every position and sell what is due, until Ctrl-C."""
    import asyncio

    from sellctl.bootstrap import RunOptions, assemble, load
    from sellctl.chat.service import chat_of
    from sellctl.core.model.account_state import RunMode
    from sellctl.service.logs import log_event, redactor
    from sellctl.service.notifier import Notifier
    from sellctl.ui.recent_events import RecentEvents

    options = options_of(context)
    loaded = load(options, notifies=True, chats=True)
    if not check_enabled(loaded):
        return
    shown = output or (WatchFormat.TABLE if sys.stdout.isatty() else WatchFormat.LOG)
    events = RecentEvents()
    redact = redactor(loaded.secrets())
    chat = chat_of(loaded, redact)
    notifier = Notifier(loaded.config, redact, chat=chat)

    def listen(event: "Event") -> None:
        events.append(event)
        notifier.notify(event)
        if shown is not WatchFormat.TABLE or options.log_file:
            log_event(event)

    mode = RunMode.DRY_RUN if dry_run else RunMode.ACT
    run_options = RunOptions(
        "watch",
        mode,
        account or (),
        yes=yes,
        streams=True,
        checks_structures=not host_id,
        observed=True,
        host_id=host_id,
    )
    if host_id:
        check_host_id(host_id, dry_run=dry_run)
    confirm_first_live(loaded, options, run_options)
    runtime = assemble(loaded, options, run_options, listen)
    display = _display(shown, runtime, events)
    try:
        asyncio.run(_until_signal(runtime, display, lambda: _reload(runtime, options, listen), notifier, chat))
    finally:
        runtime.close()
        notifier.close()
        if chat:
            chat.close()
    if not display.problem and not all_busy(runtime.scheduler):
        say("Stopped: nothing is watched any more.")
    _print_what_is_left(runtime)
    if shown is WatchFormat.TABLE and not options.log_file:
        print_problems(runtime.scheduler)
    if display.problem:
        say(f"sellctl: nothing is watched any more: stdout can't be written: {display.problem}.")
        raise typer.Exit(ExitCode.FAILED)
    raise typer.Exit(status_of(runtime.scheduler, stopped=True))


async def _until_signal(
    runtime: "Runtime",
    display: "Display",
    on_hup: "Callable[[], Coroutine[object, object, None]]",
    notifier: "Notifier",
    chat: "Chat | None",
) -> None:
    """Watch until SIGINT or SIGTERM; SIGHUP reloads the configuration."""
    import asyncio

    from sellctl.service.signals import on_first_signal, on_hangup

    stop = asyncio.Event()
    on_first_signal(stop.set)
    on_hangup(on_hup)
    if chat:
        from sellctl.service.verbs import Verbs

        chat.start(runtime, Verbs(runtime))
    await watching(runtime, display, stop, notifier.after_poll)


async def watching(
    runtime: "Runtime", display: "Display", stop: "asyncio.Event", after_poll: "Callable[[bool | None], None]"
) -> None:
    """Watch all accounts and accept requests from other commands.

    Ends when `stop` is set, the display can't be written any more, or other processes hold every account.
    """
    import asyncio

    from sellctl.core.model.account_state import RunMode
    from sellctl.service.command_inbox import serve
    from sellctl.service.garbage_collection import exempt_what_is_loaded
    from sellctl.service.observing import observe
    from sellctl.service.systemd import sd_notify

    # A dry run leaves requests to the process that acts. A host that shares the accounts begins without any.
    acts = runtime.leased is not None or any(state.mode is RunMode.ACT for state in runtime.scheduler.states)

    def show(wait: float) -> None:
        exempt_what_is_loaded()
        sd_notify("READY=1", "WATCHDOG=1", "STATUS=watching")
        if acts and runtime.is_healthy:
            runtime.state.renew_health()
        after_poll(runtime.scheduler.market.is_open if runtime.scheduler.market else None)
        display.update(wait)
        if all_busy(runtime.scheduler):
            stop.set()

    scheduler, state = runtime.scheduler, runtime.state
    registration = runtime.leased.registration if runtime.leased else None
    inbox = asyncio.create_task(serve(scheduler, state, stop, registration) if acts else observe(scheduler, state))
    with display:
        drawing = asyncio.create_task(_draw_each_second(display, stop))
        sharing = asyncio.create_task(runtime.leased.run(stop)) if runtime.leased else None
        await scheduler.watch(stop, show)
        if sharing:
            await sharing
        drawing.cancel()
    sd_notify("STOPPING=1")
    inbox.cancel()


async def _draw_each_second(display: "Display", stop: "asyncio.Event") -> None:
    """Refresh the display, and stop when it can't be written any more."""
    import asyncio

    while not display.problem:
        await asyncio.sleep(1)
        display.refresh()
    stop.set()


async def _reload(runtime: "Runtime", options: "Options", listen: "Callable[[Event], None]") -> None:
    """Reload the configuration, and notify the service manager before and after."""
    from sellctl.service.reload import reload
    from sellctl.service.systemd import reloading, sd_notify

    sd_notify(*reloading())
    await reload(runtime, options.config, listen)
    sd_notify("READY=1")


def _display(shown: WatchFormat, runtime: "Runtime", events: "Iterable[Event]") -> "Display":
    from sellctl.ui.displays import JsonLines, LogOnly, Screen

    if shown is WatchFormat.TABLE:
        return _key_screen(runtime, events) or Screen(runtime, events)
    return JsonLines(runtime, events) if shown is WatchFormat.JSON else LogOnly()


def _key_screen(runtime: "Runtime", events: "Iterable[Event]") -> "Display | None":
    """The screen with keys; None where there is no keyboard, as when stdin is no terminal."""
    import signal

    if sys.platform == "win32":
        return None
    from sellctl.ui.key_terminal import has_keys

    if not has_keys():
        return None
    from sellctl.service.verbs import Verbs
    from sellctl.ui.key_screen import KeyScreen
    from sellctl.ui.verb_actions import VerbActions

    return KeyScreen(runtime, events, VerbActions(Verbs(runtime)), lambda: signal.raise_signal(signal.SIGINT))


def _print_what_is_left(runtime: "Runtime") -> None:
    """Print the orders of sellctl that stay open at the broker."""
    from sellctl.ui.contracts import readable_name

    for state in runtime.scheduler.states:
        for what, symbols in (("order", state.pending_symbols), ("stop order", state.broker_stops)):
            for symbol in symbols:
                name = readable_name(symbol)
                say(f"Still open at the broker: sellctl's {what} for {name} in account {state.name}.")
