"""The wide stop at the broker: what it should be, when it is placed, renewed and taken away, and who waits for whom."""

import datetime as dt
from decimal import Decimal

import pytest
from builders import CALL, a_holding, a_market, a_policy, a_snapshot, an_order, at, our_order, replace, the_decision

from sellctl.core.config.schema import (
    AssetKind,
    BackstopConfig,
    ExcludeConfig,
    ExecutionConfig,
    ManageConfig,
    SellModuleConfig,
    StrategyOneConfig,
)
from sellctl.core.decision.engine import decide
from sellctl.core.decision.policy import Policy
from sellctl.core.model.order import Order, OrderType
from sellctl.core.model.plan import DecisionState, PositionDecision, StopTerms
from sellctl.core.model.position import BackstopState, Holding, PositionState
from sellctl.core.model.snapshot import InvalidRow
from sellctl.core.orders.client_order_ids import attempt_number, backstop_id, client_order_id

BOTH = StrategyOneConfig(applies_to=(AssetKind.OPTION, AssetKind.STOCK))
HALF = BackstopConfig(Decimal("0.5"))


def with_a(backstop: BackstopConfig = HALF, **sell: object) -> Policy:
    return a_policy(SellModuleConfig(strategy_one=BOTH, **sell), ExecutionConfig(backstop=backstop))  # type: ignore[arg-type]


def a_backstop(symbol: str = CALL, qty: str = "1", stop: str = "0.50", n: int = 1, **more: object) -> Order:
    name = backstop_id("PA1", symbol, at("12:00").date(), n)
    more = {"type": OrderType.STOP, "stop_price": Decimal(stop), "updated_at": at("11:59")} | more
    return an_order(symbol, qty=qty, limit=None, client_order_id=name, **more)  # type: ignore[arg-type]


def rests_on(holding: Holding, *resting: Order, policy: Policy | None = None, **more: object) -> PositionDecision:
    """The verdict while these orders stand at the broker."""
    held = sum((order.leaves_qty for order in resting if order.symbol == holding.symbol), Decimal(0))
    position = replace(holding.position, available=holding.position.qty - held)
    snapshot = a_snapshot(replace(holding, position=position), orders=resting, history=resting)
    return the_decision(replace(snapshot, **more), policy or with_a())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("holding", "backstop", "terms", "qty"),
    [
        (a_holding(qty="5"), HALF, StopTerms("day", Decimal("0.50")), "5"),
        (a_holding(qty="5", entry="3.33", bid="3.30", ask="3.35"), HALF, StopTerms("day", Decimal("1.65")), "5"),
        (a_holding("MSFT", "7", "100", bid="99", ask="99.02"), HALF, StopTerms("gtc", Decimal("50.00")), "7"),
        (a_holding("MSFT", "7.5", "100", bid="99", ask="99.02"), HALF, StopTerms("day", Decimal("50.00")), "7.5"),
        (
            a_holding("MSFT", "7.5", "100", bid="99", ask="99.02"),
            BackstopConfig(trail=Decimal("0.3")),
            StopTerms("gtc", trail_percent=Decimal(30)),
            "7",
        ),
    ],
)
def test_a_long_gets_what_alpaca_takes_under_it(
    holding: Holding, backstop: BackstopConfig, terms: StopTerms, qty: str
) -> None:
    order = the_decision(a_snapshot(holding), with_a(backstop)).backstop
    assert order is not None
    assert StopTerms(order.time_in_force, order.stop_price, order.trail_percent) == terms
    assert (order.qty, order.side, order.limit_price) == (Decimal(qty), "sell", None)


@pytest.mark.parametrize(
    "holding",
    [
        a_holding(short=True),
        a_holding(entry=None),
        a_holding(bid="0.45", ask="0.46", entry="1.00", state=PositionState(quarantine="nobody can explain it")),
        a_holding(state=PositionState(suspended="looks like a split")),
        a_holding(state=PositionState(unresolved=Decimal(1))),
        a_holding(state=PositionState(backstop=BackstopState(refused=True))),
        a_holding(state=PositionState(backstop=BackstopState(paused=True))),
        a_holding(bid=None),
        a_holding("MSFT", "0.5", "100", bid="99", ask="99.02", available="0"),
    ],
)
def test_what_is_in_doubt_or_no_long_gets_none(holding: Holding) -> None:
    assert the_decision(a_snapshot(holding), with_a()).backstop is None


def test_a_market_that_would_touch_it_at_once_gets_none() -> None:
    policy = with_a(BackstopConfig(Decimal("0.25")))
    assert the_decision(a_snapshot(a_holding(bid="0.75", ask="1.00")), policy).backstop is None
    assert the_decision(a_snapshot(a_holding(bid="0.80", ask="1.00")), policy).backstop is not None


def test_nothing_is_placed_under_a_halt_after_the_close_or_on_a_tick() -> None:
    snapshot = a_snapshot(a_holding())
    assert the_decision(snapshot, with_a()).backstop is not None
    assert the_decision(replace(snapshot, halted="by hand"), with_a()).backstop is None
    assert the_decision(replace(snapshot, on_tick=True), with_a()).backstop is None
    assert the_decision(a_snapshot(a_holding(), market=a_market("16:30")), with_a()).backstop is None


def test_what_covers_a_short_gets_none_and_loses_the_one_it_has() -> None:
    long, short = a_holding(qty="2"), a_holding("AAPL261218C00210000", "1", short=True)
    assert the_decision(a_snapshot(long, short), with_a(), CALL).backstop is None
    decision = the_decision(a_snapshot(long, short, orders=(a_backstop(qty="2"),)), with_a(), CALL)
    assert [cancel.why for cancel in decision.cancel_first] == ["backstop: it no longer applies"]


def test_what_rests_and_fits_stays() -> None:
    decision = rests_on(a_holding(qty="5"), a_backstop(qty="5"))
    assert (decision.state, decision.backstop, decision.cancel_first) == (DecisionState.WATCHING, None, ())
    assert decision.sentence.endswith("backstop at the broker: 5 stop $0.50 (day)")


@pytest.mark.parametrize(
    ("holding", "resting", "why"),
    [
        (a_holding(qty="6"), a_backstop(qty="5"), "the quantity has changed"),
        (a_holding(qty="4"), a_backstop(qty="5"), "the quantity has changed"),
        (a_holding(entry="0.95"), a_backstop(), "1 stop $0.50 (day) should be stop $0.45 (day)"),
        (a_holding(), a_backstop(type=OrderType.STOP_LIMIT), "its type has changed"),
    ],
)
def test_what_does_not_fit_any_more_ends_so_that_another_can_follow(holding: Holding, resting: Order, why: str) -> None:
    decision = rests_on(holding, resting)
    assert [cancel.why for cancel in decision.cancel_first] == [f"backstop: {why}"]
    assert decision.backstop is None


@pytest.mark.parametrize(
    ("policy", "more"),
    [
        (with_a(BackstopConfig()), {}),
        (with_a(BackstopConfig(Decimal("0.5"), assets=(AssetKind.STOCK,))), {}),
        (with_a(), {"exempt": frozenset({"AAPL"})}),
        (with_a(manage=ManageConfig((ExcludeConfig(underlying=("AAPL",)),))), {}),
    ],
)
def test_what_is_not_wanted_any_more_is_taken_away(policy: Policy, more: dict[str, object]) -> None:
    decision = rests_on(a_holding(), a_backstop(), policy=policy, **more)
    assert [cancel.why for cancel in decision.cancel_first] == ["backstop: it no longer applies"]


def test_under_a_position_that_is_gone_it_ends_unless_a_row_could_not_be_read() -> None:
    snapshot = a_snapshot(orders=(a_backstop(),))
    assert [cancel.why for cancel in decide(snapshot, with_a()).stale] == ["backstop: its position is closed"]
    assert not decide(replace(snapshot, invalid=(InvalidRow("", "?"),)), with_a()).stale


@pytest.mark.parametrize(("ended", "seconds"), [(1, 15), (2, 30), (3, 60), (9, 300)])
def test_each_that_ended_today_doubles_the_wait_for_the_next(ended: int, seconds: int) -> None:
    gone_at = at("12:00") - dt.timedelta(seconds=seconds)
    for since, comes in ((gone_at + dt.timedelta(seconds=1), False), (gone_at, True)):
        gone = tuple(a_backstop(n=n, status="canceled", updated_at=since) for n in range(1, ended + 1))
        order = the_decision(a_snapshot(a_holding(), history=gone), with_a()).backstop
        assert (order is not None) is comes
        if order:
            assert order.client_order_id == backstop_id("PA1", CALL, at("12:00").date(), ended + 1)


def test_its_ids_are_a_family_of_their_own() -> None:
    day = at("12:00").date()
    assert backstop_id("PA1", CALL, day, 1).startswith("sellctl-backstop-")
    assert backstop_id("PA1", CALL, day, 1) != client_order_id("PA1", CALL, day, 1)
    assert attempt_number([a_backstop(status="canceled"), our_order(status="canceled")]) == 2


def test_of_options_one_is_asked_for_until_one_rests() -> None:
    other = "AAPL261218C00205000"
    one, two, stock = a_holding(), a_holding(other), a_holding("MSFT", "7", "100", bid="99", ask="99.02")
    first = decide(a_snapshot(one, two, stock), with_a())
    assert {decision.holding.symbol for decision in first.backstops} == {CALL, "MSFT"}
    held = replace(one, position=replace(one.position, available=Decimal(0)))
    later = decide(a_snapshot(held, two, stock, orders=(a_backstop(),)), with_a())
    assert {decision.holding.symbol for decision in later.backstops} == {other, "MSFT"}


def test_without_todays_orders_nothing_is_placed_and_they_are_asked_for() -> None:
    plan = decide(a_snapshot(a_holding(), history=None), with_a())
    assert (plan.needs_history, plan.backstops) == ({CALL}, ())


@pytest.mark.parametrize(("bid", "ask"), [("1.10", "1.12"), ("0.70", "0.72")])
def test_an_exit_cancels_it_first_and_sends_nothing_beside_it(bid: str, ask: str) -> None:
    decision = rests_on(a_holding(qty="5", bid=bid, ask=ask), a_backstop(qty="5"))
    assert (decision.state, decision.submit) == (DecisionState.CLOSING, None)
    assert [cancel.order.client_order_id for cancel in decision.cancel_first] == [a_backstop().client_order_id]
    assert not decision.alert
    waits = rests_on(a_holding(qty="5", bid=bid, ask=ask), a_backstop(qty="5", status="pending_cancel"))
    assert (waits.submit, waits.cancel_first) == (None, ())
    assert "waiting until the broker has cancelled the backstop" in waits.sentence


def test_an_exit_that_a_guard_refuses_leaves_it_where_it_is() -> None:
    rejected = PositionState(rejects=3, rejected_for=dt.timedelta(seconds=5))
    decision = rests_on(a_holding(bid="0.70", ask="0.72", state=rejected), a_backstop())
    assert (decision.state, decision.cancel_first) == (DecisionState.DENIED, ())


def test_an_exit_is_not_sent_until_its_position_shows_what_the_backstop_took() -> None:
    state = PositionState(filled_at=at("11:59:55"))
    decision = the_decision(a_snapshot(a_holding(qty="5", bid="0.70", ask="0.72", state=state)), with_a())
    assert decision.submit is None
    assert "just filled" in decision.sentence


def test_it_is_never_an_exit_under_way_nor_stale() -> None:
    plan = decide(a_snapshot(a_holding(), orders=(a_backstop(submitted=at("09:31")),), history=None), with_a())
    assert not plan.stale
    assert plan.decisions[0].state is DecisionState.WATCHING


def test_beside_a_purchase_of_the_users_it_is_not_even_tried() -> None:
    buy = an_order(side="buy", limit="0.90")
    assert rests_on(a_holding(), replace(buy, position_intent=None)).backstop is None
