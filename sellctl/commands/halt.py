"""`sellctl halt` and `sellctl resume`: stop all new orders, and allow them again."""

import sys
from typing import Annotated

import typer

from sellctl.commands.session import answered, options_of, record, say
from sellctl.core.errors import ConfigError
from sellctl.core.exit_codes import ExitCode

_NO_REASON = "halted manually"


def halt(
    context: typer.Context,
    reason: Annotated[str, typer.Option(help="Shown until the halt is lifted.", show_default=_NO_REASON)] = "",
) -> None:
    """Stop all new orders until `sellctl resume`.

    Takes effect within a second in all processes on this state folder.
    Orders that are working at the broker stay there.
    """
    from sellctl.bootstrap import state_to_halt
    from sellctl.service.halt_flag import HALTED
    from sellctl.service.person import at_the_command_line
    from sellctl.ui.formatting import sanitize

    state, unread = state_to_halt(options_of(context))
    if unread:
        say(f"sellctl: {unread}\nsellctl: real accounts are halted, whatever that file says.")
    before = state.current_halt()
    reason = reason.strip() or (before.reason if before else _NO_REASON)  # a halt again keeps the reason of the first
    problem = state.halt(reason, by=at_the_command_line())
    if problem:
        say(f"sellctl: the reason is not stored: {problem}.")
    record(state, "halt", {"reason": reason})
    say(HALTED)
    if before:
        say(f"They were halted before, too: {sanitize(before.reason)}.")


def resume(
    context: typer.Context,
    reason: Annotated[
        str, typer.Option(help="Why it is safe again; recorded in the journal. A terminal asks for it.")
    ] = "",
) -> None:
    """Lift a halt."""
    from sellctl.bootstrap import state_of

    state = state_of(options_of(context))
    reason = reason.strip() or (_asked_reason() if state.halted() else "")
    if not state.resume():
        say("Trading was not halted.")
        raise typer.Exit(ExitCode.OK)
    record(state, "resume", {"reason": reason})
    say("Resumed: exit orders are sent again.")


def _asked_reason() -> str:
    """The reason that is typed at a terminal. ConfigError without a terminal."""
    if not sys.stdin.isatty():
        raise ConfigError("Lifting a halt needs a reason.", hint='For example --reason "the feed is back".')
    return answered("Why is it safe again?")
