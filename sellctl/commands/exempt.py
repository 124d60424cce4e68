"""`sellctl exempt` and `sellctl manage`: exclude a symbol or underlying from management, and include it again."""

from typing import Annotated

import typer

from sellctl.commands.session import options_of, record

SymbolArgument = Annotated[str, typer.Argument(help="The symbol of a position, or an underlying with all its options.")]


def exempt(context: typer.Context, symbol: SymbolArgument) -> None:
    """Stop managing a symbol until `sellctl manage`.

    From the next check on, its positions are shown but no order is sent for them,
    in all accounts and processes on this state folder.
    """
    from sellctl.bootstrap import state_of

    state, name = state_of(options_of(context)), symbol.upper()
    if not state.set_exempt(name, wanted=True):
        typer.echo(f"{name} is exempt already.", err=True)
        return
    record(state, "exempt", {"symbol": name})
    typer.echo(f"{name} is exempt from the next check. Orders that are working at the broker stay there.", err=True)


def manage(context: typer.Context, symbol: SymbolArgument) -> None:
    """Manage a symbol again.

    Ends its exemption, and resumes rules that were suspended after a split or an assignment.
    """
    from sellctl.bootstrap import state_of

    state, name = state_of(options_of(context)), symbol.upper()
    was_exempt = state.set_exempt(name, wanted=False)
    state.resume_rules(name)
    record(state, "manage", {"symbol": name})
    typer.echo(f"{name} is managed{' again' if was_exempt else ''} from the next check.", err=True)
