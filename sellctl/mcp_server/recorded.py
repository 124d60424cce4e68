"""What the journal has on exits, as documents. Nothing is written, and no request is sent."""

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sellctl.core.decision.policy import named_structures
from sellctl.core.errors import ConfigError
from sellctl.core.model.instrument import contract_text
from sellctl.core.model.plan import Reason
from sellctl.core.structures.named import possible_names
from sellctl.core.structures.names import legs_of, underlying_named
from sellctl.core.text import did_you_mean
from sellctl.journal.exit_history import exit_history
from sellctl.journal.exits import exits
from sellctl.journal.queries import Filters, Recorded, recorded, recorded_names
from sellctl.mcp_server.arguments import HistoryArguments, ReportArguments
from sellctl.service.names import name_of
from sellctl.ui.exit_documents import exits_document
from sellctl.ui.formatting import number_data
from sellctl.ui.trades import trades_document

if TYPE_CHECKING:
    from sellctl.core.config.schema import Config
    from sellctl.core.model.exit_record import HistoryEntry

Document = dict[str, Any]


def history(path: Path, config: "Config", asked: HistoryArguments) -> Document:
    """A page of the history, newest first. ConfigError when an argument names what there isn't."""
    known = recorded(path)
    filters = replace(_filters(path, asked, config, known), limit=asked.limit, before=asked.before)
    found = exit_history(path, filters)
    is_full = len(found) == asked.limit
    entries = [_entry(each, known.mode_at(each.account, each.row)) for each in sorted(found, key=_at, reverse=True)]
    return {"entries": entries, "next_before": found[-1].row if is_full else None}


def report(path: Path, config: "Config", asked: ReportArguments) -> Document:
    """Exits with profit, slippage and duration, and their sums. ConfigError when an argument names what there isn't."""
    known = recorded(path)
    found = exits(path, _filters(path, asked, config, known))
    return exits_document(found, known.mode_at)


def trades(path: Path, config: "Config", asked: ReportArguments) -> Document:
    """Closed exits, oldest first, and their totals. ConfigError when an argument names what there isn't."""
    known = recorded(path)
    found = exits(path, _filters(path, asked, config, known))
    filled = sorted((one for one in found if one.is_filled), key=lambda one: one.last_at)
    return trades_document([(one, known.mode_at(one.account, one.row)) for one in filled])


def _filters(path: Path, asked: HistoryArguments | ReportArguments, config: "Config", known: Recorded) -> Filters:
    """The rows that the arguments name, without a limit."""
    _check_known("account", asked.account, known.accounts | frozenset(config.accounts))
    _check_known("reason", asked.reason, known.reasons | frozenset(Reason))
    return replace(
        _named(path, config, asked.name) if asked.name else Filters(),
        account=asked.account,
        reason=asked.reason,
        day=_date_of("day", asked.day),
        since=_date_of("since", asked.since),
        limit=None,
    )


def _named(path: Path, config: "Config", text: str) -> Filters:
    """The filter for a symbol, a structure or an underlying. ConfigError when the journal knows none called so."""
    name, own, known = name_of(text), _own_names(config, text), recorded_names(path)
    if own:
        return Filters(symbol=name, names=own)
    if any(underlying_named(each) == name for each in known if each != name):
        return Filters(underlying=name)
    parts = {name, *legs_of(name)}
    if known and not any(parts & {each, *legs_of(each)} for each in known):
        hint = did_you_mean(name, {*known, *map(underlying_named, known)})
        raise ConfigError(f"{name} is not in the journal.", hint=hint or "The tool history lists what is.")
    return Filters(symbol=name)


def _check_known(what: str, given: str, known: frozenset[str]) -> None:
    if given and given not in known:
        hint = did_you_mean(given, known) or f"There are: {', '.join(sorted(known))}."
        raise ConfigError(f"There is no such {what}.", hint=hint)


def _own_names(config: "Config", name: str) -> tuple[str, ...]:
    """The names that sellctl may have given the structure that the user calls so; none when nothing is called so."""
    named = named_structures(config.sell_module)
    meant = next((each for each in named if name and each.name and each.name.lower() == name.strip().lower()), None)
    return tuple(sorted(possible_names(meant))) if meant and meant.legs else ()


def _date_of(what: str, text: str) -> str:
    try:
        return dt.date.fromisoformat(text).isoformat() if text else ""
    except ValueError:
        raise ConfigError(f"The {what} is not a date.", hint="Write it as 2026-11-24.") from None


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
