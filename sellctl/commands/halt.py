"""`sellctl halt` and `sellctl resume`: stop all new orders, and allow them again."""

import sys
from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

from sellctl.commands.session import answered, options_of, record, say
from sellctl.core.errors import ConfigError, JournalError, SellctlError
from sellctl.core.exit_codes import ExitCode

if TYPE_CHECKING:
    from sellctl.service.state_folder import StateFolder

_NO_REASON = "halted manually"


def halt(
    context: typer.Context,
    reason: Annotated[str, typer.Option(help="Shown until the halt is lifted.", show_default=_NO_REASON)] = "",
) -> None:
    """Stop all new orders until `sellctl resume`.

    Takes effect within a second in all processes on this state folder, and on all hosts that share the journal.
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
    others = _halt_other_hosts(state, reason)
    record(state, "halt", {"reason": reason})
    say(f"{HALTED}{' All hosts that share the journal are halted.' if others is _Others.DONE else ''}")
    if before:
        say(f"They were halted before, too: {sanitize(before.reason)}.")
    if others is _Others.FAILED:
        raise typer.Exit(ExitCode.PARTLY)


class _Others(Enum):
    """What became of a command on the other hosts."""

    NONE = "the journal is this machine's own"
    DONE = "done"
    FAILED = "they could not be told"


def _halt_other_hosts(state: "StateFolder", reason: str) -> _Others:
    """Halt the hosts that share the journal. This machine is halted by then, and stays so whatever is wrong."""
    from sellctl.service.hosts import halt_all

    try:
        return _Others.DONE if halt_all(state, reason) else _Others.NONE
    except (JournalError, ConfigError) as error:
        say(f"sellctl: only this machine is halted, other hosts that share the journal are not: {error}")
        return _Others.FAILED


def resume(
    context: typer.Context,
    reason: Annotated[
        str, typer.Option(help="Why it is safe again; recorded in the journal. A terminal asks for it.")
    ] = "",
) -> None:
    """Lift a halt.

    That of all hosts that share the journal too, on whichever of them it was made.
    """
    from sellctl.bootstrap import state_of
    from sellctl.service.hosts import resume_all

    state = state_of(options_of(context))
    of_all, problem = _halt_of_all(state)
    if problem and not state.halted():
        raise problem
    reason = reason.strip() or (_asked_reason() if state.halted() or of_all else "")
    was_halted = state.resume()
    try:
        of_all = of_all and resume_all(state)
    except (JournalError, ConfigError) as error:
        if not was_halted:
            raise
        problem = error
    if not was_halted and not of_all:
        say("Trading was not halted.")
        raise typer.Exit(ExitCode.OK)
    record(state, "resume", {"reason": reason})
    if problem:
        say(f"sellctl: only this machine's halt is lifted; one of all hosts that share the journal stays: {problem}")
        raise typer.Exit(ExitCode.PARTLY)
    say(f"Resumed: exit orders are sent again{' by all hosts that share the journal' if of_all else ''}.")


def _halt_of_all(state: "StateFolder") -> tuple[bool, SellctlError | None]:
    """Whether all hosts that share the journal are halted, and why that can't be known."""
    from sellctl.service.hosts import why_all_halted

    try:
        return bool(why_all_halted(state)), None
    except (JournalError, ConfigError) as error:
        return False, error


def _asked_reason() -> str:
    """The reason that is typed at a terminal. ConfigError without a terminal."""
    if not sys.stdin.isatty():
        raise ConfigError("Lifting a halt needs a reason.", hint='For example --reason "the feed is back".')
    return answered("Why is it safe again?")
