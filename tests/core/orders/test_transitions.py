"""What each event does to an order in each state: total, whatever arrives in which order and how often."""

import itertools
from decimal import Decimal
from typing import get_args

import pytest
from builders import our_order, replace
from hypothesis import given
from hypothesis import strategies as st
from order_builders import a_backstop_order, an_exit_order

from sellctl.core.model.order import STATE_OF_STATUS, OrderState
from sellctl.core.orders.managed_order import TERMINAL, CancelRequest, ManagedOrder, ManagedState
from sellctl.core.orders.order_events import (
    Accepted,
    Adopted,
    Alert,
    Cancel,
    CancelRefused,
    CancelRequested,
    Effect,
    Ended,
    IntentRecorded,
    LookUp,
    NotFound,
    OrderEvent,
    OutcomeUnknown,
    PartiallyFilled,
    Refused,
    Repeat,
    Restarted,
    events_of,
)
from sellctl.core.orders.transitions import (
    CANCEL_ALERT_SECONDS,
    CANCEL_RETRY_SECONDS,
    LOOKUP_LAG_SECONDS,
    NOT_FOUND_MIN_INTERVAL_SECONDS,
    REPEAT_WITHIN_SECONDS,
    TABLE,
    apply,
)

QTY = 10
EVENTS: tuple[OrderEvent, ...] = (
    IntentRecorded(),
    Accepted("b1"),
    Refused(1.0),
    OutcomeUnknown(),
    NotFound(1.0),
    PartiallyFilled(Decimal(3)),
    CancelRequested("b1", 1.0),
    CancelRefused(),
    Ended(ManagedState.CANCELED, Decimal(3), 1.0),
    Adopted("b1", 1.0),
    Restarted(),
)
LIVE = tuple(state for state in ManagedState if state not in TERMINAL)


def in_state(state: ManagedState) -> ManagedOrder:
    cancel = CancelRequest(0.0, 0.0) if state is ManagedState.PENDING_CANCEL else None
    return replace(an_exit_order(), state=state, cancel=cancel)


def fold(order: ManagedOrder, *events: OrderEvent) -> ManagedOrder:
    for event in events:
        order, _ = apply(order, event)
    return order


def effects_of(order: ManagedOrder, *events: OrderEvent) -> list[Effect]:
    found: list[Effect] = []
    for event in events:
        order, effects = apply(order, event)
        found += effects
    return found


# --- totality ---------------------------------------------------------------------------------------------------------


def test_the_table_has_an_entry_for_every_event_in_every_state() -> None:
    assert {type(event) for event in EVENTS} == set(get_args(OrderEvent)) == set(TABLE)
    for event, state in itertools.product(EVENTS, ManagedState):
        apply(in_state(state), event)


@pytest.mark.parametrize("state", sorted(TERMINAL))
@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_order_that_has_ended_stays_as_it_ended_and_asks_for_no_request(
    state: ManagedState, event: OrderEvent
) -> None:
    after, effects = apply(in_state(state), event)
    assert after.state is state
    assert not {LookUp(), Repeat(), Cancel()} & set(effects)


@pytest.mark.parametrize("event", [Accepted("b1"), PartiallyFilled(Decimal(1)), Adopted("b1", 0.0)])
def test_an_order_that_was_given_up_and_shows_up_after_all_alerts(event: OrderEvent) -> None:
    (effect,) = effects_of(in_state(ManagedState.ABSENT), event)
    assert isinstance(effect, Alert)
    assert "check it at the broker" in effect.sentence


# --- folding (I8) -----------------------------------------------------------------------------------------------------

ENDS = (ManagedState.FILLED, ManagedState.CANCELED, ManagedState.EXPIRED, ManagedState.REJECTED)


@st.composite
def what_the_broker_shows(draw: st.DrawFn) -> tuple[OrderEvent, ...]:
    """One order's life at the broker, in its true order."""
    fills = sorted(draw(st.sets(st.integers(1, QTY), max_size=4)))
    end = draw(st.sampled_from(ENDS))
    last = Decimal(fills[-1] if fills else 0)
    steps = (PartiallyFilled(Decimal(filled)) for filled in fills)
    return (Accepted("b1"), *steps, Ended(end, last, 9.0))


@given(what_the_broker_shows(), st.sampled_from(LIVE), st.data())
def test_duplicates_and_any_order_of_the_brokers_news_fold_to_the_same_end_and_fills(
    life: tuple[OrderEvent, ...], state: ManagedState, data: st.DataObject
) -> None:
    doubled = data.draw(st.lists(st.sampled_from(life), max_size=6))
    shuffled = data.draw(st.permutations([*life, *doubled]))
    expected, got = fold(in_state(state), *life), fold(in_state(state), *shuffled)
    assert (got.state, got.filled) == (expected.state, expected.filled)


ANY_EVENT = st.one_of(
    st.sampled_from([Accepted("b1"), OutcomeUnknown(), CancelRefused(), Restarted(), IntentRecorded()]),
    st.builds(Refused, st.floats(0, 100), counted=st.booleans()),
    st.builds(NotFound, st.floats(0, 100), halted=st.booleans()),
    st.builds(PartiallyFilled, st.integers(0, QTY).map(Decimal)),
    st.builds(CancelRequested, st.just("b1"), st.floats(0, 100)),
    st.builds(Ended, st.sampled_from(ENDS), st.integers(0, QTY).map(Decimal), st.floats(0, 100)),
    st.builds(Adopted, st.just("b1"), st.floats(0, 100)),
)


@given(st.lists(ANY_EVENT, max_size=12), st.sampled_from(ManagedState))
def test_whatever_happens_fills_never_shrink_and_an_end_is_final(events: list[OrderEvent], state: ManagedState) -> None:
    order = in_state(state)
    for event in events:
        after, _ = apply(order, event)
        assert after.filled >= order.filled
        assert after.state is order.state or not order.is_terminal
        assert after.request is order.request
        order = after


@given(st.lists(ANY_EVENT, max_size=16))
def test_nothing_is_repeated_without_two_definite_not_founds_apart(events: list[OrderEvent]) -> None:
    order, not_founds = an_exit_order(), list[float]()
    for event in sorted(events, key=lambda event: getattr(event, "at", 50.0)):
        not_founds += [event.at] if isinstance(event, NotFound) else []
        order, effects = apply(order, event)
        if Repeat() in effects:
            assert isinstance(event, NotFound)
            assert not event.halted
            assert any(event.at - earlier >= NOT_FOUND_MIN_INTERVAL_SECONDS for earlier in not_founds)
            not_founds.clear()


# --- the answers to a submission --------------------------------------------------------------------------------------


def test_a_doubtful_answer_is_looked_up_before_anything_else_is_asked() -> None:
    after, effects = apply(an_exit_order(), OutcomeUnknown())
    assert (after.state, effects) == (ManagedState.UNKNOWN, (LookUp(),))


def test_a_lost_answer_about_an_order_that_the_broker_showed_meanwhile_leaves_it_working() -> None:
    after = fold(an_exit_order(), Accepted("b1"), OutcomeUnknown())
    assert after.state is ManagedState.WORKING


def test_a_refusal_takes_the_step_back() -> None:
    after = fold(an_exit_order(step=3), Refused(1.0))
    assert (after.state, after.step, after.unresolved) == (ManagedState.REJECTED, 2, 0)


# --- look before you repeat (I3) --------------------------------------------------------------------------------------


def test_one_not_found_and_another_right_after_it_repeat_nothing() -> None:
    events = (OutcomeUnknown(), NotFound(1.0), NotFound(1.0 + NOT_FOUND_MIN_INTERVAL_SECONDS - 0.1))
    assert effects_of(an_exit_order(), *events) == [LookUp()]


def test_two_not_founds_apart_repeat_the_order_and_count_anew() -> None:
    order = fold(an_exit_order(), OutcomeUnknown(), NotFound(1.0))
    after, effects = apply(order, NotFound(1.0 + NOT_FOUND_MIN_INTERVAL_SECONDS, has_free_qty=True))
    assert effects == (Repeat(),)
    assert not after.not_found_at
    assert apply(after, NotFound(2.0 + NOT_FOUND_MIN_INTERVAL_SECONDS))[1] == ()


OLD = REPEAT_WITHIN_SECONDS + 1


@pytest.mark.parametrize(
    ("order", "start", "halted", "has_free_qty"),
    [
        (an_exit_order(), OLD, False, True),
        (an_exit_order(), 1.0, True, True),
        (an_exit_order(), 1.0, False, False),
        (a_backstop_order(), 1.0, False, True),
        (replace(an_exit_order(), request=None), 1.0, False, True),
    ],
    ids=["too old", "under a halt", "the position is gone", "a backstop", "sent by another process"],
)
def test_what_is_not_repeated_is_given_up_once_it_can_not_be_hidden_any_more(
    order: ManagedOrder, start: float, halted: bool, has_free_qty: bool
) -> None:
    first, second, third = (
        NotFound(at, halted=halted, has_free_qty=has_free_qty) for at in (start, start + 6, start + LOOKUP_LAG_SECONDS)
    )
    order = fold(order, OutcomeUnknown(), first, second)
    assert order.state is ManagedState.UNKNOWN
    after, effects = apply(order, third)
    assert (after.state, after.unresolved, effects) == (ManagedState.ABSENT, 0, ())


def test_an_acknowledged_order_that_the_broker_does_not_find_is_never_given_up() -> None:
    order = fold(an_exit_order(), Accepted("b1"), *(NotFound(float(at)) for at in range(0, 300, 6)))
    assert order.state is ManagedState.WORKING


# --- cancelling -------------------------------------------------------------------------------------------------------


def test_a_cancel_is_asked_for_once_then_again_after_a_while_and_alerts_once() -> None:
    asked = [CancelRequested("b1", float(at)) for at in range(0, 60, 2)]
    order, cancels, alerts = fold(an_exit_order(), Accepted("b1")), list[float](), list[float]()
    for event in asked:
        order, effects = apply(order, event)
        cancels += [event.at] if Cancel() in effects else []
        alerts += [event.at] if any(isinstance(effect, Alert) for effect in effects) else []
    assert cancels == [0, 10, 20, 30, 40, 50]
    assert alerts == [CANCEL_ALERT_SECONDS]
    assert order.state is ManagedState.PENDING_CANCEL


def test_a_refused_cancel_leaves_the_order_working_and_is_not_asked_for_at_once() -> None:
    order = fold(an_exit_order(), Accepted("b1"), CancelRequested("b1", 0.0), CancelRefused())
    assert order.state is ManagedState.WORKING
    assert apply(order, CancelRequested("b1", 1.0))[1] == ()
    assert apply(order, CancelRequested("b1", CANCEL_RETRY_SECONDS))[1] == (Cancel(),)


def test_an_order_may_fill_while_its_cancel_is_pending() -> None:
    order = fold(an_exit_order(), Accepted("b1"), CancelRequested("b1", 0.0), PartiallyFilled(Decimal(4)))
    assert (order.state, order.filled) == (ManagedState.PENDING_CANCEL, 4)
    assert fold(order, Ended(ManagedState.FILLED, Decimal(QTY), 1.0)).state is ManagedState.FILLED


# --- other processes --------------------------------------------------------------------------------------------------


def test_after_a_restart_the_outcome_is_unknown_and_the_whole_quantity_counts_as_gone() -> None:
    order = fold(replace(an_exit_order(), request=None), Accepted("b1"), PartiallyFilled(Decimal(4)), Restarted())
    assert (order.state, order.filled, order.unresolved) == (ManagedState.UNKNOWN, 4, QTY)
    assert order.awaits_adoption


def test_an_adopted_order_works_since_it_was_sent() -> None:
    order = fold(replace(an_exit_order(), request=None), Restarted(), Adopted("b1", -7.0))
    assert (order.state, order.order_id, order.sent_at, order.unresolved) == (ManagedState.WORKING, "b1", -7.0, 0)


# --- what an answer means ---------------------------------------------------------------------------------------------


TERMINAL_STATUSES = [status for status, state in STATE_OF_STATUS.items() if state is OrderState.TERMINAL]


@pytest.mark.parametrize("status", TERMINAL_STATUSES)
def test_every_terminal_status_of_the_broker_ends_the_order(status: str) -> None:
    order = our_order(status=status, filled_qty=Decimal(2))
    after = fold(an_exit_order(), *events_of(order, 5.0))
    assert after.is_terminal
    assert (after.filled, after.ended_at) == (2, 5.0)


@pytest.mark.parametrize("status", ["new", "pending_cancel", "held", "done_for_day", "a status new to us"])
def test_any_other_status_leaves_it_open(status: str) -> None:
    after = fold(an_exit_order(), *events_of(our_order(status=status), 5.0))
    assert after.state is ManagedState.WORKING
