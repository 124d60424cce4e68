"""Remembered price increments: a fact serves on its own day, and a refusal outweighs an answer."""

import datetime as dt

from sellctl.core.tracking.remembered_facts import RememberedFacts

TODAY = dt.date(2026, 11, 24)
TOMORROW = dt.date(2026, 11, 25)


def test_an_increment_is_known_on_the_day_of_the_answer_only() -> None:
    facts = RememberedFacts()
    facts.increments_known({"AAPL": True, "ZM": False}, TODAY)
    assert [facts.is_penny(name, TODAY) for name in ("AAPL", "ZM", "GME")] == [True, False, None]
    assert facts.is_penny("AAPL", TOMORROW) is None
    assert facts.lacking(["AAPL", "GME"], TODAY) == {"GME"}
    assert facts.lacking(["AAPL", "GME"], TOMORROW) == {"AAPL", "GME"}


def test_after_a_refusal_the_coarser_increment_is_used_for_the_day_whatever_the_broker_answers() -> None:
    facts = RememberedFacts()
    facts.increments_known({"AAPL": True}, TODAY)
    assert facts.increment_refused("AAPL", TODAY)
    facts.increments_known({"AAPL": True}, TODAY)
    assert facts.is_penny("AAPL", TODAY) is False
    assert facts.lacking(["AAPL"], TODAY) == frozenset()
    facts.increments_known({"AAPL": True}, TOMORROW)
    assert facts.is_penny("AAPL", TOMORROW) is True


def test_a_refusal_of_the_coarser_increment_changes_nothing() -> None:
    facts = RememberedFacts()
    assert facts.increment_refused("AAPL", TODAY)
    assert not facts.increment_refused("AAPL", TODAY)
    facts.increments_known({"ZM": False}, TODAY)
    assert not facts.increment_refused("ZM", TODAY)
