"""`sellctl close SYMBOL`: close one position now, with the same checks as every other exit."""

from typing import Annotated

import typer

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
    not_held,
    options_of,
    print_halt,
    status_of,
    symbol_of,
)
from sellctl.core.exit_codes import ExitCode
from sellctl.core.watching.manual_requests import Verb


def close(
    context: typer.Context,
    symbol: Annotated[str, typer.Argument(help="The position's symbol, as `sellctl positions` shows it.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be sent; send nothing.")] = False,
    yes: YesOption = False,
    account: AccountOption = None,
    output: FormatOption = None,
) -> None:
    """Close one position now.

    Shows account, quantity and estimated proceeds, and asks. Ends within 50 seconds and says what became of it:
    exits 0 when it is closed, 4 when an order still works, 5 when nothing could be sent. A running watcher closes it.
    """
    from sellctl.bootstrap import RunOptions
    from sellctl.core.model.account_state import RunMode
    from sellctl.core.watching.manual_exits import ExitOutcome, Result, proposals

    name, options = symbol_of(symbol), options_of(context)
    one = frozenset({name})
    run_options = RunOptions(f"close {name}", RunMode.ACT, account or (), closing=one, only=one)
    wanted = ManualExit(Verb.CLOSE, run_options, dry_run=dry_run, yes=yes, symbol=name)
    runtime = preview(options, wanted)
    accounts = first_listings(runtime)
    found = proposals(accounts, name)
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
            print_halt(runtime.state)
            outcomes = [ExitOutcome(each, Result.NOT_SENT, why=each.decision.sentence) for each in found]
            print_outcomes(runtime, outcomes, wanted, output)
        _print_exemption(name, runtime.state.exempt())
        raise typer.Exit(ExitCode.REFUSED)
    if dry_run:
        raise typer.Exit(code or (ExitCode.OK if len(possible) == len(found) else ExitCode.PARTLY))
    if not yes:
        quantities = " and ".join(f"{each.qty:f}" for each in possible)
        confirm(f"Close {quantities} {name} of {accounts_text([each.listing for each in possible])}?")
    done = carry_out(options, runtime, found, wanted, output)
    raise typer.Exit(done or code)


def _print_exemption(symbol: str, exempt: frozenset[str]) -> None:
    """Print how to end the exemption of a symbol or of its underlying, if there is one."""
    from sellctl.core.model.instrument import underlying_of

    for each in sorted({symbol, underlying_of(symbol)} & exempt):
        typer.echo(f"To close it, end the exemption first: sellctl manage {each}", err=True)
