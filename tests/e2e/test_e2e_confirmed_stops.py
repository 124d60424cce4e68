"""Stops in the whole program: a second quote confirms them, real crashes trigger them, and bad ticks do not."""

import pytest
from stage import CALL, Play, three_calls

STOP = three_calls("0.70", "0.72")


def test_run_once_polls_for_the_confirming_quote_and_a_dry_run_names_the_same_order(play: Play) -> None:
    stage = play(STOP)
    dry = stage.run("run-once", "--dry-run", "--format", "json").document
    real = stage.run("run-once", "--format", "json").document
    orders = [[holding["order"] for holding in plan["holdings"]] for plan in (*dry["plans"], *real["plans"])]
    assert orders[0] == orders[1]
    assert orders[0][0]["client_order_id"] == stage.orders()[0].client_order_id
    assert stage.held(CALL) == 0


@pytest.mark.parametrize("factor", [100, "0.01"])
def test_one_bad_tick_sells_nothing(play: Play, factor: object) -> None:
    stage = play(STOP.replace("0.70", "0.99").replace("0.72", "1.01"))
    stage.inject_fault("Q06", symbol=CALL, times=1, factor=factor)
    assert stage.run("run-once").status == 0
    assert stage.held(CALL) == 3
    assert not [order for order in stage.orders() if order.status == "filled"]
