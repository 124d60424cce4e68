import datetime as dt
from decimal import Decimal

import pytest
from builders import CALL, a_holding, a_market, a_quote, a_snapshot, at, the_decision
from hypothesis import given
from hypothesis import strategies as st

from sellctl.core.decision.quote_checks import is_wide, judge_quote
from sellctl.core.model.instrument import AssetClass
from sellctl.core.model.market import Quote
from sellctl.core.model.plan import DecisionState
from sellctl.core.model.position import Prices

NOON = at("12:00")
NEVER = dt.timedelta(0)
OPTION, STOCK = AssetClass.OPTION, AssetClass.STOCK


def judged(quote: Quote | None, asset: AssetClass = OPTION, wide_for: dt.timedelta = NEVER) -> Prices:
    return judge_quote(quote, asset, a_market(), wide_for)


def aged(seconds: float) -> Quote:
    return a_quote(CALL, "1.00", "1.02", NOON - dt.timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("asset", "seconds", "problem"),
    [
        (STOCK, 60, ""),
        (STOCK, 60.001, "quote is 60 s old"),
        (OPTION, 900, ""),
        (OPTION, 901, "quote is 901 s old"),
        (OPTION, -5, ""),
        (OPTION, -5.001, "quote is stamped in the future"),
    ],
)
def test_a_quote_has_an_age_limit(asset: AssetClass, seconds: float, problem: str) -> None:
    prices = judged(aged(seconds), asset)
    assert prices.problem == problem
    assert (prices.bid is None) == bool(problem)


def test_a_quote_from_before_todays_open_is_not_used() -> None:
    for clock, problem in (("09:29:59.999", "quote is from before today's open"), ("09:30", "")):
        quote = a_quote(CALL, "1.00", "1.02", at(clock))
        assert judge_quote(quote, OPTION, a_market("09:31"), NEVER).problem == problem


def test_no_quote_is_no_price() -> None:
    assert judged(None) == Prices(problem="no quote")


def test_a_crossed_quote_is_not_used_and_a_locked_one_is() -> None:
    assert judged(a_quote(CALL, "1.03", "1.02", NOON)).problem == "quote is crossed: bid 1.03 over ask 1.02"
    assert judged(a_quote(CALL, "1.02", "1.02", NOON)).problem == ""


@pytest.mark.parametrize("nonsense", ["0", "-1", "NaN", "sNaN", "Infinity", "-Infinity", "1e308"])
def test_a_side_that_is_no_price_counts_as_missing(nonsense: str) -> None:
    strange = Decimal(nonsense)
    no_bid = judged(Quote(CALL, strange, Decimal("1.02"), NOON))
    no_ask = judged(Quote(CALL, Decimal("1.00"), strange, NOON))
    neither = judged(Quote(CALL, strange, strange, NOON))
    assert (no_bid.bid, no_bid.ask, no_bid.problem) == (None, Decimal("1.02"), "no bid")
    assert (no_ask.bid, no_ask.ask, no_ask.problem) == (Decimal("1.00"), None, "no ask")
    assert (neither.mid, neither.problem) == (None, "no bid and ask")
    assert not no_bid.wide


@pytest.mark.parametrize(
    ("asset", "bid", "ask", "wide"),
    [
        (OPTION, "0.01", "0.06", False),  # five cents are never wide
        (OPTION, "0.01", "0.07", True),
        (OPTION, "0.875", "1.125", False),  # exactly a quarter of the mid
        (OPTION, "0.874", "1.126", True),
        (STOCK, "4.00", "4.05", False),
        (STOCK, "4.00", "4.06", True),
        (STOCK, "99.50", "100.50", False),  # exactly one per cent
        (STOCK, "99.49", "100.51", True),
        (AssetClass.CRYPTO, "1", "9", False),
    ],
)
def test_a_spread_is_wide_beyond_its_limit(asset: AssetClass, bid: str, ask: str, *, wide: bool) -> None:
    assert is_wide(a_quote(CALL, bid, ask, NOON), asset) is wide


@pytest.mark.parametrize(("seconds", "settled"), [(59.9, False), (60, True)])
def test_wideness_settles_after_a_minute(seconds: float, *, settled: bool) -> None:
    prices = judged(a_quote(CALL, "0.50", "1.50", NOON), wide_for=dt.timedelta(seconds=seconds))
    assert prices.wide
    assert prices.wide_settled is settled


def test_a_narrow_spread_is_never_settled() -> None:
    assert not judged(aged(0), wide_for=dt.timedelta(hours=1)).wide_settled


PRICES = st.none() | st.decimals(allow_nan=True, allow_infinity=True)


@given(bid=PRICES, ask=PRICES, seconds=st.integers(-10_000, 10_000), asset=st.sampled_from(AssetClass))
def test_only_positive_finite_prices_pass_whatever_comes(
    bid: Decimal | None, ask: Decimal | None, seconds: int, asset: AssetClass
) -> None:
    prices = judged(Quote(CALL, bid, ask, NOON - dt.timedelta(seconds=seconds)), asset)
    for side in (prices.bid, prices.ask):
        assert side is None or (side.is_finite() and side > 0)
    assert bool(prices.problem) == (prices.mid is None)


@pytest.mark.parametrize(
    "quoted",
    [{"bid": "9.00", "ask": None}, {"bid": "9.00", "ask": "8.00"}, {"bid": "1.20", "ask": "3.00"}],
)
def test_a_stop_never_cites_an_unusable_quote(quoted: dict[str, str | None]) -> None:
    decision = the_decision(a_snapshot(a_holding(entry="100.00", **quoted)))  # type: ignore[arg-type]  the builder's words
    far_below = quoted["ask"] == "3.00"  # even the ask of a wide quote is below the stop
    assert (decision.state is DecisionState.CLOSING) == far_below


def test_an_old_quote_fires_nothing_and_says_so() -> None:
    decision = the_decision(a_snapshot(a_holding(bid="9.00", ask="9.10", quoted_at=at("11:40"))))
    assert (decision.state, decision.sentence) == (
        DecisionState.WATCHING,
        "quote is 1200 s old: no price rule can fire",
    )
