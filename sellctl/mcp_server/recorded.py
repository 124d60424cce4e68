"""What the journal has on exits, as documents. Nothing is written, and no request is sent."""

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sellctl.core.model.instrument import contract_text
from sellctl.journal.exit_history import exit_history
from sellctl.journal.location import JournalLocation
from sellctl.journal.queries import recorded
from sellctl.mcp_server.arguments import HistoryArguments, ReportArguments
from sellctl.service.recorded_exits import ExitsAsked, filters_for, recorded_exits, recorded_trades
from sellctl.ui.exit_documents import exits_document
from sellctl.ui.formatting import number_data
from sellctl.ui.trades import trades_document

if TYPE_CHECKING:
    from sellctl.core.config.schema import Config
    from sellctl.core.model.exit_record import HistoryEntry

Document = dict[str, Any]


def history(path: JournalLocation, config: "Config", asked: HistoryArguments) -> Document:
    """A page of the history, newest first. ConfigError when an argument names what there isn't."""
    known = recorded(path)
    filters = replace(filters_for(path, config, _asked(asked), known), limit=asked.limit, before=asked.before)
    found = exit_history(path, filters)
    is_full = len(found) == asked.limit
    entries = [_entry(each, known.mode_at(each.account, each.row)) for each in sorted(found, key=_at, reverse=True)]
    return {"entries": entries, "next_before": found[-1].row if is_full else None}


def report(path: JournalLocation, config: "Config", asked: ReportArguments) -> Document:
    """Exits with profit, slippage and duration, and their sums. ConfigError when an argument names what there isn't."""
    return exits_document(*recorded_exits(path, config, _asked(asked)))


def trades(path: JournalLocation, config: "Config", asked: ReportArguments) -> Document:
    """Closed exits, oldest first, and their totals. ConfigError when an argument names what there isn't."""
    return trades_document(recorded_trades(path, config, _asked(asked)))


def _asked(asked: HistoryArguments | ReportArguments) -> ExitsAsked:
    return ExitsAsked(asked.name, asked.account, asked.reason, asked.day, asked.since)


def _at(entry: "HistoryEntry") -> dt.datetime:
    return entry.at


def _entry(entry: "HistoryEntry", mode: str) -> Document:
    contract = contract_text(entry.symbol)
    return {
        "row": entry.row,
        "at": entry.at.isoformat(),
        "account": entry.account,
        "mode": mode,
        "symbol": entry.symbol,
        "contract": None if contract == entry.symbol else contract,
        "what": entry.kind.value,
        "reason": entry.reason,
        "qty": number_data(entry.qty),
        "held": number_data(entry.held),
        "price": number_data(entry.price),
        "pnl": number_data(entry.pnl),
        "why": entry.why,
    }
