import datetime as dt
from decimal import Decimal

import pytest
from builders import CALL, a_holding, a_market, a_policy, a_snapshot, an_exit, an_order, at, our_order, replace

from sellctl.core.config.schema import CancelScope, ExcludeConfig, ManageConfig, Preempt, SellModuleConfig
from sellctl.core.decision.engine import decide
from sellctl.core.model.order import Order, OrderType, PositionIntent
from sellctl.core.model.snapshot import AccountFacts, Snapshot

OLD = at("11:57")  # three minutes before noon
SELLS, OWN, ALL = (SellModuleConfig(order_cancel_scope=scope) for scope in CancelScope)


def stale(snapshot: Snapshot, sell: SellModuleConfig = SELLS) -> list[str]:
    return [cancel.order.client_order_id for cancel in decide(snapshot, a_policy(sell)).stale]


@pytest.mark.parametrize(
    ("submitted", "expected"),
    [(at("11:57:00.001"), []), (at("11:57"), ["by-hand"]), (at("11:00"), ["by-hand"]), (at("12:01"), [])],
)
def test_an_order_is_stale_at_its_age(submitted: dt.datetime, expected: list[str]) -> None:
    assert stale(a_snapshot(a_holding(), orders=(an_order(submitted=submitted),))) == expected


def test_only_polls_cancel_stale_orders() -> None:
    snapshot = a_snapshot(a_holding(), orders=(an_order(submitted=OLD),))
    assert stale(snapshot) == ["by-hand"]
    assert stale(replace(snapshot, on_tick=True)) == []  # the plan that is recorded says the same


def test_the_age_counts_from_the_open_for_orders_sent_before_it() -> None:
    overnight = an_order(submitted=at("04:00"))
    assert stale(a_snapshot(a_holding(), orders=(overnight,), market=a_market("09:32:59"))) == []
    assert stale(a_snapshot(a_holding(), orders=(overnight,), market=a_market("09:33"))) == ["by-hand"]


def test_the_minutes_are_the_configurations_and_the_sentence_names_both() -> None:
    snapshot = a_snapshot(a_holding(), orders=(an_order(submitted=at("11:50")),))
    (cancel,) = decide(snapshot, a_policy(SellModuleConfig(order_cancel_minutes=Decimal("7.5")))).stale
    assert cancel.why == "stale: 10 min old, 7.5 min allowed"


def test_nothing_is_stale_while_the_market_is_closed_or_the_open_is_unknown() -> None:
    orders = (an_order(submitted=OLD),)
    assert stale(a_snapshot(a_holding(), orders=orders, market=a_market("17:00"))) == []
    unknown = replace(a_market(), opened_at=None)
    assert stale(a_snapshot(a_holding(), orders=orders, market=unknown)) == []


def test_an_order_of_unknown_age_is_left_alone() -> None:
    assert stale(a_snapshot(a_holding(), orders=(replace(an_order(), submitted_at=None),))) == []


OTHERS_SELL = an_order(submitted=OLD, client_order_id="sell")
OTHERS_BUY = an_order(side="buy", submitted=OLD, client_order_id="buy", position_intent=PositionIntent.BUY_TO_OPEN)
OURS = replace(our_order(submitted=OLD), client_order_id="sellctl-1")


@pytest.mark.parametrize(
    ("sell", "expected"),
    [(SELLS, {"sell", "sellctl-1"}), (OWN, {"sellctl-1"}), (ALL, {"sell", "sellctl-1", "buy"})],
)
def test_the_scope_says_whose_orders_are_cancelled(sell: SellModuleConfig, expected: set[str]) -> None:
    orders = (OTHERS_SELL, OTHERS_BUY, OURS)
    assert set(stale(a_snapshot(a_holding(qty="5"), orders=orders), sell)) == expected


@pytest.mark.parametrize(
    "untouchable",
    [
        replace(OTHERS_SELL, time_in_force="gtc"),
        replace(OTHERS_SELL, order_class="bracket"),
        replace(OTHERS_SELL, order_class="mleg", legs=(OTHERS_SELL,)),
        replace(OTHERS_SELL, side=None),
        replace(OTHERS_SELL, status="pending_cancel"),
        replace(OTHERS_SELL, status="filled"),
        replace(OTHERS_SELL, status="a_status_of_tomorrow"),
        *(replace(OTHERS_SELL, type=kind) for kind in OrderType if kind not in {OrderType.LIMIT, OrderType.MARKET}),
    ],
)
def test_complex_and_lasting_orders_are_never_stale(untouchable: Order) -> None:
    assert stale(a_snapshot(a_holding(), orders=(untouchable,)), ALL) == []


def test_an_order_that_opens_or_closes_nothing_held_is_left_alone_unless_all() -> None:
    opening = replace(OTHERS_SELL, position_intent=PositionIntent.SELL_TO_OPEN)
    assert stale(a_snapshot(a_holding(), orders=(opening,))) == []
    assert stale(a_snapshot(orders=(OTHERS_SELL,))) == []
    assert stale(a_snapshot(orders=(OTHERS_SELL,)), ALL) == ["sell"]


def test_a_running_exit_is_never_stale_besides() -> None:
    running = replace(our_order(submitted=OLD), limit_price=Decimal("0.75"))
    holding = a_holding(bid="1.00", ask="1.02", state=an_exit(1, seconds=200))
    assert stale(a_snapshot(holding, orders=(running,))) == []


def test_an_order_that_an_exit_cancels_anyway_is_cancelled_once() -> None:
    holding = a_holding(bid="0.70", ask="0.72", available="0")
    taking_over = SellModuleConfig(take_over=Preempt.PROTECTIVE)
    plan = decide(a_snapshot(holding, orders=(OTHERS_SELL,)), a_policy(taking_over))
    assert [cancel.order for cancel in plan.cancels] == [OTHERS_SELL]


def test_what_is_excluded_is_not_touched_not_even_its_orders() -> None:
    for entry in (ExcludeConfig(symbol=(CALL,)), ExcludeConfig(underlying=("AAPL",)), ExcludeConfig(account=("main",))):
        sell = SellModuleConfig(order_cancel_scope=CancelScope.ALL, manage=ManageConfig(exclude=(entry,)))
        assert stale(a_snapshot(a_holding(), orders=(OTHERS_SELL, OTHERS_BUY)), sell) == []


def test_nothing_is_cancelled_on_another_account_than_the_configured_one() -> None:
    other = AccountFacts("other", "PA9")
    assert stale(a_snapshot(a_holding(), orders=(OTHERS_SELL,), account=other)) == []
