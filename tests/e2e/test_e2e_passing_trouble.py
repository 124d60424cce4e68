"""Trouble that passes by itself: the run goes on and the exit still happens."""

import pytest
from stage import CALL, Play, three_calls


@pytest.mark.parametrize("path", ["/v2/clock", "/v2/account", "/v2/positions", "/v2/orders"])
def test_one_bad_answer_does_not_cost_the_run(play: Play, path: str) -> None:
    stage = play(three_calls("1.10", "1.12"))
    stage.misbehave("H05", times=1, path=path)
    assert stage.run("run-once").status == 0
    assert stage.held(CALL) == 0
