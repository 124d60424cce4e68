"""`sellctl halt` and `sellctl resume`: stop all new orders within a second, and allow them again."""

from typing import Annotated

import typer

from sellctl.commands.session import options_of, record
from sellctl.core.exit_codes import ExitCode


def halt(
    context: typer.Context,
    reason: Annotated[str, typer.Option(help="Why; it is shown until the halt is lifted.")] = "halted by hand",
) -> None:
    """Stop all new orders until `sellctl resume`.

    In every process on this state folder, within a second. Orders that work at the broker go on working.
    """
    from sellctl.bootstrap import state_of

    state = state_of(options_of(context))
    state.halt(reason, by="sellctl halt")
    record(state, "halt", {"reason": reason})
    typer.echo("Halted: no new order is sent. Orders that work at the broker go on working.", err=True)


def resume(
    context: typer.Context,
    reason: Annotated[str, typer.Option(help="Why it is safe again; it is written down.")],
) -> None:
    """Lift a halt."""
    from sellctl.bootstrap import state_of

    state = state_of(options_of(context))
    if not state.resume():
        typer.echo("There was no halt.", err=True)
        raise typer.Exit(ExitCode.OK)
    record(state, "resume", {"reason": reason})
    typer.echo("Resumed: exits are sent again.", err=True)
