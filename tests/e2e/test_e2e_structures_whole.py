"""Under plain options strategies a structure leaves as one order on its last day, in a panic, and by the account guard.

The records are those of the exchange.
"""

from math import gcd

import pytest
from e2e_scenes import CALL, HIGHER, a_day, all_reasons, at, by_legs, reasons
from stage import Play, Stage
from test_e2e_structures import parents, symbols_sent, uncovered_at_any_fill, work

PUT, LOWER = "AAPL261218P00180000", "AAPL261218P00170000"
CONDOR = {CALL: (-2, "2.00"), HIGHER: (2, "1.00"), PUT: (-2, "2.00"), LOWER: (2, "1.00")}
QUOTES = {CALL: at("1.98", "2.02"), HIGHER: at("0.98", "1.02"), PUT: at("1.98", "2.02"), LOWER: at("0.98", "1.02")}
VERTICAL = {symbol: CONDOR[symbol] for symbol in (CALL, HIGHER)}
DEFAULT = "sell_module: {}\n"
OFF = "sell_module: {structures: 'off'}\n"
GUARDED = "sell_module: {account_guard: {loss: 5%}}\n"
START, EAGER = "2026-11-24 14:56", "2026-11-24 15:03"


def today(symbol: str) -> str:
    return symbol.replace("261218", "261124")


def on_its_last_day(held: dict[str, tuple[int, str]], start: str) -> str:
    """The day on which all of it expires."""
    quotes = {today(symbol): QUOTES[symbol] for symbol in held}
    return a_day({today(symbol): each for symbol, each in held.items()}, quotes, start)


def left_whole(stage: Stage, held: dict[str, tuple[int, str]]) -> None:
    """Check that all of it left by one parent order, or its steps, and that no fill uncovered a short."""
    assert {symbol: stage.held(symbol) for symbol in held} == dict.fromkeys(held, 0)
    units = gcd(*(qty for qty, _ in held.values()))
    expected = {symbol: ("sell" if qty > 0 else "buy", abs(qty) // units) for symbol, (qty, _) in held.items()}
    orders = parents(stage)
    assert [order.status for order in orders] == ["canceled"] * (len(orders) - 1) + ["filled"]
    for order in orders:
        assert (order.order_class, order.qty) == ("mleg", units)
        assert {leg.symbol: (leg.side, leg.ratio_qty) for leg in order.legs} == expected
    assert uncovered_at_any_fill(stage, {symbol: qty for symbol, (qty, _) in held.items()}) == 0


@pytest.mark.parametrize("held", [CONDOR, VERTICAL], ids=["condor", "vertical"])
@pytest.mark.parametrize("start", [START, EAGER], ids=["start", "eager"])
def test_on_its_last_day(play: Play, start: str, held: dict[str, tuple[int, str]]) -> None:
    stage = play(on_its_last_day(held, start), DEFAULT)
    work(stage)
    left_whole(stage, {today(symbol): each for symbol, each in held.items()})
    assert all_reasons(stage) == {"zero_day"}
    (exit_,) = stage.run("report", "--format", "json").document["exits"]
    assert (exit_["way"], exit_["reason"], exit_["filled"]) == ("as one order", "zero_day", "2")
    assert None not in (exit_["price"], exit_["pnl"], exit_["against_mid"], exit_["against_bid"])


def test_in_a_panic(play: Play) -> None:
    stage = play(a_day(CONDOR, QUOTES), DEFAULT)
    assert stage.run("panic", "--yes").status == 0
    left_whole(stage, CONDOR)
    assert all_reasons(stage) == {"panic"}


def test_by_the_account_guard(play: Play) -> None:
    stage = play(a_day(CONDOR, QUOTES), GUARDED)
    with stage.server.hold() as exchange:
        account = exchange.accounts["main"]
        account.last_equity = account.cash * 2
    work(stage)
    left_whole(stage, CONDOR)
    assert all_reasons(stage) == {"account_guard"}


def test_without_the_level_its_legs_leave_in_the_safe_order_and_the_history_says_why(play: Play) -> None:
    held = {today(symbol): each for symbol, each in CONDOR.items()}
    stage = play(by_legs(on_its_last_day(CONDOR, EAGER)), DEFAULT)
    work(stage)
    assert {symbol: stage.held(symbol) for symbol in held} == dict.fromkeys(held, 0)
    assert set(symbols_sent(stage)[:2]) == {today(CALL), today(PUT)}
    assert uncovered_at_any_fill(stage, {symbol: qty for symbol, (qty, _) in held.items()}) == 0
    rows = stage.run("history", today(CALL), "--format", "json").document
    assert any("by legs: the account's options level is 2" in str(row["body"].get("why")) for row in rows)
    assert reasons(stage, today(CALL)) == {"zero_day"}
    (exit_,) = stage.run("report", "--format", "json").document["exits"]
    assert (exit_["symbol"], exit_["way"], exit_["filled"]) == (
        "AAPL-iron_condor-261124-170-180-200-210",
        "by legs",
        "2",
    )


def test_what_was_refused_is_not_tried_again_on_the_same_day_by_any_process(play: Play) -> None:
    stage = play(on_its_last_day(VERTICAL, EAGER), DEFAULT)
    stage.inject_fault("O18")
    stage.inject_fault("O01")  # the first leg's order is refused too, so that another run has to go on
    stage.run("run-once")
    work(stage, 3)
    bodies = [r.body for r in stage.server.requests if r.method == "POST" and r.path == "/v2/orders"]
    assert sum("mleg" in str(body) for body in bodies) == 1
    assert [stage.held(today(symbol)) for symbol in VERTICAL] == [0, 0]


def test_with_structures_off_each_leg_leaves_for_itself(play: Play) -> None:
    stage = play(on_its_last_day(CONDOR, EAGER), OFF)
    work(stage)
    assert all(not order.legs for order in parents(stage))
    assert {stage.held(today(symbol)) for symbol in CONDOR} == {0}
