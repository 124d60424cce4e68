"""The course of a day: liquidation by the broker, expiry, exercise, assignment, activities the next day."""

from decimal import Decimal

import pytest
from sim_builders import CALL, SPY_TODAY, STOCK, TODAY, a_venue, at, held, kinds, later, send, status_of

from sellctl.sim.venue.exchange import Exchange

PUT_TODAY = "TSLA261125P00400000"


def an_expiring_venue(*positions: tuple[str, str, str], **settings: object) -> Exchange:
    quotes = {TODAY: ("5.00", "5.20"), SPY_TODAY: ("2.00", "2.02"), PUT_TODAY: ("0.01", "0.02")}
    quotes |= {"TSLA": ("404.99", "405.01"), "SPY": ("602.00", "602.02")}
    return a_venue(*positions, now=at("15:00"), quotes=quotes, **settings)


@pytest.mark.parametrize(("symbol", "until"), [(TODAY, "15:30"), (SPY_TODAY, "15:45")])
def test_the_broker_sells_an_expiring_long_out_by_an_order_that_is_not_ours(symbol: str, until: str) -> None:
    venue = an_expiring_venue((symbol, "2", "1"))
    ours = send(venue, symbol, qty="2", limit_price="9.00", client_order_id="ours")
    venue.advance_to(at(until).replace(second=0) - (at("00:01") - at("00:00")))
    assert held(venue, symbol) == 2
    venue.advance_to(at(until))
    later(venue, 1)
    assert held(venue, symbol) == 0
    assert status_of(venue, ours) == "canceled"
    last = venue.events[-1].order
    assert last is not None
    assert (last["type"], last["source"], last["client_order_id"] == "ours") == ("market", None, False)


def test_an_out_of_the_money_option_expires_worthless_and_the_activity_shows_the_next_day() -> None:
    venue = an_expiring_venue((PUT_TODAY, "2", "1"), liquidate=False)
    account = venue.accounts["main"]
    venue.advance_to(at("16:00"))
    assert held(venue, PUT_TODAY) == 0
    assert [row["activity_type"] for row in account.activities] == ["OPEXP"]
    assert account.activities[0]["created_at"] > "2026-11-26"


def test_a_long_call_in_the_money_becomes_shares_at_the_strike() -> None:
    venue = an_expiring_venue((TODAY, "1", "1"), liquidate=False)
    venue.advance_to(at("16:00"))
    account = venue.accounts["main"]
    assert (held(venue, TODAY), held(venue, "TSLA")) == (0, 100)
    assert account.positions["TSLA"].avg_entry_price == 400
    assert account.cash == 100_000 - 40_000
    assert [row["activity_type"] for row in account.activities] == ["OPEXC", "OPTRD"]


def test_a_short_call_in_the_money_is_assigned_against_the_shares() -> None:
    venue = an_expiring_venue((TODAY, "-1", "1"), ("TSLA", "100", "380"))
    venue.advance_to(at("16:00"))
    account = venue.accounts["main"]
    assert account.positions == {}
    assert account.cash == 140_000
    assert account.activities[0]["activity_type"] == "OPASN"


def test_a_covered_short_is_not_liquidated() -> None:
    venue = an_expiring_venue((TODAY, "-1", "1"), ("TSLA", "100", "380"))
    venue.advance_to(at("15:50"))
    assert held(venue, TODAY) == -1


def test_do_not_exercise_lets_a_contract_in_the_money_expire() -> None:
    venue = an_expiring_venue((TODAY, "1", "1"), liquidate=False)
    venue.accounts["main"].do_not_exercise.add(TODAY)
    venue.advance_to(at("16:00"))
    assert venue.accounts["main"].positions == {}


def test_no_bid_leaves_the_brokers_own_sale_unfilled_and_the_option_expires() -> None:
    venue = an_expiring_venue((PUT_TODAY, "2", "1"))
    venue.set_quote(PUT_TODAY, None, Decimal("0.01"))
    venue.advance_to(at("15:59"))
    assert held(venue, PUT_TODAY) == 2
    venue.advance_to(at("16:00"))
    assert held(venue, PUT_TODAY) == 0
    assert kinds(venue)[-1] == "expired"


def test_yesterdays_price_is_the_close_before() -> None:
    venue = a_venue((STOCK, "10", "11"))
    venue.advance_to(at("10:00", "2026-11-27"))
    assert venue.accounts["main"].positions[STOCK].lastday_price == Decimal("12.005")


def test_time_never_runs_back() -> None:
    venue = a_venue((CALL, "1", "1"))
    venue.advance_to(at("10:00"))
    assert venue.now == at("11:00")
