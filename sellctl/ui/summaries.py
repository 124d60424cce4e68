"""Counts and totals over positions, as texts: of an account on the screen, and of all accounts above a table."""

from collections.abc import Iterable

from sellctl.core.model.gain import Total
from sellctl.core.model.view import AccountListing, Mode, Totals, totals_of
from sellctl.ui.formatting import amount_cell, counted, profit


def total_text(name: str, total: Total, *, signed: bool) -> str:
    """A total with its name; one that isn't complete says of how many positions it is: open P&L +$48.00 (3 of 5 known).

    It is unknown when no amount is known; an unknown amount is never counted as zero.
    """
    known = "" if total.is_complete else f" ({total.known} of {total.count} known)"
    if total.dollars is None:
        return f"{name} unknown{known}"
    return f"{name} {profit(total.dollars) if signed else amount_cell(total.dollars).text}{known}"


def dollars_texts(totals: Totals) -> tuple[str, ...]:
    """Open P&L and market value; nothing when no position is held."""
    if not totals.positions:
        return ()
    pnl, value = totals.open_pnl, totals.market_value
    return total_text("open P&L", pnl, signed=True), total_text("value", value, signed=False)


def summary_lines(accounts: Iterable[AccountListing]) -> list[str]:
    """One line for all accounts of a mode that were read: real money is never added to paper."""
    every = list(accounts)
    return [line for mode in Mode if (line := _summary_of([each for each in every if each.mode is mode], mode))]


def _summary_of(accounts: list[AccountListing], mode: Mode) -> str:
    totals = totals_of((each.plan, each.structures) for each in accounts if each.plan)
    if not totals.positions:
        return ""
    counts = (
        counted(totals.positions, "position"),
        f"{totals.not_managed} NOT MANAGED" if totals.not_managed else "",
        f"{totals.exempt} exempt" if totals.exempt else "",
        *dollars_texts(totals),
    )
    return f"{mode.value.upper()}: {', '.join(filter(None, counts))}"
