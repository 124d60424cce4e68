"""`sellctl close NAME`: close one position or structure now, with the same checks as every other exit."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from sellctl.commands.completion import held_names
from sellctl.commands.manual_exit import (
    ManualExit,
    accounts_text,
    carry_out,
    confirm,
    preview,
    print_outcomes,
    show_proposed,
)
from sellctl.commands.session import (
    AccountOption,
    FormatOption,
    YesOption,
    first_listings,
    options_of,
    print_halt,
    status_of,
)
from sellctl.core.exit_codes import ExitCode
from sellctl.core.watching.manual_requests import Verb
from sellctl.service.names import name_of, not_held, one_name, structures_called

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sellctl.bootstrap import Runtime
    from sellctl.core.model.view import AccountListing
    from sellctl.core.watching.manual_exits import ProposedExit


def close(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(
            help="A symbol, contract or structure, as `sellctl positions` shows it.", autocompletion=held_names
        ),
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be sent; send nothing.")] = False,
    yes: YesOption = False,
    account: AccountOption = None,
    output: FormatOption = None,
) -> None:
    """Close one position or structure now.

    Shows account, quantity and estimated proceeds, and asks. Ends within 50 seconds and says what became of it:
    exits 0 when it is closed, 4 when an order still works, 5 when nothing could be sent. A running watcher closes it.
    Of a structure all legs are closed, the short ones first.
    """
    from sellctl.bootstrap import RunOptions
    from sellctl.core.model.account_state import RunMode
    from sellctl.core.watching.manual_exits import ExitOutcome, Result, proposals

    name, options = name_of(name), options_of(context)
    one = frozenset({name})
    run_options = RunOptions(f"close {name}", RunMode.ACT, account or (), closing=one, only=one)
    wanted = ManualExit(Verb.CLOSE, run_options, dry_run=dry_run, yes=yes, symbol=name)
    runtime = preview(options, wanted)
    accounts = first_listings(runtime)
    wanted = _meant(wanted, accounts)
    found = proposals(accounts, wanted.symbol)
    code = status_of(runtime.scheduler)
    if not found:
        if all(each.plan for each in accounts):
            raise not_held(name, accounts)
        typer.echo(f"{name} was found in no account, and not every account could be read.", err=True)
        raise typer.Exit(code)
    possible = [each for each in found if each.is_possible]
    if dry_run or possible:
        show_proposed(runtime, found, wanted, output)
    if not possible:
        if not dry_run:
            print_halt(runtime)
            outcomes = [ExitOutcome(each, Result.NOT_SENT, why=each.decision.sentence) for each in found]
            print_outcomes(runtime, outcomes, wanted, output)
        _print_exemption([each.symbol for each in found], runtime)
        raise typer.Exit(ExitCode.REFUSED)
    if dry_run:
        raise typer.Exit(code or (ExitCode.OK if len(possible) == len(found) else ExitCode.PARTLY))
    if not yes:
        confirm(_question(wanted.symbol, possible))
    done = carry_out(options, runtime, found, wanted, output)
    raise typer.Exit(done or code)


def _meant(wanted: ManualExit, accounts: "Sequence[AccountListing]") -> ManualExit:
    """The request under sellctl's name for the structure, for its legs only; a symbol's unchanged."""
    called = structures_called(wanted.symbol, accounts)
    if not called:
        return wanted
    name = one_name(wanted.symbol, called)
    legs = frozenset(symbol for each in called for symbol in each.symbols)
    return replace(wanted, symbol=name, run_options=replace(wanted.run_options, closing=frozenset({name}), only=legs))


def _question(name: str, possible: "Sequence[ProposedExit]") -> str:
    """Whether to close this much of it."""
    from sellctl.ui.contracts import readable_name

    accounts = [each.listing for each in possible]
    units = [f"{called.units}" for called in structures_called(name, {a.account: a for a in accounts}.values())]
    quantities = " and ".join(units or [f"{each.qty:f}" for each in possible])
    return f"Close {quantities} {readable_name(name)} of {accounts_text(accounts)}?"


def _print_exemption(symbols: "Sequence[str]", runtime: "Runtime") -> None:
    """Print how to end the exemptions of symbols, their underlyings or their structures, if there are any."""
    from sellctl.core.model.instrument import underlying_of
    from sellctl.core.structures.names import legs_of

    exempt = runtime.state.exempt()
    names = {each for symbol in symbols for each in (symbol, underlying_of(symbol))}
    for each in sorted(each for each in exempt if each in names or not set(symbols).isdisjoint(legs_of(each))):
        typer.echo(f"To close it, end the exemption first: {runtime.program} manage {each}", err=True)
