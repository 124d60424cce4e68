"""Targets and stops on entry: at, just below and just above the threshold, for a long and for a short."""

from decimal import Decimal

import pytest
from builders import a_market, at_price, fires, replace

from sellctl.core.model.gain import Amount, AmountUnit
from sellctl.core.model.position import Prices
from sellctl.core.rules.stop_loss import StopLoss
from sellctl.core.rules.take_profit import TakeProfit
from sellctl.core.sell_strategies.base_strategy import Rule

D = Decimal
NOON = a_market("12:00")


# rule, long price that is met, one that isn't quite, and the same two for a short
AMOUNTS = [
    (TakeProfit(Amount(D("0.5"))), "1.50", "1.49", "0.50", "0.51"),
    (TakeProfit(Amount(D(50), AmountUnit.CONTRACT)), "1.50", "1.49", "0.50", "0.51"),
    (TakeProfit(Amount(D(100), AmountUnit.POSITION)), "1.50", "1.49", "0.50", "0.51"),
    (TakeProfit(Amount(D("1.5"), AmountUnit.PRICE)), "1.50", "1.49", "1.50", "1.51"),
    (StopLoss(Amount(D("0.4"))), "0.60", "0.61", "1.40", "1.39"),
    (StopLoss(Amount(D(40), AmountUnit.CONTRACT)), "0.60", "0.61", "1.40", "1.39"),
    (StopLoss(Amount(D(80), AmountUnit.POSITION)), "0.60", "0.61", "1.40", "1.39"),
    (StopLoss(Amount(D("0.6"), AmountUnit.PRICE)), "0.60", "0.61", "0.60", "0.59"),
]


@pytest.mark.parametrize(("rule", "met", "missed", "short_met", "short_missed"), AMOUNTS)
def test_an_amount_from_entry_fires_at_its_threshold_and_not_before(
    rule: Rule, met: str, missed: str, short_met: str, short_missed: str
) -> None:
    assert fires(rule, at_price(met))
    assert not fires(rule, at_price(missed))
    assert fires(rule, at_price(short_met, short=True))
    assert not fires(rule, at_price(short_missed, short=True))


@pytest.mark.parametrize(("rule", "met", "missed", "short_met", "short_missed"), AMOUNTS)
def test_without_a_price_no_amount_fires(rule: Rule, met: str, missed: str, short_met: str, short_missed: str) -> None:
    for price in (met, missed, short_met, short_missed):
        assert not fires(rule, replace(at_price(price), prices=Prices()))


def test_dollars_of_a_stock_are_dollars_a_share() -> None:
    stock = at_price("1.50", symbol="AAPL")
    assert fires(TakeProfit(Amount(D("0.5"), AmountUnit.CONTRACT)), stock)
    assert fires(TakeProfit(Amount(D(1), AmountUnit.POSITION)), stock)
    assert not fires(TakeProfit(Amount(D("1.01"), AmountUnit.POSITION)), stock)
