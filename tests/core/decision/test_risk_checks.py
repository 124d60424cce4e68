import datetime as dt
from decimal import Decimal

import pytest
from builders import CALL, a_holding, a_market, a_policy, a_snapshot, an_order, at, our_order, replace

from sellctl.core.config.schema import SellModuleConfig
from sellctl.core.decision.policy import Policy
from sellctl.core.decision.risk_checks import (
    MAX_NON_URGENT_ORDERS_PER_MINUTE,
    MAX_ORDERS_PER_MINUTE,
    REJECTS_IN_A_ROW,
    RETRY_AFTER_REJECTS,
    RiskContext,
    account_violations,
    remaining_qty,
    violations,
)
from sellctl.core.model.instrument import AssetClass
from sellctl.core.model.order import OrderType, PositionIntent, Side
from sellctl.core.model.plan import ExitSignal, Reason, SubmitOrder, Urgency
from sellctl.core.model.position import Holding, OrderCount, PositionState
from sellctl.core.model.snapshot import AccountFacts, Snapshot
from sellctl.core.structures.coverage import cover_of

HIGHER = "AAPL261218C00210000"


def an_exit_order(holding: Holding, limit: str | None = "1.00", qty: str | None = None) -> SubmitOrder:
    """The order that closes a holding, or a part of it."""
    is_long = holding.position.is_long
    return SubmitOrder(
        client_order_id="sellctl-new",
        symbol=holding.symbol,
        asset_class=AssetClass.OPTION,
        side=Side.SELL if is_long else Side.BUY,
        qty=Decimal(qty) if qty else holding.position.qty,
        type=OrderType.LIMIT if limit else OrderType.MARKET,
        limit_price=Decimal(limit) if limit else None,
        position_intent=PositionIntent.SELL_TO_CLOSE if is_long else PositionIntent.BUY_TO_CLOSE,
    )


def refused(
    holding: Holding,
    order: SubmitOrder | None = None,
    *,
    snapshot: Snapshot | None = None,
    policy: Policy | None = None,
    urgency: Urgency = Urgency.PROTECTIVE,
    reason: Reason = Reason.STOP_LOSS,
) -> tuple[str, ...]:
    """Why the order of an exit of this holding may not be sent."""
    snapshot = snapshot or a_snapshot(holding)
    policy = policy or a_policy()
    risk = RiskContext(
        signal=ExitSignal(holding, holding.position.qty, reason, "an exit", urgency),
        snapshot=snapshot,
        policy=policy,
        cover=cover_of(snapshot.holdings),
        account_violations=account_violations(snapshot, policy),
        open_orders=tuple(each for each in snapshot.orders if each.symbol == holding.symbol),
    )
    return violations(order or an_exit_order(holding), risk)


def test_an_exit_to_which_nothing_objects_is_sent() -> None:
    assert refused(a_holding()) == ()


# --- the account


@pytest.mark.parametrize(
    ("account", "why"),
    [
        (AccountFacts("main", "PA2"), "the key belongs to account PA2, the configuration has PA1"),
        (AccountFacts("other", "PA1"), "the snapshot is of other, the policy of main"),
        (AccountFacts("main", "PA1", paper=False), "the account is live, the configuration says paper"),
        (AccountFacts("main", "PA1", blocked="ACCOUNT_BLOCKED"), "trading is blocked by the broker: ACCOUNT_BLOCKED"),
    ],
)
def test_no_order_is_sent_to_an_account_that_is_not_the_configured_one_or_is_blocked(
    account: AccountFacts, why: str
) -> None:
    policy = replace(a_policy(), account_number="PA1")
    assert account_violations(a_snapshot(a_holding(), account=account), policy) == (why,)


def test_no_order_is_sent_while_the_market_is_closed() -> None:
    closed = replace(a_market(), is_open=False)
    assert account_violations(a_snapshot(a_holding(), market=closed), a_policy()) == ("the market is closed",)


def test_no_order_is_sent_on_positions_that_are_too_old() -> None:
    policy = a_policy()
    fresh = a_snapshot(a_holding())
    oldest = replace(fresh, positions_at=at("12:00") - policy.max_position_age)
    assert account_violations(oldest, policy) == ()
    too_old = replace(oldest, positions_at=oldest.positions_at - dt.timedelta(seconds=1))
    assert account_violations(too_old, policy) == ("positions were read 16 s ago, 15 s allowed",)


def test_what_forbids_every_order_of_the_account_forbids_each() -> None:
    closed = a_snapshot(a_holding(), market=replace(a_market(), is_open=False))
    assert refused(a_holding(), snapshot=closed) == ("the market is closed",)


# --- the order


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason is not Reason.PANIC])
def test_a_halt_stops_every_order_but_a_panics(reason: Reason) -> None:
    halted = replace(a_snapshot(a_holding()), halted="earnings tonight")
    (why,) = refused(a_holding(), snapshot=halted, reason=reason)
    assert "earnings tonight" in why
    assert refused(a_holding(), snapshot=halted, reason=Reason.PANIC) == ()


def test_a_position_that_differs_from_the_ledger_is_not_touched() -> None:
    assert refused(a_holding(state=PositionState(quarantine="1 more than our fills explain"))) == (
        "1 more than our fills explain",
    )


def test_a_second_order_waits_for_the_end_of_the_first_one() -> None:
    holding = a_holding()
    working = "an order of ours is still working (new)"
    assert refused(holding, snapshot=a_snapshot(holding, orders=(our_order(),))) == (working,)
    assert refused(holding, snapshot=a_snapshot(holding, history=(our_order(),))) == (working,)
    assert refused(holding, snapshot=a_snapshot(holding, history=(our_order(status="filled"),))) == ()
    assert refused(holding, snapshot=a_snapshot(holding, orders=(an_order(),))) == ()


@pytest.mark.parametrize(
    ("short", "limit", "allowed"),
    [
        (False, "1.70", True),  # 15% through a bid of 2.00
        (False, "1.69", False),
        (False, "9.00", True),
        (True, "2.41", True),  # 15% through an ask of 2.10
        (True, "2.42", False),
    ],
)
def test_a_limit_may_be_through_the_market_by_15_percent(short: bool, limit: str, allowed: bool) -> None:
    holding = a_holding(bid="2.00", ask="2.10", short=short)
    why = refused(holding, an_exit_order(holding, limit))
    assert (why == ()) is allowed, why
    assert refused(holding, an_exit_order(holding, limit), urgency=Urgency.FORCED) == ()


def test_under_33_cents_a_limit_may_be_five_cents_through_the_market() -> None:
    holding = a_holding(bid="0.10", ask="0.12")
    assert refused(holding, an_exit_order(holding, "0.05")) == ()
    assert refused(holding, an_exit_order(holding, "0.04")) == ("limit 0.04 is over 0.05 through 0.10",)


def test_a_limit_without_any_price_to_compare_it_with_is_refused() -> None:
    holding = a_holding(bid=None, ask=None)
    assert refused(holding) == ("no price to compare the limit with",)
    assert refused(holding, urgency=Urgency.FORCED) == ()


@pytest.mark.parametrize(
    ("urgency", "limits"),
    [
        (Urgency.FORCED, MAX_ORDERS_PER_MINUTE),
        (Urgency.PROTECTIVE, MAX_ORDERS_PER_MINUTE),
        (Urgency.TIME, MAX_NON_URGENT_ORDERS_PER_MINUTE),
        (Urgency.PROFIT, MAX_NON_URGENT_ORDERS_PER_MINUTE),
    ],
)
def test_orders_per_minute_are_limited_per_symbol_and_per_account(urgency: Urgency, limits: tuple[int, int]) -> None:
    target = an_exit_order(a_holding(), None)
    for is_one_too_many in (False, True):
        of_symbol, of_account = (limit - 1 + is_one_too_many for limit in limits)
        holding = a_holding(state=PositionState(order_count=OrderCount(of_symbol, of_symbol)))
        assert bool(refused(holding, target, urgency=urgency)) is is_one_too_many
        snapshot = replace(a_snapshot(a_holding()), order_count=OrderCount(of_account, of_account))
        assert bool(refused(a_holding(), target, snapshot=snapshot, urgency=urgency)) is is_one_too_many


def test_after_three_refusals_in_a_row_a_stop_waits_a_minute_between_two_tries() -> None:
    def after(rejects: int, pause: dt.timedelta) -> tuple[str, ...]:
        return refused(a_holding(state=PositionState(rejects=rejects, rejected_for=pause)))

    assert after(REJECTS_IN_A_ROW - 1, dt.timedelta(0)) == ()
    assert len(after(REJECTS_IN_A_ROW, RETRY_AFTER_REJECTS - dt.timedelta(seconds=1))) == 1
    assert after(REJECTS_IN_A_ROW, RETRY_AFTER_REJECTS) == ()


def test_a_long_that_covers_a_short_is_not_closed_alone() -> None:
    long, short = a_holding(CALL, "3"), a_holding(HIGHER, "2", short=True)
    spread = a_snapshot(long, short)
    assert refused(long, an_exit_order(long, qty="1"), snapshot=spread) == ()
    assert refused(long, an_exit_order(long, qty="2"), snapshot=spread) == (
        f"2 of it cover {HIGHER}, which closes first",
    )
    assert refused(short, an_exit_order(short), snapshot=spread) == ()
    legging_out = replace(a_policy(SellModuleConfig()), allow_legging_out=True)
    assert refused(long, snapshot=spread, policy=legging_out) == ()


@pytest.mark.parametrize(("left", "remaining"), [(None, "5"), ("2", "2"), ("9", "5"), ("0", "0")])
def test_fills_that_the_position_does_not_show_yet_are_gone(left: str | None, remaining: str) -> None:
    state = PositionState(qty_left=None if left is None else Decimal(left))
    assert remaining_qty(a_holding(qty="5", state=state)) == Decimal(remaining)
