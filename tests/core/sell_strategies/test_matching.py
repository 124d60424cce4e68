"""A match fits when every key that was given fits."""

from decimal import Decimal

import pytest
from builders import CALL, a_market, at_price

from sellctl.core.config.schema import (
    IntRange,
    MatchConfig,
    SideKind,
)
from sellctl.core.model.instrument import StructureKind
from sellctl.core.sell_strategies.matching import fits, may_fit

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


SPREAD = "AAPL-vertical-261218-200-210C"
VERTICALS = (StructureKind.VERTICAL,)


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        (MatchConfig(structure=VERTICALS), True),
        (MatchConfig(structure=(StructureKind.IRON_CONDOR,)), False),
        (MatchConfig(structure=VERTICALS, underlying=("AAPL", "SPY")), True),
        (MatchConfig(structure=VERTICALS, underlying=("SPY",)), False),
        (MatchConfig(structure=VERTICALS, symbol=(SPREAD,)), True),
        (MatchConfig(structure=VERTICALS, symbol=(CALL,)), False),
        (MatchConfig(structure=VERTICALS, dte=IntRange(None, 5), size=IntRange(3)), True),  # these may change
    ],
)
def test_a_match_may_fit_a_structure_of_its_kind_underlying_and_name(match: MatchConfig, *, expected: bool) -> None:
    assert may_fit(match, SPREAD) is expected
