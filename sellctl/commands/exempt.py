"""`sellctl exempt` and `sellctl manage`: exclude a position from management, and include it again."""

from typing import TYPE_CHECKING, Annotated

import typer

from sellctl.commands.completion import exempt_names, held_underlyings
from sellctl.commands.names import held_name, own_legs
from sellctl.commands.session import options_of, record, run, say
from sellctl.service.names import (
    exempted_as,
    exempted_on,
    exempted_text,
    name_of,
    part_of,
    refuse_impossible,
    refuse_part,
    whole_of,
)

if TYPE_CHECKING:
    from sellctl.bootstrap import Runtime
    from sellctl.service.options import Options

_NAME = "The symbol or contract of a position, an underlying with its options, or a structure."


def exempt(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help=_NAME, autocompletion=held_underlyings)],
    until: Annotated[
        str | None,
        typer.Option(
            "--until",
            metavar="<time>",
            help="Until then only: friday, today, 15:30, 2026-12-04 or 2026-12-04T15:30, New York time.",
            show_default=False,
        ),
    ] = None,
    not_held: Annotated[
        bool, typer.Option("--not-held", help="Don't check that it is held: for what is to come.")
    ] = False,
) -> None:
    """Stop managing a position until `sellctl manage`.

    From the next check on, it is shown but no order is sent for it, in all accounts and processes on this state
    folder. Of a structure, no leg is touched. With --until it is managed again from that time on, by the broker's
    clock; a day means its close.
    """
    from sellctl.bootstrap import load, state_of
    from sellctl.core.until import end_of

    options, name = options_of(context), name_of(name)
    state = state_of(options)
    state.look_at_shared()  # what only this machine has exempted until now is shared, too
    known = state.exemptions()
    name = exempted_as(lambda: load(options).config, name, known) or name
    if until is None and name in known and known[name] is None:
        say(f"{name} is exempt already.")
        return
    runtime = _dry_run(options) if until is not None or not not_held else None
    if not_held:
        name = name if name in known else _to_come(options, name)
    elif runtime and name not in known:
        name = held_name(runtime, name, "Add --not-held to exempt it before it is held.")
    end = end_of(until, runtime.scheduler.market, "--until") if runtime else None
    state.set_exempt(name, wanted=True, until=end)
    record(state, "exempt", {"symbol": name, **({"until": end.isoformat()} if end else {})})
    say(exempted_text(name, end))


def manage(
    context: typer.Context, name: Annotated[str, typer.Argument(help=_NAME, autocompletion=exempt_names)]
) -> None:
    """Manage a position again.

    Ends its exemption, and resumes rules that were suspended after a split or an assignment. With an underlying, it
    also ends the exemptions of options and structures on it.
    """
    from sellctl.bootstrap import load, state_of

    options, name = options_of(context), name_of(name)
    accounts = load(options).config.accounts
    state = state_of(options)
    exempted = state.exempt()
    name = exempted_as(lambda: load(options).config, name, exempted) or name
    on_it = exempted_on(name, exempted)
    if name not in exempted and not on_it:
        refuse_part(name, exempted, lambda whole: options.command("manage", whole))
        known = f"Exempt are: {', '.join(sorted(exempted))}." if exempted else "No symbol is exempt."
        name = held_name(_dry_run(options), name, known, exempted)
    was_exempt = name in exempted or bool(on_it)
    for each in (name, *on_it):
        state.set_exempt(each, wanted=False)
        state.resume_rules(each, accounts)
        record(state, "manage", {"symbol": each})
    with_it = f", with {', '.join(on_it)}" if on_it else ""
    say(f"{name} is managed{' again' if was_exempt else ''} from the next check{with_it}.")
    whole = whole_of(name, exempted.difference(on_it))
    if whole:
        say(f"{part_of(name, whole)} Run: {options.command('manage', whole)}")


def _dry_run(options: "Options") -> "Runtime":
    from sellctl.bootstrap import RunOptions
    from sellctl.core.model.account_state import RunMode

    return run(options, RunOptions("exempt", RunMode.DRY_RUN))


def _to_come(options: "Options", name: str) -> str:
    """A name for what isn't held yet: of a structure with the user's own name, one that says its legs.

    ConfigError when nothing can be called so.
    """
    from sellctl.core.model.instrument import StructureKind, a_stock, an_option
    from sellctl.core.structures.kinds import Leg
    from sellctl.core.structures.names import structure_name

    refuse_impossible(name)
    legs = own_legs(options, name)
    if not legs:
        return name
    return structure_name(StructureKind.CUSTOM, [Leg(an_option(leg) or a_stock(leg), 1) for leg in legs])
