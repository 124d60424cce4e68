"""Fills of multi-leg orders: net prices, whole units, the fill model inside the net spread, events and positions."""

import datetime as dt
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sim_builders import CALL, HIGHER, PUT, a_leg, a_level, a_venue, closing, held, kinds, later, send_spread, status_of

from sellctl.sim.market.price_paths import Fixed, Path
from sellctl.sim.venue.coverage import uncovered_contracts
from sellctl.sim.venue.exchange import Exchange
from sellctl.sim.venue.matching import idle_until
from sellctl.sim.venue.orders import SimEvent, SimOrder

LOWER = "NVDA261218P00170000"
CONDOR = ((CALL, "-1", "3"), (HIGHER, "1", "2"), (PUT, "-1", "2"), (LOWER, "1", "1"))
FIVE_SPREADS = ((CALL, "5", "2.00"), (HIGHER, "-5", "1.00"))


def order(venue: Exchange, answer: dict[str, Any]) -> SimOrder:
    return venue.accounts["main"].orders[answer["id"]]


def fills(venue: Exchange) -> list[SimEvent]:
    return [event for event in venue.events if event.kind in {"fill", "partial_fill"}]


def price(venue: Exchange, symbol: str, bid: str, ask: str) -> None:
    venue.set_quote(symbol, Decimal(bid) or None, Decimal(ask) or None)


def test_all_legs_fill_together_at_the_net_price_or_none_does() -> None:
    venue = a_venue()
    account = venue.accounts["main"]
    resting = send_spread(venue, limit="1.05")
    assert (status_of(venue, resting), held(venue)) == ("new", 0)
    filled = send_spread(venue, limit="1.10")
    assert (status_of(venue, filled), held(venue), held(venue, HIGHER)) == ("filled", 1, -1)
    assert account.cash == 100_000 - 110


def test_a_fill_tells_the_net_price_the_units_the_legs_and_what_is_held_after_it() -> None:
    venue = a_venue()
    answer = send_spread(venue, limit="1.10", qty="2")
    detail = venue.events[-1].detail
    assert {key: detail[key] for key in ("price", "qty", "position_qtys")} == {
        "price": "1.1", "qty": "2", "position_qtys": {CALL: "2", HIGHER: "-2"},
    }  # fmt: skip
    assert [(leg["symbol"], leg["qty"], leg["price"]) for leg in detail["legs"]] == [
        (CALL, "2", "2.1"), (HIGHER, "2", "1"),
    ]  # fmt: skip
    assert [leg["order_id"] for leg in detail["legs"]] == [leg["id"] for leg in answer["legs"]]
    assert "position_qty" not in detail
    assert "execution_id" not in detail


def test_each_leg_is_an_activity_and_has_its_own_fill_price() -> None:
    venue = a_venue(*FIVE_SPREADS)
    answer = send_spread(venue, limit="-0.94", qty="5", legs=closing(CALL, HIGHER))
    rows = venue.accounts["main"].activities
    assert [(row["symbol"], row["side"], row["qty"], row["price"]) for row in rows] == [
        (CALL, "sell", "5", "2"), (HIGHER, "buy", "5", "1.06"),
    ]  # fmt: skip
    parent = order(venue, answer)
    assert parent.filled_avg_price == Decimal("-0.94")
    assert [leg.filled_avg_price for leg in parent.legs] == [Decimal(2), Decimal("1.06")]


def test_a_credit_is_a_limit_below_zero_and_is_received() -> None:
    venue = a_venue((CALL, "1", "2"), (HIGHER, "-1", "1"))
    resting = send_spread(venue, limit="-0.95", legs=closing(CALL, HIGHER))
    assert held(venue) == 1
    venue.cancel(venue.accounts["main"], resting["id"])
    send_spread(venue, limit="-0.94", legs=closing(CALL, HIGHER))
    assert venue.accounts["main"].positions == {}
    assert venue.accounts["main"].cash == 100_000 + 94


def test_a_condor_leaves_as_one_order_of_four_legs() -> None:
    venue = a_venue(*CONDOR)
    legs = closing(CALL, HIGHER, PUT, LOWER, qty=(-1, 1, -1, 1))
    answer = send_spread(venue, limit="1.80", legs=legs)
    assert (status_of(venue, answer), venue.accounts["main"].positions) == ("filled", {})
    assert order(venue, answer).filled_avg_price == Decimal("2.10") - 1 + Decimal("1.60") - Decimal("0.90")


def test_a_market_order_takes_the_natural_price_and_waits_for_a_leg_without_a_quote() -> None:
    venue = a_venue((CALL, "1", "2"), (HIGHER, "-1", "1"))
    price(venue, HIGHER, "1.00", "0")
    answer = send_spread(venue, limit=None, legs=closing(CALL, HIGHER))
    later(venue, 30)
    assert status_of(venue, answer) == "new"
    price(venue, HIGHER, "1.00", "1.10")
    assert (status_of(venue, answer), order(venue, answer).filled_avg_price) == ("filled", Decimal("-0.90"))


def test_a_halt_of_one_leg_stops_the_whole_order() -> None:
    venue = a_venue()
    venue.market.halt(HIGHER, venue.now)
    answer = send_spread(venue, limit="1.20")
    later(venue, 5)
    assert (status_of(venue, answer), held(venue)) == ("pending_new", 0)


def test_ratios_count_in_the_net_price() -> None:
    venue = a_venue()
    answer = send_spread(venue, limit="3.20", legs=[a_leg(ratio="2"), a_leg(HIGHER, "sell_to_open")])
    assert (order(venue, answer).filled_avg_price, held(venue), held(venue, HIGHER)) == (Decimal("3.20"), 2, -1)
    assert venue.accounts["main"].cash == 100_000 - 320


# --- inside the net spread


def test_inside_the_net_spread_a_limit_fills_at_its_own_price_like_a_single_order() -> None:
    venue = a_venue(inside_fill=Decimal(1))
    answer = send_spread(venue, limit="1.02")
    assert status_of(venue, answer) == "new"
    later(venue, 1)
    assert (status_of(venue, answer), order(venue, answer).filled_avg_price) == ("filled", Decimal("1.02"))
    for leg in order(venue, answer).legs:
        quote = venue.quote(leg.symbol)
        assert quote is not None
        assert quote.bid <= leg.filled_avg_price <= quote.ask


def test_at_or_beyond_the_far_side_of_the_net_spread_a_limit_never_fills() -> None:
    venue = a_venue(inside_fill=Decimal(1))
    answer = send_spread(venue, limit="0.94")
    later(venue, 600)
    assert status_of(venue, answer) == "new"


def test_without_a_price_at_a_far_side_there_is_no_inside_and_the_natural_price_still_trades() -> None:
    venue = a_venue((CALL, "-1", "3"), (HIGHER, "1", "1"), inside_fill=Decimal(1))
    price(venue, CALL, "0", "2.10")
    resting = send_spread(venue, limit="0.50", legs=closing(CALL, HIGHER, qty=(-1, 1)))
    later(venue, 60)
    assert status_of(venue, resting) == "new"
    price(venue, CALL, "0", "1.45")
    assert (status_of(venue, resting), order(venue, resting).filled_avg_price) == ("filled", Decimal("0.45"))


def test_the_chance_inside_counts_seconds_and_not_how_often_the_quotes_are_looked_at() -> None:
    venue = a_venue(inside_fill=Decimal("0.5"))
    answer = send_spread(venue, limit="1.02")
    for _ in range(200):
        price(venue, "F", "12.00", "12.01")
    assert status_of(venue, answer) == "new"


def test_the_mean_wait_inside_is_that_of_a_single_order() -> None:
    waits = []
    for seed in range(200):
        venue = a_venue(inside_fill=Decimal("0.05"), seed=seed)
        answer = send_spread(venue, limit="1.02")
        begun = venue.now
        later(venue, 400)
        assert status_of(venue, answer) == "filled"
        waits.append((order(venue, answer).filled_at - begun).total_seconds())
    assert 16 < sum(waits) / len(waits) < 24


def test_an_order_that_cannot_trade_is_idle_until_a_quote_of_a_leg_changes() -> None:
    venue = a_venue()
    resting = order(venue, send_spread(venue, limit="0.50"))
    assert idle_until(venue, resting) == resting.expires_at
    price(venue, HIGHER, "1.00", "1.10")
    later(venue, 1)
    assert idle_until(venue, resting) == resting.expires_at
    price(venue, HIGHER, "1.60", "1.66")
    assert resting.status == "filled"


def test_a_quote_of_a_leg_that_changes_by_itself_fills_an_idle_order_at_that_second() -> None:
    venue = a_venue()
    turn = venue.now + dt.timedelta(minutes=5)
    venue.market.paths[HIGHER] = Path([Fixed(venue.now, a_level("1.00", "1.06")), Fixed(turn, a_level("1.60", "1.66"))])
    resting = order(venue, send_spread(venue, limit="0.50"))
    later(venue, 600)
    assert (resting.status, resting.filled_at) == ("filled", turn)


@settings(max_examples=60, deadline=None)
@given(
    ratios=st.sampled_from([(1, 1), (2, 1), (1, 2), (3, 2), (3, 1)]),
    cents=st.integers(1, 40),
    width=st.integers(1, 40),
    share=st.integers(1, 9),
)
def test_the_legs_prices_make_the_net_price_exactly_and_stay_at_their_quotes(
    ratios: tuple[int, int], cents: int, width: int, share: int
) -> None:
    quotes = {CALL: ("2.00", str(2 + Decimal(width) / 100)), HIGHER: ("1.00", str(1 + Decimal(cents) / 100))}
    many, few = ratios
    venue = a_venue(
        (CALL, str(many), "2"), (HIGHER, f"-{few}", "1"), quotes=quotes, inside_fill=Decimal(1), cash="9999999"
    )
    natural = few * Decimal(quotes[HIGHER][1]) - many * Decimal(quotes[CALL][0])
    far = few * Decimal(quotes[HIGHER][0]) - many * Decimal(quotes[CALL][1])
    limit = (natural - (natural - far) * share / 10).quantize(Decimal("0.01"))
    if abs(limit) >= 3:
        limit -= limit % Decimal("0.05")
    assume(far < limit)
    cash = venue.accounts["main"].cash
    answer = send_spread(venue, limit=str(limit), legs=closing(CALL, HIGHER, qty=(many, -few)))
    later(venue, 2)
    parent = order(venue, answer)
    assert parent.filled_avg_price == min(limit, natural)
    assert venue.accounts["main"].cash == cash - parent.filled_avg_price * 100
    for leg in parent.legs:
        quote = venue.quote(leg.symbol)
        assert quote.bid - Decimal("0.02") <= leg.filled_avg_price <= quote.ask + Decimal("0.02")


# --- parts


def test_with_depth_a_second_fills_the_units_for_which_every_leg_has_the_size() -> None:
    venue = a_venue(*FIVE_SPREADS, depth=True)
    venue.set_quote(CALL, Decimal("2.00"), Decimal("2.10"), bid_size=5, ask_size=5)
    venue.set_quote(HIGHER, Decimal("1.00"), Decimal("1.06"), bid_size=9, ask_size=2)
    answer = send_spread(venue, limit="-0.90", qty="5", legs=closing(CALL, HIGHER))
    assert (status_of(venue, answer), held(venue), held(venue, HIGHER)) == ("partially_filled", 3, -3)
    assert [leg.status for leg in order(venue, answer).legs] == ["partially_filled"] * 2
    later(venue, 2)
    assert (status_of(venue, answer), held(venue), held(venue, HIGHER)) == ("filled", 0, 0)
    assert [event.detail["qty"] for event in fills(venue)] == ["2", "2", "1"]
    assert [event.detail["position_qtys"][CALL] for event in fills(venue)] == ["3", "1", "0"]


def test_a_units_ratio_divides_the_size() -> None:
    venue = a_venue((CALL, "6", "2.00"), (HIGHER, "-2", "1.00"), depth=True)
    venue.set_quote(CALL, Decimal("2.00"), Decimal("2.10"), bid_size=5, ask_size=5)
    answer = send_spread(venue, limit="-4.90", qty="2", legs=closing(CALL, HIGHER, qty=(3, -1)))
    assert (status_of(venue, answer), held(venue), held(venue, HIGHER)) == ("partially_filled", 3, -1)


def test_a_random_part_is_whole_units_and_the_rest_follows() -> None:
    parts = set()
    for seed in range(20):
        venue = a_venue(*FIVE_SPREADS, partial_fills=Decimal(1), seed=seed)
        answer = send_spread(venue, limit="-0.94", qty="5", legs=closing(CALL, HIGHER))
        assert held(venue) == -held(venue, HIGHER) > 0
        parts.add(fills(venue)[0].detail["qty"])
        later(venue, 1)
        assert (status_of(venue, answer), kinds(venue)[-2:]) == ("filled", ["partial_fill", "fill"])
    assert parts == {"1", "2", "3", "4"}


def test_a_partly_filled_order_frees_the_rest_when_it_is_cancelled() -> None:
    venue = a_venue(*FIVE_SPREADS)
    venue.inject("O03", symbol=HIGHER, qty=2, times=1)
    answer = send_spread(venue, limit="-0.94", qty="5", legs=closing(CALL, HIGHER))
    venue.cancel(venue.accounts["main"], answer["id"])
    account = venue.accounts["main"]
    assert (order(venue, answer).filled_qty, status_of(venue, answer)) == (2, "canceled")
    assert (held(venue), account.held_for_orders(CALL), account.held_for_orders(HIGHER)) == (3, 0, 0)
    assert [leg.filled_qty for leg in order(venue, answer).legs] == [2, 2]


def test_no_part_of_a_closing_order_ever_leaves_an_uncovered_short() -> None:
    venue = a_venue((CALL, "6", "2"), (HIGHER, "-4", "1"), cash="0")
    venue.inject("O03", qty=1)
    send_spread(venue, limit="-3.00", qty="2", legs=closing(CALL, HIGHER, qty=(3, -2)))
    naked = []
    account = venue.accounts["main"]
    venue.listeners.append(
        lambda _event: naked.append(uncovered_contracts({s: p.qty for s, p in account.positions.items()}, Decimal(0)))
    )
    later(venue, 5)
    assert account.positions == {}
    assert set(naked) == {0}


def test_impact_moves_every_legs_price_against_the_taker() -> None:
    venue = a_venue(impact=Decimal(1))
    send_spread(venue, limit="1.10", qty="50")
    assert venue.quote(CALL).mid > Decimal("2.05")
    assert venue.quote(HIGHER).mid < Decimal("1.03")


def test_the_position_list_lags_for_every_leg() -> None:
    venue = a_venue(position_lag=dt.timedelta(seconds=8))
    send_spread(venue, limit="1.10")
    account = venue.accounts["main"]
    assert account.shown_positions(venue.now) == []
    later(venue, 9)
    assert [one.symbol for one in account.shown_positions(venue.now)] == [CALL, HIGHER]


@pytest.mark.parametrize("positions", [CONDOR, FIVE_SPREADS])
def test_events_are_the_parents_alone_and_in_order(positions: tuple[tuple[str, str, str], ...]) -> None:
    venue = a_venue(*positions, cancel_delay=dt.timedelta(seconds=3))
    symbols = [symbol for symbol, _, _ in positions]
    units = tuple(1 if not qty.startswith("-") else -1 for _, qty, _ in positions)
    answer = send_spread(venue, limit="-9", legs=closing(*symbols, qty=units))
    venue.cancel(venue.accounts["main"], answer["id"])
    later(venue, 4)
    assert [event.kind for event in venue.events] == ["pending_new", "new", "pending_cancel", "canceled"]
    assert {event.order["id"] for event in venue.events if event.order} == {answer["id"]}
    assert all(first.seq < second.seq for first, second in pairwise(venue.events))
