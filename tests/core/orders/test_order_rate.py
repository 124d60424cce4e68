"""How many orders went out in the last minute; and the broker's word that the account may not trade."""

import pytest

from sellctl.core.model.plan import Urgency
from sellctl.core.model.position import NOTHING_SENT, OrderCount
from sellctl.core.orders.order_rate import OrderRate, TradingBlock

WHY = "account is not authorized to trade"


def test_the_orders_of_the_last_minute_count_for_their_symbol_and_for_the_account() -> None:
    pace = OrderRate()
    pace.sending(("AAPL",), Urgency.PROFIT, 0.0)
    pace.sending(("AAPL",), Urgency.FORCED, 30.0)
    pace.sending(("SPY",), Urgency.TIME, 40.0)
    assert pace.order_count(50.0) == OrderCount(3, 2)
    assert pace.order_counts_by_symbol(50.0) == {"AAPL": OrderCount(2, 1), "SPY": OrderCount(1, 1)}
    assert pace.order_counts_by_symbol(61.0) == {"AAPL": OrderCount(1, 0), "SPY": OrderCount(1, 1)}
    assert (pace.order_count(200.0), pace.order_counts_by_symbol(200.0)) == (NOTHING_SENT, {})


def test_a_multi_leg_order_is_one_of_the_account_and_one_of_each_of_its_symbols() -> None:
    pace = OrderRate()
    pace.sending(("CALL", "PUT"), Urgency.PROFIT, 0.0)
    pace.reserve("sellctl-1", ("PUT", "OTHER"), Urgency.FORCED)
    assert pace.order_count(1.0) == OrderCount(2, 1)
    assert pace.order_counts_by_symbol(1.0) == {
        "CALL": OrderCount(1, 1),
        "PUT": OrderCount(2, 1),
        "OTHER": OrderCount(1, 0),
    }
    assert [pace.is_reserved(symbol) for symbol in ("CALL", "PUT", "OTHER")] == [False, True, True]


@pytest.mark.parametrize(("refusals", "seconds"), [(1, 5.0), (2, 15.0), (3, 60.0), (9, 60.0)])
def test_a_bar_holds_longer_the_more_often_it_was_met_in_a_row(refusals: int, seconds: float) -> None:
    trading_block, now = TradingBlock(), 0.0
    for _ in range(refusals):
        now = trading_block.until
        trading_block.refused(WHY, now)
    assert trading_block.holds(now + seconds - 0.1) == WHY
    assert not trading_block.holds(now + seconds)


def test_orders_refused_side_by_side_are_one_word() -> None:
    trading_block = TradingBlock()
    assert [trading_block.refused(WHY, 0.0), trading_block.refused(WHY, 0.0), trading_block.refused(WHY, 0.1)] == [
        True,
        False,
        False,
    ]
    assert not trading_block.holds(5.0)


def test_a_bar_that_was_lifted_is_news_again() -> None:
    trading_block = TradingBlock()
    trading_block.refused(WHY, 0.0)
    trading_block.lift()
    assert not trading_block.holds(0.1)
    assert trading_block.refused(WHY, 1.0)
