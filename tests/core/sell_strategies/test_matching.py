"""A match fits when every key that was given fits."""

from decimal import Decimal

import pytest
from builders import CALL, a_market, at_price

from sellctl.core.config.schema import (
    IntRange,
    MatchConfig,
    SideKind,
)
from sellctl.core.sell_strategies.matching import fits

D = Decimal
NOON = a_market("12:00")


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        (MatchConfig(), True),
        (MatchConfig(underlying=("AAPL",)), True),
        (MatchConfig(underlying=("SPY",)), False),
        (MatchConfig(symbol=(CALL,), side=SideKind.LONG), True),
        (MatchConfig(symbol=(CALL,), side=SideKind.SHORT), False),
        (MatchConfig(dte=IntRange(None, 24)), True),
        (MatchConfig(dte=IntRange(None, 23)), False),
        (MatchConfig(size=IntRange(2, 2)), True),
        (MatchConfig(size=IntRange(3)), False),
        (MatchConfig(tag=("bot-",)), True),
        (MatchConfig(tag=("hand-",)), False),
    ],
)
def test_a_match_fits_when_every_key_fits(match: MatchConfig, *, expected: bool) -> None:
    assert fits(match, at_price("1.00", opening_order_id="bot-17"), NOON) is expected
