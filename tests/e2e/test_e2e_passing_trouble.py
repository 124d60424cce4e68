"""Trouble that passes by itself: the run goes on and the exit still happens."""

import pytest
from stage import CALL, Play, three_calls


@pytest.mark.parametrize("path", ["/v2/clock", "/v2/account", "/v2/positions", "/v2/orders"])
def test_one_bad_answer_does_not_cost_the_run(play: Play, path: str) -> None:
    stage = play(three_calls("1.10", "1.12"))
    stage.misbehave("H05", times=1, path=path)
    assert stage.run("run-once").status == 0
    assert stage.held(CALL) == 0


def test_a_calendar_that_contradicts_the_clock_rests_price_exits_and_says_so(play: Play) -> None:
    stage = play(three_calls("1.10", "1.12"))
    stage.misbehave("H20", path="/v2/calendar", skew=600)
    assert "clock and calendar disagree: price exits are paused" in stage.run("run-once").err
    assert stage.held(CALL) == 3


def test_what_was_sent_is_told_with_its_reason(play: Play) -> None:
    stage = play(three_calls("1.10", "1.12"))
    said = stage.run("run-once").err
    assert "sent: sell 3 limit $1.10: target +10%: bid $1.10 is at or above the target $1.10" in said
