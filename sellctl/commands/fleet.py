"""`sellctl fleet`: the hosts that share the accounts, and who holds which."""

import typer

from sellctl.commands.session import FormatOption, options_of


def fleet(context: typer.Context, output: FormatOption = None) -> None:
    """Show the hosts and which account each of them watches.

    One row per account with its host, the fencing number of its lease and how long that host has it; one per host that
    has none. Times are by the database's clock. A halt of all hosts is shown, and which accounts nobody watches. Only
    reads: it registers no host.
    """
    from sellctl.bootstrap import load, state_of
    from sellctl.service.hosts import hosts_of
    from sellctl.ui.fleet import FLEET_COLUMNS, fleet_document, fleet_lines, fleet_rows
    from sellctl.ui.render import emit

    options = options_of(context)
    loaded = load(options)
    state = state_of(options, loaded)
    view, halted_here = hosts_of(state), state.halted()
    accounts = [name for name, account in loaded.config.accounts.items() if account.enabled]
    title = "\n".join(("Fleet", *fleet_lines(view, accounts, halted_here)))
    document = fleet_document(view, accounts, halted_here)
    emit(FLEET_COLUMNS, fleet_rows(view, accounts), output, title=title, document=document)
