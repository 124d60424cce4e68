"""The net price of a multi-leg order is a credit or a debit wherever a user reads it, and a number in data."""

from decimal import Decimal

import pytest
from builders import CALL, an_order
from structure_builders import CONDOR, a_multi_leg_order

from sellctl.core.model.instrument import AssetClass
from sellctl.core.model.order import OrderLeg, OrderType, PositionIntent, Side
from sellctl.core.model.plan import SubmitOrder
from sellctl.core.model.view import AccountListing, Mode
from sellctl.ui.documents import order_part
from sellctl.ui.formatting import order_text, submit_text
from sellctl.ui.rows import orders_rows

NET = [("-0.80", "$0.80 credit"), ("1.10", "$1.10 debit")]


def a_request(limit: str | None, *, legs: tuple[OrderLeg, ...] = (OrderLeg(CALL),)) -> SubmitOrder:
    return SubmitOrder(
        client_order_id="sellctl-1",
        symbol=CALL,
        asset_class=AssetClass.OPTION,
        side=Side.SELL,
        qty=Decimal(2),
        type=OrderType.LIMIT if limit else OrderType.MARKET,
        limit_price=Decimal(limit) if limit else None,
        position_intent=PositionIntent.SELL_TO_CLOSE,
        legs=legs,
    )


@pytest.mark.parametrize(("limit", "text"), NET)
def test_an_order_that_is_about_to_be_sent(limit: str, text: str) -> None:
    assert submit_text(a_request(limit)) == f"sell 2 net limit {text}"


def test_one_at_market_has_no_price_and_a_simple_one_dollars() -> None:
    assert submit_text(a_request(None)) == "sell 2 at market"
    assert submit_text(a_request("1.10", legs=())) == "sell 2 limit $1.10"
    assert order_text(an_order(CALL, "sell", "2", limit="1.10")) == "sell 2 limit $1.10"


@pytest.mark.parametrize(("limit", "text"), NET)
def test_an_order_at_the_broker(limit: str, text: str) -> None:
    assert order_text(a_multi_leg_order(CONDOR, "2", limit=limit)) == f"multi-leg 2 net limit {text}"


@pytest.mark.parametrize(("limit", "text"), NET)
def test_in_a_table_it_is_text_and_for_programs_the_number(limit: str, text: str) -> None:
    order = a_multi_leg_order(CONDOR, "2", limit=limit)
    (row,) = orders_rows([(AccountListing("main", mode=Mode.PAPER), order)])
    assert (row[8].text, row[8].data) == (text, limit.rstrip("0"))
    assert order_part(order)["limit_price"] == limit.rstrip("0")


def test_a_document_says_which_legs_the_net_price_is_of() -> None:
    document = order_part(a_multi_leg_order(CONDOR, "2"))
    assert [(leg["symbol"], leg["side"], leg["qty"]) for leg in document["legs"]] == [
        (symbol, "sell" if ratio > 0 else "buy", "2") for symbol, ratio in CONDOR.items()
    ]
    assert order_part(an_order(CALL, "sell", "2"))["legs"] == []
