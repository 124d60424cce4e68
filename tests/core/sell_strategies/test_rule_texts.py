"""The settings of a rule as `sellctl strategies` lists them."""

from decimal import Decimal

from sellctl.core.config.schema import Pullback
from sellctl.core.rules.trailing_stop import TrailingStop
from sellctl.core.sell_strategies.base_strategy import rule_text


def test_a_gain_is_a_percentage_beside_the_trail() -> None:
    rule = TrailingStop(Pullback(Decimal("0.15")), Decimal("0.25"), Decimal("0.1"))
    assert rule_text(rule) == "trailing_stop (trail 15pt, activation 25%, floor 10%)"
