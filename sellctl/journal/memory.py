"""Position memory, from flat to flat: ordinary state, on disk before it is used (D3)."""

import datetime as dt
import json
from collections.abc import Mapping
from decimal import Decimal

import sqlalchemy as sa

from sellctl.core.model.episode import Episode
from sellctl.core.model.position import Direction
from sellctl.journal.database import Database
from sellctl.journal.schema import episodes as table


class PositionMemory:
    """The episodes of every account. One process writes an account at a time, so what was saved last is known."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._saved: dict[str, dict[str, Episode]] = {}

    def load(self, account: str) -> dict[str, Episode]:
        """What is remembered of this account, by symbol."""
        with self._database.reading() as tx:
            rows = tx.execute(sa.select(table).where(table.c.account == account).order_by(table.c.symbol)).mappings()
            self._saved[account] = {row["symbol"]: _episode(row) for row in rows}
        return dict(self._saved[account])

    def save(self, account: str, episodes: Mapping[str, Episode]) -> None:
        """Make this all that is remembered of the account; on disk when it returns. What is unchanged costs nothing."""
        before = self._saved[account] if account in self._saved else self.load(account)
        changed = [episode for symbol, episode in episodes.items() if before.get(symbol) != episode]
        stale = [episode.symbol for episode in changed] + [symbol for symbol in before if symbol not in episodes]
        if not stale:
            return
        with self._database.writing() as tx:
            tx.execute(sa.delete(table).where(table.c.account == account, table.c.symbol.in_(stale)))
            if changed:
                tx.execute(sa.insert(table), [_row(account, episode) for episode in changed])
        self._saved[account] = dict(episodes)


def _row(account: str, episode: Episode) -> dict[str, object]:
    return {
        "account": account,
        "symbol": episode.symbol,
        "direction": episode.direction.value,
        "opened_at": _text(episode.opened_at),
        "first_seen": _text(episode.first_seen),
        "entry_price": _text(episode.entry_price),
        "qty": str(episode.qty),
        "peak": _text(episode.peak),
        "trough": _text(episode.trough),
        "armed": episode.armed,
        "scaled_out": json.dumps(episode.scaled_out),
        "frozen": episode.frozen,
    }


def _text(value: Decimal | dt.datetime | None) -> str | None:
    if isinstance(value, dt.datetime):
        return value.isoformat()
    return None if value is None else str(value)


def _episode(row: sa.RowMapping) -> Episode:
    return Episode(
        symbol=row["symbol"],
        direction=Direction(row["direction"]),
        first_seen=dt.datetime.fromisoformat(row["first_seen"]),
        qty=Decimal(row["qty"]),
        entry_price=_decimal(row["entry_price"]),
        opened_at=None if row["opened_at"] is None else dt.datetime.fromisoformat(row["opened_at"]),
        peak=_decimal(row["peak"]),
        trough=_decimal(row["trough"]),
        armed=row["armed"],
        scaled_out=tuple(json.loads(row["scaled_out"])),
        frozen=row["frozen"],
    )


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
