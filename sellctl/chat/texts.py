"""What the bot writes: plain text without markup, in lines that a phone can show."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final

from sellctl.core.model.instrument import contract_text
from sellctl.core.model.view import AccountListing
from sellctl.core.text import as_dollars, as_net
from sellctl.core.watching.manual_exits import ExitOutcome, ProposedExit, Result, total
from sellctl.ui.entries import Entry, entries_of
from sellctl.ui.formatting import (
    amount_cell,
    clock,
    gain_cell,
    nearest_text,
    now_cell,
    number,
    profit_cell,
    qty_cell,
    sanitize,
    state_text,
)
from sellctl.ui.summaries import summary_lines

LONGEST: Final = 4_000  # UTF-16 units; Telegram takes 4,096
LONGEST_LABEL: Final = 60
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


# --- closing ----------------------------------------------------------------------------------------------------------


def proposed_text(proposed: Sequence[ProposedExit]) -> str:
    """What would be closed: account, mode, position with quantity, and what it would bring."""
    lines = [line for each in proposed for line in _proposed_lines(each)]
    if len(proposed) > 1:
        lines.append(f"Together: {_amounts(total(e.proceeds for e in proposed), total(e.pnl for e in proposed))}")
    return "\n".join(lines)


def _proposed_lines(each: ProposedExit) -> list[str]:
    holding = each.decision.holding
    of = "" if each.qty == holding.position.qty else f" of {number(holding.position.qty)}"
    lines = [
        f"{each.listing.account} ({each.listing.mode.value.upper()})",
        f"{holding.position.direction.value} {number(each.qty)}{of} {contract_text(each.symbol) or each.symbol}",
        f"at {as_dollars(each.price)}: {_amounts(each.proceeds, each.pnl)}",
    ]
    return lines


def _amounts(proceeds: Decimal | None, pnl: Decimal | None) -> str:
    return f"estimated proceeds {amount_cell(proceeds).text}, P&L {profit_cell(pnl).text}"


def outcomes_text(outcomes: Sequence[ExitOutcome]) -> str:
    """What became of exits."""
    return "\n".join(_outcome_text(each) for each in outcomes)


def _outcome_text(each: ExitOutcome) -> str:
    account, name = each.proposed.listing, contract_text(each.proposed.symbol) or each.proposed.symbol
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
