"""The underlying comes near a strike that is sold."""

from decimal import Decimal

import pytest
from builders import CALL, PUT, a_holding, a_market, at_price, fires, replace
from hypothesis import given
from hypothesis import strategies as st
from structure_builders import CONDOR, call, put

from sellctl.core.model.plan import Reason
from sellctl.core.model.position import Holding, Prices
from sellctl.core.rules.underlying import ShortStrike
from sellctl.core.structures.held import held_structures
from sellctl.core.structures.recognition import KINDS

D = Decimal
NOON = a_market("12:00")
TOUCHED, NEAR = ShortStrike(), ShortStrike(D("0.01"))


def under(price: str) -> Prices:
    return Prices(D(price), D(price), "")


def a_condor(price: str, **legs: int) -> Holding:
    """A condor with short strikes of 180 and 210, at this price of the underlying."""
    held = (a_holding(symbol, "1", short=qty < 0) for symbol, qty in (legs or CONDOR).items())
    (structure,) = held_structures([replace(each, underlying=under(price)) for each in held], (), {}, KINDS)
    return structure.whole


@pytest.mark.parametrize(
    ("price", "touched", "near"),
    [
        ("195", False, False),
        ("207.91", False, True),
        ("207.89", False, False),
        ("209.99", False, True),
        ("210", True, True),
        ("225", True, True),
        ("181.80", False, True),
        ("181.81", False, False),
        ("180", True, True),
        ("150", True, True),
    ],
)
def test_the_nearest_short_strike_of_a_condor_counts(price: str, *, touched: bool, near: bool) -> None:
    assert (fires(TOUCHED, a_condor(price)), fires(NEAR, a_condor(price))) == (touched, near)


def test_its_text_names_the_strike() -> None:
    price = "208"
    signal = NEAR.evaluate(a_condor(price), NOON)
    assert signal is not None
    assert signal.reason is Reason.SHORT_STRIKE
    assert signal.detail == "AAPL $208.00 is within 1% of the short call's strike $210.00"
    assert NEAR.label(a_condor(price), NOON) == "close when AAPL is within 1% of the short strike $180.00 or $210.00"
    beyond = TOUCHED.evaluate(a_condor("179.50"), NOON)
    assert beyond is not None
    assert beyond.detail == "AAPL $179.50 is beyond the short put's strike $180.00"
    assert TOUCHED.label(a_condor(price), NOON) == "close when AAPL touches the short strike $180.00 or $210.00"


@pytest.mark.parametrize("prices", [Prices(), Prices(D(210), None, "no ask"), Prices(D(200), D(220), "", wide=True)])
def test_an_unknown_or_wide_price_of_the_underlying_fires_nothing(prices: Prices) -> None:
    assert not fires(TOUCHED, replace(a_condor("210"), underlying=prices))


@pytest.mark.parametrize(
    ("symbol", "price", "expected"),
    [(CALL, "200", True), (CALL, "199", False), (PUT, "200", True), (PUT, "201", False)],
)
def test_of_an_option_that_is_sold_alone_its_own_strike_counts(symbol: str, price: str, *, expected: bool) -> None:
    assert fires(TOUCHED, replace(at_price("1.00", symbol=symbol, short=True), underlying=under(price))) is expected


def test_what_is_bought_has_no_short_strike() -> None:
    assert not fires(TOUCHED, replace(at_price("1.00"), underlying=under("300")))
    assert not fires(TOUCHED, a_condor("300", **{call(200): 1, put(200): 1}))


def test_the_strike_of_an_adjusted_contract_says_nothing() -> None:
    adjusted = at_price("1.00", symbol="AAPL1261218C00200000", short=True)
    assert not fires(TOUCHED, replace(adjusted, underlying=under("300")))


@given(st.decimals(1, 500, places=2), st.decimals(0, "0.2", places=3), st.decimals(0, "0.2", places=3))
def test_a_wider_distance_fires_wherever_a_narrower_one_does(price: Decimal, one: Decimal, other: Decimal) -> None:
    narrow, wide = sorted((one, other))
    condor = a_condor(str(price))
    assert not fires(ShortStrike(narrow), condor) or fires(ShortStrike(wide), condor)
