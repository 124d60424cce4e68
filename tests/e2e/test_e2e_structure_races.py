"""The one order of a structure when answers are lost, another run takes it over, or a leg is assigned meanwhile."""

from decimal import Decimal
from typing import Any

from e2e_scenes import CALL, HIGHER, a_day, at, ruled, then
from stage import Play, Stage

from sellctl.sim.venue.coverage import uncovered_contracts

HELD = {CALL: (-2, "5.00"), HIGHER: (2, "3.00")}
# Closing costs 3.00 at once and 2.90 at the mid.
QUOTES = {CALL: at("5.90", "6.00"), HIGHER: at("3.00", "3.10")}
RULES = ruled('exit_at: "11:00"', "{structure: vertical}")
SIMPLY = RULES.replace("sell_module: {", "sell_module: {strategy_one: {enabled: false}, ")
NAME = "AAPL-vertical-261218-200-210C"


def parents(stage: Stage) -> list[Any]:
    return [order for order in stage.orders() if order.parent is None]


def kinds(stage: Stage) -> list[str]:
    return [row["kind"] for row in stage.run("history", "--format", "json").document if row["symbol"] == NAME]


def naked(stage: Stage) -> Decimal:
    return uncovered_contracts({symbol: Decimal(stage.held(symbol)) for symbol in HELD}, Decimal(0))


def test_an_order_whose_answer_is_lost_is_looked_up_without_its_legs_and_never_sent_twice(play: Play) -> None:
    stage = play(a_day(HELD, QUOTES), SIMPLY)
    stage.inject_fault("H04", method="POST", path="/orders", times=1)
    stage.run("run-once")
    assert "unknown" in kinds(stage)
    assert [stage.held(symbol) for symbol in HELD] == [0, 0]
    filled = [order for order in parents(stage) if order.filled_qty]
    assert [order.filled_qty for order in filled] == [2]


# At first closing costs more than the structure can at expiration, so that the order rests at its width.
DEAR = {CALL: then(("12.90", "13.00"), "12:10", ("5.90", "6.00")), HIGHER: at("2.08", "2.10")}


def test_another_run_takes_it_over_and_records_its_fill(play: Play) -> None:
    stage = play(a_day(HELD, DEAR), SIMPLY)
    stage.run("run-once")
    order = parents(stage)[-1]
    assert (order.is_open, order.limit_price) == (True, Decimal("10.00"))
    stage.run("run-once")
    assert "adopted" in kinds(stage)
    assert parents(stage)[-1] is order
    stage.server.advance(660)
    stage.run("run-once")
    assert [stage.held(symbol) for symbol in HELD] == [0, 0]
    assert kinds(stage).count("fill") == 1


def test_a_leg_that_is_assigned_ends_it_and_the_long_that_protects_the_shares_stays(play: Play) -> None:
    stage = play(a_day(HELD, DEAR), SIMPLY)
    stage.run("run-once")
    with stage.server.hold() as exchange:
        exchange.inject("O15", symbol=CALL)
    stage.run("run-once")
    assert stage.held(CALL) == 0
    assert not any(order.is_open for order in parents(stage))
    assert not any(order.filled_qty for order in parents(stage))
    assert (stage.held("AAPL"), stage.held(HIGHER)) == (-200, 2)


def test_a_short_leg_that_is_gone_without_shares_ends_it_and_what_is_left_follows(play: Play) -> None:
    stage = play(a_day(HELD, DEAR), SIMPLY)
    stage.run("run-once")
    with stage.server.hold() as exchange:
        exchange.inject("O15", symbol=CALL)
        exchange.accounts["main"].positions.pop("AAPL")
    stage.run("run-once")
    assert not any(order.is_open for order in parents(stage))
    assert {order.symbol: order.filled_qty for order in parents(stage) if order.filled_qty} == {HIGHER: 2}
    assert (stage.held(HIGHER), naked(stage)) == (0, 0)
