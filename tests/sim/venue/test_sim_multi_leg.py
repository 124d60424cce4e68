"""Multi-leg orders: which are accepted, how they are cancelled and replaced, and what they hold meanwhile."""

from decimal import Decimal
from typing import Any

import pytest
from sim_builders import (
    CALL,
    FAR_CALL,
    HIGHER,
    PUT,
    STOCK,
    a_leg,
    a_venue,
    closing,
    held,
    later,
    rejected_spread,
    send,
    send_spread,
    status_of,
)

from sellctl.sim.rejections import RejectionError
from sellctl.sim.settings import Settings
from sellctl.sim.venue.exchange import Exchange
from sellctl.sim.venue.order_actions import replace_order
from sellctl.sim.venue.orders import SimOrder

SPREAD = ((CALL, "1", "2.00"), (HIGHER, "-1", "1.00"))
TWO_SPREADS = ((CALL, "2", "2.00"), (HIGHER, "-2", "1.00"))


def order(venue: Exchange, answer: dict[str, Any]) -> SimOrder:
    return venue.accounts["main"].orders[answer["id"]]


def free(venue: Exchange, symbol: str) -> Decimal:
    account = venue.accounts["main"]
    return abs(account.qty_of(symbol)) - account.held_for_orders(symbol)


# --- acceptance


def test_a_multi_leg_parent_has_empty_text_where_its_legs_differ() -> None:
    answer = send_spread(a_venue())
    assert {answer[key] for key in ("symbol", "asset_id", "asset_class", "side")} == {""}
    assert [(leg["type"], leg["ratio_qty"], leg["order_class"]) for leg in answer["legs"]] == [("", "1", "mleg")] * 2


def test_the_quantity_counts_units_and_each_leg_has_its_ratio_times_as_much() -> None:
    answer = send_spread(a_venue(), qty="3", legs=[a_leg(ratio="2"), a_leg(HIGHER, "sell_to_open")])
    assert (answer["qty"], [leg["qty"] for leg in answer["legs"]]) == ("3", ["6", "3"])


def test_the_parent_keeps_its_client_order_id_and_each_leg_gets_its_own() -> None:
    venue = a_venue()
    answer = send_spread(venue, client_order_id="mine")
    names = {answer["client_order_id"], *(leg["client_order_id"] for leg in answer["legs"])}
    assert (answer["client_order_id"], len(names)) == ("mine", 3)
    account = venue.accounts["main"]
    assert [venue.order_by_client_id(account, leg["client_order_id"]).id for leg in answer["legs"]] == [
        leg["id"] for leg in answer["legs"]
    ]
    assert rejected_spread(venue, client_order_id="mine").body["code"] == 40010001


def test_the_side_of_a_leg_follows_from_its_intent() -> None:
    both = (a_leg(), a_leg(HIGHER, "sell_to_open"))
    legs = [{key: value for key, value in leg.items() if key != "side"} for leg in both]
    assert [leg["side"] for leg in send_spread(a_venue(), legs=legs)["legs"]] == ["buy", "sell"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"legs": [a_leg()]}, "mleg orders must have 2 to 4 legs"),
        ({"legs": []}, "mleg orders must have 2 to 4 legs"),
        ({"legs": "both"}, "invalid legs"),
        ({"legs": [17, a_leg()]}, "invalid leg"),
        ({"legs": [a_leg(), a_leg()]}, "mleg legs must be unique"),
        ({"legs": [a_leg(ratio="2"), a_leg(PUT, ratio="2")]}, "leg ratio quantities must be in their simplest form"),
        ({"legs": [a_leg(ratio="0"), a_leg(PUT)]}, "ratio_qty must be a positive integer"),
        ({"legs": [a_leg(ratio="1.5"), a_leg(PUT)]}, "ratio_qty must be a positive integer"),
        ({"legs": [a_leg(), a_leg("F261218C00012000")]}, "underlying asset mismatch: NVDA != F"),
        ({"legs": [a_leg(), {**a_leg(PUT), "position_intent": ""}]}, "leg.1 position intent is required"),
        ({"legs": [a_leg(), {**a_leg(PUT), "side": "sell"}]}, "position intent mismatch"),
        ({"legs": [a_leg(), a_leg(HIGHER, "sell_to_close")]}, "position intent mismatch"),
        (
            {"legs": [a_leg(), a_leg(STOCK)]},
            "equity legs are allowed only with a corresponding amount of call contracts",
        ),
        ({"time_in_force": "gtc"}, "invalid time in force"),
        ({"type": "stop", "stop_price": "1", "limit_price": None}, "invalid order type for options trading"),
        ({"type": "market"}, "limit price is only valid for limit orders"),
        ({"limit_price": None}, "limit price is required for limit orders"),
        ({"extended_hours": True}, "extended hours is not supported for options trading"),
        ({"qty": None, "notional": "100"}, "qty is required for mleg orders"),
        ({"qty": "1.5"}, "qty must be integer for options trading"),
        ({"limit_price": "1.155"}, "invalid limit_price 1.155. sub-penny increment"),
        ({"limit_price": "3.13"}, "invalid limit_price 3.13. price must be a multiple of 0.05"),
        ({"limit_price": "-3.13"}, "invalid limit_price -3.13. price must be a multiple of 0.05"),
    ],
)
def test_a_multi_leg_order_of_the_wrong_form_is_rejected_with_422(fields: dict[str, Any], message: str) -> None:
    rejection = rejected_spread(a_venue(), **fields)
    assert (rejection.status, rejection.body["code"]) == (422, 42210000)
    assert str(rejection.body["message"]).startswith(message)


def test_the_net_limit_may_be_a_debit_a_credit_or_nothing() -> None:
    venue = a_venue(*TWO_SPREADS)
    sent = [send_spread(venue, limit=limit, legs=closing(CALL, HIGHER), qty="1") for limit in ("-1.50", "0")]
    opened = send_spread(venue, limit="0.50", legs=[a_leg(PUT), a_leg(FAR_CALL)])
    assert [answer["limit_price"] for answer in (*sent, opened)] == ["-1.5", "0", "0.5"]


@pytest.mark.parametrize(
    "limits",
    [
        {"options_level": 2},
        {"configuration": {"max_options_trading_level": 2}},
        {"configuration": {"max_options_trading_level": 0}},
    ],
)
def test_below_level_three_a_multi_leg_order_is_refused_also_one_that_closes(limits: dict[str, Any]) -> None:
    venue = a_venue(*SPREAD, **limits)
    rejection = rejected_spread(venue, legs=closing(CALL, HIGHER), limit="-0.94")
    assert (rejection.status, rejection.body["message"]) == (
        403, "account not eligible to trade spreads or uncovered contracts",
    )  # fmt: skip


def test_a_blocked_account_and_a_closed_market_are_refused_as_for_single_orders() -> None:
    venue = a_venue()
    venue.accounts["main"].trading_blocked = True
    assert rejected_spread(venue).status == 403
    later(closed := a_venue(), 6 * 3600)
    assert rejected_spread(closed, limit=None).body["message"].startswith("options market orders are only allowed")


def test_an_opening_short_must_be_covered_within_the_same_order() -> None:
    venue = a_venue((FAR_CALL, "5", "1"))
    for legs in (
        [a_leg(HIGHER), a_leg(CALL, "sell_to_open", "2")],
        [a_leg(PUT), a_leg(CALL, "sell_to_open")],
    ):
        rejection = rejected_spread(venue, legs=legs)
        assert (rejection.status, rejection.body["message"]) == (
            403, "account not eligible to trade uncovered option contracts",
        )  # fmt: skip


def test_one_order_may_close_a_spread_and_open_another() -> None:
    venue = a_venue(*SPREAD)
    legs = [*closing(CALL, HIGHER), a_leg(PUT), a_leg("NVDA261218P00170000", "sell_to_open")]
    assert len(send_spread(venue, limit="-0.10", legs=legs)["legs"]) == 4


def test_the_long_and_the_short_of_a_spread_may_leave_together_and_the_long_alone_may_not() -> None:
    venue = a_venue(*SPREAD)
    with pytest.raises(RejectionError, match="uncovered"):
        send(venue, CALL, "sell", "1", limit_price="3.00", position_intent="sell_to_close")
    assert send_spread(venue, limit="-1.50", legs=closing(CALL, HIGHER))["status"] == "pending_new"


def test_legs_that_were_opened_separately_are_closed_together() -> None:
    venue = a_venue(cash="1000000")
    send(venue, CALL, "buy", "1")
    send(venue, PUT, "buy", "1")
    answer = send_spread(venue, limit="-3.50", legs=closing(CALL, PUT, qty=(1, 1)))
    assert (status_of(venue, answer), held(venue), held(venue, PUT)) == ("filled", 0, 0)


def test_closing_two_longs_is_refused_when_a_third_short_would_stay_uncovered() -> None:
    venue = a_venue((CALL, "1", "2"), (PUT, "1", "1"), (HIGHER, "-1", "1"))
    assert "uncovered" in str(rejected_spread(venue, limit="-9", legs=closing(CALL, PUT, qty=(1, 1))).body["message"])


def test_resting_sales_count_as_done_when_the_cover_of_a_short_is_checked() -> None:
    positions = ((CALL, "1", "2"), (FAR_CALL, "1", "1"), (PUT, "1", "1"), (HIGHER, "-1", "1"))
    legs = closing(FAR_CALL, PUT, qty=(1, 1))
    venue = a_venue(*positions)
    send(venue, CALL, "sell", "1", limit_price="3.00")
    assert "uncovered" in str(rejected_spread(venue, limit="-9", legs=legs).body["message"])
    venue = a_venue(*positions)
    send_spread(venue, limit="-9", legs=legs)
    with pytest.raises(RejectionError, match="uncovered"):
        send(venue, CALL, "sell", "1", limit_price="3.00")


def test_legs_hold_their_quantity_and_a_second_order_for_it_names_them() -> None:
    venue = a_venue(*TWO_SPREADS)
    first = send_spread(venue, limit="-1.50", qty="2", legs=closing(CALL, HIGHER))
    assert (free(venue, CALL), free(venue, HIGHER)) == (0, 0)
    second = rejected_spread(venue, limit="-1.50", legs=closing(CALL, HIGHER))
    assert (second.status, second.body["available"], second.body["symbol"]) == (403, "0", "")
    assert second.body["related_orders"] == [first["legs"][0]["id"]]
    with pytest.raises(RejectionError, match="insufficient qty"):
        send(venue, HIGHER, "buy", "1", position_intent="buy_to_close")


def test_an_opening_debit_has_to_be_paid_also_at_the_market() -> None:
    poor = a_venue(cash="100")
    assert rejected_spread(poor, limit="1.15").body["message"] == "insufficient options buying power"
    assert rejected_spread(poor, limit=None).body["message"] == "insufficient options buying power"
    broke = a_venue(*SPREAD, cash="0")
    assert status_of(broke, send_spread(broke, legs=closing(CALL, HIGHER), limit="-0.94")) == "filled"


def test_shares_leave_with_their_call_where_the_setting_allows_equity_legs() -> None:
    shares, call = "NVDA", "NVDA261218C00210000"
    venue = a_venue((shares, "200", "190"), (call, "-2", "1"), quotes={shares: ("195.00", "195.02")}, equity_legs=True)
    legs = [a_leg(shares, "sell_to_close", "100"), a_leg(call, "buy_to_close")]
    wrong = [a_leg(shares, "sell_to_close", "50"), a_leg(call, "buy_to_close")]
    assert "equity legs are allowed only with" in str(rejected_spread(venue, limit="-150", legs=wrong))
    answer = send_spread(venue, limit="-193.90", qty="2", legs=legs)
    assert (status_of(venue, answer), order(venue, answer).filled_avg_price) == ("filled", Decimal("-193.94"))
    assert venue.accounts["main"].cash == 100_000 + 200 * 195 - 2 * 106


def test_european_legs_expire_on_the_same_day() -> None:
    legs = [a_leg("SPX261218C06000000"), a_leg("SPX270115C06000000", "sell_to_close")]
    message = str(rejected_spread(a_venue(index_options=True), legs=legs).body["message"])
    assert message == "European-style option legs in a multi-leg order must have the same expiration date"


# --- cancelling


def test_cancelling_the_parent_cancels_every_leg_and_frees_what_they_held() -> None:
    venue = a_venue(*SPREAD)
    answer = send_spread(venue, limit="-1.50", legs=closing(CALL, HIGHER))
    venue.cancel(venue.accounts["main"], answer["id"])
    assert [order(venue, answer).status, *(leg.status for leg in order(venue, answer).legs)] == ["canceled"] * 3
    assert (free(venue, CALL), free(venue, HIGHER)) == (1, 1)
    assert [event.kind for event in venue.events] == ["pending_new", "new", "canceled"]


def test_one_leg_cannot_be_cancelled_or_replaced() -> None:
    venue = a_venue(*SPREAD)
    answer = send_spread(venue, limit="-1.50", legs=closing(CALL, HIGHER))
    account, leg = venue.accounts["main"], answer["legs"][0]["id"]
    for attempt in (lambda: venue.cancel(account, leg), lambda: venue.replace(account, leg, {"qty": "2"})):
        with pytest.raises(RejectionError, match="leg of a multi-leg order") as caught:
            attempt()
        assert (caught.value.status, caught.value.body["code"]) == (422, 42210000)
    assert status_of(venue, answer) == "new"


def test_while_a_cancel_is_pending_the_legs_are_too_and_still_hold_their_quantity() -> None:
    venue = a_venue(*SPREAD, cancel_delay=Settings().liquidation)
    answer = send_spread(venue, limit="-1.50", legs=closing(CALL, HIGHER))
    venue.cancel(venue.accounts["main"], answer["id"])
    assert [order(venue, answer).status, *(leg.status for leg in order(venue, answer).legs)] == ["pending_cancel"] * 3
    assert free(venue, CALL) == 0


def test_an_assignment_of_one_leg_cancels_the_whole_order() -> None:
    venue = a_venue(*SPREAD)
    answer = send_spread(venue, limit="-1.50", legs=closing(CALL, HIGHER))
    venue.inject("O15", symbol=HIGHER)
    assert [order(venue, answer).status, *(leg.status for leg in order(venue, answer).legs)] == ["canceled"] * 3
    assert [(event.kind, event.order and event.order["id"]) for event in venue.events] == [
        (kind, answer["id"]) for kind in ("pending_new", "new", "canceled")
    ]


def test_the_close_of_the_day_expires_every_leg() -> None:
    venue = a_venue(*SPREAD)
    answer = send_spread(venue, limit="-1.50", legs=closing(CALL, HIGHER))
    later(venue, 6 * 3600)
    assert [order(venue, answer).status, *(leg.status for leg in order(venue, answer).legs)] == ["expired"] * 3


# --- replacing


def test_a_replacement_is_a_new_parent_with_new_legs_that_point_at_the_old_ones() -> None:
    venue = a_venue()
    old = send_spread(venue, limit="1.00")
    new = replace_order(venue, venue.accounts["main"], old["id"], {"limit_price": "1.02", "qty": "2"})
    assert (new["replaces"], new["limit_price"], [leg["qty"] for leg in new["legs"]]) == (old["id"], "1.02", ["2", "2"])
    assert [leg["replaces"] for leg in new["legs"]] == [leg["id"] for leg in old["legs"]]
    assert {leg["id"] for leg in new["legs"]}.isdisjoint(leg["id"] for leg in old["legs"])
    replaced = order(venue, old)
    assert [replaced.status, *(leg.status for leg in replaced.legs)] == ["replaced"] * 3
    assert set(venue.accounts["main"].open_orders) == {new["id"], *(leg["id"] for leg in new["legs"])}


def test_a_replaced_multi_leg_order_that_became_marketable_fills_once() -> None:
    venue = a_venue()
    old = send_spread(venue, limit="1.00")
    new = replace_order(venue, venue.accounts["main"], old["id"], {"limit_price": "1.20"})
    assert (status_of(venue, new), held(venue), held(venue, HIGHER)) == ("filled", 1, -1)


def test_the_net_limit_of_a_replacement_is_checked_like_a_new_one() -> None:
    venue = a_venue()
    old = send_spread(venue, limit="1.00")
    with pytest.raises(RejectionError, match="sub-penny"):
        replace_order(venue, venue.accounts["main"], old["id"], {"limit_price": "1.005"})


def test_replacing_an_order_that_closes_is_refused_unless_the_setting_says_that_it_works() -> None:
    venue = a_venue(*TWO_SPREADS)
    old = send_spread(venue, limit="-1.50", qty="2", legs=closing(CALL, HIGHER))
    refused = r"insufficient qty available for order \(requested: 2, available: 0\)"
    with pytest.raises(RejectionError, match=refused) as caught:
        replace_order(venue, venue.accounts["main"], old["id"], {"limit_price": "-1.40"})
    assert (caught.value.status, status_of(venue, old)) == (403, "new")
    working = a_venue(*TWO_SPREADS, replace_closing_mleg=True)
    old = send_spread(working, limit="-1.50", legs=closing(CALL, HIGHER))
    new = replace_order(working, working.accounts["main"], old["id"], {"limit_price": "-1.40", "qty": "2"})
    assert (free(working, CALL), free(working, HIGHER)) == (0, 0)
    with pytest.raises(RejectionError, match="insufficient qty"):
        replace_order(working, working.accounts["main"], new["id"], {"qty": "3"})
