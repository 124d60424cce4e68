"""`sellctl close NAME`: close one position or structure now, or a part of it, with the checks of every other exit."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from sellctl.commands.completion import held_names
from sellctl.commands.manual_exit import (
    ManualExit,
    accounts_text,
    carry_out,
    preview,
    print_outcomes,
    require_yes,
    show_proposed,
)
from sellctl.commands.session import (
    AccountOption,
    FormatOption,
    YesOption,
    first_listings,
    options_of,
    print_halt,
    print_line,
    say,
    status_of,
)
from sellctl.core.exit_codes import ExitCode
from sellctl.core.manual.verb import Verb
from sellctl.service.names import name_of, one_name, structures_called, unknown_whether_held

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from sellctl.bootstrap import Runtime
    from sellctl.core.model.view import AccountListing
    from sellctl.core.watching.manual_exits import ProposedExit, QtyOrShare
    from sellctl.core.watching.manual_requests import Patience


def close(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(
            help="A symbol, contract or structure, as `sellctl positions` shows it.", autocompletion=held_names
        ),
    ],
    qty: Annotated[
        str | None,
        typer.Option("--qty", metavar="<qty>", help="How much: 2, or a share such as 50%, rounded down. Default: all."),
    ] = None,
    limit: Annotated[
        str | None,
        typer.Option("--limit", metavar="<price>", help="The worst price, in dollars; no order trades beyond it."),
    ] = None,
    patience: Annotated[
        str | None,
        typer.Option(
            "--patience",
            metavar="<class>",
            help="How prices walk: profit, time, protective or forced. Default: protective.",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be sent; send nothing.")] = False,
    yes: YesOption = False,
    account: AccountOption = None,
    output: FormatOption = None,
) -> None:
    """Close one position or structure now, or a part of it.

    Shows account, quantity and estimated proceeds, and asks. Ends within 50 seconds and says what became of it:
    exits 0 when it is closed, 4 when an order still works, 5 when nothing could be sent. A running watcher closes it.
    A structure is closed as one order; where that can't be sent, by its legs, the short ones first.
    """
    from sellctl.bootstrap import RunOptions
    from sellctl.core.model.account_state import RunMode
    from sellctl.core.watching.manual_exits import (
        ExitOutcome,
        Result,
        about_limit,
        limit_of,
        patience_of,
        qty_or_share,
    )
    from sellctl.core.watching.manual_requests import ALL

    name, options = name_of(name), options_of(context)
    how_much = qty_or_share(qty) if qty is not None else None
    worst = limit_of(limit) if limit is not None else None
    pace = patience_of(patience) if patience is not None else ALL.patience
    one = frozenset({name})
    run_options = RunOptions(f"close {name}", RunMode.ACT, account or (), closing=one, only=one)
    wanted = ManualExit(Verb.CLOSE, run_options, dry_run=dry_run, yes=yes, symbol=name)
    runtime = preview(options, wanted)
    accounts = first_listings(runtime)
    wanted = _meant(wanted, accounts)
    code = status_of(runtime.scheduler)
    found, wanted = _proposed(runtime, wanted, how_much, worst, pace)
    if not found:
        say(f"sellctl: {unknown_whether_held(name, accounts)}")
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
    warning = about_limit(found)
    if dry_run:
        if warning:
            say(warning)
        raise typer.Exit(code or (ExitCode.OK if len(possible) == len(found) else ExitCode.PARTLY))
    if not yes:
        require_yes(f"{warning} {_question(wanted.symbol, possible)}".lstrip(), because=warning)
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


def _proposed(
    runtime: "Runtime", wanted: ManualExit, qty: "QtyOrShare | None", limit: "Decimal | None", patience: "Patience"
) -> "tuple[list[ProposedExit], ManualExit]":
    """What would be closed on these terms, and the request with them; nothing when an unread account may hold it."""
    from sellctl.core.watching.manual_exits import proposals
    from sellctl.core.watching.manual_requests import ALL
    from sellctl.service.names import not_held
    from sellctl.service.verbs import Verbs, terms_by_account

    accounts = first_listings(runtime)
    if not proposals(accounts, wanted.symbol):
        if all(each.plan for each in accounts):
            raise not_held(wanted.symbol, accounts)
        return [], wanted
    terms = terms_by_account(accounts, wanted.symbol, qty, limit, patience)
    if all(each == ALL for each in terms.values()):
        return proposals(accounts, wanted.symbol), wanted
    wanted = replace(wanted, run_options=replace(wanted.run_options, terms=terms))
    return Verbs(runtime).proposed_on(accounts, wanted.symbol, terms), wanted


def _question(name: str, possible: "Sequence[ProposedExit]") -> str:
    """Whether to close this much of it, and at which price at the worst."""
    from sellctl.core.text import as_dollars
    from sellctl.ui.contracts import readable_name

    accounts = {each.listing.account: each for each in possible}
    quantities = " and ".join(map(_quantity, accounts.values()))
    first = possible[0]
    limit = "" if first.terms.limit is None else f" at {as_dollars(first.terms.limit)} {_or_better(first)}"
    where = accounts_text([each.listing for each in possible])
    return f"Close {quantities} {readable_name(name)} of {where}{limit}?"


def _or_better(each: "ProposedExit") -> str:
    """Which prices are better than the limit."""
    subject = each.structure.decision.holding if each.structure else each.decision.holding
    return "or more" if subject.position.is_long else "or less"


def _quantity(each: "ProposedExit") -> str:
    """How much is closed of what is held: "3", or "2 of 5"."""
    held = f"{each.structure.units}" if each.structure else f"{each.decision.holding.position.qty:f}"
    return held if each.terms.qty is None else f"{each.terms.qty:f} of {held}"


def _print_exemption(symbols: "Sequence[str]", runtime: "Runtime") -> None:
    """Print how to end the exemptions of symbols, their underlyings or their structures, if there are any."""
    from sellctl.core.model.instrument import underlying_of
    from sellctl.core.structures.names import legs_of

    exempt = runtime.state.exempt()
    names = {each for symbol in symbols for each in (symbol, underlying_of(symbol))}
    for each in sorted(each for each in exempt if each in names or not set(symbols).isdisjoint(legs_of(each))):
        print_line(f"To close it, end the exemption first: {runtime.program} manage {each}")
