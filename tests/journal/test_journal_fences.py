"""The journal refuses the intent of a host that has lost the account's lease, in the intent's own transaction."""

import asyncio
from pathlib import Path

import pytest
from journal_builders import a_journal, an_intended_order, with_leases
from postgres_fixtures import PostgresLocation

from sellctl.core.errors import BusyError, LeaseLostError
from sellctl.core.leases.fencing import lost
from sellctl.journal.audit_log import Batch
from sellctl.journal.location import JournalLocation
from sellctl.journal.queries import Filters, history
from sellctl.journal.store import SqlJournal
from sellctl.journal.verify import verify


def check_in_a_file(batch: Batch, account: str, fence: int | None) -> None:
    """A check as that of the lease table, which SQLite doesn't have."""
    batch.require("SELECT 1 WHERE ? = 2", (fence,), lost(account))


def fenced(place: JournalLocation) -> SqlJournal:
    """A journal on which the lease of each account has the fencing number 2."""
    if isinstance(place, Path):
        return a_journal(place, intent_check=check_in_a_file)
    from sellctl.journal.leases.postgres_table import check_intent  # noqa: PLC0415  an extra

    with_leases(place, "main", "other", "third", fence=2)
    return a_journal(place, intent_check=check_intent)


def test_an_intent_with_the_leases_number_is_recorded_with_it(place: JournalLocation) -> None:
    journal = fenced(place)
    asyncio.run(journal.intend("main", [an_intended_order()], (), fence=2))
    assert history(place, Filters())[0].body["fence"] == 2


@pytest.mark.parametrize("fence", [1, 3])
def test_an_intent_with_another_number_is_refused_and_leaves_nothing_behind(place: JournalLocation, fence: int) -> None:
    journal = fenced(place)
    with pytest.raises(LeaseLostError, match="no lease of account main"):
        asyncio.run(journal.intend("main", [an_intended_order()], (), fence=fence))
    assert journal.open_intents("main") == ()
    assert not list(history(place, Filters()))
    assert verify(place).fault == ""


def test_a_refused_intent_spoils_no_other_accounts_in_the_same_commit(place: JournalLocation) -> None:
    journal = fenced(place)

    async def all_three() -> list[object]:
        decisions = (journal.intend(name, [an_intended_order(f"sellctl-{name}")], (), fence=n) for name, n in wanted)
        return await asyncio.gather(*decisions, return_exceptions=True)

    wanted = (("main", 2), ("other", 1), ("third", 2))
    ended = asyncio.run(all_three())
    assert (ended[0], ended[2]) == (None, None)
    assert isinstance(ended[1], LeaseLostError)
    assert "account other" in ended[1].sentence
    assert [row.account for row in reversed(history(place, Filters()))] == ["main", "third"]
    assert verify(place).fault == ""


def test_beside_hosts_an_intent_without_a_lease_is_refused_and_leaves_nothing_behind(
    postgres: PostgresLocation,
) -> None:
    from sellctl.journal.leases.postgres_table import check_unleased_intent  # noqa: PLC0415  an extra

    with_leases(postgres, "main", fence=2)
    journal = a_journal(postgres, intent_check=check_unleased_intent)
    with pytest.raises(BusyError, match="Account main is watched by one of the hosts"):
        asyncio.run(journal.intend("main", [an_intended_order()], ()))
    asyncio.run(journal.intend("other", [an_intended_order("sellctl-2")], ()))
    assert [row.account for row in history(postgres, Filters())] == ["other"]
    assert journal.open_intents("main") == ()
    assert verify(postgres).fault == ""


def test_what_follows_a_refused_intent_is_recorded(place: JournalLocation) -> None:
    journal = fenced(place)
    with pytest.raises(LeaseLostError):
        asyncio.run(journal.intend("main", [an_intended_order("sellctl-1")], (), fence=1))
    asyncio.run(journal.intend("main", [an_intended_order("sellctl-2")], (), fence=2))
    assert journal.open_intents("main") == ("sellctl-2",)
