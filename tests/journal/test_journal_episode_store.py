"""The stored episodes are those that were saved last, all of them, whichever process asks."""

import asyncio
import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from builders import replace
from journal_builders import NOON, Ticking, a_journal

from sellctl.core.errors import JournalError
from sellctl.core.model.episode import Episode
from sellctl.core.model.position import Direction, Override, PastAverage
from sellctl.journal.episode_store import DryRunEpisodeStore, SqlEpisodeStore
from sellctl.journal.location import JournalLocation
from sellctl.journal.schema import FILE_NAME
from sellctl.journal.store import SqliteJournal, SqlJournal

SPY = Episode("SPY", Direction.LONG, NOON, Decimal(10), Decimal("1.10"))
QQQ = Episode(
    "QQQ",
    Direction.SHORT,
    NOON,
    Decimal("0.5"),
    opened_at=NOON - dt.timedelta(days=2),
    peak=Decimal("4.20"),
    past_averages=(PastAverage(Decimal("5.00"), Decimal("4.50")), PastAverage(Decimal("4.90"), Decimal("4.20"))),
    opening_order_id="bot-7",
    original_qty=Decimal(2),
    suspended="split",
    exit_after="SPY stop",
    whole="QQQ-collar-261218-400P-440C",
    override=Override("alice", NOON, stop="price 4.20", target="80%", trail="10pt", until=NOON + dt.timedelta(days=2)),
)


@pytest.fixture
def journal(place: JournalLocation) -> Iterator[SqlJournal]:
    opened = a_journal(place)
    yield opened
    opened.close()


@pytest.fixture
def file_journal(tmp_path: Path) -> Iterator[SqliteJournal]:
    opened = SqliteJournal(tmp_path / FILE_NAME, Ticking())
    yield opened
    opened.close()


def fresh(journal: SqlJournal) -> SqlEpisodeStore:
    return SqlEpisodeStore(journal.database)


def test_nothing_is_remembered_at_first(journal: SqlJournal) -> None:
    assert fresh(journal).load("main") == {}


def test_episodes_come_back_as_saved(journal: SqlJournal) -> None:
    asyncio.run(SqlEpisodeStore(journal.database).save("main", {"SPY": SPY, "QQQ": QQQ}))
    assert fresh(journal).load("main") == {"SPY": SPY, "QQQ": QQQ}
    assert fresh(journal).load("other") == {}


def test_saving_is_all_that_is_remembered(journal: SqlJournal) -> None:
    episode_store = SqlEpisodeStore(journal.database)
    asyncio.run(episode_store.save("main", {"SPY": SPY, "QQQ": QQQ}))
    asyncio.run(episode_store.save("main", {"SPY": replace(SPY, peak=Decimal(2))}))
    assert fresh(journal).load("main") == {"SPY": replace(SPY, peak=Decimal(2))}
    asyncio.run(episode_store.save("main", {}))
    assert fresh(journal).load("main") == {}


def test_what_another_writer_has_stored_meanwhile_is_refused_once_and_replaced_then(journal: SqlJournal) -> None:
    episode_store = SqlEpisodeStore(journal.database)
    asyncio.run(episode_store.save("main", {"QQQ": QQQ}))
    asyncio.run(fresh(journal).save("main", {"SPY": SPY, "QQQ": QQQ}))
    after = {"SPY": replace(SPY, peak=Decimal(2)), "QQQ": QQQ}
    with pytest.raises(JournalError):
        asyncio.run(episode_store.save("main", after))
    assert fresh(journal).load("main") == {"SPY": SPY, "QQQ": QQQ}
    asyncio.run(episode_store.save("main", after))
    assert fresh(journal).load("main") == after


def test_what_is_unchanged_is_not_written_again(file_journal: SqliteJournal) -> None:
    episode_store = SqlEpisodeStore(file_journal.database)
    asyncio.run(episode_store.save("main", {"SPY": SPY}))
    before = file_journal.database.raw.total_changes
    asyncio.run(episode_store.save("main", {"SPY": SPY}))
    assert file_journal.database.raw.total_changes == before


def test_two_saves_of_one_moment_leave_what_the_second_one_says(journal: SqlJournal) -> None:
    episode_store = SqlEpisodeStore(journal.database)
    asyncio.run(episode_store.save("main", {"SPY": SPY}))

    async def both() -> None:
        await asyncio.gather(
            episode_store.save("main", {"SPY": replace(SPY, peak=Decimal(2))}), episode_store.save("main", {"SPY": SPY})
        )

    asyncio.run(both())
    assert fresh(journal).load("main") == {"SPY": SPY}


def test_a_save_without_news_waits_for_the_one_that_brings_them(journal: SqlJournal) -> None:
    """A second order left before the mark that the first one had set was on disk."""
    episode_store = SqlEpisodeStore(journal.database)

    async def stored_after_a_save() -> dict[str, Episode]:
        await episode_store.save("main", {"SPY": SPY})
        return fresh(journal).load("main")

    async def both() -> list[dict[str, Episode]]:
        return await asyncio.gather(stored_after_a_save(), stored_after_a_save())

    assert asyncio.run(both()) == [{"SPY": SPY}] * 2


def test_a_save_without_news_fails_with_the_one_that_brings_them(file_journal: SqliteJournal) -> None:
    episode_store = SqlEpisodeStore(file_journal.database)
    file_journal.database.raw.execute("PRAGMA query_only=ON")

    async def both() -> list[object]:
        saves = (episode_store.save("main", {"SPY": SPY}) for _ in range(2))
        return await asyncio.gather(*saves, return_exceptions=True)

    assert all(isinstance(end, JournalError) for end in asyncio.run(both()))


def test_a_save_that_failed_is_not_taken_for_done(file_journal: SqliteJournal) -> None:
    episode_store = SqlEpisodeStore(file_journal.database)
    file_journal.database.raw.execute("PRAGMA query_only=ON")
    with pytest.raises(JournalError):
        asyncio.run(episode_store.save("main", {"SPY": SPY}))
    file_journal.database.raw.execute("PRAGMA query_only=OFF")
    asyncio.run(episode_store.save("main", {"SPY": SPY}))
    assert fresh(file_journal).load("main") == {"SPY": SPY}


def test_a_dry_run_loads_what_is_stored_by_now_and_the_last_of_it_when_that_cannot_be_read(
    tmp_path: Path,
) -> None:
    path = tmp_path / FILE_NAME
    dry = DryRunEpisodeStore(path)
    assert dry.load("main") == {}
    journal = a_journal(tmp_path)
    for stored in ({"SPY": SPY}, {"SPY": SPY, "QQQ": QQQ}):
        asyncio.run(fresh(journal).save("main", stored))
        assert dry.load("main") == stored
    journal.close()
    asyncio.run(dry.save("main", {}))
    path.write_bytes(b"no database" * 1000)
    assert dry.load("main") == {"SPY": SPY, "QQQ": QQQ}
