"""The statements of the order path and of each account's first poll, compiled once for a database's driver.

Building a statement costs 30 us, an eighth of an order's commit, and SQLAlchemy as much again to execute one that was
built. Each takes its values by position. One about an order takes its account and its client order id; one about its
fills takes its account and the broker's id. Another account that was behind the name before may have had the broker's
id too, but no client order id of this one.
"""

from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa

from sellctl.journal.schema import audit, fills, meta, unresolved

RECENT_ROWS = 1_000  # how far `recent` reads back: its callers need only the last seconds

_ORDER = (unresolved.c.account == sa.bindparam("a")) & (unresolved.c.client_order_id == sa.bindparam("b"))
# The columns with '' don't use their index: that of the day, or of the row's number, leaves the fewest rows.
_OF_ACCOUNT, _OF_KIND = (audit.c[name] + sa.literal_column("''") == sa.bindparam(name) for name in ("account", "kind"))
_SINCE = audit.c.seq >= sa.bindparam("since")
_FILLS = (fills.c.account == sa.bindparam("a")) & (fills.c.order_id == sa.bindparam("b"))


@dataclass(frozen=True, slots=True)
class Statements:
    """The texts of the statements, for one driver."""

    append: str  # an audit row
    newest: str  # number and hash of the newest audit row
    remember_intent: str  # a row of `unresolved`, in place of one about the same order
    open_intent: str  # symbol and reason of an open intent
    end_intent: str
    filled: str  # the recorded quantity of an order's fills; also takes its client order id
    remember_fills: str  # a row of `fills`, in place of one about the same order
    remember: str  # a row of `meta`, in place of one with the same key
    recall: str  # the value in `meta` with a key
    open_ids: str  # the client order ids of an account's open intents, oldest first
    # Both also take the number of the first row that belongs to the account behind the name.
    noted: str  # the symbols of a day's rows of an account and a kind, newest first
    recent: str  # symbol, time and body of an account's rows of a kind since then, as far as RECENT_ROWS go back


def compiled(dialect: sa.Dialect, replacing: Callable[[sa.Table], sa.Insert]) -> Statements:
    """The statements for a dialect; `replacing` makes the insert that replaces a row with the same key."""

    def text(statement: sa.ClauseElement) -> str:
        return str(statement.compile(dialect=dialect))

    newest = sa.select(sa.func.max(audit.c.seq)).scalar_subquery()
    recent_rows = sa.literal_column(str(RECENT_ROWS), sa.Integer)
    return Statements(
        append=text(sa.insert(audit)),
        newest=text(sa.select(audit.c.seq, audit.c.hash).where(audit.c.seq == newest)),
        remember_intent=text(replacing(unresolved)),
        open_intent=text(sa.select(unresolved.c.symbol, unresolved.c.reason).where(_ORDER)),
        end_intent=text(sa.delete(unresolved).where(_ORDER)),
        filled=text(sa.select(fills.c.filled_qty).where(_FILLS, fills.c.client_order_id == sa.bindparam("c"))),
        remember_fills=text(replacing(fills)),
        remember=text(replacing(meta)),
        recall=text(sa.select(meta.c.value).where(meta.c.key == sa.bindparam("a"))),
        open_ids=text(
            sa.select(unresolved.c.client_order_id)
            .where(unresolved.c.account == sa.bindparam("a"))
            .order_by(unresolved.c.seq)
        ),
        noted=text(
            sa.select(audit.c.symbol)
            .where(audit.c.day == sa.bindparam("day"), _OF_ACCOUNT, _OF_KIND, _SINCE)
            .order_by(audit.c.seq.desc())
        ),
        recent=text(
            sa.select(audit.c.symbol, audit.c.at, audit.c.body)
            .where(
                audit.c.seq > newest - recent_rows,
                audit.c.at >= sa.bindparam("start"),
                _OF_ACCOUNT,
                _OF_KIND,
                _SINCE,
            )
            .order_by(audit.c.seq)
        ),
    )
