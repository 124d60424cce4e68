from decimal import Decimal

import pytest
from builders import CALL, TODAYS_CALL, a_holding, a_market, a_policy, a_snapshot, an_exit, replace, the_decision
from hypothesis import assume, given
from hypothesis import strategies as st

from sellctl.core.config.schema import ExecutionConfig, Style
from sellctl.core.decision.context import DecisionContext
from sellctl.core.decision.pricing import CENT, SUBPENNY, NoPriceError, Rung, ladder, price_step, tick_of
from sellctl.core.decision.risk_checks import COLLAR
from sellctl.core.model.order import OrderType
from sellctl.core.model.plan import DecisionState, ExitSignal, Reason, Urgency
from sellctl.core.model.position import Holding

SPY = "SPY261218C00600000"
TOUCH, THROUGH, MARKET = Rung.TOUCH, Rung.THROUGH, Rung.MARKET


def judged(holding: Holding) -> Holding:
    return DecisionContext.of(a_snapshot(holding), a_policy()).holdings[0]


def a_signal(holding: Holding, urgency: Urgency, worst_price: str | None = None) -> ExitSignal:
    limit = None if worst_price is None else Decimal(worst_price)
    return ExitSignal(judged(holding), holding.position.qty, Reason.STOP_LOSS, "why", urgency, worst_price=limit)


def limit_of(signal: ExitSignal, step: int = 1, style: Style = Style.SMART) -> str:
    price = price_step(signal, step, style, protective_market=False).limit
    return "market" if price is None else f"{price:f}"


@pytest.mark.parametrize(
    ("urgency", "protective_market", "rungs"),
    [
        (Urgency.FORCED, False, (TOUCH, TOUCH, TOUCH, THROUGH, MARKET)),
        (Urgency.PROTECTIVE, False, (TOUCH, TOUCH, TOUCH, THROUGH)),
        (Urgency.PROTECTIVE, True, (TOUCH, TOUCH, TOUCH, THROUGH, MARKET)),
        (Urgency.TIME, True, (TOUCH, TOUCH, TOUCH, THROUGH)),
        (Urgency.PROFIT, True, (TOUCH,)),
    ],
)
def test_each_class_has_its_ladder(urgency: Urgency, rungs: tuple[Rung, ...], *, protective_market: bool) -> None:
    assert ladder(urgency, Style.SMART, protective_market=protective_market) == rungs
    assert ladder(urgency, Style.MARKET, protective_market=protective_market) == (MARKET,)


@pytest.mark.parametrize(
    ("urgency", "steps"),
    [
        (Urgency.FORCED, ["2.00", "2.00", "2.00", "1.80", "market", "market"]),
        (Urgency.PROTECTIVE, ["2.00", "2.00", "2.00", "1.80", "1.80"]),
        (Urgency.TIME, ["2.00", "2.00", "2.00", "1.80", "1.80"]),
        (Urgency.PROFIT, ["2.00", "2.00"]),
    ],
)
def test_a_sale_walks_down_its_ladder_and_stays_on_the_last_step(urgency: Urgency, steps: list[str]) -> None:
    signal = a_signal(a_holding(bid="2.00", ask="2.10"), urgency)
    assert [limit_of(signal, step) for step in range(1, len(steps) + 1)] == steps


def test_a_cover_walks_up() -> None:
    signal = a_signal(a_holding(bid="2.00", ask="2.10", short=True), Urgency.PROTECTIVE)
    assert [limit_of(signal, step) for step in (1, 4)] == ["2.10", "2.35"]  # 2.31, on the nickel towards the fill


@pytest.mark.parametrize(
    ("symbol", "bid", "ask", "tick"),
    [
        ("AAPL", "1.00", "1.01", "0.01"),
        ("AAPL", "0.9999", "1.01", "0.0001"),
        (CALL, "2.95", "3.05", "0.01"),  # only the penny programme has 3.05
        (CALL, "3.00", "3.10", "0.1"),
        (CALL, "3.05", "3.15", "0.05"),  # the quote itself is finer
        (CALL, "3.01", "3.15", "0.05"),  # nothing above three dollars is finer than a nickel
        (CALL, "1.00", "1.02", "0.01"),
        (SPY, "5.00", "5.10", "0.01"),  # always a cent
        ("SPY1261218C00600000", "5.00", "5.10", "0.1"),  # an adjusted root isn't SPY
    ],
)
def test_the_tick_is_the_coarser_one_unless_the_quote_is_finer(symbol: str, bid: str, ask: str, tick: str) -> None:
    holding = judged(a_holding(symbol, bid=bid, ask=ask))
    assert tick_of(holding, Decimal(bid)) == Decimal(tick)


@pytest.mark.parametrize(
    ("short", "urgency", "expected"),
    [
        (False, Urgency.PROTECTIVE, "10.00"),  # towards the fill
        (False, Urgency.TIME, "10.00"),
        (True, Urgency.PROTECTIVE, "10.02"),
        (True, Urgency.TIME, "10.02"),
    ],
)
def test_limits_round_towards_the_fill_which_costs_nothing(urgency: Urgency, expected: str, *, short: bool) -> None:
    off_grid = a_holding("AAPL", bid="10.005", ask="10.015", short=short)
    assert limit_of(a_signal(off_grid, urgency)) == expected


CENTS = st.integers(1, 2000).map(lambda cents: Decimal(cents) / 100)


@given(
    symbol=st.sampled_from([CALL, SPY, "AAPL"]),
    bid=CENTS,
    spread=st.integers(0, 200).map(lambda cents: Decimal(cents) / 100),
    urgency=st.sampled_from(Urgency),
    step=st.integers(1, 6),
    short=st.booleans(),
    worst_price=st.none() | CENTS,
)
def test_every_limit_is_on_its_grid_on_the_right_side_and_within_the_collar(
    *, symbol: str, bid: Decimal, spread: Decimal, urgency: Urgency, step: int, short: bool, worst_price: Decimal | None
) -> None:
    holding = a_holding(symbol, bid=str(bid), ask=str(bid + spread), short=short)
    worst_price = worst_price if urgency is Urgency.PROFIT else None
    signal = a_signal(holding, urgency, None if worst_price is None else str(worst_price))
    price = price_step(signal, step, Style.SMART, protective_market=True).limit
    assume(price is not None)
    assert price is not None
    side = bid + spread if short else bid
    worse = price - side if short else side - price  # how far through the market it goes
    assert price > 0
    assert price % (SUBPENNY if symbol == "AAPL" and price < 1 else CENT) == 0
    assert worse <= max(side * COLLAR, Decimal("0.10"))
    if worst_price is None:
        assert worse >= 0
    else:
        assert price <= worst_price if short else price >= worst_price


def test_a_target_is_sold_at_the_bid_but_never_below_the_price_that_met_it() -> None:
    holding = a_holding(bid="1.20", ask="1.22")
    assert limit_of(a_signal(holding, Urgency.PROFIT, "1.10")) == "1.20"
    assert limit_of(a_signal(holding, Urgency.PROFIT, "1.214")) == "1.22"
    short = a_holding(bid="0.80", ask="0.82", short=True)
    assert limit_of(a_signal(short, Urgency.PROFIT, "0.90")) == "0.82"
    assert limit_of(a_signal(short, Urgency.PROFIT, "0.816")) == "0.81"


# --- without a price --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [1, 5])
@pytest.mark.parametrize(("ask", "limit"), [("0.05", "0.05"), ("0.03", "0.01")])
def test_a_forced_sale_that_nobody_bids_for_rests_at_one_tick(ask: str, limit: str, step: int) -> None:
    assert limit_of(a_signal(a_holding(bid=None, ask=ask), Urgency.FORCED), step) == limit


def test_a_forced_exit_in_an_outage_goes_to_market() -> None:
    for short in (False, True):
        assert limit_of(a_signal(a_holding(bid=None, ask=None, short=short), Urgency.FORCED)) == "market"


def test_a_cover_without_an_ask_goes_to_market_when_forced() -> None:
    assert limit_of(a_signal(a_holding(bid="1.00", ask=None, short=True), Urgency.FORCED)) == "market"


@pytest.mark.parametrize("style", Style)
@pytest.mark.parametrize("urgency", [Urgency.PROTECTIVE, Urgency.TIME, Urgency.PROFIT])
def test_any_other_exit_waits_for_a_bid(urgency: Urgency, style: Style) -> None:
    with pytest.raises(NoPriceError, match=r"no price to send it at \(no bid\)"):
        limit_of(a_signal(a_holding(bid=None, ask="0.05"), urgency), style=style)


def test_a_time_exit_falls_back_on_the_quote_as_it_came_and_then_on_the_brokers_price() -> None:
    crossed = a_holding(bid="2.00", ask="1.50")
    assert limit_of(a_signal(crossed, Urgency.TIME)) == "2.00"
    unquoted = a_holding(bid=None, ask=None)
    priced = replace(unquoted, position=replace(unquoted.position, current_price=Decimal("1.00")))
    assert limit_of(a_signal(priced, Urgency.TIME)) == "1.00"
    with pytest.raises(NoPriceError):
        limit_of(a_signal(priced, Urgency.PROFIT))


@pytest.mark.parametrize("price", ["0", "-1", "NaN", "Infinity"])
def test_a_price_of_the_brokers_that_is_none_is_not_fallen_back_on(price: str) -> None:
    unquoted = a_holding(bid=None, ask=None)
    strange = replace(unquoted, position=replace(unquoted.position, current_price=Decimal(price)))
    with pytest.raises(NoPriceError, match=r"no price to send it at \(no quote\)"):
        limit_of(a_signal(strange, Urgency.TIME))


def test_a_zero_day_exit_without_any_price_is_denied_until_final_and_then_goes_to_market() -> None:
    def at_time(clock: str) -> tuple[DecisionState, OrderType | None]:
        decision = the_decision(a_snapshot(a_holding(TODAYS_CALL, bid=None, ask=None), market=a_market(clock)))
        return decision.state, decision.submit.type if decision.submit else None

    assert at_time("14:55") == (DecisionState.DENIED, None)
    assert at_time("15:05") == (DecisionState.DENIED, None)
    assert at_time("15:10") == (DecisionState.CLOSING, OrderType.MARKET)


def test_the_sentence_says_what_is_sent_and_which_step_it_is() -> None:
    stop = a_holding(bid="2.00", ask="2.10", entry="3.00", state=an_exit(1, step=1))
    assert the_decision(a_snapshot(stop)).sentence.endswith("sell 1 limit $2.00 (price 2 of 4)")
    protective_market = a_policy(execution=ExecutionConfig(protective_market=True))
    last = the_decision(a_snapshot(replace(stop, state=an_exit(1, step=9))), protective_market)
    assert last.sentence.endswith("sell 1 at market (price 5 of 5)")
