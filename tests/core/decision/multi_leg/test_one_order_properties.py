"""Whatever is held, free and open on the legs: no order takes more of a leg than is free, or leaves a short naked."""

from decimal import Decimal

from builders import an_order, at, replace
from hypothesis import event, given
from hypothesis import strategies as st
from one_order_builders import AT_NOON, a_leg, a_scene
from structure_builders import a_multi_leg_order, call, put

from sellctl.core.decision.engine import decide
from sellctl.core.model.order import ZERO, Order
from sellctl.core.model.plan import SubmitOrder
from sellctl.core.model.position import Holding
from sellctl.core.model.snapshot import Snapshot
from sellctl.core.structures.coverage import cover_of

SYMBOLS = (call(200), call(210), put(180), put(190))
PRICES = {call(200): "6.00", call(210): "2.00", put(180): "1.00", put(190): "3.00"}


@st.composite
def some_legs(draw: st.DrawFn) -> list[Holding]:
    """A vertical or a condor, with more or less of each leg, some of it held by orders or filled already."""
    sides = draw(st.sampled_from([(1, -1, 0, 0), (-1, 1, 0, 0), (-1, 1, 1, -1), (1, -1, -1, 1), (1, 0, 0, 1)]))
    legs = []
    for symbol, side in zip(SYMBOLS, sides, strict=True):
        if side:
            qty = draw(st.integers(1, 3))
            leg = a_leg(symbol, side * qty, "3.00", PRICES[symbol], str(Decimal(PRICES[symbol]) + Decimal("0.02")))
            free = draw(st.sampled_from([qty, qty, qty, None, qty - 1, 0]))
            left = draw(st.sampled_from([None, None, None, qty - 1]))
            position = replace(leg.position, available=None if free is None else Decimal(free))
            state = replace(leg.state, qty_left=None if left is None else Decimal(left))
            legs.append(replace(leg, position=position, state=state))
    return legs


@st.composite
def some_orders(draw: st.DrawFn, legs: list[Holding]) -> tuple[Order, ...]:
    """At most one order of somebody's: for a leg, for all of them, or with legs that aren't shown."""
    sides = {leg.symbol: 1 if leg.position.is_long else -1 for leg in legs}
    name = draw(st.sampled_from(["by-hand", "sellctl-1"]))
    status = draw(st.sampled_from(["new", "partially_filled", "pending_cancel", "canceled"]))
    symbol = draw(st.sampled_from(sorted(sides)))
    simple = an_order(symbol, draw(st.sampled_from(["buy", "sell"])), "1", client_order_id=name, status=status)
    whole = a_multi_leg_order(sides, "1", client_order_id=name, status=status)
    return draw(st.sampled_from([(), (), (), (simple,), (whole,), (replace(whole, legs=()),)]))


@st.composite
def scenes(draw: st.DrawFn) -> Snapshot:
    legs = draw(some_legs())
    orders = draw(some_orders(legs))
    done = replace(
        a_multi_leg_order({call(200): 1, call(210): -1}, status="filled", filled="1", submitted=at("11:00")),
        filled_at=draw(st.sampled_from([at("11:00"), at("11:59:58")])),
    )
    history = (*orders, *draw(st.sampled_from([(), (done,)])))
    todays = {leg.symbol: tuple(o for o in history if o.parts_on(leg.symbol) or not o.legs) for leg in legs}
    return replace(a_scene(*legs, orders=orders, level=draw(st.sampled_from([3, 3, 2]))), history=todays)


def sent(snapshot: Snapshot) -> list[tuple[SubmitOrder, Holding]]:
    """Each order with the holding of each of its symbols."""
    held = {holding.symbol: holding for holding in snapshot.holdings}
    orders = [decision.submit for decision in decide(snapshot, AT_NOON).decisions if decision.submit]
    for order in orders:
        event(f"an order for {len(order.symbols)} symbols")
    return [(order, held[symbol]) for order in orders for symbol in order.symbols]


@given(scenes())
def test_no_order_takes_more_of_a_leg_than_is_free_or_stands_beside_another_of_ours(snapshot: Snapshot) -> None:
    every = sent(snapshot)
    assert len({holding.symbol for _, holding in every}) == len(every)
    for order, holding in every:
        qty, closing = order.qty_of(holding.symbol), "sell" if holding.position.is_long else "buy"
        parts = [part for each in snapshot.orders for part in each.parts_on(holding.symbol)]
        claimed = sum((part.leaves_qty for part in parts if part.side == closing), ZERO)
        assert 0 < qty <= holding.position.qty - claimed
        assert holding.position.available is None or qty <= holding.position.available
        assert holding.state.qty_left is None or qty <= holding.state.qty_left
        ours = [o for o in snapshot.orders if o.is_ours and not {holding.symbol, ""}.isdisjoint(o.symbols)]
        assert all(each.is_terminal for each in ours)


@given(scenes())
def test_no_order_leaves_more_shorts_naked_however_much_of_it_fills(snapshot: Snapshot) -> None:
    for order in {order.client_order_id: order for order, _ in sent(snapshot)}.values():
        for units in range(int(order.qty) + 1):
            assert naked_after(snapshot, order, units) <= naked_after(snapshot, order, 0)


def naked_after(snapshot: Snapshot, order: SubmitOrder, units: int) -> Decimal:
    """How many shorts are naked once so many units of an order have filled."""
    left = []
    for holding in snapshot.holdings:
        closed = order.qty_of(holding.symbol) / order.qty * units if holding.symbol in order.symbols else ZERO
        left.append(replace(holding, position=replace(holding.position, qty=holding.position.qty - closed)))
    return sum(cover_of(each for each in left if each.position.qty > 0).uncovered.values(), ZERO)


@given(scenes())
def test_deciding_again_comes_to_the_same_and_every_leg_has_one_decision(snapshot: Snapshot) -> None:
    plan = decide(snapshot, AT_NOON)
    assert decide(snapshot, AT_NOON) == plan
    assert sorted(each.holding.symbol for each in plan.decisions) == sorted(h.symbol for h in snapshot.holdings)
    assert all("could not be evaluated" not in each.sentence for each in plan.decisions)
