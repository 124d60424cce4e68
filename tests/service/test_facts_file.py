"""The file of remembered facts: what was saved is loaded, and anything else is as good as no file."""

import datetime as dt
import logging
import stat
from pathlib import Path

import pytest

from sellctl.core.model.instrument import AssetClass
from sellctl.core.model.market import Calendar, Session
from sellctl.core.tracking.remembered_facts import Facts, GrantedFeed, KnownCalendar, PennyFact, RememberedFacts
from sellctl.service.facts_file import FactsFile

NAME = "remembered.json"
DAY = dt.date(2026, 11, 24)
NOON = dt.datetime(2026, 11, 24, 17, tzinfo=dt.UTC)
HALF_DAY = Session(DAY, NOON, NOON + dt.timedelta(hours=1))
FACTS = Facts(
    feeds={"0123456789abcdef option": GrantedFeed("indicative", NOON)},
    penny={"AAPL": PennyFact(is_penny=True, day=DAY), "ZM": PennyFact(is_penny=False, day=DAY, is_refused=True)},
    calendar=KnownCalendar(Calendar(DAY, (DAY,), (HALF_DAY,)), DAY, DAY),
)


def test_what_was_saved_is_loaded_by_the_next_process_and_only_the_owner_can_read_it(tmp_path: Path) -> None:
    assert FactsFile(tmp_path / NAME).save(FACTS)
    assert FactsFile(tmp_path / NAME).load() == FACTS
    assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b"null", b"\xff", b'{"format": 2}', b'{"unknown": 1}',
        b'{"penny": {"AAPL": {"is_penny": 1}}}',
        b'{"feeds": {"k option": {"feed": "opra", "at": "2026-11-24T17:00:00"}}}', b"[" * 100_000,
    ],
    ids=range(10),
)  # fmt: skip
def test_foreign_content_is_no_fact_and_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    caplog.set_level(logging.DEBUG)
    (tmp_path / NAME).write_bytes(content)
    (tmp_path / NAME).chmod(0o600)
    file = FactsFile(tmp_path / NAME)
    assert file.load() == file.load() == Facts()
    assert len(caplog.messages) == 1


def test_a_file_that_others_can_write_is_not_used(tmp_path: Path) -> None:
    FactsFile(tmp_path / NAME).save(FACTS)
    (tmp_path / NAME).chmod(0o666)
    assert FactsFile(tmp_path / NAME).load() == Facts()


def test_a_file_that_can_not_be_replaced_is_told_and_tried_again(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    facts = RememberedFacts(FactsFile(tmp_path / NAME))
    facts.increments_known({"AAPL": True}, DAY)
    facts.save()
    (tmp_path / NAME).rmdir()
    facts.save()
    assert RememberedFacts(FactsFile(tmp_path / NAME)).is_penny("AAPL", DAY) is True


def test_two_processes_on_one_folder_keep_each_others_facts(tmp_path: Path) -> None:
    one, other = (RememberedFacts(FactsFile(tmp_path / NAME)) for _ in range(2))
    one.increments_known({"AAPL": True}, DAY)
    other.feed_granted("0123456789abcdef", AssetClass.STOCK, "iex", NOON)
    one.save()
    other.save()
    found = RememberedFacts(FactsFile(tmp_path / NAME))
    assert found.is_penny("AAPL", DAY) is True
    assert found.granted_feed("0123456789abcdef", AssetClass.STOCK) == GrantedFeed("iex", NOON)
