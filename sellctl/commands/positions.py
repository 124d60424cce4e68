"""`sellctl positions`: all positions with gain and nearest trigger; with a name, everything about it."""

from typing import TYPE_CHECKING, Annotated

import typer

from sellctl.commands.completion import held_names
from sellctl.commands.position_page import show_named
from sellctl.commands.session import AccountOption, FormatOption, listings, options_of, print_halt, run, status_of
from sellctl.service.names import name_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sellctl.bootstrap import Runtime


def positions(
    context: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(
            help="Show everything about this symbol or structure, or list what is held on this underlying.",
            show_default=False,
            autocompletion=held_names,
        ),
    ] = None,
    account: AccountOption = None,
    output: FormatOption = None,
) -> None:
    """Show all positions with gain and nearest trigger.

    Changes nothing. With a symbol or the name of a structure: everything about it, rule by rule, as `explain` shows it.
    With an underlying: the positions on it.
    """
    from sellctl.bootstrap import RunOptions
    from sellctl.core.model.account_state import RunMode
    from sellctl.service.config_in_use import outdated
    from sellctl.ui.documents import positions_listing
    from sellctl.ui.render import emit
    from sellctl.ui.rows import POSITION_COLUMNS, positions_rows
    from sellctl.ui.summaries import summary_lines

    if name is not None:
        show_named(options_of(context), name_of(name), account, output)
    runtime = run(options_of(context), RunOptions("positions", RunMode.DRY_RUN, account or ()))
    accounts, halted = listings(runtime), print_halt(runtime)
    document = positions_listing(accounts, halted)
    not_in_use = (each.sentence for each in outdated(runtime.state, runtime.loaded))
    title = "\n".join(("Positions", *summary_lines(accounts), *_unwatched(runtime), *not_in_use))
    emit(POSITION_COLUMNS, positions_rows(accounts), output, title=title, document=document)
    raise typer.Exit(status_of(runtime.scheduler))


def _unwatched(runtime: "Runtime") -> "Iterator[str]":
    """One line that names the accounts that no sellctl process of this machine holds, and no host that shares them.

    Nothing when there are none.
    """
    facts = {state.name: state.facts for state in runtime.scheduler.states}
    of_hosts = {lease.account for lease in runtime.hosts.leases} if runtime.hosts else set()
    unheld = [
        name
        for name, each in facts.items()
        if each and name not in of_hosts and not runtime.state.lock_holder(each.number)
    ]
    if unheld:
        of = f" of {', '.join(unheld)}" if len(facts) > 1 else ""
        yield f"No watcher{of} is running here: nothing is sold until watch or run-once runs."
