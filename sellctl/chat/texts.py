"""What the bot writes: plain text without markup, in lines that a phone can show."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final

from sellctl.chat.access import allows
from sellctl.chat.requests import COMMANDS
from sellctl.core.config.schema import ChatRole
from sellctl.core.manual.proposed_overrides import ProposedOverride
from sellctl.core.model.exit_record import Exit
from sellctl.core.model.instrument import contract_text
from sellctl.core.model.plan import PositionDecision
from sellctl.core.model.view import AccountListing
from sellctl.core.text import as_dollars, as_net
from sellctl.core.watching.manual_exits import ExitOutcome, ProposedExit, Result, about_limit, total
from sellctl.service.confirming import ShownProposal, lines_of
from sellctl.ui.contracts import readable_name
from sellctl.ui.entries import Entry, entries_of, symbol_cell
from sellctl.ui.formatting import (
    amount_cell,
    clock,
    counted,
    gain_cell,
    moment,
    nearest_text,
    now_cell,
    number,
    profit_cell,
    qty_cell,
    sanitize,
    state_text,
)
from sellctl.ui.override_rows import changes_of
from sellctl.ui.summaries import summary_lines
from sellctl.ui.trades import totals_lines

LONGEST: Final = 4_000  # UTF-16 units; Telegram takes 4,096
LONGEST_LABEL: Final = 60
_MOST_EXITS: Final = 20  # that a report lists
_MORE: Final = "\n... (shortened)"


def fitted(text: str) -> str:
    """The text without control characters, and short enough for one message."""
    lines = "\n".join(sanitize(line) for line in text.split("\n"))
    if _length(lines) <= LONGEST:
        return lines
    return _cut(lines, LONGEST - len(_MORE)) + _MORE


def label(text: str) -> str:
    """The label of a button."""
    return _cut(sanitize(text), LONGEST_LABEL)


def _length(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _cut(text: str, units: int) -> str:
    return text.encode("utf-16-le", "surrogatepass")[: units * 2].decode("utf-16-le", "ignore")


# --- reading ----------------------------------------------------------------------------------------------------------


def positions_text(accounts: Sequence[AccountListing], halted: str) -> str:
    """Every position and structure, by account, with its gain, state and nearest trigger."""
    blocks = ["\n".join(summary_lines(accounts))]
    if halted:
        blocks.append(f"HALTED: {halted}")
    blocks += [_account_text(each) for each in accounts]
    return "\n\n".join(filter(None, blocks))


def _account_text(account: AccountListing) -> str:
    head = f"{account.account} ({account.mode.value.upper()})"
    if account.plan is None:
        return f"{head}\nnot read: {account.problem or 'no poll has succeeded yet'}"
    lines = [f"{head}, {clock(account.plan.made_at)}"]
    lines += [_entry_text(each, account) for each in entries_of(account.plan, account.structures)]
    lines += [f"error: {fault}" for fault in account.plan.faults]
    return "\n".join(lines if len(lines) > 1 else [*lines, "no positions"])


def _entry_text(entry: Entry, account: AccountListing) -> str:
    decision, holding = entry.decision, entry.decision.holding
    only_due = entry.is_only_due(account.only_due)
    parts = (
        f"{entry.symbol.drawn} {qty_cell(holding).text}",
        f"{now_cell(holding).text}, {gain_cell(decision.gain).text}, {profit_cell(decision.open_pnl).text}",
        state_text(decision, only_due=only_due),
        nearest_text(decision),
    )
    return "; ".join(filter(None, parts))


def rows_text(rows: Iterable[tuple[object, ...]]) -> str:
    """Rows of two cells, one per line."""
    return "\n".join(f"{_plain(what)}: {_plain(value)}" for what, value in rows)


def _plain(cell: object) -> str:
    return str(getattr(cell, "text", cell))


def help_text(role: ChatRole) -> str:
    """The commands that a role may use."""
    lines = [
        f"{f'/{each.name} {each.arguments}'.rstrip()}: {each.does}" for each in COMMANDS if allows(role, each.role)
    ]
    return "\n".join(lines)


def decision_text(account: AccountListing, decision: PositionDecision) -> str:
    """One position of an account: quantity, gain, and its nearest trigger."""
    head = f"{account.account} ({account.mode.value.upper()})"
    return f"{head}\n{_entry_text(Entry(decision, symbol_cell(decision.holding.symbol)), account)}"


def report_text(found: Iterable[tuple[str, Exit]], today: dt.date) -> str:
    """The exits of today, one per line, and the profit of each day, by mode. The mode stands before each exit."""
    exits = list(found)
    blocks = [_mode_report(mode, [one for each, one in exits if each == mode], today) for mode in _modes(exits)]
    return "\n\n".join(blocks) or "No exits in the last seven days."


def trades_text(found: Sequence[tuple[Exit, str]]) -> str:
    """Trades, oldest first, each with its mode, and their totals."""
    lines = [f"{mode.upper()} {moment(one.last_at)} {_exit_text(one)}" for one, mode in found[-_MOST_EXITS:]]
    more = [f"and {len(found) - _MOST_EXITS} earlier ones"] if len(found) > _MOST_EXITS else []
    return "\n".join([*lines, *more, "", *totals_lines(found)]) if found else "No trades in the last seven days."


def _modes(exits: Iterable[tuple[str, Exit]]) -> list[str]:
    return sorted({mode for mode, _ in exits})


def _mode_report(mode: str, exits: Sequence[Exit], today: dt.date) -> str:
    days = sorted({one.day for one in exits}, reverse=True)
    lines = [f"{mode.upper() or 'mode unknown'}"]
    lines += [f"{day}: {_day_text([one for one in exits if one.day == day])}" for day in days]
    todays = [one for one in exits if one.day == today.isoformat()]
    return "\n".join([*lines, *(f"{clock(one.last_at)} {_exit_text(one)}" for one in todays[-_MOST_EXITS:])])


def _day_text(exits: Sequence[Exit]) -> str:
    filled = [one for one in exits if one.is_filled]
    pnl = total(one.pnl for one in filled)
    return f"{counted(len(filled), 'exit')} filled, P&L {profit_cell(pnl).text}"


def _exit_text(one: Exit) -> str:
    qty = f"{number(one.qty)} of {number(one.held)}"
    name, why = contract_text(one.symbol), one.reason.replace("_", " ")
    return (
        f"{one.account} {name}: {one.kind.value}, {qty} at {as_dollars(one.price)}, {profit_cell(one.pnl).text} ({why})"
    )


# --- closing ----------------------------------------------------------------------------------------------------------


def proposed_text(proposed: Sequence[ProposedExit]) -> str:
    """What would be closed: account, mode, position with quantity, and what it would bring."""
    lines = [line for each in proposed for line in _proposed_lines(each)]
    if len(proposed) > 1:
        lines.append(f"Together: {_amounts(total(e.proceeds for e in proposed), total(e.pnl for e in proposed))}")
    return "\n".join(lines)


def _proposed_lines(each: ProposedExit) -> list[str]:
    lines = [
        f"{each.listing.account} ({each.listing.mode.value.upper()})",
        f"{each.decision.holding.position.direction.value} {_qty_of(each)} {contract_text(each.symbol)}",
        f"at {as_dollars(each.price)}: {_amounts(each.proceeds, each.pnl)}",
    ]
    return lines if each.is_possible else [*lines, f"not now: {each.decision.sentence}"]


def _qty_of(each: ProposedExit) -> str:
    """How much is to be closed: "3", or "2 of 3"."""
    held = each.decision.holding.position.qty
    return number(each.qty) if each.qty == held else f"{number(each.qty)} of {number(held)}"


def possible_text(possible: Sequence[ProposedExit]) -> str:
    """The same, short enough for a button: "3 AAPL 18 Dec 26 200 C (PAPER)"."""
    modes = " and ".join(dict.fromkeys(each.listing.mode.value.upper() for each in possible))
    if len(possible) > 1:
        return f"{len(possible)} positions ({modes})"
    return f"{_qty_of(possible[0])} {contract_text(possible[0].symbol)} ({modes})"


def _amounts(proceeds: Decimal | None, pnl: Decimal | None) -> str:
    return f"estimated proceeds {amount_cell(proceeds).text}, P&L {profit_cell(pnl).text}"


# --- setting rules ----------------------------------------------------------------------------------------------------


def rules_text(proposed: Sequence[ProposedOverride], accounts: Mapping[str, AccountListing]) -> str:
    """What setting rules would change: account, mode, position, each price before and after, and warnings."""
    return "\n\n".join(_rules_text(each, accounts[each.account]) for each in proposed)


def _rules_text(each: ProposedOverride, account: AccountListing) -> str:
    position = each.holding.position
    entry = "unknown" if position.entry_price is None else as_dollars(position.entry_price)
    lines = [
        f"{account.account} ({account.mode.value.upper()})",
        f"{position.direction.value} {number(position.qty)} {readable_name(each.name)}, entry {entry}",
        *(f"{rule}: {change}" for rule, change in changes_of(each)),
        *(f"Warning: {warning}" for warning in each.warnings),
        *each.notes,
    ]
    return "\n".join(lines)


def set_text(each: ProposedOverride, problem: str | None, program: str) -> str:
    """What became of setting rules for a position; `problem` as `Verbs.was_set` returns it."""
    name = f"{each.account}: {readable_name(each.name)}"
    if problem is None:
        return f"{name}: the watcher has not answered yet; `{program} positions` shows what is set."
    if problem:
        return f"{name}: not set: {problem}."
    return f"{name}: set: {each.after.text}." if each.after else f"{name}: cleared; its rules are those of before."


# --- what an assistant has proposed -----------------------------------------------------------------------------------


def proposal_text(shown: ShownProposal, accounts: Mapping[str, AccountListing]) -> str:
    """Who proposed what, and what it does by now: account, mode, quantity and estimates, or prices and warnings."""
    first, *lines = lines_of(shown.proposal)
    by_now = proposed_text(shown.exits) or rules_text(shown.overrides, accounts)
    blocks = ["\n".join([first, *lines]), f"By now:\n{by_now}" if by_now else "", about_limit(shown.exits)]
    return "\n\n".join(filter(None, blocks))


def proposal_label(shown: ShownProposal) -> str:
    """What stands on the button that confirms it."""
    if possible := [each for each in shown.exits if each.is_possible]:
        return f"Yes, close {possible_text(possible)}"
    if shown.overrides:
        return "Set it"
    name = shown.proposal.name
    return f"Yes, leave {readable_name(name)} alone" if name else "Yes, halt all new orders"


# --- what became of exits ---------------------------------------------------------------------------------------------


def outcomes_text(outcomes: Sequence[ExitOutcome]) -> str:
    """What became of exits."""
    return "\n".join(_outcome_text(each) for each in outcomes)


def _outcome_text(each: ExitOutcome) -> str:
    account, name = each.proposed.listing, contract_text(each.proposed.symbol)
    qty = number(each.proposed.qty)
    result = {
        Result.FILLED: f"filled {number(each.filled)} of {qty}{_price(each)}",
        Result.GONE: "closed",
        Result.WORKING: f"working, {number(each.filled)} of {qty} filled",
        Result.REFUSED: "not closed",
        Result.NOT_SENT: "not sent",
        Result.UNKNOWN: "unknown: the account can't be read",
    }[each.result]
    return f"{account.account} ({account.mode.value.upper()}) {name}: {result}{each.why and f'; {each.why}'}"


def _price(each: ExitOutcome) -> str:
    if each.net is not None:
        return f" in one order at net {as_net(each.net)}"
    return "" if each.price is None else f" at {as_dollars(each.price)}"
