"""The journal refuses the intent of a host that has lost the account's lease, in the intent's own transaction."""

import asyncio
import sqlite3
from pathlib import Path

import pytest
from journal_builders import a_journal, an_intended_order

from sellctl.core.errors import LeaseLostError
from sellctl.core.leases.fencing import lost
from sellctl.journal.audit_log import Batch
from sellctl.journal.queries import Filters, history
from sellctl.journal.store import SqliteJournal
from sellctl.journal.verify import verify


def fenced(folder: Path) -> SqliteJournal:
    """A journal on which the lease of each account has the fencing number 2."""

    def check(batch: Batch, account: str, fence: int | None) -> None:
        assert isinstance(batch.tx.connection.driver_connection, sqlite3.Connection)
        assert batch.tx.connection.driver_connection.in_transaction
        if fence != 2:
            raise lost(account)

    return a_journal(folder, intent_check=check)


def test_an_intent_with_the_leases_number_is_recorded_with_it(tmp_path: Path) -> None:
    journal = fenced(tmp_path)
    asyncio.run(journal.intend("main", [an_intended_order()], (), fence=2))
    assert history(journal.path, Filters())[0].body["fence"] == 2


def test_an_intent_with_an_old_number_is_refused_and_leaves_nothing_behind(tmp_path: Path) -> None:
    journal = fenced(tmp_path)
    with pytest.raises(LeaseLostError):
        asyncio.run(journal.intend("main", [an_intended_order()], (), fence=1))
    assert journal.open_intents("main") == ()
    assert not list(history(journal.path, Filters()))
    assert verify(journal.path).fault == ""


def test_a_refused_intent_spoils_no_other_accounts_in_the_same_commit(tmp_path: Path) -> None:
    journal = fenced(tmp_path)

    async def both() -> list[object]:
        decisions = (journal.intend(name, [an_intended_order(f"sellctl-{name}")], (), fence=n) for name, n in wanted)
        return await asyncio.gather(*decisions, return_exceptions=True)

    wanted = (("main", 2), ("other", 1))
    ended = asyncio.run(both())
    assert ended[0] is None
    assert isinstance(ended[1], LeaseLostError)
    assert [row.account for row in history(journal.path, Filters())] == ["main"]
    assert verify(journal.path).fault == ""
