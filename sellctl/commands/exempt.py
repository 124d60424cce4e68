"""`sellctl exempt` and `sellctl manage`: exclude a position from management, and include it again."""

from typing import TYPE_CHECKING, Annotated

import typer

from sellctl.commands.completion import exempt_names, held_underlyings
from sellctl.commands.names import held_name, own_legs
from sellctl.commands.session import options_of, record
from sellctl.service.names import exempted_as, name_of, refuse_leg

if TYPE_CHECKING:
    from sellctl.service.options import Options

_NAME = "The symbol or contract of a position, an underlying with its options, or a structure."


def exempt(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help=_NAME, autocompletion=held_underlyings)],
    not_held: Annotated[
        bool, typer.Option("--not-held", help="Don't check that it is held: for what is to come.")
    ] = False,
) -> None:
    """Stop managing a position until `sellctl manage`.

    From the next check on, it is shown but no order is sent for it, in all accounts and processes on this state
    folder. Of a structure, no leg is touched.
    """
    from sellctl.bootstrap import load, state_of

    options, name = options_of(context), name_of(name)
    state = state_of(options)
    name = exempted_as(lambda: load(options).config, name, state.exempt()) or name
    if name in state.exempt():
        typer.echo(f"{name} is exempt already.", err=True)
        return
    name = (
        _to_come(options, name)
        if not_held
        else held_name(options, name, "Add --not-held to exempt it before it is held.")
    )
    state.set_exempt(name, wanted=True)
    record(state, "exempt", {"symbol": name})
    typer.echo(f"{name} is exempt from the next check. Orders that are working at the broker stay there.", err=True)


def manage(
    context: typer.Context, name: Annotated[str, typer.Argument(help=_NAME, autocompletion=exempt_names)]
) -> None:
    """Manage a position again.

    Ends its exemption, and resumes rules that were suspended after a split or an assignment.
    """
    from sellctl.bootstrap import load, state_of

    options, name = options_of(context), name_of(name)
    accounts = load(options).config.accounts
    state = state_of(options)
    exempted = state.exempt()
    name = exempted_as(lambda: load(options).config, name, exempted) or name
    if name not in exempted:
        refuse_leg(name, exempted, lambda structure: options.command("manage", structure))
        known = f"Exempt are: {', '.join(sorted(exempted))}." if exempted else "No symbol is exempt."
        name = held_name(options, name, known, exempted)
    was_exempt = state.set_exempt(name, wanted=False)
    state.resume_rules(name, accounts)
    record(state, "manage", {"symbol": name})
    typer.echo(f"{name} is managed{' again' if was_exempt else ''} from the next check.", err=True)


def _to_come(options: "Options", name: str) -> str:
    """A name for what isn't held yet: of a structure with the user's own name, one that says its legs."""
    from sellctl.core.model.instrument import StructureKind, a_stock, an_option
    from sellctl.core.structures.kinds import Leg
    from sellctl.core.structures.names import structure_name

    legs = own_legs(options, name)
    if not legs:
        return name
    return structure_name(StructureKind.CUSTOM, [Leg(an_option(leg) or a_stock(leg), 1) for leg in legs])
