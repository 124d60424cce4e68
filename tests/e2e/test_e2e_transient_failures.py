"""Transient failures: the run continues and the exit still happens."""

import pytest
from stage import CALL, Play, three_calls


@pytest.mark.parametrize("path", ["/v2/clock", "/v2/account", "/v2/positions", "/v2/orders"])
def test_a_run_continues_after_one_bad_response(play: Play, path: str) -> None:
    stage = play(three_calls("1.10", "1.12"))
    stage.inject_fault("H05", times=1, path=path)
    assert stage.run("run-once").status == 0
    assert stage.held(CALL) == 0


def test_a_calendar_that_contradicts_the_clock_suspends_price_exits_and_is_reported(play: Play) -> None:
    stage = play(three_calls("1.10", "1.12"))
    stage.inject_fault("H20", path="/v2/calendar", skew=600)
    assert "clock and calendar disagree: price exits are paused" in stage.run("run-once").err
    assert stage.held(CALL) == 3


def test_a_sent_order_is_printed_with_its_reason(play: Play) -> None:
    stage = play(three_calls("1.10", "1.12"))
    result = stage.run("run-once").err
    assert "sent: sell 3 limit $1.10: target +10%: bid $1.10 is at or above the target $1.10" in result
