"""The market model: what fills, when, how much and at what price; stops, trails and time in force."""

import contextlib
import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sim_builders import CALL, STOCK, a_venue, at, held, kinds, later, send, status_of

from sellctl.sim.market.assets import asset_of, on_tick
from sellctl.sim.market.market import quoted
from sellctl.sim.market.price_paths import Fixed, Jump, Linear, Path, TwoSidedQuote, Walk, level
from sellctl.sim.rejections import RejectionError
from sellctl.sim.venue.exchange import Exchange


@pytest.mark.parametrize(
    ("side", "limit", "price"),
    [("sell", "12.00", "12"), ("sell", "11.00", "12"), ("buy", "12.01", "12.01"), ("buy", "13.00", "12.01")],
)
def test_a_marketable_limit_fills_at_the_opposite_side(side: str, limit: str, price: str) -> None:
    venue = a_venue((STOCK, "10", "12")) if side == "sell" else a_venue()
    send(venue, STOCK, side, limit_price=limit)
    assert venue.events[-1].detail["price"] == price


def test_a_limit_that_rests_fills_when_the_price_comes_to_it() -> None:
    venue = a_venue((STOCK, "10", "12"))
    order = send(venue, STOCK, limit_price="12.50")
    later(venue, 60)
    assert status_of(venue, order) == "new"
    venue.set_quote(STOCK, Decimal("12.50"), Decimal("12.51"))
    assert status_of(venue, order) == "filled"


def test_without_a_probability_a_limit_inside_the_spread_waits_for_ever() -> None:
    venue = a_venue((CALL, "1", "1"))
    order = send(venue, limit_price="2.05")
    later(venue, 3600)
    assert status_of(venue, order) == "new"


@pytest.mark.parametrize(("p", "expected"), [("0.05", 20), ("0.2", 5)])
def test_a_limit_inside_the_spread_fills_after_one_over_p_seconds_on_average(p: str, expected: float) -> None:
    waits = []
    for seed in range(60):
        venue = a_venue((CALL, "1", "1"), inside_fill=Decimal(p), seed=seed)
        start = venue.now
        send(venue, limit_price="2.05")
        later(venue, 300)
        waits.append((venue.events[-1].at - start) / dt.timedelta(seconds=1))
    assert expected * 0.6 < sum(waits) / len(waits) < expected * 1.5


def test_a_limit_is_inside_the_spread_only_since_the_quote_changed() -> None:
    venue = a_venue((CALL, "1", "1"), inside_fill=Decimal(1))
    order = send(venue, limit_price="2.50")
    for _ in range(9):
        later(venue, 0.1)
    venue.set_quote(CALL, Decimal("2.40"), Decimal("2.60"))
    assert status_of(venue, order) == "new"
    later(venue, 0.1)
    assert status_of(venue, order) == "filled"


def test_a_limit_inside_the_spread_fills_at_its_own_price() -> None:
    venue = a_venue((CALL, "1", "1"), inside_fill=Decimal(1))
    send(venue, limit_price="2.05")
    later(venue, 1)
    assert venue.events[-1].detail["price"] == "2.05"


def test_papers_partial_fills_come_in_a_tenth_of_the_cases_and_the_rest_follows() -> None:
    partial = 0
    for seed in range(200):
        venue = a_venue((CALL, "10", "1"), partial_fills=Decimal("0.1"), seed=seed)
        order = send(venue, qty="10", limit_price="2.00")
        partial += "partial_fill" in kinds(venue)
        later(venue, 5)
        assert status_of(venue, order) == "filled"
    assert 8 <= partial <= 35


def test_with_depth_a_fill_takes_what_stands_there_and_the_rest_a_second_later() -> None:
    venue = a_venue((CALL, "10", "1"), depth=True)
    venue.set_quote(CALL, Decimal("2.00"), Decimal("2.10"), bid_size=4)
    order = send(venue, qty="10", limit_price="2.00")
    assert venue.accounts["main"].orders[order["id"]].filled_qty == 4
    later(venue, 2)
    assert status_of(venue, order) == "filled"


def test_with_impact_the_price_moves_against_the_taker() -> None:
    venue = a_venue((CALL, "100", "1"), impact=Decimal("0.5"))
    send(venue, qty="100", limit_price="2.00")
    after = venue.quote(CALL)
    assert after is not None
    assert after.mid == Decimal("2.00")


def test_a_market_order_without_a_bid_waits_for_one() -> None:
    venue = a_venue((CALL, "1", "1"))
    venue.set_quote(CALL, None, Decimal("0.05"))
    order = send(venue)
    assert status_of(venue, order) == "new"
    venue.set_quote(CALL, Decimal("0.01"), Decimal("0.05"))
    assert status_of(venue, order) == "filled"


def test_a_stop_waits_for_its_price_and_then_sells_at_the_market() -> None:
    venue = a_venue((STOCK, "10", "12"))
    order = send(venue, STOCK, qty="10", type="stop", stop_price="11.00")
    venue.set_quote(STOCK, Decimal("11.10"), Decimal("11.12"))
    assert status_of(venue, order) == "new"
    venue.set_quote(STOCK, Decimal("10.90"), Decimal("10.92"))
    assert venue.events[-1].detail["price"] == "10.9"


def test_a_buy_stop_never_pays_more_than_its_cap() -> None:
    venue = a_venue((STOCK, "-10", "12"))
    order = send(venue, STOCK, "buy", qty="10", type="stop", stop_price="13.00")
    venue.set_quote(STOCK, Decimal("13.90"), Decimal("13.95"))
    assert status_of(venue, order) == "new"
    venue.set_quote(STOCK, Decimal("13.40"), Decimal("13.45"))
    assert status_of(venue, order) == "filled"


def test_a_trailing_stop_follows_the_price_up_and_fires_on_the_way_down() -> None:
    venue = a_venue((STOCK, "10", "12"))
    answer = send(venue, STOCK, qty="10", type="trailing_stop", trail_percent="10")
    order = venue.accounts["main"].orders[answer["id"]]
    venue.set_quote(STOCK, Decimal("19.99"), Decimal("20.01"))
    assert (order.hwm, order.stop_price) == (20, 18)
    venue.set_quote(STOCK, Decimal("18.99"), Decimal("19.01"))
    assert (order.hwm, order.stop_price, order.status) == (20, 18, "new")
    venue.set_quote(STOCK, Decimal("17.99"), Decimal("18.01"))
    assert order.status == "filled"


def test_a_stop_does_not_fire_before_the_open() -> None:
    venue = a_venue((STOCK, "10", "12"), now=at("08:00"))
    order = send(venue, STOCK, qty="10", type="stop", stop_price="11.00", time_in_force="gtc")
    venue.set_quote(STOCK, Decimal("10.00"), Decimal("10.02"))
    later(venue, 600)
    assert status_of(venue, order) == "accepted"
    venue.advance_to(at("09:30"))
    assert status_of(venue, order) == "filled"


@pytest.mark.parametrize(("tif", "sizes", "status", "filled"), [("ioc", 4, "canceled", 4), ("fok", 4, "canceled", 0)])
def test_orders_that_trade_at_once_or_not_at_all_end_at_once(tif: str, sizes: int, status: str, filled: int) -> None:
    venue = a_venue((STOCK, "10", "12"), depth=True)
    venue.set_quote(STOCK, Decimal("12.00"), Decimal("12.01"), bid_size=sizes)
    order = send(venue, STOCK, qty="10", limit_price="12.00", time_in_force=tif)
    assert (status_of(venue, order), held(venue, STOCK)) == (status, 10 - filled)


def test_a_notional_sale_sells_the_shares_that_the_money_buys() -> None:
    venue = a_venue((STOCK, "10", "12"))
    body = {"symbol": STOCK, "side": "sell", "notional": "60", "type": "market", "time_in_force": "day"}
    answer = venue.submit(venue.accounts["main"], body)
    assert (answer["qty"], answer["notional"]) == (None, "60")
    assert held(venue, STOCK) == 5


START = dt.datetime(2026, 11, 25, 16, 0, tzinfo=dt.UTC)


def test_a_path_is_fixed_then_linear_then_jumps_then_walks() -> None:
    second = dt.timedelta(seconds=1)
    path = Path(
        [
            Fixed(START, level(Decimal(10), Decimal("0.10"))),
            Linear(START + 10 * second, START + 20 * second, level(Decimal(20), Decimal("0.10"))),
            Jump(START + 30 * second, Decimal("0.5")),
            Walk(START + 40 * second, seed=1, sigma=0.01),
        ]
    )
    mids = {offset: found.mid for offset in (0, 10, 15, 20, 29, 30) if (found := path.at(START + offset * second))}
    assert mids == {0: 10, 10: 10, 15: 15, 20: 20, 29: 20, 30: 10}
    assert path.at(START - second) is None
    walked = [path.at(START + (40 + offset) * second) for offset in range(50)]
    assert len({one.mid for one in walked if one}) > 10


def test_a_walk_is_the_same_in_every_run_whatever_is_asked_first() -> None:
    def a_path() -> Path:
        return Path([Fixed(START, level(Decimal(10))), Walk(START, seed=7, sigma=0.01)])

    end = START + dt.timedelta(minutes=5)
    forward = a_path()
    for offset in range(300):
        forward.at(START + dt.timedelta(seconds=offset))
    assert forward.at(end) == a_path().at(end)


@settings(deadline=None)  # an example's time depends on the load of the machine
@given(
    bid=st.decimals("0.01", "50", places=2),
    spread=st.decimals("0.01", "5", places=2),
    symbol=st.sampled_from([CALL, "ZM261218C00080000", "SPY261218C00600000"]),
)
def test_computed_quotes_lie_on_the_price_step_and_never_cross(bid: Decimal, spread: Decimal, symbol: str) -> None:
    asset = asset_of(symbol)
    shown = quoted(asset, TwoSidedQuote(bid, bid + spread))
    assert shown.ask is not None
    assert on_tick(asset, shown.ask)
    assert shown.bid is None or (on_tick(asset, shown.bid) and shown.bid < shown.ask)


_SENT = st.fixed_dictionaries(
    {
        "qty": st.sampled_from(["1", "4"]),
        "kind": st.sampled_from(["limit", "stop", "stop_limit", "trailing_stop"]),
        "price": st.sampled_from(["11.40", "11.90", "12.01", "12.02", "12.10", "12.60"]),
        "wait": st.floats(0.1, 400),
    }
)


@settings(deadline=None)  # an example's time depends on the load of the machine
@given(st.lists(_SENT, min_size=1, max_size=5), st.integers(0, 99), st.sampled_from(["0", "0.05"]))
def test_skipping_seconds_in_which_nothing_happens_gives_the_same_events_as_matching_each(
    orders: list[dict[str, Any]], seed: int, inside_fill: str
) -> None:
    streams = []
    for stride in (1.0, 10_000.0):
        venue = a_venue((STOCK, "30", "12"), inside_fill=Decimal(inside_fill), cancel_delay=dt.timedelta(seconds=40))
        venue.market.paths[STOCK] = _a_lively_path(venue.now, seed)
        for each in orders:
            _send_one(venue, each)
            _wait(venue, each["wait"], stride)
        for order in list(venue.accounts["main"].open_orders.values()):
            venue.cancel(venue.accounts["main"], order.id)
        _wait(venue, 7 * 3600, 60 * stride)
        streams.append([(event.at, event.kind, event.order, event.detail) for event in venue.events])
    assert streams[0] == streams[1]


def _a_lively_path(now: dt.datetime, seed: int) -> Path:
    """A walk with a step a minute, a move between two whole seconds, and a price that stands."""
    spread = Decimal("0.03")
    begins, until = now + dt.timedelta(seconds=333.3), now + dt.timedelta(seconds=351.7)
    line = Linear(begins, until, level(Decimal("11.80"), spread))
    return Path([Fixed(now, level(Decimal(12), spread)), Walk(now, seed, 0.002, 60.0), line])


def _send_one(venue: Exchange, wanted: dict[str, Any]) -> None:
    kind, price = wanted["kind"], wanted["price"]
    prices = {
        "limit": {"limit_price": price},
        "stop": {"stop_price": price},
        "stop_limit": {"stop_price": price, "limit_price": "11.95"},
        "trailing_stop": {"trail_percent": "1"},
    }
    with contextlib.suppress(RejectionError):
        send(venue, STOCK, qty=wanted["qty"], **{**prices[kind], "type": kind})


def _wait(venue: Exchange, seconds: float, stride: float) -> None:
    """Advance, matching at least every `stride` seconds."""
    until = venue.now + dt.timedelta(seconds=seconds)
    while venue.now < until:
        second = venue.now.replace(microsecond=0)
        venue.advance_to(min(until, second + dt.timedelta(seconds=stride)))


def test_after_skipped_seconds_a_limit_inside_a_new_spread_has_the_chance_of_one_second() -> None:
    filled = []
    for seed in range(40):
        venue = a_venue((STOCK, "1", "12"), inside_fill=Decimal("0.05"), seed=seed)
        wide = Fixed(venue.now + dt.timedelta(seconds=60), TwoSidedQuote(Decimal(12), Decimal("12.50")))
        venue.market.paths[STOCK] = Path([Fixed(venue.now, TwoSidedQuote(Decimal(12), Decimal("12.01"))), wide])
        order = send(venue, STOCK, limit_price="12.10")
        venue.advance_to(venue.now + dt.timedelta(seconds=60))
        filled.append(status_of(venue, order) == "filled")
    assert sum(filled) < 10  # at the chance of the whole minute it would be 38
