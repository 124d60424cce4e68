"""What the bot looks up: in the watchers' states, from their loop, and in the journal, from any thread."""

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from sellctl.chat import texts
from sellctl.core.decision.explain import explain
from sellctl.core.watching.manual_exits import ProposedExit
from sellctl.journal.location import JournalLocation
from sellctl.service.names import name_of, not_held, structures_called
from sellctl.ui.formatting import today_of
from sellctl.ui.rows import TableRow, position_details, structure_page

if TYPE_CHECKING:
    from sellctl.core.model.exit_record import Exit
    from sellctl.core.model.view import AccountListing
    from sellctl.core.sell_watcher import SellWatcher
    from sellctl.service.verbs import Verbs

_DAYS: Final = 6  # before today, of a report


# --- in the watcher's loop --------------------------------------------------------------------------------------------


def explain_text(verbs: "Verbs", name: str) -> str:
    """Everything about a position or structure in each account that holds it. ConfigError when none does."""
    name, accounts = name_of(name), verbs.listings()
    watchers = {watcher.name: watcher for watcher in verbs.runtime.scheduler.watchers}
    pages = [page for account in accounts if (page := _page(account, watchers[account.account], name))]
    unread = [texts.positions_text([account], "") for account in accounts if account.plan is None]
    if not pages and not unread:
        raise not_held(name, accounts)
    return "\n\n".join([*(texts.rows_text(page) for page in pages), *unread])


def listings_by_name(verbs: "Verbs") -> "dict[str, AccountListing]":
    """Each account, by its name."""
    return {each.account: each for each in verbs.listings()}


def held_text(verbs: "Verbs", name: str, account: str) -> str:
    """A position or the legs of a structure in an account, each with its gain. ConfigError when it isn't held there."""
    name = name_of(name)
    accounts = [each for each in verbs.listings() if account in {"", each.account}]
    found = [
        texts.decision_text(each, decision)
        for each in accounts
        for decision in (each.plan.decisions if each.plan else ())
        if decision.holding.symbol in _symbols(each, name)
    ]
    if not found:
        raise not_held(name, accounts)
    return "\n".join(found)


def _symbols(account: "AccountListing", name: str) -> tuple[str, ...]:
    called = structures_called(name, [account])
    return called[0].symbols if called else (name,)


def _page(account: "AccountListing", watcher: "SellWatcher", name: str) -> list[TableRow]:
    """The rows about what an account holds under a name; none when it holds nothing, or was never read."""
    state = watcher.state
    if account.plan is None or state.market is None or state.snapshot is None:
        return []
    symbols = _symbols(account, name)
    orders = tuple(order for order in state.open_orders if set(order.symbols) & set(symbols))
    if called := structures_called(name, [account]):
        return structure_page(called[0], orders, state.market, account)
    decision = next((each for each in account.plan.decisions if each.holding.symbol == name), None)
    if decision is None:
        return []
    rows = position_details(decision, orders, state.market, account)
    explanation = explain(state.snapshot, watcher.policy, name)
    strategy = explanation.strategy if explanation else None
    rules = [("rule", rule.sentence) for rule in strategy.rules] if strategy else []
    return [*rows, *([("strategy", f"{strategy.name} ({strategy.manages})")] if strategy else []), *rules]


# --- in any thread ----------------------------------------------------------------------------------------------------


def report_text(journal: JournalLocation, now: dt.datetime) -> str:
    """The exits of today, and the profit of the last seven days."""
    return texts.report_text(_exits(journal, now), today_of(now))


def trades_text(journal: JournalLocation, now: dt.datetime) -> str:
    """The trades of the last seven days, with their totals."""
    found = [(one, mode) for mode, one in _exits(journal, now) if one.is_filled]
    return texts.trades_text(sorted(found, key=lambda each: each[0].last_at))


def _exits(journal: JournalLocation, now: dt.datetime) -> "list[tuple[str, Exit]]":
    """The exits of the last seven days, each with its mode."""
    from sellctl.journal.exits import exits  # noqa: PLC0415  loads SQLAlchemy
    from sellctl.journal.queries import Filters, recorded  # noqa: PLC0415  as above

    mode_at = recorded(journal).mode_at
    since = (today_of(now) - dt.timedelta(days=_DAYS)).isoformat()
    return [(mode_at(one.account, one.row), one) for one in exits(journal, Filters(since=since, limit=None))]


def newest_row_of(journal: JournalLocation) -> int:
    """The number of the journal's newest row."""
    from sellctl.journal.exits_since import newest_row  # noqa: PLC0415  loads SQLAlchemy

    return newest_row(journal)


def progress_of(journal: JournalLocation, row: int, exits: Sequence[ProposedExit]) -> tuple[bool, bool]:
    """Whether all of these exits are filled since that row, and whether an order was sent for one of them."""
    from sellctl.journal.exits_since import exits_since  # noqa: PLC0415  loads SQLAlchemy

    by_account = {name: exits_since(journal, name, row) for name in {each.listing.account for each in exits}}
    records = [by_account[each.listing.account].get(each.symbol) for each in exits]
    is_done = all(record and record.filled >= each.qty for record, each in zip(records, exits, strict=True))
    return is_done, any(record and record.sent for record in records)
