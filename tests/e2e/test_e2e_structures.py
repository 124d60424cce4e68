"""Structures in the whole program leave as one order or by legs, and no fill ever leaves a short uncovered."""

from collections.abc import Callable
from decimal import Decimal
from math import gcd
from typing import Any

import pytest
from e2e_scenes import CALL, HIGHER, a_day, all_reasons, at, by_legs, reasons, ruled, then
from stage import Play, Stage

from sellctl.sim.venue.coverage import uncovered_contracts

NEAR = "AAPL261204C00200000"
PUT, LOWER = "AAPL261218P00180000", "AAPL261218P00170000"
TODAY = "AAPL261124C00200000"
SHARES = "AAPL"
NOTHING = Decimal(0)


def parents(stage: Stage) -> list[Any]:
    """Every order that the exchange has accepted, without the legs of multi-leg ones."""
    return [order for order in stage.orders() if order.parent is None]


def symbols_sent(stage: Stage) -> list[str]:
    """The symbols of the orders, of a multi-leg one all its legs joined by +."""
    return ["+".join(sorted(leg.symbol for leg in order.legs)) or order.symbol for order in parents(stage)]


def alone(rules: str, match: str) -> str:
    """These rules for structures, and no other rule."""
    return ruled(rules, match).replace("sell_module: {", "sell_module: {strategy_one: {enabled: false}, ")


def reasons_of_fills(stage: Stage) -> dict[str, str]:
    """The reasons of the filled exits, by symbol or by the name of the structure."""
    rows = stage.run("history", "--format", "json").document
    return {row["symbol"]: row["reason"] for row in rows if row["kind"] == "fill"}


def work(stage: Stage, runs: int = 4) -> None:
    """Run several times, as cron does, with enough time in between for fills and lagging positions."""
    for _ in range(runs):
        assert stage.run("run-once").status in {0, 5}  # 5: a leg that covers another waits for it
        stage.server.advance(15)


def uncovered_at_any_fill(stage: Stage, start: dict[str, int], secured: int = 0) -> Decimal:
    """The largest number of uncovered contracts at the start and after each fill."""
    held = {symbol: Decimal(qty) for symbol, qty in start.items()}
    worst = uncovered_contracts(held, NOTHING)
    for event in stage.server.exchange.events:
        if event.kind in {"fill", "partial_fill"} and event.order:
            for part in event.order["legs"] or [event.order]:
                qty = Decimal(event.detail["qty"]) * Decimal(part.get("ratio_qty") or 1)
                signed = qty if part["side"] == "buy" else -qty
                held[part["symbol"]] = held.get(part["symbol"], NOTHING) + signed
            worst = max(worst, uncovered_contracts(held, NOTHING))
    assert {symbol: qty for symbol, qty in held.items() if qty} == {
        symbol: Decimal(stage.held(symbol)) for symbol in held if stage.held(symbol)
    }
    return worst - secured


PAIRS = {
    "a vertical that was paid for, at its target": (
        {CALL: (2, "5.00"), HIGHER: (-2, "3.00")},
        {CALL: at("6.00", "6.02"), HIGHER: at("2.00", "2.02")},
        ("take_profit: 50%", "{structure: vertical}"),
        [HIGHER, CALL],
    ),
    "a vertical that was sold, at its target": (
        {CALL: (-2, "3.00"), HIGHER: (2, "1.00")},
        {CALL: at("1.00", "1.02"), HIGHER: at("0.40", "0.42")},
        ("take_profit: 60%", "{structure: vertical}"),
        [CALL, HIGHER],
    ),
    "a calendar at its stop": (
        {NEAR: (-2, "2.00"), CALL: (2, "4.00")},
        {NEAR: at("2.00", "2.02"), CALL: at("2.98", "3.02")},
        ("stop_loss: 40%", "{structure: calendar}"),
        [NEAR, CALL],
    ),
}


@pytest.mark.parametrize("refused", ["by the level", "by a 422"])
@pytest.mark.parametrize("pair", PAIRS)
def test_where_the_broker_takes_no_multi_leg_order_a_pair_is_closed_by_legs_with_its_short_leg_first(
    play: Play, pair: str, refused: str
) -> None:
    held, prices, rules, order = PAIRS[pair]
    day = a_day(held, prices)
    stage = play(by_legs(day) if refused == "by the level" else day, alone(*rules))
    if refused == "by a 422":
        stage.inject_fault("O18")
    work(stage)
    assert [stage.held(symbol) for symbol in held] == [0, 0]
    assert symbols_sent(stage) == order
    short, long = order
    assert reasons(stage, short) == {rules[0].partition(":")[0]}
    assert "structure" in reasons(stage, long)
    assert uncovered_at_any_fill(stage, {symbol: qty for symbol, (qty, _) in held.items()}) == 0
    why = "account's options level is 2" if refused == "by the level" else "broker refused a multi-leg order of it"
    rows = stage.run("history", short, "--format", "json").document
    assert any(f"by legs: the {why}" in str(row["body"].get("why")) for row in rows if row["kind"] == "intent")
    (exit_,) = stage.run("report", long, "--format", "json").document["exits"]
    assert (exit_["way"], exit_["reason"], exit_["asked"], exit_["filled"]) == (
        "by legs",
        next(iter(reasons(stage, short))),
        "2",
        "2",
    )
    assert None not in (exit_["price"], exit_["pnl"], exit_["against_mid"], exit_["against_bid"])
    named = stage.run("history", exit_["symbol"].upper(), "--format", "json").document
    assert {row["symbol"] for row in named if row["kind"] == "fill"} == {short, long}


def test_what_was_refused_is_not_tried_again_on_the_same_day_by_any_process(play: Play) -> None:
    held, prices, rules, _ = PAIRS["a vertical that was sold, at its target"]
    stage = play(a_day(held, prices), alone(*rules))
    stage.inject_fault("O18")
    stage.inject_fault("O01")  # the first leg's order is refused too, so that another run has to go on
    stage.run("run-once")
    work(stage, 2)
    bodies = [r.body for r in stage.server.requests if r.method == "POST" and r.path == "/v2/orders"]
    assert sum("mleg" in str(body) for body in bodies) == 1


CONDOR = {CALL: (-1, "2.00"), HIGHER: (1, "1.00"), PUT: (-1, "2.00"), LOWER: (1, "1.00")}
CONDOR_PRICES = {
    CALL: then(("1.98", "2.02"), "12:05", ("4.98", "5.02")),
    HIGHER: then(("0.98", "1.02"), "12:05", ("1.98", "2.02")),
    PUT: at("1.48", "1.52"),
    LOWER: at("0.68", "0.72"),
}


def test_a_condor_is_two_verticals_and_only_the_side_at_its_stop_is_closed(play: Play) -> None:
    stage = play(a_day(CONDOR, CONDOR_PRICES), ruled("stop_loss: 150%", "{structure: vertical}"))
    work(stage, 1)
    assert symbols_sent(stage) == []
    stage.server.advance(300)
    work(stage)
    assert [stage.held(symbol) for symbol in CONDOR] == [0, 0, -1, 1]
    assert symbols_sent(stage) == [f"{CALL}+{HIGHER}"]
    assert reasons_of_fills(stage) == {"AAPL-vertical-261218-200-210C": "stop_loss"}
    assert uncovered_at_any_fill(stage, {symbol: qty for symbol, (qty, _) in CONDOR.items()}) == 0


def test_a_time_exit_closes_both_sides_of_a_condor_with_the_short_legs_first(play: Play) -> None:
    stage = play(by_legs(a_day(CONDOR, CONDOR_PRICES)), ruled('exit_at: "12:00"', "{structure: vertical}"))
    work(stage)
    assert [stage.held(symbol) for symbol in CONDOR] == [0, 0, 0, 0]
    assert reasons(stage, CALL) == reasons(stage, PUT) == {"exit_at"}
    assert uncovered_at_any_fill(stage, {symbol: qty for symbol, (qty, _) in CONDOR.items()}) == 0


# --- structures of any kind -------------------------------------------------------------------------------------------

TOP = "AAPL261218C00220000"
AT_PUT = "AAPL261218P00200000"
# What is held, its quotes at the target and at the stop, the match and both rules.
KINDS = {
    "a vertical that was paid for": (
        {CALL: (2, "5.00"), HIGHER: (-2, "3.00")},
        {CALL: ("6.00", "6.02"), HIGHER: ("2.00", "2.02")},
        {CALL: ("2.00", "2.02"), HIGHER: ("1.00", "1.02")},
        ("vertical", "take_profit: 50%", "stop_loss: 40%"),
    ),
    "a vertical that was sold": (
        {CALL: (-2, "3.00"), HIGHER: (2, "1.00")},
        {CALL: ("1.00", "1.02"), HIGHER: ("0.40", "0.42")},
        {CALL: ("6.00", "6.02"), HIGHER: ("1.00", "1.02")},
        ("vertical", "take_profit: 60%", "stop_loss: 100%"),
    ),
    "a calendar": (
        {NEAR: (-2, "2.00"), CALL: (2, "4.00")},
        {NEAR: ("1.00", "1.02"), CALL: ("4.50", "4.52")},
        {NEAR: ("2.00", "2.02"), CALL: ("2.98", "3.02")},
        ("calendar", "take_profit: 40%", "stop_loss: 40%"),
    ),
    "a diagonal": (
        {NEAR: (-2, "2.00"), HIGHER: (2, "3.00")},
        {NEAR: ("1.00", "1.02"), HIGHER: ("3.50", "3.52")},
        {NEAR: ("2.00", "2.02"), HIGHER: ("2.48", "2.50")},
        ("diagonal", "take_profit: 40%", "stop_loss: 40%"),
    ),
    "an iron condor": (
        {CALL: (-2, "2.00"), HIGHER: (2, "1.00"), PUT: (-2, "2.00"), LOWER: (2, "1.00")},
        {CALL: ("0.98", "1.02"), HIGHER: ("0.68", "0.72"), PUT: ("0.78", "0.82"), LOWER: ("0.38", "0.42")},
        {CALL: ("5.98", "6.02"), HIGHER: ("1.98", "2.02"), PUT: ("0.98", "1.02"), LOWER: ("0.48", "0.52")},
        ("iron_condor", "take_profit: 50%", "stop_loss: 100%"),
    ),
    "an iron butterfly": (
        {CALL: (-1, "4.00"), HIGHER: (1, "1.00"), AT_PUT: (-1, "4.00"), PUT: (1, "1.00")},
        {CALL: ("2.00", "2.02"), HIGHER: ("0.50", "0.52"), AT_PUT: ("1.50", "1.52"), PUT: ("0.30", "0.32")},
        {CALL: ("9.98", "10.02"), HIGHER: ("2.98", "3.02"), AT_PUT: ("2.48", "2.52"), PUT: ("0.28", "0.32")},
        ("iron_butterfly", "take_profit: 50%", "stop_loss: 50%"),
    ),
    "a butterfly": (
        {CALL: (1, "8.00"), HIGHER: (-2, "4.00"), TOP: (1, "2.00")},
        {CALL: ("10.98", "11.02"), HIGHER: ("4.48", "4.52"), TOP: ("1.98", "2.02")},
        {CALL: ("6.98", "7.02"), HIGHER: ("3.98", "4.02"), TOP: ("1.98", "2.02")},
        ("butterfly", "take_profit: 80%", "stop_loss: 40%"),
    ),
    "a backspread": (
        {CALL: (-2, "5.00"), HIGHER: (4, "3.50")},
        {CALL: ("9.98", "10.02"), HIGHER: ("7.98", "8.02")},
        {CALL: ("3.98", "4.02"), HIGHER: ("2.28", "2.32")},
        ("ratio", "take_profit: 150%", "stop_loss: 60%"),
    ),
    "a straddle": (
        {CALL: (2, "5.00"), AT_PUT: (2, "5.00")},
        {CALL: ("15.98", "16.02"), AT_PUT: ("0.48", "0.52")},
        {CALL: ("2.98", "3.02"), AT_PUT: ("2.98", "3.02")},
        ("straddle", "take_profit: 50%", "stop_loss: 30%"),
    ),
    "a strangle": (
        {HIGHER: (2, "5.00"), PUT: (2, "5.00")},
        {HIGHER: ("15.98", "16.02"), PUT: ("0.48", "0.52")},
        {HIGHER: ("2.98", "3.02"), PUT: ("2.98", "3.02")},
        ("strangle", "take_profit: 50%", "stop_loss: 30%"),
    ),
}
COVERED_CALL = (
    {SHARES: (200, "190.00"), HIGHER: (-2, "4.00")},
    {SHARES: ("209.98", "210.02"), HIGHER: ("3.98", "4.02")},
    {SHARES: ("165.98", "166.02"), HIGHER: ("0.98", "1.02")},
    ("covered_call", "take_profit: 10%", "stop_loss: 10%"),
)
Structured = tuple[
    dict[str, tuple[int, str]], dict[str, tuple[str, str]], dict[str, tuple[str, str]], tuple[str, str, str]
]


def staged(play: Play, structure: Structured, rule: str, change: Callable[[str], str] = str) -> Stage:
    """A structure at its target or at its stop."""
    held, at_target, at_stop, (kind, target, stop) = structure
    quotes = at_target if rule == "take_profit" else at_stop
    day = a_day(held, {symbol: at(*sides) for symbol, sides in quotes.items()})
    return play(change(day), alone(target if rule == "take_profit" else stop, f"{{structure: {kind}}}"))


@pytest.mark.parametrize("rule", ["take_profit", "stop_loss"])
@pytest.mark.parametrize("name", KINDS)
def test_a_structure_of_any_kind_leaves_as_one_order_for_all_its_legs(play: Play, name: str, rule: str) -> None:
    held, at_target, at_stop, _ = KINDS[name]
    stage = staged(play, KINDS[name], rule)
    work(stage, 2)
    assert {symbol: stage.held(symbol) for symbol in held} == dict.fromkeys(held, 0)
    units = gcd(*(qty for qty, _ in held.values()))
    expected = {
        symbol: ("sell" if qty > 0 else "buy", f"{'sell' if qty > 0 else 'buy'}_to_close", abs(qty) // units)
        for symbol, (qty, _) in held.items()
    }
    orders = parents(stage)
    for order in orders:  # each step of the walk is one parent
        assert (order.order_class, order.symbol, order.side, order.qty) == ("mleg", "", "", units)
        assert {leg.symbol: (leg.side, leg.position_intent, leg.ratio_qty) for leg in order.legs} == expected
    assert [order.status for order in orders] == ["canceled"] * (len(orders) - 1) + ["filled"]
    quotes = at_target if rule == "take_profit" else at_stop
    costs = sum(
        -qty // units * Decimal(quotes[symbol][0 if qty > 0 else 1]) for symbol, (qty, _) in held.items()
    )  # at once: above zero a debit
    assert (orders[-1].limit_price > 0) is (costs > 0)
    ((structure, of_it),) = reasons_of_fills(stage).items()
    assert of_it == rule
    (exit_,) = stage.run("report", "--format", "json").document["exits"]
    assert (exit_["symbol"], exit_["way"], exit_["filled"]) == (structure, "as one order", str(units))
    assert None not in (exit_["price"], exit_["pnl"], exit_["against_mid"], exit_["against_bid"])
    assert uncovered_at_any_fill(stage, {symbol: qty for symbol, (qty, _) in held.items()}) == 0


@pytest.mark.parametrize("rule", ["take_profit", "stop_loss"])
@pytest.mark.parametrize("name", ["an iron condor", "a butterfly", "a covered call"])
def test_by_legs_the_long_ones_follow_the_short_ones(play: Play, name: str, rule: str) -> None:
    structure = COVERED_CALL if name == "a covered call" else KINDS[name]
    held = structure[0]
    stage = staged(play, structure, rule, by_legs)
    work(stage)
    assert {symbol: stage.held(symbol) for symbol in held} == dict.fromkeys(held, 0)
    shorts = {symbol for symbol, (qty, _) in held.items() if qty < 0}
    sent = symbols_sent(stage)
    assert set(sent[: len(shorts)]) == shorts
    assert set(sent) == set(held)
    assert all(rule in reasons(stage, symbol) for symbol in shorts)
    assert all("structure" in reasons(stage, symbol) for symbol in set(held) - shorts)
    assert uncovered_at_any_fill(stage, {symbol: qty for symbol, (qty, _) in held.items()}) == 0


def test_after_a_part_of_it_filled_the_smaller_structure_leaves_as_one_order_again(play: Play) -> None:
    stage = staged(play, KINDS["an iron condor"], "stop_loss")
    stage.inject_fault("O03")
    work(stage)
    held = KINDS["an iron condor"][0]
    assert {symbol: stage.held(symbol) for symbol in held} == dict.fromkeys(held, 0)
    assert all(len(order.legs) == 4 for order in parents(stage))
    assert uncovered_at_any_fill(stage, {symbol: qty for symbol, (qty, _) in held.items()}) == 0


@pytest.mark.parametrize("refused", [False, True])
def test_a_side_of_a_condor_that_has_become_worthless_does_not_keep_the_stop_on_its_other_side_from_firing(
    play: Play, refused: bool
) -> None:
    quotes = {CALL: ("6.98", "7.02"), HIGHER: ("1.98", "2.02"), PUT: ("0", "0.04"), LOWER: ("0", "0.02")}
    day = a_day(CONDOR, {symbol: at(*sides) for symbol, sides in quotes.items()})
    stage = play(by_legs(day) if refused else day, alone("stop_loss: 100%", "{structure: iron_condor}"))
    work(stage, 8)
    assert [stage.held(symbol) for symbol in (CALL, HIGHER, PUT)] == [0, 0, 0]
    assert uncovered_at_any_fill(stage, {symbol: qty for symbol, (qty, _) in CONDOR.items()}) == 0


@pytest.mark.parametrize(("rule", "kind"), [("stop_loss: 150%", "iron_condor"), ("take_profit: 80%", "iron_condor")])
def test_a_leg_beyond_its_own_threshold_does_not_close_a_structure_whose_net_is_not(
    play: Play, rule: str, kind: str
) -> None:
    quotes = {CALL: ("4.98", "5.02"), HIGHER: ("2.48", "2.52"), PUT: ("0.08", "0.12"), LOWER: ("0.03", "0.07")}
    day = a_day(CONDOR, {symbol: at(*sides) for symbol, sides in quotes.items()})
    stage = play(day, ruled(rule, f"{{structure: {kind}}}"))
    work(stage, 2)
    assert symbols_sent(stage) == []


@pytest.mark.parametrize(
    ("rule", "price", "left"),
    [
        ("touched", "209.98", [-1, 1, -1, 1]),
        ("touched", "210.02", [0, 0, 0, 0]),
        ("{within: 1%}", "208.00", [0, 0, 0, 0]),
        ("{within: 1%}", "207.00", [-1, 1, -1, 1]),
        ("{within: 1%}", "181.50", [0, 0, 0, 0]),
    ],
)
def test_a_condor_is_closed_when_the_underlying_comes_near_a_strike_that_is_sold(
    play: Play, rule: str, price: str, left: list[int]
) -> None:
    held = {HIGHER: (-1, "2.00"), TOP: (1, "1.00"), PUT: (-1, "2.00"), LOWER: (1, "1.00")}
    quotes = {HIGHER: at("1.98", "2.02"), TOP: at("0.98", "1.02"), PUT: at("1.48", "1.52"), LOWER: at("0.68", "0.72")}
    day = a_day(held, quotes | {SHARES: at(price, str(Decimal(price) + Decimal("0.02")))})
    stage = play(day, ruled(f"short_strike: {rule}", "{structure: iron_condor}"))
    work(stage)
    assert [stage.held(symbol) for symbol in held] == left
    assert ("short_strike" in all_reasons(stage)) is not any(left)


def test_shares_that_no_call_is_written_on_stay_when_a_covered_call_is_closed(play: Play) -> None:
    held = {SHARES: (350, "190.00"), HIGHER: (-2, "4.00")}
    day = a_day(held, {SHARES: at("209.98", "210.02"), HIGHER: at("3.98", "4.02")})
    stage = play(day, ruled("take_profit: 10%", "{structure: covered_call}"))
    work(stage)
    assert (stage.held(HIGHER), stage.held(SHARES)) == (0, 150)
    assert uncovered_at_any_fill(stage, {symbol: qty for symbol, (qty, _) in held.items()}) == 0


def test_shares_beyond_a_covered_call_have_rules_of_their_own(play: Play) -> None:
    held = {SHARES: (350, "190.00"), HIGHER: (-2, "4.00")}
    day = a_day(held, {SHARES: at("165.98", "166.02"), HIGHER: at("0.98", "1.02")})
    entries = (
        "{name: calls, match: {structure: covered_call}, rules: {stop_loss: 50%}}",
        "{name: shares, match: {asset: stock}, rules: {stop_loss: 10%}}",
    )
    stage = play(day, f"sell_module: {{strategies: [{', '.join(entries)}]}}\n")
    work(stage)
    assert (stage.held(HIGHER), stage.held(SHARES)) == (-2, 200)
    assert reasons(stage, SHARES) == {"stop_loss"}


# --- covered calls ----------------------------------------------------------------------------------------------------

COVERED = {SHARES: (100, "190.00"), CALL: (-1, "3.00")}


@pytest.mark.parametrize(
    ("rules", "price", "reason"),
    [("stop_loss: 90%", ("5.98", "6.02"), "stop_loss"), ("take_profit: 50%", ("1.40", "1.42"), "take_profit")],
)
def test_a_covered_call_judged_by_its_short_side_alone_is_bought_back_and_its_shares_stay(
    play: Play, rules: str, price: tuple[str, str], reason: str
) -> None:
    day = a_day(COVERED, {CALL: at(*price), SHARES: at("195.00", "195.02")})
    stage = play(day, ruled(rules, "{structure: covered_call, side: short}"))
    work(stage, 2)
    assert (stage.held(CALL), stage.held(SHARES)) == (0, 100)
    assert reasons(stage) == {reason}


def test_at_a_stop_only_the_shares_that_do_not_cover_a_call_are_sold(play: Play) -> None:
    held = COVERED | {SHARES: (150, "250.00")}
    day = a_day(held, {CALL: at("3.00", "3.02"), SHARES: at("195.00", "195.02")})
    stage = play(day, ruled("stop_loss: 10%", "{asset: stock}"))
    work(stage, 3)
    assert (stage.held(CALL), stage.held(SHARES)) == (-1, 100)
    assert uncovered_at_any_fill(stage, {symbol: qty for symbol, (qty, _) in held.items()}) == 0
    assert CALL in stage.run("positions", SHARES, "--format", "plain").out


@pytest.mark.parametrize(("shorts", "left"), [("false", -1), ("true", 0)])
def test_a_covered_call_on_its_last_day_is_kept_unless_shorts_are_configured(
    play: Play, shorts: str, left: int
) -> None:
    held = {SHARES: (100, "190.00"), TODAY: (-1, "3.00")}
    day = a_day(held, {TODAY: at("1.00", "1.02"), SHARES: at("195.00", "195.02")}, "2026-11-24 14:56")
    stage = play(day, f"sell_module: {{zero_day: {{shorts: {shorts}}}}}\n")
    work(stage, 2)
    assert (stage.held(TODAY), stage.held(SHARES)) == (left, 100)
    assert reasons(stage, TODAY) == ({"zero_day"} if left == 0 else set())


# --- short puts -------------------------------------------------------------------------------------------------------

KEEP = "short_positions: {cash_secured_puts: keep}"


@pytest.mark.parametrize(
    ("config", "price", "left", "reason"),
    [
        ("sell_module: {}\n", ("2.00", "2.02"), 0, "uncovered_short"),
        (f"sell_module: {{{KEEP}}}\n", ("2.00", "2.02"), -1, ""),
        (ruled("stop_loss: 90%", "{structure: short_put}"), ("3.98", "4.02"), 0, "stop_loss"),
        (ruled("take_profit: 50%", "{structure: short_put}"), ("0.90", "0.92"), 0, "take_profit"),
        (ruled("take_profit: 50%", "{structure: short_put}"), ("1.02", "1.04"), -1, ""),
    ],
)
def test_a_short_put_is_closed_or_kept_and_has_its_own_rules_when_kept(
    play: Play, config: str, price: tuple[str, str], left: int, reason: str
) -> None:
    kept = config.replace("sell_module: {strategies", f"sell_module: {{{KEEP}, strategies")
    stage = play(a_day({PUT: (-1, "2.00")}, {PUT: at(*price), SHARES: at("195.00", "195.02")}), kept)
    work(stage, 2)
    assert stage.held(PUT) == left
    assert reasons(stage, PUT) == ({reason} if reason else set())


# --- the broker's own liquidation -------------------------------------------------------------------------------------


def test_no_order_competes_with_the_brokers_own_liquidation(play: Play) -> None:
    prices = {TODAY: at("0", "0.05"), SHARES: at("199.00", "199.02")}
    stage = play(a_day({TODAY: (2, "1.00")}, prices, "2026-11-24 15:29"))
    stage.server.advance(90)
    (theirs,) = stage.orders()
    assert theirs.symbol == TODAY
    assert theirs.is_open
    stage.run("run-once")
    assert stage.orders() == [theirs]
    assert theirs.is_open
    assert stage.sent() == []


def test_a_position_that_the_broker_liquidated_is_no_longer_managed(play: Play) -> None:
    prices = {CALL: then(("1.00", "1.02"), "12:05", ("1.60", "1.62"))}
    stage = play(a_day({CALL: (2, "1.00")}, prices), ruled("take_profit: 50%"))
    stage.run("run-once")
    with stage.server.hold() as exchange:
        exchange.inject("O11", symbol=CALL)
    stage.server.advance(300)
    work(stage, 3)
    assert stage.held(CALL) == 0
    assert [order.client_order_id.startswith("sellctl-") for order in stage.orders()] == [False]
    assert stage.run("history", "--open", "--format", "json").document == []
    assert CALL not in stage.run("positions", "--format", "plain").out
