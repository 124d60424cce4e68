"""`sellctl doctor`: what a day's watch needs, looked at once; each line says what to do. Sends and writes nothing."""

from typing import TYPE_CHECKING

import typer

from sellctl.commands.session import AccountOption, FormatOption, options_of

if TYPE_CHECKING:
    from sellctl.bootstrap import Runtime
    from sellctl.service.doctor import Line

_COLUMNS = ("state", "what", "found", "to do")


def doctor(context: typer.Context, account: AccountOption = None, output: FormatOption = None) -> None:
    """Check keys, feeds, clock and journal, and say what to do.

    Changes nothing. Exit status: 0 fine or warnings only, 1 something is bad, 2 configuration, 3 a key is refused.
    """
    import asyncio

    from sellctl.bootstrap import RunOptions, assemble, load
    from sellctl.core.model.account_state import RunMode
    from sellctl.service.doctor import checked, status_of
    from sellctl.ui.render import VERSION, emit

    options = options_of(context)
    run_options = RunOptions("doctor", RunMode.DRY_RUN, account or (), streams=True)
    runtime = assemble(load(options), options, run_options, lambda _event: None)

    async def look(runtime: "Runtime") -> list["Line"]:
        return [line async for line in checked(runtime)]

    try:
        lines = asyncio.run(look(runtime))
    finally:
        runtime.close()
    document = {"version": VERSION, "checks": [dict(zip(_COLUMNS, line.row, strict=True)) for line in lines]}
    emit(_COLUMNS, [line.row for line in lines], output, title="Doctor", document=document)
    raise typer.Exit(status_of(lines))
