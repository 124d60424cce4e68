"""Order rules of the simulated broker: what is accepted, what is rejected and with which body, statuses, holds."""

import datetime as dt
from decimal import Decimal

import pytest
from sim_builders import (
    CALL,
    NICKEL,
    PUT,
    SPY_TODAY,
    STOCK,
    TODAY,
    a_body,
    a_venue,
    at,
    held,
    kinds,
    later,
    rejected,
    send,
    status_of,
)

from sellctl.sim import serializers
from sellctl.sim.rejections import RejectionError


def test_a_marketable_sale_fills_at_the_bid_and_the_position_is_gone() -> None:
    venue = a_venue((CALL, "2", "1.50"))
    answer = send(venue, qty="2", limit_price="1.90", position_intent="sell_to_close")
    assert answer["status"] == "pending_new"
    assert status_of(venue, answer) == "filled"
    assert kinds(venue) == ["pending_new", "new", "fill"]
    assert held(venue) == 0
    assert venue.accounts["main"].cash == Decimal(100400)


def test_a_resting_sale_holds_its_quantity_and_a_second_one_is_rejectd_with_the_related_orders() -> None:
    venue = a_venue((CALL, "3", "1.50"))
    first = send(venue, qty="3", limit_price="3.00")
    rejection = rejected(venue, qty="1", limit_price="2.00", position_intent="sell_to_close")
    assert rejection.status == 403
    assert rejection.body == {
        "available": "0",
        "code": 40310000,
        "existing_qty": "3",
        "held_for_orders": "3",
        "message": "insufficient qty available for order (requested: 1, available: 0)",
        "related_orders": [first["id"]],
        "symbol": CALL,
    }


def test_the_position_shows_what_is_free_of_orders() -> None:
    venue = a_venue((CALL, "3", "1.50"))
    send(venue, qty="2", limit_price="3.00")
    account = venue.accounts["main"]
    shown = serializers.position_json(account, account.positions[CALL], venue.quote(CALL), venue.settings)
    assert (shown["qty"], shown["qty_available"]) == ("3", "1")


@pytest.mark.parametrize(
    ("qty", "intent", "inferred"),
    [("3", "sell_to_close", "sell_to_open"), ("1", "sell_to_open", "sell_to_close")],
)
def test_an_intent_that_the_position_contradicts_is_rejectd(qty: str, intent: str, inferred: str) -> None:
    rejection = rejected(a_venue((CALL, "2", "1.50")), qty=qty, limit_price="2.00", position_intent=intent)
    message = f"position intent mismatch, inferred: {inferred}, specified: {intent}"
    assert (rejection.status, rejection.body) == (422, {"code": 42210000, "message": message})


def test_closing_a_position_that_is_gone_is_an_intent_mismatch() -> None:
    rejection = rejected(a_venue(), position_intent="sell_to_close", limit_price="2.00")
    assert rejection.body["message"] == "position intent mismatch, inferred: sell_to_open, specified: sell_to_close"


def test_an_option_sale_beyond_what_is_held_without_an_intent_would_be_naked_and_is_rejectd() -> None:
    rejection = rejected(a_venue((CALL, "2", "1.50")), qty="3", limit_price="2.00")
    assert rejection.body == {"code": 40310000, "message": "account not eligible to trade uncovered option contracts"}


def test_a_client_order_id_serves_once_even_after_its_order_is_done() -> None:
    venue = a_venue((CALL, "2", "1.50"))
    send(venue, limit_price="1.90", client_order_id="mine")
    rejection = rejected(venue, limit_price="1.90", client_order_id="mine")
    assert (rejection.status, rejection.body) == (422, {"code": 40010001, "message": "client_order_id must be unique"})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"qty": "0.5", "limit_price": "2.00"}, "qty must be integer for options trading"),
        ({"limit_price": "2.00", "extended_hours": True}, "extended hours not supported for options trading"),
        ({"limit_price": "2.00", "time_in_force": "ioc"}, "invalid option time_in_force"),
        ({"type": "trailing_stop", "trail_price": "0.10"}, "invalid options order_type"),
        (
            {"limit_price": "2.005"},
            "invalid limit_price 2.005. sub-penny increment does not fulfill minimum pricing criteria",
        ),
        (
            {
                "limit_price": "2.00",
                "order_class": "bracket",
                "take_profit": {"limit_price": "3"},
                "stop_loss": {"stop_price": "1"},
            },
            "complex orders not supported for options trading",
        ),
    ],
)
def test_what_options_do_not_take_is_rejectd(fields: dict[str, object], message: str) -> None:
    body = a_body(**{"qty": "1", **fields})  # type: ignore[arg-type]
    venue = a_venue((CALL, "2", "1.50"))
    with pytest.raises(RejectionError) as rejection:
        venue.submit(venue.accounts["main"], body)
    assert (rejection.value.status, rejection.value.body) == (422, {"code": 42210000, "message": message})


def test_notional_is_not_for_options() -> None:
    body = a_body() | {"qty": None, "notional": "100"}
    venue = a_venue((CALL, "2", "1.50"))
    with pytest.raises(RejectionError) as rejection:
        venue.submit(venue.accounts["main"], body)
    assert rejection.value.body["message"] == "notional is not supported for options trading"


@pytest.mark.parametrize(
    ("symbol", "price", "taken"),
    [
        (CALL, "2.99", True),
        (CALL, "3.01", False),
        (CALL, "3.05", True),
        (NICKEL, "2.95", True),
        (NICKEL, "2.96", False),
        (NICKEL, "3.10", True),
        (NICKEL, "3.15", False),
        (SPY_TODAY, "7.31", True),
    ],
)
def test_limits_lie_on_the_options_price_step(symbol: str, price: str, taken: bool) -> None:
    venue = a_venue((symbol, "1", "1.00"), quotes={symbol: ("0.50", "9.00")})
    if taken:
        assert send(venue, symbol, limit_price=price)["limit_price"] is not None
    else:
        assert rejected(venue, symbol, limit_price=price).status == 422


def test_a_price_off_its_step_is_taken_when_the_setting_says_that_it_is_routed_elsewhere() -> None:
    venue = a_venue((CALL, "1", "1.50"), reject_off_tick=False)
    assert send(venue, limit_price="3.01")["limit_price"] == "3.01"


def test_the_strict_reading_rejects_stops_and_gtc_on_options() -> None:
    venue = a_venue((CALL, "1", "1.50"), strict_options=True)
    assert rejected(venue, type="stop", stop_price="1.00").body["message"] == "invalid options order_type"
    assert rejected(venue, limit_price="2.00", time_in_force="gtc").body["message"] == "invalid option time_in_force"


def test_sub_penny_prices_are_for_stocks_below_a_dollar() -> None:
    venue = a_venue((STOCK, "10", "12"))
    message = "invalid limit_price 290.123. sub-penny increment does not fulfill minimum pricing criteria"
    assert rejected(venue, STOCK, limit_price="290.123").body == {"code": 42210000, "message": message}
    assert send(venue, STOCK, limit_price="0.1234")["limit_price"] == "0.1234"


def test_option_market_orders_outside_the_session_are_rejectd_and_stocks_are_queued() -> None:
    venue = a_venue((CALL, "1", "1.50"), (STOCK, "10", "12"), now=at("17:00", "2026-11-24"))
    rejection = rejected(venue)
    assert rejection.body["message"] == "options market orders are only allowed during market hours"
    queued = send(venue, STOCK, qty="10")
    assert queued["status"] == "accepted"
    venue.advance_to(at("09:30"))
    assert status_of(venue, queued) == "filled"


@pytest.mark.parametrize(
    ("resting", "sent", "reason"),
    [
        (
            {"limit_price": "12.50"},
            {"limit_price": "12.50"},
            "sell order exists, buy limit price should be less than existing sell limit price",
        ),
        ({"limit_price": "12.50"}, {}, "opposite side market/stop order exists"),
        ({"type": "stop", "stop_price": "9"}, {"limit_price": "1.00"}, "opposite side market/stop order exists"),
    ],
)
def test_opposite_orders_that_could_meet_are_a_wash_trade(
    resting: dict[str, str], sent: dict[str, str], reason: str
) -> None:
    venue = a_venue((STOCK, "10", "12"))
    first = send(venue, STOCK, qty="10", **resting)
    rejection = rejected(venue, STOCK, "buy", **sent)
    assert rejection.status == 403
    assert rejection.body["message"] == "potential wash trade detected. use complex orders"
    assert rejection.body["reject_reason"] == reason
    assert rejection.body["existing_order_id"] == first["id"]
    assert ("buy_limit_price" in rejection.body) == reason.startswith("sell order exists")


def test_opposite_limits_that_cannot_meet_are_no_wash_trade() -> None:
    venue = a_venue((STOCK, "10", "12"))
    send(venue, STOCK, qty="10", limit_price="12.50")
    assert send(venue, STOCK, "buy", limit_price="12.00")["status"] == "pending_new"


def test_closing_a_long_that_covers_a_short_is_rejectd_until_the_short_is_closed() -> None:
    short = "NVDA261218C00210000"
    venue = a_venue((CALL, "1", "2"), (short, "-1", "1"), quotes={short: ("1.00", "1.10")})
    assert rejected(venue, position_intent="sell_to_close").body == {
        "code": 40310000,
        "message": "account not eligible to trade uncovered option contracts",
    }
    send(venue, short, "buy", position_intent="buy_to_close")
    send(venue, position_intent="sell_to_close")
    assert held(venue) == 0


def test_shares_under_a_covered_call_cannot_be_sold_away() -> None:
    call = "F261218C00013000"
    venue = a_venue((STOCK, "100", "12"), (call, "-1", "0.40"))
    assert rejected(venue, STOCK, qty="1").status == 403


def test_an_uncovered_short_call_can_be_bought_back() -> None:
    venue = a_venue((CALL, "-2", "1.50"))
    answer = send(venue, side="buy", qty="2", limit_price="2.10", position_intent="buy_to_close")
    assert status_of(venue, answer) == "filled"


def test_a_long_stock_is_not_flipped_in_one_order() -> None:
    rejection = rejected(a_venue((STOCK, "10", "12")), STOCK, qty="11")
    assert rejection.body["message"] == "insufficient qty available for order (requested: 11, available: 10)"


def test_a_short_is_not_flipped_in_one_order_either() -> None:
    rejection = rejected(a_venue((CALL, "-4", "1.50")), side="buy", qty="5")
    assert rejection.body["message"] == "insufficient qty available for order (requested: 5, available: 4)"


def test_a_sale_counts_what_rests_on_the_cover_as_sold() -> None:
    short = "NVDA261218C00210000"
    venue = a_venue((CALL, "1", "2"), quotes={short: ("1.00", "1.10")})
    send(venue, limit_price="12.00", position_intent="sell_to_close")
    assert rejected(venue, short, position_intent="sell_to_open").status == 403


def test_a_stock_without_shares_is_sold_short_unless_the_account_forbids_it() -> None:
    venue = a_venue()
    assert send(venue, STOCK, qty="5")["position_intent"] == "sell_to_open"
    assert held(venue, STOCK) == -5
    venue.accounts["main"].configuration["no_shorting"] = True
    assert rejected(venue, STOCK, qty="5").status == 403


def test_a_purchase_beyond_the_buying_power_is_rejectd_with_both_numbers() -> None:
    rejection = rejected(a_venue(cash="7267.84"), side="buy", qty="190", limit_price="2.00")
    assert rejection.body == {
        "options_buying_power": "7267.84",
        "code": 40310000,
        "cost_basis": "38000",
        "message": "insufficient options buying power",
    }


@pytest.mark.parametrize(
    ("symbol", "last", "first_refused"),
    [(TODAY, "15:14:59", "15:15"), (SPY_TODAY, "15:29:59", "15:30")],
)
def test_on_the_last_day_orders_are_rejectd_from_the_cut_off_on(symbol: str, last: str, first_refused: str) -> None:
    venue = a_venue((symbol, "2", "1"), now=at("15:00"), quotes={symbol: ("1.00", "1.05")}, liquidate=False)
    venue.advance_to(at(last))
    send(venue, symbol, limit_price="1.00", position_intent="sell_to_close")
    venue.advance_to(at(first_refused))
    rejection = rejected(venue, symbol, limit_price="1.00", position_intent="sell_to_close")
    message = f'contract "{symbol}" expires soon, unable to open new positions'
    assert (rejection.status, rejection.body) == (422, {"code": 42210000, "message": message})


def test_closing_in_the_last_window_is_allowed_when_the_setting_reads_it_so() -> None:
    venue = a_venue((TODAY, "2", "1"), now=at("15:20"), quotes={TODAY: ("1.00", "1.05")}, close_in_expiry_window=True)
    send(venue, TODAY, limit_price="1.00", position_intent="sell_to_close")
    assert held(venue, TODAY) == 1


def test_on_a_half_day_the_cut_off_moves_with_the_close() -> None:
    friday = "TSLA261127C00400000"
    venue = a_venue((friday, "1", "1"), now=at("12:15", "2026-11-27"), quotes={friday: ("1.00", "1.05")})
    assert rejected(venue, friday, limit_price="1.00").status == 422


def test_an_expired_contract_is_not_traded() -> None:
    gone = "TSLA261120C00400000"
    rejection = rejected(a_venue(), gone, "buy", limit_price="1.00")
    assert rejection.body["message"] == f'contract "{gone}" is expired'


def test_an_index_option_that_settles_in_the_morning_is_not_traded_on_its_expiration_date() -> None:
    index, quotes = "SPX261125C06000000", {"SPX261125C06000000": ("10.00", "10.50")}
    day, eve = at("11:00"), at("11:00", "2026-11-24")
    rejection = rejected(
        a_venue((index, "1", "9"), now=day, quotes=quotes, index_options=True), index, limit_price="10"
    )
    assert "cannot be placed on expiration day" in rejection.body["message"]
    send(a_venue((index, "1", "9"), now=eve, quotes=quotes, index_options=True), index, limit_price="10")


def test_a_blocked_account_takes_no_orders() -> None:
    venue = a_venue((CALL, "1", "1"))
    venue.accounts["main"].trading_blocked = True
    assert rejected(venue).status == 403


def test_a_cancel_is_at_once_repeatable_and_rejectd_once_filled() -> None:
    venue = a_venue((CALL, "2", "1.50"))
    account = venue.accounts["main"]
    resting = send(venue, limit_price="3.00")
    venue.cancel(account, resting["id"])
    venue.cancel(account, resting["id"])
    assert status_of(venue, resting) == "canceled"
    done = send(venue, limit_price="2.00")
    with pytest.raises(RejectionError) as rejection:
        venue.cancel(account, done["id"])
    assert rejection.value.body["message"] == 'order is already in "filled" state'
    with pytest.raises(RejectionError) as unknown:
        venue.cancel(account, "nothing")
    assert unknown.value.status == 404


def test_a_slow_cancel_is_pending_holds_its_quantity_and_may_still_fill() -> None:
    venue = a_venue((CALL, "2", "1.50"), cancel_delay=dt.timedelta(seconds=10))
    resting = send(venue, qty="2", limit_price="3.00")
    venue.cancel(venue.accounts["main"], resting["id"])
    assert status_of(venue, resting) == "pending_cancel"
    with pytest.raises(RejectionError) as rejection:
        venue.cancel(venue.accounts["main"], resting["id"])
    assert rejection.value.body["message"] == "order pending cancel"
    later(venue, 5)
    venue.set_quote(CALL, Decimal("3.00"), Decimal("3.10"))
    assert status_of(venue, resting) == "filled"


def test_a_slow_cancel_takes_effect_after_its_delay() -> None:
    venue = a_venue((CALL, "2", "1.50"), cancel_delay=dt.timedelta(seconds=10))
    resting = send(venue, qty="2", limit_price="3.00")
    venue.cancel(venue.accounts["main"], resting["id"])
    later(venue, 11)
    assert status_of(venue, resting) == "canceled"


def test_day_orders_expire_at_the_close_and_gtc_orders_live_on() -> None:
    venue = a_venue((CALL, "2", "1.50"))
    day = send(venue, limit_price="3.00")
    gtc = send(venue, limit_price="3.00", time_in_force="gtc")
    venue.advance_to(at("16:00"))
    assert (status_of(venue, day), status_of(venue, gtc)) == ("expired", "new")
    venue.advance_to(at("10:00", "2026-11-27"))
    venue.set_quote(CALL, Decimal("3.00"), Decimal("3.10"))
    assert status_of(venue, gtc) == "filled"


def test_positions_lag_behind_fills_when_told_to() -> None:
    venue = a_venue((CALL, "2", "1.50"), position_lag=dt.timedelta(seconds=8))
    send(venue, qty="2", limit_price="2.00")
    account = venue.accounts["main"]
    assert [one.qty for one in account.shown_positions(venue.now)] == [2]
    later(venue, 8)
    assert account.shown_positions(venue.now) == []


def test_two_runs_of_the_same_orders_give_the_same_ids() -> None:
    first, second = (send(a_venue((CALL, "2", "1.50")), limit_price="3.00") for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ([], "request body format is invalid"),
        ({}, "side is required"),
        ({"symbol": CALL, "type": "limit", "time_in_force": "day", "qty": "1"}, "side is required"),
        (a_body() | {"qty": "one"}, "invalid qty"),
        (a_body() | {"qty": True}, "invalid qty"),
        (a_body() | {"qty": "NaN"}, "invalid qty"),
        (a_body() | {"qty": None}, "qty or notional is required"),
        (a_body() | {"qty": "-1"}, "qty must be > 0"),
        (a_body() | {"type": "limit"}, "limit orders require a limit price"),
        (a_body() | {"limit_price": "1"}, "market orders require no limit price"),
        (a_body() | {"type": "peg"}, "invalid type"),
        (a_body() | {"client_order_id": "x" * 129}, "client_order_id must be no more than 128 characters"),
    ],
)
def test_a_body_that_cannot_be_read_is_rejectd(body: object, message: str) -> None:
    venue = a_venue((CALL, "1", "1"))
    with pytest.raises(RejectionError) as rejection:
        venue.submit(venue.accounts["main"], body)
    assert (rejection.value.status, rejection.value.body["message"]) == (422, message)


def test_a_put_is_covered_by_cash_for_its_strike_only_once() -> None:
    venue = a_venue(cash="20000", quotes={PUT: ("1.00", "1.05")})
    send(venue, PUT, qty="1", limit_price="1.00", position_intent="sell_to_open")
    assert held(venue, PUT) == -1
    assert rejected(venue, PUT, qty="1", limit_price="1.00", position_intent="sell_to_open").status == 403
