"""`sellctl journal`: move the journal from the state folder to a database."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from sellctl.commands.session import Command, options_of, print_simulator, say
from sellctl.core.errors import BusyError, ConfigError, JournalError

if TYPE_CHECKING:
    from collections.abc import Callable

journal_app = typer.Typer(no_args_is_help=True, help="Move the journal to a database.")


@journal_app.command(cls=Command, epilog="First: write journal: {url: ...} into the configuration")
def copy(context: typer.Context) -> None:
    """Copy the state folder's journal into the configured database.

    The database that journal.url names must be empty, and nothing may use the journal. Every row is copied as it is, so
    that `sellctl history --verify` holds over the copy. The file stays where it is; nothing is written to it any more.
    """
    from sellctl.bootstrap import load, state_of
    from sellctl.journal.location import require_driver

    options = options_of(context)
    print_simulator(options)
    state = state_of(options, load(options))
    source, target = state.journal_file, state.journal
    if isinstance(target, Path):
        raise ConfigError(
            "The configuration names no database for the journal.",
            hint="Write journal: {url: postgresql+psycopg://user:password@host/database}.",
        )
    if not source.exists():
        raise JournalError(f"There is no journal at {source}.", hint="Nothing has to be copied: start sellctl.")
    running = state.running()
    if running:
        raise BusyError(f"The journal {source} is in use by {running[0].text}.", hint="Stop it, then copy.")
    require_driver()
    from sellctl.journal.postgres.copying import copy_journal

    copied = copy_journal(source, target, _progress())
    typer.echo(f"Copied {copied.rows:,} {'entry' if copied.rows == 1 else 'entries'} to {target}.")
    say(f"The file {source} is left as it is. Check the copy: {options.command('history', '--verify')}")


def _progress() -> "Callable[[int, int], None]":
    """A function that shows how far it is: on a terminal in one line, else every tenth in a line of its own."""
    is_drawn = sys.stderr.isatty()
    shown = -1

    def show(done: int, count: int) -> None:
        nonlocal shown
        percent = done * 100 // count if count else 100
        if is_drawn:
            sys.stderr.write(f"\rcopying: {done:,} of {count:,} entries, {percent}%" + ("\n" if done == count else ""))
            sys.stderr.flush()
        elif percent // 10 > shown:
            typer.echo(f"copying: {done:,} of {count:,} entries, {percent}%", err=True)
        shown = max(shown, percent // 10)

    return show
