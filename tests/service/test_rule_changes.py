"""The texts that a person sets rules with are read once for every surface, and what became of them is looked up."""

from pathlib import Path

import pytest
from builders import a_market, at

from sellctl.core.errors import ConfigError, SellctlError
from sellctl.core.model.position import AT_ENTRY, OverrideChange
from sellctl.journal.store import SqliteJournal
from sellctl.service.rule_changes import RuleTexts, change_of, why_not_set

NOON = a_market("12:00")


def test_texts_are_a_change_with_its_end_by_the_brokers_clock() -> None:
    given = RuleTexts(stop="25%", target="80%", trail="10pt", until="15:30")
    assert change_of(given, NOON) == OverrideChange("25%", "80%", "10pt", at("15:30"))
    assert change_of(RuleTexts(breakeven=True), None) == OverrideChange(AT_ENTRY)
    assert change_of(RuleTexts(clear=True), None) == OverrideChange(clear=True)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (RuleTexts(), "Nothing is to be set."),
        (RuleTexts(stop="10%", breakeven=True), "--breakeven and --stop both set the stop."),
        (RuleTexts(breakeven=True, clear=True), "Clearing leaves nothing to set."),
        (RuleTexts(stop="10"), "stop: '10' has no unit."),
        (RuleTexts(stop="10%", until="11:00"), "--until: "),
    ],
)
def test_what_cannot_be_read_is_one_sentence_that_names_the_option_as_the_surface_does(
    given: RuleTexts, says: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        change_of(given, NOON, "--")
    assert says in refused.value.sentence
    with pytest.raises(ConfigError) as refused:
        change_of(given, NOON)
    assert "--" not in str(refused.value)


def test_an_end_needs_the_brokers_clock() -> None:
    with pytest.raises(SellctlError, match="clock could not be read"):
        change_of(RuleTexts(stop="10%", until="15:30"), None)


def test_a_request_is_set_when_that_is_on_record_and_unknown_before(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    assert why_not_set(path, "main", "1", 0) is None
    journal = SqliteJournal(path, lambda: at("12:00"))
    journal.note("main", "override", {"id": "1"})
    journal.note("main", "override", {"id": "2", "problem": "it is not held"})
    journal.close()
    assert [why_not_set(path, "main", each, 0) for each in ("1", "2", "3")] == ["", "it is not held", None]
    assert why_not_set(path, "main", "2", 2) is None
