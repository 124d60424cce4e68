"""`sellctl exempt` and `sellctl manage`: leave a symbol or underlying alone from the next look on, and end that."""

from typing import Annotated

import typer

from sellctl.commands.session import options_of, record

SymbolArgument = Annotated[str, typer.Argument(help="A position's symbol, or an underlying for all that is on it.")]


def exempt(context: typer.Context, symbol: SymbolArgument) -> None:
    """Show a symbol and never touch it, until `sellctl manage`.

    In every account and process on this state folder, from the next look on.
    """
    from sellctl.bootstrap import state_of

    state, name = state_of(options_of(context)), symbol.upper()
    if not state.set_exempt(name, wanted=True):
        typer.echo(f"{name} was exempt already.", err=True)
        return
    record(state, "exempt", {"symbol": name})
    typer.echo(f"{name} is left alone from the next look on. Orders that work at the broker go on working.", err=True)


def manage(context: typer.Context, symbol: SymbolArgument) -> None:
    """Manage a symbol again.

    Ends its exemption, and lets rules go on that a split or an assignment froze.
    """
    from sellctl.bootstrap import state_of

    state, name = state_of(options_of(context)), symbol.upper()
    was_exempt = state.set_exempt(name, wanted=False)
    state.thaw(name)
    record(state, "manage", {"symbol": name})
    typer.echo(f"{name} is managed{' again' if was_exempt else ''} from the next look on.", err=True)
