"""`sellctl exempt` and `sellctl manage`: exclude a symbol or underlying from management, and include it again."""

from typing import Annotated

import typer

from sellctl.commands.session import check_is_held, options_of, record, symbol_of

SymbolArgument = Annotated[str, typer.Argument(help="The symbol of a position, or an underlying with all its options.")]


def exempt(
    context: typer.Context,
    symbol: SymbolArgument,
    not_held: Annotated[
        bool, typer.Option("--not-held", help="Don't check that it is held: for what is to come.")
    ] = False,
) -> None:
    """Stop managing a symbol until `sellctl manage`.

    From the next check on, its positions are shown but no order is sent for them,
    in all accounts and processes on this state folder.
    """
    from sellctl.bootstrap import state_of

    options, name = options_of(context), symbol_of(symbol)
    state = state_of(options)
    if name in state.exempt():
        typer.echo(f"{name} is exempt already.", err=True)
        return
    if not not_held:
        check_is_held(options, name, "Add --not-held to exempt it before it is held.")
    state.set_exempt(name, wanted=True)
    record(state, "exempt", {"symbol": name})
    typer.echo(f"{name} is exempt from the next check. Orders that are working at the broker stay there.", err=True)


def manage(context: typer.Context, symbol: SymbolArgument) -> None:
    """Manage a symbol again.

    Ends its exemption, and resumes rules that were suspended after a split or an assignment.
    """
    from sellctl.bootstrap import load, state_of

    options, name = options_of(context), symbol_of(symbol)
    accounts = load(options).config.accounts
    state = state_of(options)
    exempted = state.exempt()
    if name not in exempted:
        known = f"Exempt are: {', '.join(sorted(exempted))}." if exempted else "No symbol is exempt."
        check_is_held(options, name, known, exempted)
    was_exempt = state.set_exempt(name, wanted=False)
    state.resume_rules(name, accounts)
    record(state, "manage", {"symbol": name})
    typer.echo(f"{name} is managed{' again' if was_exempt else ''} from the next check.", err=True)
