"""Stored episodes: the state of each position while it is held, on disk before it is used (D3)."""

import asyncio
import datetime as dt
from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal
from typing import Any

import msgspec
import sqlalchemy as sa

from sellctl.core.errors import JournalError
from sellctl.core.model.episode import Episode
from sellctl.core.model.position import Direction, Override, PastAverage
from sellctl.journal.account_numbers import archived_name, number_of
from sellctl.journal.backend import Backend
from sellctl.journal.database import read_only
from sellctl.journal.group_commit import GroupCommit
from sellctl.journal.location import JournalLocation
from sellctl.journal.schema import episodes as table

_SELECT_ALL: sa.Select[Any] = sa.select(sa.literal_column("*"))  # a dry run may read a file that isn't migrated yet
_OF_ACCOUNT = _SELECT_ALL.select_from(table).where(table.c.account == sa.bindparam("account")).order_by(table.c.symbol)


class SqlEpisodeStore:
    """The episodes of every account. Only one process writes an account, so its last saved episodes are cached."""

    def __init__(self, database: Backend) -> None:
        self._database = database
        self._writes = GroupCommit(database.writing)
        self._saved: dict[str, dict[str, Episode]] = {}
        # By account: the end of its last write that has begun, with the error or None.
        self._under_way: dict[str, asyncio.Future[BaseException | None]] = {}

    def load(self, account: str) -> dict[str, Episode]:
        """The stored episodes of an account, by symbol."""
        with self._database.reading() as tx:
            self._saved[account] = _all_of(tx, account)
        return dict(self._saved[account])

    async def save(self, account: str, episodes: Mapping[str, Episode]) -> None:
        """Replace the stored episodes of an account; on disk when this returns. Only changes are written.

        JournalError when they can't be written, or when a save that has begun before and has a part of them can't.
        """
        earlier = self._under_way.get(account)
        await self._write_changes(account, episodes)
        if earlier is not None and (error := await asyncio.shield(earlier)) is not None:
            raise JournalError(f"the state of positions in {account} could not be stored: {error}") from error

    async def _write_changes(self, account: str, episodes: Mapping[str, Episode]) -> None:
        before = self._saved[account] if account in self._saved else self.load(account)
        changed = [
            episode
            for symbol, episode in episodes.items()
            if (was := before.get(symbol)) is not episode and was != episode
        ]
        changed_symbols = {episode.symbol for episode in changed}
        to_delete = [symbol for symbol in before if symbol in changed_symbols or symbol not in episodes]
        if not changed and not to_delete:
            return
        saved = dict(episodes)

        def write(tx: sa.Connection) -> None:
            if to_delete:
                tx.execute(sa.delete(table).where(table.c.account == account, table.c.symbol.in_(to_delete)))
            if changed:
                tx.execute(sa.insert(table), [_row(account, episode) for episode in changed])

        self._saved[account] = saved  # set before the write, so that a concurrent save compares with these
        ended = self._under_way[account] = asyncio.get_running_loop().create_future()
        error: BaseException | None = None
        try:
            await self._writes.write(write)
        except BaseException as failed:
            error = failed
            self._saved.pop(account, None)  # the next use loads them from disk
            raise
        finally:
            if self._under_way.get(account) is ended:
                del self._under_way[account]
            ended.set_result(error)


class DryRunEpisodeStore:
    """The episodes of a dry run: those that an acting process has stored by now; nothing is written."""

    def __init__(self, location: JournalLocation) -> None:
        self._location = location
        self._read: dict[str, dict[str, Episode]] = {}
        self._numbers: dict[str, str] = {}

    def set_account_number(self, account: str, number: str) -> str:
        """Set the broker's account number for this name, so that episodes of another account are not loaded.

        Returns "" because a dry run records no change.
        """
        self._numbers[account] = number
        return ""

    def load(self, account: str) -> dict[str, Episode]:
        """The stored episodes of an account; those of the last call, at first none, when the journal can't be read."""
        with suppress(JournalError):
            self._read[account] = read_only(self._location, lambda tx: self._episodes_of(tx, account), missing={})
        return dict(self._read.get(account, {}))

    def _episodes_of(self, tx: sa.Connection, account: str) -> dict[str, Episode]:
        recorded, number = number_of(tx, account).number, self._numbers.get(account, "")
        return _all_of(tx, account if number in {"", recorded} or not recorded else archived_name(account, number))

    async def save(self, account: str, episodes: Mapping[str, Episode]) -> None:
        """Do nothing: what a dry run has seen is its own."""


def _all_of(tx: sa.Connection, account: str) -> dict[str, Episode]:
    rows = tx.execute(_OF_ACCOUNT, {"account": account}).mappings()
    return {row["symbol"]: _episode(row) for row in rows}


def _row(account: str, episode: Episode) -> dict[str, object]:
    return {
        "account": account,
        "symbol": episode.symbol,
        "direction": episode.direction.value,
        "opened_at": _text(episode.opened_at),
        "first_seen": _text(episode.first_seen),
        "entry_price": _text(episode.entry_price),
        "qty": str(episode.qty),
        "tag": episode.opening_order_id,
        "peak": _text(episode.peak),
        "averages": " ".join(f"{past.entry_price}:{past.peak}" for past in episode.past_averages),
        "base": _text(episode.original_qty),
        "frozen": episode.suspended,
        "follow": episode.exit_after,
        "whole": episode.whole,
        "override": "" if episode.override is None else msgspec.json.encode(episode.override).decode(),
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
        opening_order_id=row["tag"],
        peak=_decimal(row["peak"]),
        past_averages=_past_averages(row.get("averages", "")),
        original_qty=_decimal(row["base"]),
        suspended=row["frozen"],
        exit_after=row["follow"],
        whole=row.get("whole", ""),
        override=_override(row.get("override", "")),
    )


def _override(text: str) -> Override | None:
    return msgspec.json.decode(text, type=Override) if text else None


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _past_averages(text: str) -> tuple[PastAverage, ...]:
    pairs = (pair.split(":") for pair in text.split())
    return tuple(PastAverage(Decimal(entry), Decimal(peak)) for entry, peak in pairs)
