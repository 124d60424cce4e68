"""A strategy of the user's own that hangs, exits or prints, in the whole program: every other position is worked."""

import json
import signal
import textwrap

import pytest
from e2e_scenes import CALL, HIGHER, a_day, at
from stage import Play, Stage, end_of

DAY = a_day({CALL: (1, "1.00"), HIGHER: (1, "1.00")}, {CALL: at("1.00", "1.02"), HIGHER: at("0.70", "0.72")})
RULES = f"sell_module: {{strategies: [{{name: mine, use: './mine.py:Mine', match: {{symbol: {CALL}}}}}]}}\n"
CODE = """
    import sys, time
    from dataclasses import dataclass
    from sellctl.core.sell_strategies.base_strategy import BaseStrategy

    @dataclass(frozen=True)
    class Mine(BaseStrategy):
        def evaluate(self, holding, market):
            print("noise")
            {does}
"""
OUT = "NOT MANAGED: strategy mine is disabled for today: it takes too long"


def hostile(play: Play, does: str) -> Stage:
    stage = play(DAY, RULES)
    (stage.folder / "mine.py").write_text(textwrap.dedent(CODE).format(does=does), encoding="utf-8")
    return stage


@pytest.mark.parametrize("does", ["while True: pass", "time.sleep(10)", "sys.exit(0)", "raise KeyboardInterrupt"])
def test_run_once_works_every_other_position(play: Play, does: str) -> None:
    stage = hostile(play, does)
    for _ in range(2):
        stage.run("run-once")
        stage.server.advance(10)
    assert (stage.held(CALL), stage.held(HIGHER)) == (1, 0)


def test_positions_and_a_dry_run_show_which_position_has_no_strategy(play: Play) -> None:
    stage = hostile(play, "while True: pass")
    (account,) = stage.run("positions", "--format", "json").document["accounts"]
    rows = {row["symbol"]: row for row in account["holdings"]}
    assert rows[HIGHER]["state"] == "closing"
    assert rows[CALL]["state"] == "not managed"
    assert rows[CALL]["sentence"].startswith(OUT)
    assert OUT in stage.run("positions", CALL).out
    dry = stage.run("run-once", "--dry-run", "--format", "json")
    assert "noise" not in dry.out
    assert OUT in json.dumps(dry.document)


def test_watch_goes_on_and_ends_on_sigterm(play: Play) -> None:
    stage = hostile(play, "time.sleep(10)")
    process = stage.spawn("watch", "--format", "json")
    assert process.stdout is not None
    for line in process.stdout:
        if OUT in line:
            break
    process.send_signal(signal.SIGTERM)
    assert end_of(process, 10).status == 0
