"""The order book's answers: what works, what is unresolved, how far exits are, what was rejected, what has to wait."""

from decimal import Decimal

import pytest
from builders import CALL, a_position, an_order, our_order, replace
from order_builders import A_BACKSTOP, AN_EXIT, a_backstop_order, an_exit_order

from sellctl.core.model.position import BACKSTOP_ALLOWED, OrderCount
from sellctl.core.orders.managed_order import Leg, ManagedOrder, ManagedState
from sellctl.core.orders.order_book import EXIT_OVER_SECONDS, OrderBook
from sellctl.core.orders.order_events import (
    Accepted,
    Adopted,
    Cancel,
    Ended,
    OrderEvent,
    OutcomeUnknown,
    PartiallyFilled,
    Refused,
)
from sellctl.core.orders.order_rate import STREAK_ENDS_SECONDS

OTHER = "AAPL261218C00210000"


def a_book(*events: OrderEvent, order: ManagedOrder | None = None) -> OrderBook:
    """A book with one order, and what happened to it."""
    book, order = OrderBook(), order or an_exit_order()
    book.add_recorded(order)
    for event in events:
        book.record(order.client_order_id, event)
    return book


def ended(state: ManagedState = ManagedState.CANCELED, filled: int = 0, at: float = 5.0) -> Ended:
    return Ended(state, Decimal(filled), at)


# --- what works -------------------------------------------------------------------------------------------------------


def test_an_exit_is_work_until_it_ends() -> None:
    assert (a_book().pending_count, a_book().pending_symbols) == (1, (CALL,))
    assert a_book(Accepted("b1")).pending_count == 1
    assert a_book(Accepted("b1"), ended()).pending_count == 0


def test_a_backstop_is_work_only_until_the_broker_has_it() -> None:
    assert a_book(order=a_backstop_order()).pending_count == 1
    resting = a_book(Accepted("b1"), order=a_backstop_order())
    assert (resting.pending_count, resting.pending_symbols, resting.symbols_with_backstop) == (0, (), (CALL,))


def test_an_order_without_a_clear_answer_is_unknown() -> None:
    assert a_book(OutcomeUnknown()).unknown == (AN_EXIT,)
    assert a_book(OutcomeUnknown(), Accepted("b1")).unknown == ()


def test_news_about_an_order_that_has_ended_changes_nothing() -> None:
    book = a_book(Accepted("b1"), ended())
    assert book.record(AN_EXIT, OutcomeUnknown()) == ()
    assert book.open == ()


# --- unresolved quantities --------------------------------------------------------------------------------------------


def test_what_was_sent_counts_as_gone_until_an_answer_shows_it() -> None:
    assert a_book().unresolved() == {CALL: 10}
    assert a_book(Accepted("b1")).unresolved() == {}
    assert a_book(Refused(1.0)).unresolved() == {}


def test_what_may_still_fill_counts_as_gone_while_the_brokers_view_does_not_show_the_order() -> None:
    book = a_book(Accepted("b1"), PartiallyFilled(Decimal(4)))
    book.mark_unseen_except([])
    assert book.unresolved() == {CALL: 6}
    book.record(AN_EXIT, Accepted("b1"))
    book.mark_unseen_except([AN_EXIT])
    assert book.unresolved() == {}


def test_each_leg_of_an_order_counts_by_its_ratio() -> None:
    legs = (Leg(CALL), Leg(OTHER, Decimal(2)))
    assert a_book(order=replace(an_exit_order(), legs=legs)).unresolved() == {CALL: 10, OTHER: 20}


# --- exits in progress ------------------------------------------------------------------------------------------------


def test_an_exit_is_in_progress_from_its_first_order_until_a_while_after_its_last() -> None:
    book = a_book(Accepted("b1"))
    progress = book.exit_progress(CALL, 3.0)
    assert progress is not None
    assert (progress.step, progress.age.total_seconds(), progress.client_order_id) == (1, 3.0, AN_EXIT)
    book.record(AN_EXIT, ended(at=5.0))
    assert book.exit_progress(CALL, 5.0 + EXIT_OVER_SECONDS) is not None
    assert book.exit_progress(CALL, 5.1 + EXIT_OVER_SECONDS) is None


def test_a_refused_step_was_not_taken() -> None:
    progress = a_book(Refused(1.0), order=an_exit_order(step=2)).exit_progress(CALL, 1.0)
    assert progress is not None
    assert progress.step == 1
    assert a_book(Refused(1.0)).exit_progress(CALL, 1.0) is None


def test_an_adopted_order_continues_its_exit_at_its_step() -> None:
    book = OrderBook()
    book.add_discovered(replace(an_exit_order(step=3), request=None, state=ManagedState.UNKNOWN))
    book.record(AN_EXIT, Adopted("b1", -20.0))
    progress = book.exit_progress(CALL, 1.0)
    assert progress is not None
    assert (progress.step, progress.age.total_seconds()) == (3, 21.0)


def test_an_adopted_order_of_which_nothing_is_known_begins_no_exit() -> None:
    book, order = OrderBook(), our_order()
    book.add_discovered(ManagedOrder.of_broker_order(order))
    book.record(order.client_order_id, Adopted("b1", 0.0))
    assert (book.pending_count, book.exit_progress(CALL, 1.0)) == (1, None)


def test_a_backstop_is_no_exit_and_is_not_counted() -> None:
    book = a_book(Accepted("b1"), order=a_backstop_order())
    assert book.exit_progress(CALL, 1.0) is None
    assert book.order_count(1.0) == OrderCount()
    assert a_book().order_count(1.0) == OrderCount(1, 0)


def test_what_belongs_to_a_position_ends_with_it() -> None:
    book = a_book(Accepted("b1"))
    book.position_closed(CALL)
    assert book.exit_progress(CALL, 1.0) is None


# --- rejects ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("event", [Refused(1.0, counted=True), ended(ManagedState.REJECTED, at=1.0)])
def test_rejects_count_in_a_row(event: OrderEvent) -> None:
    book = a_book(event)
    book.add_recorded(an_exit_order(at=2.0))
    book.record(AN_EXIT, event)
    assert book.rejects(CALL, 4.0).count == 2
    assert book.rejected == (CALL,)


def test_a_refusal_with_a_known_next_step_counts_in_the_row_and_is_no_failure() -> None:
    book = a_book(Refused(1.0, counted=True, recovers=True))
    assert (book.rejects(CALL, 1.0).count, book.rejected) == (1, ())


def test_a_block_of_the_account_counts_for_no_symbol() -> None:
    book = a_book(Refused(1.0))
    assert (book.rejects(CALL, 1.0).count, book.rejected) == (0, ())


def test_a_row_of_rejects_ends_a_while_after_the_last() -> None:
    book = a_book(Refused(1.0, counted=True))
    assert book.rejects(CALL, 1.0 + STREAK_ENDS_SECONDS).count == 1
    assert book.rejects(CALL, 1.1 + STREAK_ENDS_SECONDS).count == 0
    book.add_recorded(an_exit_order(at=700.0))
    book.record(AN_EXIT, Refused(700.0, counted=True))
    assert book.rejects(CALL, 700.0).count == 1


def test_acceptance_does_not_end_a_row_of_rejects_and_another_end_does() -> None:
    book = a_book(Refused(1.0, counted=True))
    book.add_recorded(an_exit_order(at=2.0))
    book.record(AN_EXIT, Accepted("b1"))
    assert book.rejects(CALL, 2.0).count == 1
    book.record(AN_EXIT, ended())
    assert (book.rejects(CALL, 6.0).count, book.rejected) == (0, (CALL,))


def test_a_symbol_counts_as_rejected_until_something_fills() -> None:
    book = a_book(Refused(1.0, counted=True))
    book.add_recorded(an_exit_order(at=2.0))
    book.record(AN_EXIT, PartiallyFilled(Decimal(1)))
    assert book.rejected == ()


# --- backstops --------------------------------------------------------------------------------------------------------


def test_the_next_backstop_waits_after_one_has_ended_and_longer_after_a_refusal() -> None:
    after_end = a_book(Accepted("b1"), ended(at=5.0), order=a_backstop_order())
    refused = a_book(Refused(5.0), order=a_backstop_order())
    assert [after_end.backstop_state(a_position(), now).paused for now in (19.9, 20.0)] == [True, False]
    assert [refused.backstop_state(a_position(), now).paused for now in (64.9, 65.0)] == [True, False]
    assert refused.backstop_state(a_position(), 65.0) == BACKSTOP_ALLOWED


@pytest.mark.parametrize("event", [Refused(1.0, counted=True), ended(ManagedState.REJECTED)])
def test_a_backstop_that_is_refused_under_one_option_is_refused_under_all_and_counts_as_no_reject(
    event: OrderEvent,
) -> None:
    book = a_book(event, order=a_backstop_order())
    assert book.is_refused_a_backstop(a_position(OTHER))
    assert not book.is_refused_a_backstop(a_position("AAPL"))
    assert (book.rejects(CALL, 1.0).count, book.rejected) == (0, ())


# --- cancels ----------------------------------------------------------------------------------------------------------


def test_a_cancel_hangs_until_the_order_ends_whoever_sent_it() -> None:
    book = a_book(Accepted("b1"))
    mine, theirs = replace(our_order(), id="b1", client_order_id=AN_EXIT), an_order()
    assert book.may_request_cancel(mine, 1.0)
    assert book.request_cancel(mine, 1.0) == (Cancel(),)
    assert book.request_cancel(theirs, 1.0) == (Cancel(),)
    assert not book.may_request_cancel(mine, 2.0)
    assert not book.may_request_cancel(theirs, 2.0)
    assert book.request_cancel(theirs, 2.0) == ()
    assert book.pending_cancel_ids == {"b1", theirs.id}
    book.record(AN_EXIT, ended())
    book.cancel_ended(theirs)
    assert book.pending_cancel_ids == frozenset()


def test_a_backstop_has_an_id_of_its_own() -> None:
    assert a_backstop_order().client_order_id == A_BACKSTOP != AN_EXIT
