"""`sellctl doctor`: check keys, feeds, clock and journal, and print what to do. Sends no order, writes nothing."""

from typing import TYPE_CHECKING

import typer

from sellctl.commands.session import AccountOption, FormatOption, options_of

if TYPE_CHECKING:
    from sellctl.bootstrap import Runtime
    from sellctl.service.doctor import CheckResult

_COLUMNS = ("state", "what", "found", "to do")


def doctor(context: typer.Context, account: AccountOption = None, output: FormatOption = None) -> None:
    """Check keys, feeds, clock and journal, and print what to do.

    Changes nothing. Exit status: 0 fine, also with warnings; 1 a check failed;
    2 configuration; 3 a key is refused; 4 checks failed for different reasons.
    """
    import asyncio

    from sellctl.bootstrap import RunOptions, assemble, load
    from sellctl.core.model.account_state import RunMode
    from sellctl.service.doctor import run_checks, status_of
    from sellctl.ui.render import JSON_VERSION, emit

    options = options_of(context)
    run_options = RunOptions("doctor", RunMode.DRY_RUN, account or (), streams=True, checks_structures=True)
    runtime = assemble(load(options), options, run_options, lambda _event: None)

    async def results_of(runtime: "Runtime") -> list["CheckResult"]:
        return [result async for result in run_checks(runtime)]

    try:
        results = asyncio.run(results_of(runtime))
    finally:
        runtime.close()
    document = {"version": JSON_VERSION, "checks": [dict(zip(_COLUMNS, result.row, strict=True)) for result in results]}
    emit(_COLUMNS, [result.row for result in results], output, title="Doctor", document=document)
    raise typer.Exit(status_of(results))
