"""A structure leaves as one order for all its legs, which walks on the net price like a single order."""

import datetime as dt
from decimal import Decimal

import pytest
from builders import a_quote, an_order, at, our_order, replace
from one_order_builders import (
    AT_NOON,
    CONDOR,
    LONG,
    SHORT,
    VERTICAL,
    a_credit,
    a_debit,
    a_leg,
    a_scene,
    busy,
    decided,
    percent,
    ruled,
    sent,
    the_order,
    under_way,
)
from structure_builders import a_multi_leg_order, call, put

from sellctl.core.config.schema import Preempt, ShortAction, ShortPositionsConfig
from sellctl.core.decision.engine import decide
from sellctl.core.model.instrument import StructureKind
from sellctl.core.model.order import OrderType, Side
from sellctl.core.model.plan import DecisionState, Reason, Urgency
from sellctl.core.model.position import Holding
from sellctl.core.orders.client_order_ids import client_order_id

OURS = {LONG: 1, SHORT: -1}


def ours(units: str = "2", limit: str = "-3.95", **more: object) -> object:
    return a_multi_leg_order(OURS, units, limit=limit, client_order_id="sellctl-abc", **more)  # type: ignore[arg-type]


def test_all_legs_leave_by_one_order_that_the_first_short_leg_sends_and_the_others_name() -> None:
    decisions = decided(a_scene(*CONDOR), AT_NOON)
    assert {each.state for each in decisions.values()} == {DecisionState.CLOSING}
    (lead,) = (each for each in decisions.values() if each.submit)
    assert lead.holding.symbol == call(210)
    assert lead.submit is not None
    assert [(leg.symbol, leg.ratio, leg.side) for leg in lead.submit.legs] == [
        (call(210), 1, Side.BUY),
        (call(220), 1, Side.SELL),
        (put(170), 1, Side.SELL),
        (put(180), 1, Side.BUY),
    ]
    for symbol in (put(170), put(180), call(220)):
        assert f"(all legs of {lead.submit.symbol}, with {call(210)})" in decisions[symbol].sentence
    assert "as one order for 4 legs" in lead.sentence


def test_the_limit_of_a_debit_structure_is_a_credit_and_the_other_way_round() -> None:
    debit, credit = the_order(a_scene(*a_debit())), the_order(a_scene(*a_credit()))
    assert (debit.side, debit.qty, debit.limit_price) == (Side.SELL, 2, Decimal("-4.00"))  # mid 3.96 on a nickel
    assert (credit.side, credit.qty, credit.limit_price) == (Side.BUY, 2, Decimal("3.95"))
    assert (debit.symbol, credit.symbol) == (VERTICAL, VERTICAL)


def test_its_id_is_that_of_the_structure_and_of_the_orders_for_exactly_its_legs_that_have_ended_today() -> None:
    day = at("12:00").date()
    assert the_order(a_scene(*a_debit())).client_order_id == client_order_id("PA1", VERTICAL, day, 1)
    ended = ours(status="canceled", submitted=at("11:00"))
    others = (our_order(LONG, status="canceled"), a_multi_leg_order({LONG: 1, call(220): 1}, status="canceled"))
    history = {LONG: (ended, *others), SHORT: (ended,)}
    assert the_order(replace(a_scene(*a_debit()), history=history)).client_order_id == client_order_id(
        "PA1", VERTICAL, day, 2
    )


def test_it_needs_todays_orders_of_every_leg() -> None:
    plan = decide(replace(a_scene(*a_debit()), history={SHORT: ()}), AT_NOON)
    assert plan.needs_history == {LONG}
    assert plan.sendable.submits == ()


@pytest.mark.parametrize(
    ("step", "limit"),
    [(1, "-4.00"), (2, "-3.95"), (3, "-3.90"), (4, "-3.90"), (5, "-3.90"), (6, "-3.50"), (9, "-3.50")],
)
def test_it_walks_from_the_net_mid_to_the_natural_price_and_then_through_it_by_a_bounded_amount(
    step: int, limit: str
) -> None:
    legs = under_way(*a_debit(), step=step - 1) if step > 1 else a_debit()
    assert the_order(a_scene(*legs)).limit_price == Decimal(limit)


def test_a_vertical_never_costs_more_than_its_width_unless_it_is_forced() -> None:
    wide = a_credit(ask="13.00")  # the natural price is a debit of 10.92
    limits = [the_order(a_scene(*under_way(*wide, step=step))).limit_price for step in range(1, 12)]
    assert max(limits) == Decimal("10.00")
    forced = a_scene(*wide, panic=frozenset({LONG, SHORT}))
    assert the_order(forced).limit_price == Decimal("10.95")


BOUNDS = {
    "a condor whose sides are of two widths": ({put(175): 1, put(180): -1, call(210): -1, call(220): 1}, "10.00"),
    "an iron butterfly": ({put(190): 1, put(200): -1, call(200): -1, call(207): 1}, "10.00"),
    "a butterfly that was sold": ({call(190): -1, call(200): 2, call(210): -1}, "10.00"),
    "a ratio of puts, which can't fall below nothing": ({put(200): 1, put(190): -2}, None),
    "a calendar, which has no bound": ({call(200, "270115"): -1, call(200): 1}, None),
    "a straddle that was sold, which has none": ({call(200): -1, put(200): -1}, None),
}


@pytest.mark.parametrize("name", BOUNDS)
def test_a_structure_never_costs_more_than_it_can_at_expiration_where_that_is_bounded(name: str) -> None:
    held, bound = BOUNDS[name]
    quotes = {True: ("1.00", "1.10"), False: ("29.90", "30.00")}  # all long legs are cheap, and all short ones dear
    legs = [a_leg(symbol, qty, "2.00" if qty > 0 else "9.00", *quotes[qty > 0]) for symbol, qty in held.items()]
    ignoring = ruled(sell={"short_positions": ShortPositionsConfig(ShortAction.IGNORE)}, exit_at=dt.time(11))
    limits = [the_order(a_scene(*under_way(*legs, step=step)), ignoring).limit_price for step in range(1, 10)]
    costs = max(limit for limit in limits if limit is not None)
    assert costs == Decimal(bound) if bound else costs > 20


def test_a_forced_exit_ends_with_a_market_order() -> None:
    legs = under_way(*a_debit(), step=4, urgency=0)
    order = the_order(a_scene(*legs, panic=frozenset({LONG, SHORT})))
    assert (order.type, order.limit_price) == (OrderType.MARKET, None)


def test_a_target_never_leaves_below_the_price_that_met_it() -> None:
    target = ruled(take_profit=percent(94))  # at a net of 3.88
    limits = [the_order(a_scene(*under_way(*a_debit(), step=step, urgency=3)), target).limit_price for step in range(9)]
    assert max(limits) == Decimal("-3.90")
    half = ruled(take_profit=percent(50))
    cheap = (a_leg(LONG, -1, "5.00", "1.98", "2.00"), a_leg(SHORT, 1, "3.00", "1.00", "1.02"))  # costs 0.96 to 1.00
    limits = [the_order(a_scene(*under_way(*cheap, step=step, urgency=3)), half).limit_price for step in range(9)]
    assert min(limits) == Decimal("0.98")
    assert max(limits) == Decimal("1.00")


def test_a_net_price_of_nothing_is_sent_as_the_smallest_credit_or_debit() -> None:
    legs = (a_leg(LONG, 1, "5.00", "1.00", "1.02"), a_leg(SHORT, -1, "3.00", "0.98", "1.00"))  # from 0.00 to 0.04
    assert the_order(a_scene(*under_way(*legs, step=7))).limit_price == Decimal("0.05")


def test_a_long_leg_that_nobody_bids_for_is_worth_nothing_and_the_structure_still_leaves_as_one() -> None:
    legs = (a_leg(LONG, -1, "5.00", "0.10", "0.12"), a_leg(SHORT, 1, "3.00", None, "0.08"))
    order = the_order(a_scene(*legs))
    assert order.limit_price == Decimal("0.12")


def test_only_what_is_free_of_every_leg_is_closed_and_the_reason_says_so() -> None:
    long, short = a_debit(3)
    users = a_multi_leg_order({SHORT: -1}, "1")
    held = replace(short, position=replace(short.position, available=Decimal(2)))
    decisions = decided(a_scene(long, held, orders=(users,)), AT_NOON)
    lead = decisions[SHORT]
    assert lead.submit is not None
    assert lead.submit.qty == 2
    assert f"the rest is not sent: {SHORT}: the broker reports 2 of 3 as free" in lead.sentence


def test_all_legs_leave_for_a_reason_of_the_engine_too() -> None:
    none = ruled(stop_loss=percent(5000))
    closes = a_scene(*a_debit(), manual_closes=frozenset({LONG, SHORT}))
    decision = decided(closes, none)[SHORT]
    assert decision.submit is not None
    assert decision.signal is not None
    assert (decision.submit.symbols, decision.signal.reason) == ((LONG, SHORT), Reason.CLOSED_MANUALLY)
    assert decision.signal.urgency is Urgency.PROTECTIVE


def test_what_exceeds_the_structure_stays_out_of_its_order() -> None:
    long, short = a_debit(2)
    more = replace(long, position=replace(long.position, qty=Decimal(5), available=Decimal(5)))
    assert the_order(a_scene(more, short)).qty_of(LONG) == 2


def test_of_two_condors_that_share_a_strike_one_leaves_and_the_covers_of_the_other_ones_shorts_stay() -> None:
    held = {put(160): 1, put(170): 1, put(175): -1, put(180): -1, call(210): -2, call(220): 1, call(225): 1}
    legs = [a_leg(symbol, qty, "1.00", "0.50", "0.52") for symbol, qty in held.items()]
    order = the_order(a_scene(*legs), ruled(StructureKind.IRON_CONDOR, exit_at=dt.time(11)))
    assert {symbol: order.qty_of(symbol) for symbol in order.symbols} == dict.fromkeys(
        (put(170), put(175), call(210), call(220)), 1
    )


def test_a_ratio_multiplies_what_each_leg_trades() -> None:
    legs = (a_leg(LONG, -2, "5.00", "4.00", "4.04"), a_leg(SHORT, 4, "3.00", "2.40", "2.44"))
    order = the_order(a_scene(*legs))
    assert [(leg.symbol, leg.ratio) for leg in order.legs] == [(LONG, 1), (SHORT, 2)]
    assert (order.qty, order.qty_of(SHORT)) == (2, 4)


# --- while it works ---------------------------------------------------------------------------------------------------


def working(*legs: Holding, seconds: float = 1, units: str = "2", limit: str = "-4.00", **more: object) -> object:
    return a_scene(*under_way(*legs, seconds=seconds), orders=(ours(units, limit),), **more)  # type: ignore[arg-type]


def test_it_is_left_alone_and_then_cancelled_to_be_repriced() -> None:
    assert sent(working(*a_debit()), AT_NOON) == []  # type: ignore[arg-type]
    decisions = decided(working(*a_debit()), AT_NOON)  # type: ignore[arg-type]
    assert not any(each.cancel_first for each in decisions.values())
    assert "multi-leg 2 net limit $4.00 credit is working (new)" in decisions[SHORT].sentence
    late = decided(working(*a_debit(), seconds=6), AT_NOON)  # type: ignore[arg-type]
    assert [symbol for symbol, each in late.items() if each.cancel_first] == [SHORT]
    assert late[SHORT].cancel_first[0].why == "to reprice"


def test_a_target_that_is_no_longer_met_is_cancelled() -> None:
    legs = under_way(*a_debit(), urgency=3, seconds=4)
    decisions = decided(a_scene(*legs, orders=(ours(),)), ruled(take_profit=percent(400)))  # type: ignore[arg-type]
    whys = {cancel.why for each in decisions.values() for cancel in each.cancel_first}
    assert whys == {"because the target is no longer met"}


def test_a_leg_that_was_closed_meanwhile_ends_it_and_nothing_is_sent_beside_it() -> None:
    long, short = a_debit()
    for left in (long, short):
        snapshot = a_scene(*under_way(left), orders=(ours(),))  # type: ignore[arg-type]
        gone = ({LONG, SHORT} - {left.symbol}).pop()
        decision = decided(snapshot, AT_NOON)[left.symbol]
        assert decision.submit is None
        assert [cancel.why for cancel in decision.cancel_first] == [f"because {gone} is no longer held"]


def test_a_leg_that_was_assigned_in_part_ends_it_too() -> None:
    long, short = a_debit()
    less = replace(short, position=replace(short.position, qty=Decimal(1)))
    decisions = decided(a_scene(*under_way(long, less), orders=(ours(),)), AT_NOON)  # type: ignore[arg-type]
    whys = {cancel.why for each in decisions.values() for cancel in each.cancel_first}
    assert whys == {f"because only 1 of {SHORT} are held"}
    assert not any(each.submit for each in decisions.values())


def test_what_is_left_after_a_part_of_it_filled_leaves_as_a_smaller_structure() -> None:
    ended = ours("5", status="canceled", filled="3", submitted=at("11:50"), filled_at=at("11:51"))
    order = the_order(replace(a_scene(*a_debit(2)), history={LONG: (ended,), SHORT: (ended,)}))
    assert (order.symbol, order.qty) == (VERTICAL, 2)


def test_a_fill_that_the_positions_may_not_show_yet_is_waited_for() -> None:
    ended = ours("2", status="filled", filled="2", submitted=at("11:50"), filled_at=at("11:59:55"))
    snapshot = replace(a_scene(*a_debit(2)), history={LONG: (ended,), SHORT: (ended,)})
    decisions = decided(snapshot, AT_NOON)
    assert not any(each.submit for each in decisions.values())
    assert "waiting until the position shows it" in decisions[SHORT].sentence


def test_an_order_of_unknown_outcome_is_looked_up_first() -> None:
    long, short = a_debit()
    decisions = decided(a_scene(busy(long, unresolved=Decimal(2)), busy(short, unresolved=Decimal(2))), AT_NOON)
    assert not any(each.submit or each.cancel_first for each in decisions.values())
    assert "it is being looked up" in decisions[LONG].sentence


def test_the_users_own_order_for_the_legs_blocks_an_exit_that_may_not_cancel_it() -> None:
    users = a_multi_leg_order(OURS, "2", client_order_id="by-hand")
    held = tuple(replace(leg, position=replace(leg.position, available=Decimal(0))) for leg in a_debit())
    decision = decided(a_scene(*held, orders=(users,)), AT_NOON)[SHORT]
    assert decision.state is DecisionState.BLOCKED
    assert "blocked by your order: multi-leg 2" in decision.sentence


def test_a_backstop_under_a_leg_is_cancelled_first_and_the_order_waits_for_its_end() -> None:
    long, short = a_debit()
    held = replace(long, position=replace(long.position, available=Decimal(0)))
    stop = an_order(
        LONG, "sell", "2", limit=None, type=OrderType.STOP, stop_price=Decimal(2), client_order_id="sellctl-backstop-1"
    )
    decisions = decided(a_scene(held, short, orders=(stop,), history=(stop,)), AT_NOON)
    assert [cancel.order.id for each in decisions.values() for cancel in each.cancel_first] == [stop.id]
    assert not any(each.submit for each in decisions.values())
    pending = replace(stop, status="pending_cancel")
    waiting = decided(a_scene(held, short, orders=(pending,), history=(pending,)), AT_NOON)
    assert "waiting until the broker has cancelled the backstop" in waiting[SHORT].sentence
    halted = decided(a_scene(held, short, orders=(stop,), history=(stop,), halted="earnings"), AT_NOON)
    assert not any(each.cancel_first for each in halted.values())


def test_the_users_own_order_makes_way_where_the_exit_may_cancel_it() -> None:
    held = tuple(replace(leg, position=replace(leg.position, available=Decimal(0))) for leg in a_debit())
    users = a_multi_leg_order(OURS, "2", client_order_id="by-hand")
    panic = a_scene(*held, orders=(users,), panic=frozenset({LONG, SHORT}))
    policy = ruled(sell={"take_over": Preempt.FORCED}, stop_loss=percent(5000))
    decisions = decided(panic, policy)
    assert [cancel.order.id for each in decisions.values() for cancel in each.cancel_first] == [users.id]


def test_the_quote_of_a_leg_that_is_newer_than_a_market_order_shows_that_trading_goes_on() -> None:
    legs = under_way(*a_debit(), urgency=0, seconds=20, step=1)
    fresh = tuple(replace(leg, quote=a_quote(leg.symbol, "6.00", "6.10")) for leg in legs[:1])
    market = a_multi_leg_order(OURS, "2", limit=None, client_order_id="sellctl-abc", submitted=at("11:59:40"))
    snapshot = a_scene(*fresh, *legs[1:], orders=(market,), panic=frozenset({LONG, SHORT}))
    whys = {cancel.why for each in decided(snapshot, AT_NOON).values() for cancel in each.cancel_first}
    assert whys == {"because the market order does not fill although the quote moves"}
