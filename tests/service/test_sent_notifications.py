"""The file with what was last notified: what one run has sent, the next one knows."""

from pathlib import Path

from sellctl.service.sent_notifications import SentNotifications

BLOCKED = ("main", "AAPL", "AAPL blocked by an order of yours")


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    file = SentNotifications(tmp_path / "notified.json")
    file.save({BLOCKED: 100.0})
    assert file.load(now=160.0) == {BLOCKED: 100.0}


def test_a_time_after_now_is_not_used_since_the_clock_was_set_back(tmp_path: Path) -> None:
    file = SentNotifications(tmp_path / "notified.json")
    file.save({BLOCKED: 100.0})
    assert file.load(now=99.0) == {}


def test_a_file_that_is_missing_or_damaged_costs_a_repetition_only(tmp_path: Path) -> None:
    path = tmp_path / "notified.json"
    assert SentNotifications(path).load(now=1.0) == {}
    path.write_text('[[["main"], 1]]')
    assert SentNotifications(path).load(now=1.0) == {}
    SentNotifications(tmp_path / "missing" / "notified.json").save({BLOCKED: 1.0})
