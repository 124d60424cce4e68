"""A structure of more than four legs leaves as the fewest orders, and no fill leaves a short of it uncovered."""

from decimal import Decimal

import pytest
from e2e_scenes import CALL, HIGHER, a_day, at, by_legs
from stage import Play, Stage
from test_e2e_structures import parents, symbols_sent, uncovered_at_any_fill, work

PUT, LOWER = "AAPL261218P00180000", "AAPL261218P00170000"
NEAR, NEAR_HIGHER = "AAPL261204C00220000", "AAPL261204C00230000"
NAME = "AAPL-custom-261204-220C-230C-261218-170P-180P-200C-210C"
HELD = {
    NEAR: (-2, "2.00"),
    NEAR_HIGHER: (2, "1.00"),
    CALL: (-2, "4.00"),
    HIGHER: (2, "2.00"),
    PUT: (-2, "2.00"),
    LOWER: (2, "1.00"),
}
AT_TARGET = {
    NEAR: ("0.48", "0.50"),
    NEAR_HIGHER: ("0.24", "0.26"),
    CALL: ("0.98", "1.00"),
    HIGHER: ("0.48", "0.50"),
    PUT: ("0.48", "0.50"),
    LOWER: ("0.24", "0.26"),
}
AT_STOP = AT_TARGET | {CALL: ("14.98", "15.02"), HIGHER: ("6.98", "7.02")}
OF_TWO = f"{NEAR}+{NEAR_HIGHER}"
START = {symbol: qty for symbol, (qty, _) in HELD.items()}


def config(rules: str) -> str:
    legs = ", ".join(HELD)
    return (
        "sell_module: {strategy_one: {enabled: false}, "
        f"structures: [{{name: six-legs, legs: [{legs}]}}], "
        f"strategies: [{{name: mine, match: {{structure: custom}}, rules: {{{rules}}}}}]}}\n"
    )


def staged(play: Play, rules: str, quotes: dict[str, tuple[str, str]], *, as_legs: bool = False) -> Stage:
    day = a_day(HELD, {symbol: at(*sides) for symbol, sides in quotes.items()})
    return play(by_legs(day) if as_legs else day, config(rules))


def left(stage: Stage) -> dict[str, int]:
    return {symbol: stage.held(symbol) for symbol in HELD if stage.held(symbol)}


@pytest.mark.parametrize(("rule", "quotes"), [("take_profit: 50%", AT_TARGET), ("stop_loss: 50%", AT_STOP)])
def test_a_structure_of_six_legs_leaves_as_two_orders_and_counts_as_one_exit(
    play: Play, rule: str, quotes: dict[str, tuple[str, str]]
) -> None:
    stage = staged(play, rule, quotes)
    work(stage)
    assert left(stage) == {}
    filled = [order for order in parents(stage) if order.status == "filled"]
    assert len(filled) == 2
    assert {order.order_class for order in parents(stage)} == {"mleg"}
    legs = [leg for order in filled for leg in order.legs]
    assert {leg.symbol: (leg.side, leg.ratio_qty) for leg in legs} == {
        symbol: ("sell" if qty > 0 else "buy", 1) for symbol, qty in START.items()
    }
    assert sorted(len(order.legs) for order in filled) == [2, 4]
    assert uncovered_at_any_fill(stage, START) == 0
    (exit_,) = stage.run("report", "--format", "json").document["exits"]
    assert (exit_["symbol"], exit_["way"], exit_["reason"]) == (NAME, "in parts", rule.partition(":")[0])
    assert (exit_["asked"], exit_["filled"]) == ("2", "2")
    assert None not in (exit_["price"], exit_["pnl"], exit_["against_mid"], exit_["against_bid"])
    named = stage.run("history", NAME, "--format", "json").document
    assert sum(row["kind"] == "fill" for row in named) == 2


def test_at_a_target_the_parts_bring_together_what_the_structure_was_to_bring(play: Play) -> None:
    stage = staged(play, "take_profit: 50%", AT_TARGET)
    work(stage)
    (exit_,) = stage.run("report", "--format", "json").document["exits"]
    assert Decimal(exit_["price"]) <= Decimal("2.00")  # half of the credit of $4.00


def test_what_is_left_when_a_part_has_left_is_the_same_other_part(play: Play) -> None:
    stage = staged(play, "stop_loss: 50%", AT_STOP)
    stage.inject_fault("O03")
    work(stage, 8)
    assert left(stage) == {}
    assert len(set(symbols_sent(stage))) == 2
    assert all(order.order_class == "mleg" for order in parents(stage))
    assert uncovered_at_any_fill(stage, START) == 0


def test_where_the_broker_takes_no_multi_leg_order_it_leaves_by_legs(play: Play) -> None:
    stage = staged(play, "stop_loss: 50%", AT_STOP, as_legs=True)
    work(stage, 6)
    assert left(stage) == {}
    assert all(not order.legs for order in parents(stage))
    assert uncovered_at_any_fill(stage, START) == 0
    (exit_,) = stage.run("report", "--format", "json").document["exits"]
    assert (exit_["symbol"], exit_["way"], exit_["filled"]) == (NAME, "by legs", "2")


def test_where_the_broker_refuses_each_part_once_what_it_consists_of_leaves_by_legs(play: Play) -> None:
    stage = staged(play, "stop_loss: 50%", AT_STOP)
    stage.inject_fault("O18")
    work(stage)
    assert left(stage) == {}
    assert all(not order.legs for order in parents(stage))
    assert uncovered_at_any_fill(stage, START) == 0
    bodies = [r.body for r in stage.server.requests if r.method == "POST" and r.path == "/v2/orders"]
    assert sum("mleg" in str(body) for body in bodies) == 2
    (exit_,) = stage.run("report", "--format", "json").document["exits"]
    assert (exit_["symbol"], exit_["way"], exit_["filled"]) == (NAME, "by legs", "2")


def test_it_is_closed_in_parts_by_its_own_name(play: Play) -> None:
    stage = staged(play, "stop_loss: 900%", AT_TARGET)
    stage.run("close", "six-legs", "--yes")
    work(stage)
    assert left(stage) == {}
    assert {order.order_class for order in parents(stage)} == {"mleg"}
    assert uncovered_at_any_fill(stage, START) == 0
