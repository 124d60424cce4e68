"""Whatever the snapshot: nothing raises, every holding has its sentence, and no order breaks a safety rule."""

import datetime as dt
import random
from collections import Counter
from decimal import Decimal

import pytest
from builders import a_config, a_holding, a_market, a_quote, a_snapshot, an_order, at, replace
from hypothesis import given
from hypothesis import strategies as st

from sellctl.core.config.schema import (
    Config,
    ExecutionConfig,
    Preempt,
    PutAction,
    SellModuleConfig,
    ShortAction,
    ShortPositionsConfig,
    Style,
    ZeroDayConfig,
)
from sellctl.core.decision.engine import decide
from sellctl.core.decision.explain import explain_all
from sellctl.core.decision.policy import Policy, compile_policy
from sellctl.core.model.market import Market, Quote
from sellctl.core.model.order import STATE_OF_STATUS, ZERO, Order, OrderType, PositionIntent, Side
from sellctl.core.model.plan import DecisionState, Plan
from sellctl.core.model.position import ExitProgress, Holding, PositionState
from sellctl.core.model.snapshot import AccountFacts, InvalidRow, Snapshot
from sellctl.core.structures.coverage import cover_of
from sellctl.journal.digest import excerpt

SYMBOLS = [
    "AAPL",
    "MSFT",
    "AAPL261124C00200000",
    "AAPL261218C00200000",
    "AAPL261218P00200000",
    "AAPL1261124C00200000",
    "SPY261124C00600000",
    "SPY261218C00600000",
    "AAPL261120C00200000",
]
DOLLARS = st.sampled_from(["0", "0.01", "0.05", "0.79", "0.80", "1.00", "1.10", "2.97", "3.05", "1E+30", "NaN", "-1"])
PRICES = st.none() | DOLLARS.map(Decimal)
QUANTITIES = st.sampled_from(["1", "2", "3", "5", "100", "250", "0.5"]).map(Decimal)
SECONDS = st.sampled_from([0, 1, 3, 61, 901, -2, -60]).map(lambda seconds: dt.timedelta(seconds=seconds))
CLOCKS = st.sampled_from(
    ["09:00", "09:30:10", "12:00", "14:56", "15:05", "15:12", "15:20", "15:30", "15:59:57", "16:30"]
)


@st.composite
def markets(draw: st.DrawFn) -> Market:
    market = a_market(draw(CLOCKS), confirmed=draw(st.booleans()))
    return replace(market, opened_at=draw(st.sampled_from([market.opened_at, None])))


@st.composite
def states(draw: st.DrawFn) -> PositionState:
    under_way = st.builds(
        ExitProgress,
        reason=st.just("an earlier reason"),
        urgency=st.integers(0, 3),
        step=st.integers(1, 6),
        age=SECONDS,
        client_order_id=st.just("sellctl-1"),
    )
    return PositionState(
        qty_left=draw(st.none() | QUANTITIES | st.just(ZERO)),
        unresolved=draw(st.sampled_from([ZERO, ZERO, ZERO, Decimal(1)])),
        exit=draw(st.none() | under_way),
        wide_for=draw(SECONDS),
    )


@st.composite
def some_holdings(draw: st.DrawFn, symbol: str, now: dt.datetime) -> Holding:
    quote = Quote(symbol, draw(PRICES), draw(PRICES), now - draw(SECONDS))
    qty = draw(QUANTITIES)
    free = draw(st.none() | QUANTITIES.map(lambda part: min(part, qty)) | st.just(ZERO) | st.just(qty))
    built = a_holding(symbol, str(qty), short=draw(st.booleans()), state=draw(states()))
    entry = draw(st.sampled_from([None, "1.00", "1.00", "2.50", "1E-9"]))
    position = replace(
        built.position,
        available=free,
        entry_price=None if entry is None else Decimal(entry),
        current_price=draw(PRICES),
    )
    return replace(built, position=position, quote=draw(st.sampled_from([quote, quote, None])))


@st.composite
def some_orders(draw: st.DrawFn, now: dt.datetime, number: int) -> Order:
    side = draw(st.sampled_from(Side))
    name = draw(st.sampled_from(["by-hand", "sellctl"]))
    order = an_order(
        draw(st.sampled_from(SYMBOLS)),
        side.value,
        str(draw(QUANTITIES)),
        limit=draw(st.sampled_from([None, "0.80", "1.10", "3.05"])),
        status=draw(st.sampled_from([*STATE_OF_STATUS, "a_status_of_tomorrow"])),
        client_order_id=f"{name}-{number}",
        submitted=now - draw(SECONDS),
    )
    leg = replace(order, id=f"leg-{number}")
    return replace(
        order,
        filled_qty=draw(st.sampled_from([ZERO, Decimal(1)])),
        filled_at=draw(st.none() | st.just(now)),
        qty=draw(st.sampled_from([order.qty, order.qty, None])),
        position_intent=draw(st.sampled_from([*PositionIntent, None])),
        type=draw(st.sampled_from([order.type, *OrderType])),
        legs=draw(st.sampled_from([(), (), (leg,)])),
    )


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    market = draw(markets())
    symbols = draw(st.lists(st.sampled_from(SYMBOLS), max_size=6, unique=True))
    doubled = draw(st.sampled_from([False, False, False, True]))
    holdings = [draw(some_holdings(symbol, market.now)) for symbol in (*symbols, *symbols[:1] * doubled)]
    orders = tuple(draw(some_orders(market.now, number)) for number in range(draw(st.integers(0, 4))))
    history = draw(st.sampled_from([None, (), orders]))
    invalid = draw(st.lists(st.sampled_from(["", "AAPL", "SPY261124C00600000", "MSFT"]), max_size=1))
    blocked = draw(st.sampled_from(["", "", "", "trading_blocked"]))
    facts = AccountFacts("main", "PA1", blocked=blocked)
    snapshot = a_snapshot(*holdings, orders=orders, market=market, history=history, account=facts)
    return replace(
        snapshot,
        positions_at=market.now - draw(SECONDS),
        invalid=tuple(InvalidRow(symbol, "unreadable") for symbol in invalid),
        manual_closes=frozenset(draw(st.lists(st.sampled_from(SYMBOLS), max_size=2))),
    )


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    shorts = ShortPositionsConfig(
        draw(st.sampled_from(ShortAction)), cash_secured_puts=draw(st.sampled_from(PutAction))
    )
    sell = SellModuleConfig(
        take_over=draw(st.sampled_from(Preempt)),
        short_positions=shorts,
        zero_day=ZeroDayConfig(shorts=draw(st.booleans())),
        zero_day_handling=draw(st.booleans()),
    )
    execution = ExecutionConfig(draw(st.sampled_from(Style)), protective_market=draw(st.booleans()))
    config: Config = a_config(sell, execution)
    return compile_policy(config, "main")


@given(snapshots(), policies())
def test_every_position_stands_in_the_plan_exactly_once_and_what_is_not_merely_watched_has_a_sentence(
    snapshot: Snapshot, policy: Policy
) -> None:
    plan = decide(snapshot, policy)
    assert Counter(each.holding.symbol for each in plan.decisions) == Counter(h.symbol for h in snapshot.holdings)
    for decision in plan.decisions:
        assert (decision.state is not DecisionState.WATCHING) <= bool(decision.sentence)
        assert not (decision.submit and decision.cancel_first)
        assert not (decision.submit or decision.cancel_first) or decision.state is DecisionState.CLOSING
        assert (decision.state is DecisionState.DENIED) <= bool(decision.violations)
        assert (decision.state is DecisionState.FAULT) <= decision.alert


@given(snapshots(), policies())
def test_every_position_is_explained_in_whole_sentences(snapshot: Snapshot, policy: Policy) -> None:
    explanations = explain_all(snapshot, policy)
    assert explanations.keys() == {holding.symbol for holding in snapshot.holdings}
    for explanation in explanations.values():
        assert explanation.sentence.strip(" ;")
        assert "None" not in explanation.sentence


@given(snapshots(), policies())
def test_what_is_not_notable_is_watched_and_nothing_is_done_about_it(snapshot: Snapshot, policy: Policy) -> None:
    plan = decide(snapshot, policy)
    notable = {decision.holding.symbol for decision in plan.notable}
    for decision in plan.decisions:
        if decision.holding.symbol not in notable:
            assert decision.state is DecisionState.WATCHING
            assert not any(
                (decision.signal, decision.submit, decision.cancel_first, decision.backstop, decision.violations)
            )
            assert not any((decision.alert, decision.unconfirmed, decision.overdue, decision.step))


@given(snapshots(), policies())
def test_what_the_journal_keeps_of_a_plan_follows_from_what_it_keeps_of_its_snapshot(
    snapshot: Snapshot, policy: Policy
) -> None:
    """D4, and nothing is left out that acts."""
    whole = decide(snapshot, policy)
    kept, plan = excerpt(snapshot, whole)
    again = decide(kept, policy)
    assert [(v.holding.symbol, v.state, v.sentence, v.submit, v.cancel_first) for v in again.decisions] == [
        (v.holding.symbol, v.state, v.sentence, v.submit, v.cancel_first) for v in plan.decisions
    ]
    assert (again.stale, again.needs_history) == (plan.stale, plan.needs_history)
    assert (plan.submits, plan.cancels) == (whole.submits, whole.cancels)


@given(snapshots(), policies())
def test_only_what_makes_no_sense_is_a_fault(snapshot: Snapshot, policy: Policy) -> None:
    """An error of ours would show here as a fault that names an exception."""
    for decision in decide(snapshot, policy).of(DecisionState.FAULT):
        known = ("the broker lists it", "one that can't be read may", "its quantity is")
        assert any(words in decision.sentence for words in known), decision.sentence


@given(snapshots(), policies())
def test_no_order_sells_more_than_is_free_or_turns_a_position(snapshot: Snapshot, policy: Policy) -> None:
    """S1, S2, S6, S8."""
    for decision in decide(snapshot, policy).submits:
        order, position, state = decision.submit, decision.holding.position, decision.holding.state
        assert order is not None
        side = Side.SELL if position.is_long else Side.BUY
        open_orders = [o for o in snapshot.orders if o.symbol == order.symbol and o.side is side and not o.is_terminal]
        opening = {PositionIntent.BUY_TO_OPEN, PositionIntent.SELL_TO_OPEN}
        claimed = sum((o.leaves_qty for o in open_orders if o.position_intent not in opening), ZERO)
        assert 0 < order.qty <= position.qty - claimed - state.unresolved
        assert position.available is None or order.qty <= position.available
        assert state.qty_left is None or order.qty <= state.qty_left
        assert not position.instrument.is_option or order.qty % 1 == 0


@given(snapshots(), policies())
def test_every_order_is_on_the_closing_side_of_a_healthy_market(snapshot: Snapshot, policy: Policy) -> None:
    """S3, S4, T3, and at most one order a symbol."""
    plan = decide(snapshot, policy)
    if plan.submits:
        assert snapshot.market.is_open
        assert not snapshot.account.blocked
    for decision in plan.submits:
        order, long = decision.submit, decision.holding.position.is_long
        assert order is not None
        assert order.symbol == decision.holding.symbol
        assert order.position_intent == ("sell_to_close" if long else "buy_to_close")
        assert order.side == ("sell" if long else "buy")
        assert order.limit_price is None or (order.limit_price.is_finite() and order.limit_price > 0)
        assert not [o for o in snapshot.orders if o.is_ours and o.symbol == order.symbol and not o.is_terminal]
    assert len({v.holding.symbol for v in plan.submits}) == len(plan.submits)
    assert len({v.submit.client_order_id for v in plan.submits if v.submit}) == len(plan.submits)


@given(snapshots(), policies())
def test_no_long_that_covers_a_short_leaves_alone(snapshot: Snapshot, policy: Policy) -> None:
    """S7."""
    times = Counter(h.symbol for h in snapshot.holdings)
    cover = cover_of(h for h in snapshot.holdings if times[h.symbol] == 1)
    for decision in decide(snapshot, policy).submits:
        assert decision.submit is not None
        if decision.holding.position.is_long:
            kept = decision.holding.position.qty - decision.submit.qty
            assert kept >= cover.reserved.get(decision.holding.symbol, ZERO)


@given(snapshots(), policies(), st.integers(0, 999))
def test_the_order_of_the_rows_changes_nothing_and_neither_does_deciding_again(
    snapshot: Snapshot, policy: Policy, seed: int
) -> None:
    plan = decide(snapshot, policy)
    assert decide(snapshot, policy) == plan
    if max(Counter(h.symbol for h in snapshot.holdings).values(), default=1) == 1:
        shuffled = list(snapshot.holdings)
        random.Random(seed).shuffle(shuffled)  # noqa: S311  a shuffle, not a secret
        assert decide(replace(snapshot, holdings=tuple(shuffled)), policy) == plan


@given(snapshots(), policies())
def test_a_cancel_is_of_an_order_that_still_lives_and_is_asked_once(snapshot: Snapshot, policy: Policy) -> None:
    plan = decide(snapshot, policy)
    for decision in plan.decisions:
        assert all(cancel.order.status != "pending_cancel" for cancel in decision.cancel_first)
    in_the_way = {cancel.order.id for decision in plan.decisions for cancel in decision.cancel_first}
    assert not in_the_way & {cancel.order.id for cancel in plan.stale}


@pytest.mark.parametrize("short", [False, True])
@pytest.mark.parametrize("bid", [None, "0.01", "1.00", "NaN"])
@pytest.mark.parametrize("ask", [None, "0.05", "1.02", "1E+30"])
def test_a_free_option_always_leaves_at_its_final_deadline(bid: str | None, ask: str | None, *, short: bool) -> None:
    """Never selling must not pass: whatever the quote, an order goes out."""
    built = a_holding("AAPL261124C00200000", short=short)
    holding = replace(built, quote=a_quote(built.symbol, bid, ask, at("15:30")))
    plan: Plan = decide(a_snapshot(holding, market=a_market("15:30")), compile_policy(a_config(), "main"))
    assert plan.submits, plan.decisions[0].sentence
