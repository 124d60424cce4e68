"""`sellctl doctor`: check keys, feeds, clock and journal, and print what to do. Sends no order, writes nothing."""

import sys
from typing import TYPE_CHECKING

import typer

from sellctl.commands.session import AccountOption, FormatOption, options_of, say
from sellctl.ui.formats import OutputFormat

if TYPE_CHECKING:
    from sellctl.bootstrap import Runtime
    from sellctl.service.diagnosis import CheckResult
    from sellctl.service.options import Options

_COLUMNS = ("state", "what", "found", "to do")
_FOR_MACHINES = (OutputFormat.CSV, OutputFormat.MARKDOWN)


def doctor(context: typer.Context, account: AccountOption = None, output: FormatOption = None) -> None:
    """Check keys, feeds, clock and journal, and print what to do.

    Changes nothing. The last line is READY or NOT READY, with the one thing to do next.
    Exit status: 0 ready, also with warnings; 1 not ready; 2 the configuration is wrong; 3 a key is refused.
    """
    import asyncio

    from sellctl.bootstrap import RunOptions, assemble, load
    from sellctl.core.model.account_state import RunMode
    from sellctl.service.diagnosis import verdict_on
    from sellctl.service.doctor import run_checks
    from sellctl.ui.render import JSON_VERSION, emit, write
    from sellctl.ui.sentences import for_terminal

    options = options_of(context)
    run_options = RunOptions("doctor", RunMode.DRY_RUN, account or (), streams=True, checks_structures=True)
    runtime = assemble(load(options, notifies=True, chats=True), options, run_options, lambda _event: None)

    async def results_of(runtime: "Runtime") -> list["CheckResult"]:
        return [result async for result in run_checks(runtime)]

    try:
        results = asyncio.run(results_of(runtime))
        verdict = verdict_on(results, _start(runtime, options))
    finally:
        runtime.close()
    checks = [dict(zip(_COLUMNS, result.row, strict=True)) for result in results]
    document = {
        "version": JSON_VERSION,
        "ready": verdict.is_ready,
        "next": verdict.next_step,
        "checks": checks,
    }
    emit(_COLUMNS, [result.row for result in results], output, title="Doctor", document=document)
    if output in _FOR_MACHINES:
        say(verdict.line)
    elif output is not OutputFormat.JSON:
        write(f"{for_terminal(verdict.line, sys.stdout)}\n")
    raise typer.Exit(verdict.code)


def _start(runtime: "Runtime", options: "Options") -> str:
    """The command that starts watching, or that a watcher is running already."""
    numbers = [state.facts.number for state in runtime.scheduler.states if state.facts]
    holder = next((found for number in numbers if (found := runtime.state.lock_holder(number))), None)
    if holder:
        return f"nothing, {holder.text} is running"
    watching = {runtime.hosts.watcher_of(state.name) for state in runtime.scheduler.states} if runtime.hosts else set()
    if names := sorted(watching - {""}):
        several = f"nothing, hosts {', '.join(names[:-1])} and {names[-1]} are watching"
        return f"nothing, host {names[0]} is watching" if len(names) == 1 else several
    named = f" --config {options.config}" if options.config else ""
    is_live = any(not runtime.loaded.config.accounts[watcher.name].paper for watcher in runtime.scheduler.watchers)
    return f"sellctl{named}{' --live' if is_live else ''} watch"
