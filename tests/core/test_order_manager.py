"""What is sent, written down and told for each answer of the broker, and what a restart takes over."""

import asyncio
import datetime as dt
from collections.abc import Sequence
from decimal import Decimal

import pytest
from builders import CALL, CALL_TEXT, a_market, a_position, an_order, at, replace
from order_builders import A_BACKSTOP, AN_EXIT, a_backstop_request, a_request, a_signal, an_exit_of
from order_desk import OTHER, THIRD, TIMED_OUT, TOO_MANY, Desk
from order_fakes import FakeBroker, FakeJournal, as_shown, refusal

from sellctl.core.errors import (
    AuthError,
    BrokerError,
    FailureKind,
    JournalError,
    RateLimitedError,
    Refusal,
    UnknownOutcomeError,
)
from sellctl.core.model.event import EventKind
from sellctl.core.model.intent import Intent, OpenOrder, Outcome
from sellctl.core.model.order import Order
from sellctl.core.model.plan import CancelOrder, DecisionState, Plan, PositionDecision, Reason, Urgency
from sellctl.core.model.position import Position
from sellctl.core.orders.transitions import CANCEL_ALERT_SECONDS

REFUSED_IN_OTHER_WORDS = UnknownOutcomeError("The host answered with status 401.", kind=FailureKind.GATEWAY)


# --- sending ----------------------------------------------------------------------------------------------------------


def test_an_order_is_written_down_sent_once_and_told() -> None:
    desk = Desk()
    assert desk.send()
    assert desk.journal.rows == [("intent", AN_EXIT), ("accepted", AN_EXIT)]
    assert desk.broker.requests == ["submit 10"]
    assert desk.sentences == [f"{CALL_TEXT} sent: sell 10 limit $0.70: bid $0.70 is at or below the stop $0.80"]
    assert (desk.manager.pending_count, desk.manager.pending_symbols, desk.unresolved()) == (1, (CALL,), 0)


def test_nothing_is_sent_that_can_not_be_written_down() -> None:
    desk = Desk(journal=FakeJournal(broken={"intent"}))
    with pytest.raises(JournalError):
        desk.send()
    assert desk.broker.requests == []
    assert desk.book.open == ()


def test_a_halt_since_the_decision_stops_every_order_but_a_panics() -> None:
    desk = Desk(halted="earnings tonight")
    assert not desk.send()
    assert not desk.guard()
    assert desk.broker.requests == []
    assert desk.sentences == [f"{CALL_TEXT} halted: not sent: halted (earnings tonight)"]
    assert desk.send(reason=Reason.PANIC)


def test_an_acceptance_that_can_not_be_written_down_holds_all_the_same() -> None:
    desk = Desk(journal=FakeJournal(broken={"accepted"}))
    with pytest.raises(JournalError):
        desk.send()
    assert (desk.manager.pending_count, desk.manager.unknown) == (1, ())


def test_after_a_refusal_for_its_increment_the_next_order_has_the_coarser_one() -> None:
    off_grid = refusal(Refusal.PRICE_INCREMENT)
    desk = Desk(FakeBroker(answers=[off_grid, off_grid]))
    assert not desk.send()
    (holding,) = desk.positions.holdings([a_position(CALL, "10")], a_market())
    assert (holding.state.penny, holding.state.recoverable) == (False, True)
    assert "the next order uses the coarser price increment" in desk.sentences[-1]
    assert not desk.send()
    (holding,) = desk.positions.holdings([a_position(CALL, "10")], a_market())
    assert (holding.state.rejects, holding.state.recoverable) == (2, False)
    assert "coarser" not in desk.sentences[-1]


# --- several orders of one decision -----------------------------------------------------------------------------------


def cancelled_first(order: Order) -> PositionDecision:
    """An exit that an order is in the way of."""
    signal = a_signal(order.symbol)
    cancels = (CancelOrder(order, "to reprice"),)
    return PositionDecision(signal.holding, DecisionState.CLOSING, signal=signal, cancel_first=cancels)


def test_all_orders_of_a_decision_are_written_down_together_before_the_first_is_sent() -> None:
    desk = Desk()
    exits = [an_exit_of(symbol) for symbol in (CALL, OTHER, THIRD)]
    assert desk.carry_out(*exits)
    assert desk.journal.decisions == [(f"send {CALL}", f"send {OTHER}", f"send {THIRD}")]
    assert desk.journal.kinds == ["intent"] * 3 + ["accepted"] * 3
    assert desk.broker.requests == ["submit 10"] * 3


def test_the_cancels_of_a_decision_are_written_down_with_its_orders() -> None:
    desk = Desk()
    first = an_order(CALL, client_order_id="in-the-way")
    desk.carry_out(cancelled_first(first), an_exit_of(THIRD))
    assert desk.journal.decisions == [(f"send {THIRD}", f"cancel {first.id}")]
    desk.clock.seconds += 1
    assert not desk.carry_out(cancelled_first(first))
    assert len(desk.journal.decisions) == 1


def test_where_the_orders_of_a_decision_can_not_be_written_down_nothing_is_sent_or_cancelled() -> None:
    desk = Desk(journal=FakeJournal(broken={"intent"}))
    with pytest.raises(JournalError):
        desk.carry_out(cancelled_first(an_order(CALL)), an_exit_of(OTHER), an_exit_of(THIRD))
    assert desk.broker.requests == []
    assert (desk.book.open, desk.manager.pending_cancel_ids) == ((), frozenset())
    assert desk.manager.in_flight.is_read_current(OTHER, desk.clock.seconds)


def test_requests_begin_in_the_order_of_their_urgency_and_with_stale_orders_last() -> None:
    desk = Desk()
    desk.carry_out(
        cancelled_first(an_order(CALL, client_order_id="in-the-way")),
        an_exit_of(OTHER, "7"),
        an_exit_of(THIRD, "4", urgency=Urgency.PROFIT),
        stale=(CancelOrder(an_order(OTHER, client_order_id="old"), "stale"),),
    )
    assert [each for each in desk.broker.requests if each != "look up"] == ["cancel", "submit 7", "submit 4", "cancel"]
    assert [event.symbol for event in desk.told if event.kind is EventKind.CANCELED] == [CALL, OTHER]


def test_a_stale_order_is_cancelled_with_a_plan_that_sends_no_exit() -> None:
    desk = Desk()
    stale = (CancelOrder(an_order(OTHER, client_order_id="old"), "stale"),)
    assert desk.carry_out(an_exit_of(CALL, "7"), stale=stale)
    assert desk.broker.requests == ["submit 7"]
    assert desk.journal.decisions == [(f"send {CALL}",)]
    desk.carry_out(stale=stale)
    assert desk.broker.requests == ["submit 7", "cancel"]


def test_an_order_whose_cancel_hangs_holds_up_no_order_of_another_symbol() -> None:
    desk = Desk(FakeBroker(never_answers_cancels=True))

    async def scene() -> None:
        plan = Plan("main", desk.clock.now(), (cancelled_first(an_order(CALL)), an_exit_of(OTHER)))
        under_way = asyncio.ensure_future(desk.manager.carry_out(plan))
        for _ in range(5):
            await asyncio.sleep(0)
        in_flight, later = desk.manager.in_flight, desk.clock.seconds + 1
        assert desk.broker.requests == ["cancel", "submit 10"]
        assert (in_flight.has_any, in_flight.is_underlying_read_current("AAPL", later)) == (True, True)
        assert (in_flight.is_read_current(CALL, later), in_flight.is_read_current(OTHER, later)) == (False, True)
        under_way.cancel()

    asyncio.run(scene())


def test_an_answer_that_can_not_be_written_down_hides_no_other_ones() -> None:
    desk = Desk(journal=FakeJournal(broken={"accepted"}))
    with pytest.raises(JournalError):
        desk.carry_out(an_exit_of(CALL), an_exit_of(OTHER))
    assert desk.broker.requests == ["submit 10"] * 2
    assert (desk.manager.pending_symbols, desk.manager.unknown) == ((CALL, OTHER), ())
    assert not desk.manager.in_flight.has_any


def test_after_a_crash_between_the_commit_and_the_orders_each_intent_is_looked_up() -> None:
    intents = [replace(INTENT, client_order_id=f"sellctl-{symbol}", symbol=symbol) for symbol in (CALL, OTHER)]
    desk = Desk(journal=FakeJournal(left_open=tuple(OpenOrder(intent) for intent in intents)))
    arrived = as_shown(an_exit_of(OTHER).submit)  # type: ignore[arg-type]  it has one
    desk.broker.orders[intents[1].client_order_id] = replace(arrived, client_order_id=intents[1].client_order_id)
    desk.settle()
    assert desk.broker.requests == ["look up", "look up"]
    assert desk.manager.unknown == (intents[0].client_order_id,)
    assert desk.book.unresolved().keys() == {CALL}


# --- doubtful answers (I3, I5) ----------------------------------------------------------------------------------------


def test_after_a_lost_answer_the_next_request_is_the_look_up() -> None:
    desk = Desk(FakeBroker(answers=[TIMED_OUT], arrives=True))
    assert desk.send()
    assert desk.broker.requests == ["submit 10", "look up"]
    assert desk.journal.kinds == ["intent", "unknown"]
    assert desk.sentences[-1] == f"{CALL_TEXT} sent: the broker has the order (new)"
    assert desk.manager.unknown == ()


def test_an_order_that_did_not_arrive_is_sent_again_after_two_definite_noes_apart() -> None:
    desk = Desk(FakeBroker(answers=[TIMED_OUT]))
    desk.send()
    assert (desk.manager.unknown, desk.unresolved()) == ((AN_EXIT,), 10)
    desk.settle(seconds=4)
    assert "submit" not in "".join(desk.broker.requests[1:])
    desk.settle(seconds=2)
    assert desk.broker.requests == ["submit 10", "look up", "look up", "look up", "submit 10"]
    assert desk.journal.kinds == ["intent", "unknown", "not_found", "not_found", "accepted"]


def test_after_an_order_is_sent_again_nothing_is_sent_by_what_was_read_before() -> None:
    desk = Desk(FakeBroker(answers=[TIMED_OUT]))
    desk.send()
    desk.clock.seconds += 4
    read_at = desk.clock.seconds
    desk.settle()
    assert desk.manager.in_flight.is_read_current(CALL, read_at)
    desk.settle(seconds=2)
    assert desk.broker.requests[-1] == "submit 10"
    assert not desk.manager.in_flight.is_read_current(CALL, read_at)


def test_an_acceptance_that_can_not_be_written_down_is_known_all_the_same() -> None:
    desk = Desk(journal=FakeJournal(broken={"accepted"}))
    with pytest.raises(JournalError):
        desk.send()
    assert [order.client_order_id for order in desk.manager.shown] == [AN_EXIT]


@pytest.mark.parametrize(
    "held",
    [[], [a_position(CALL, "9")], [a_position(CALL, "10", short=True)], [a_position(CALL, "10", available="4")]],
    ids=["gone", "fewer", "short", "held by other orders"],
)
def test_a_lost_order_is_given_up_when_the_position_has_changed_meanwhile(held: Sequence[Position]) -> None:
    desk = Desk(FakeBroker(answers=[TIMED_OUT]), held=held)
    desk.send()
    desk.settle(seconds=6)
    desk.settle(seconds=6)
    assert desk.broker.requests.count("submit 10") == 1
    assert desk.journal.kinds[-1] == "absent"
    assert (desk.book.open, desk.unresolved()) == ((), 0)


def test_under_a_halt_a_lost_order_is_given_up_instead() -> None:
    desk = Desk(FakeBroker(answers=[TIMED_OUT]))
    desk.send()
    desk.halted = "stop"
    desk.settle(seconds=6)
    desk.settle(seconds=6)
    assert desk.journal.kinds[-1] == "absent"
    assert (desk.book.open, desk.unresolved()) == ((), 0)


def test_a_look_up_without_an_answer_proves_nothing() -> None:
    desk = Desk(FakeBroker(answers=[TIMED_OUT], look_up_answers=[TIMED_OUT]))
    desk.send()
    assert desk.journal.kinds == ["intent", "unknown", "lookup_failed"]
    assert desk.manager.unknown == (AN_EXIT,)


def test_an_id_that_exists_is_looked_up_and_followed() -> None:
    desk = Desk(FakeBroker(answers=[refusal(Refusal.DUPLICATE_ID)], arrives=True))
    assert not desk.send()
    assert desk.broker.requests == ["submit 10", "look up"]
    assert desk.journal.kinds == ["intent", "duplicate"]
    assert desk.manager.pending_count == 1


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "told", "failed"),
    [
        (refusal(Refusal.INSUFFICIENT_QTY), "blocked: the broker refused: another order holds the quantity", ()),
        (refusal(Refusal.UNCOVERED), "rejected: the broker refused: it covers a short", ()),
        (refusal(message="bad price"), "rejected: the broker refused: Refused: bad price.", (CALL,)),
        (AuthError("The key is refused."), "rejected: the broker refused: The key is refused.", (CALL,)),
        (TOO_MANY, "rejected: the broker refused: Too many requests.", ()),
    ],
    ids=["in the way", "next step", "reject", "key", "rate"],
)
def test_every_refusal_counts_in_the_row_and_only_one_without_a_next_step_fails_the_run(
    error: Exception, told: str, failed: tuple[str, ...]
) -> None:
    desk = Desk(FakeBroker(answers=[error]))
    assert not desk.send()
    assert desk.journal.kinds == ["intent", "refused"]
    assert told in desk.sentences[-1]
    assert (desk.book.rejects(CALL, 0.0).count, desk.manager.rejected) == (1, failed)
    assert (desk.book.open, desk.unresolved()) == ((), 0)


def test_an_order_that_waits_for_our_own_budget_was_not_refused() -> None:
    desk = Desk(FakeBroker(answers=[RateLimitedError("It waits.", answer=TOO_MANY.answer, is_ours=True)]))
    assert not desk.send()
    assert desk.sentences == [f"{CALL_TEXT} denied: not sent: It waits."]
    assert (desk.book.rejects(CALL, 0.0).count, desk.manager.rejected, desk.book.open) == (0, (), ())


@pytest.mark.parametrize("error", [REFUSED_IN_OTHER_WORDS, refusal(Refusal.DUPLICATE_ID)], ids=["no body", "id"])
def test_an_order_that_was_refused_unclearly_counts_once_two_look_ups_do_not_find_it(error: Exception) -> None:
    desk = Desk(FakeBroker(answers=[error]))
    desk.send()
    desk.settle(seconds=6)
    assert desk.book.rejects(CALL, 6.0).count == 0
    desk.settle(seconds=5)
    assert desk.broker.requests.count("submit 10") == 1
    assert (desk.journal.kinds[-1], desk.sentences[-1]) == (
        "refused",
        f"{CALL_TEXT} rejected: the broker refused: it has no such order",
    )
    assert (desk.book.rejects(CALL, 11.0).count, desk.manager.rejected, desk.book.open) == (1, (CALL,), ())


def test_a_block_of_the_account_is_told_once_and_lifted_by_the_next_acceptance() -> None:
    blocked = refusal(Refusal.ACCOUNT, "account is restricted")
    desk = Desk(FakeBroker(answers=[blocked, blocked]))
    desk.send()
    desk.send()
    assert len(desk.sentences) == 1
    assert "has blocked trading on this account (account is restricted)" in desk.sentences[0]
    assert desk.manager.trading_block.holds(1.0) == "account is restricted"
    assert desk.book.rejects(CALL, 0.0).count == 0
    desk.send()
    assert desk.manager.trading_block.holds(1.0) == ""


# --- fills and ends (I8, A1) ------------------------------------------------------------------------------------------


def test_a_fill_that_is_shown_again_and_again_is_written_and_told_once() -> None:
    desk = Desk()
    desk.send()
    shown = desk.broker.shows(AN_EXIT, filled_qty=Decimal(4), filled_avg_price=Decimal("0.71"))
    desk.settle(shown)
    desk.settle(shown)
    assert desk.journal.kinds.count("fill") == 1
    assert desk.sentences[-1] == f"{CALL_TEXT} filled: 4 of 10 at $0.71, -$116.00: stop"
    (holding,) = desk.positions.holdings([a_position(CALL, "10")], a_market())
    assert holding.state.qty_left == 6


def test_a_later_fill_is_told_with_what_all_fills_brought() -> None:
    desk = Desk()
    desk.send()
    desk.settle(desk.broker.shows(AN_EXIT, filled_qty=Decimal(4), filled_avg_price=Decimal("0.71")))
    whole = desk.broker.shows(AN_EXIT, status="filled", filled_qty=Decimal(10), filled_avg_price=Decimal("0.70"))
    desk.settle(whole)
    assert desk.sentences[-1] == f"{CALL_TEXT} filled: 6 of 10 at $0.70, -$300.00 in all: stop"


def test_a_fill_without_a_price_is_told_with_its_reason_alone() -> None:
    desk = Desk()
    desk.send()
    desk.settle(desk.broker.shows(AN_EXIT, filled_qty=Decimal(4), filled_avg_price=None))
    assert desk.sentences[-1] == f"{CALL_TEXT} filled: 4 of 10 at an unknown price: stop"


def test_an_order_that_left_the_list_is_looked_up_to_its_end() -> None:
    desk = Desk()
    desk.send()
    desk.broker.shows(AN_EXIT, status="filled", filled_qty=Decimal(10), filled_avg_price=Decimal("0.71"))
    assert desk.settle() == ()
    assert desk.journal.kinds == ["intent", "accepted", "fill", "filled"]
    assert desk.manager.pending_count == 0


def test_an_end_that_can_not_be_written_down_is_learnt_again() -> None:
    desk = Desk()
    desk.send()
    desk.broker.shows(AN_EXIT, status="expired")
    desk.journal.broken = {"expired"}
    with pytest.raises(JournalError):
        desk.settle()
    assert desk.manager.pending_count == 1
    desk.journal.broken = set()
    desk.settle()
    assert (desk.journal.kinds[-1], desk.manager.pending_count) == ("expired", 0)


def test_an_order_that_is_rejected_after_its_acceptance_counts_as_a_reject() -> None:
    desk = Desk()
    desk.send()
    desk.settle(desk.broker.shows(AN_EXIT, status="rejected"))
    assert desk.sentences[-1] == f"{CALL_TEXT} rejected: the broker rejected the order"
    assert desk.manager.rejected == (CALL,)


def test_an_order_that_nothing_shows_holds_its_quantity() -> None:
    desk = Desk()
    desk.send()
    desk.broker.look_up_answers = [BrokerError("The broker is down.")]
    desk.settle()
    assert desk.unresolved() == 10
    assert desk.settle(desk.broker.orders[AN_EXIT]) == (desk.broker.orders[AN_EXIT],)
    assert desk.unresolved() == 0


# --- restarts and other hosts -----------------------------------------------------------------------------------------

INTENT = Intent(AN_EXIT, CALL, Decimal(10), "stop_loss", 1, 3, Decimal("0.70"), at("11:59"))


def test_what_an_earlier_process_left_is_looked_up_before_anything_is_sent_for_it() -> None:
    desk = Desk(journal=FakeJournal(left_open=(OpenOrder(INTENT),)))
    desk.settle()
    assert desk.broker.requests == ["look up"]
    assert (desk.manager.unknown, desk.unresolved()) == ((AN_EXIT,), 10)


def test_an_exit_that_an_earlier_process_left_working_goes_on_at_its_step() -> None:
    desk = Desk(journal=FakeJournal(left_open=(OpenOrder(INTENT, (Outcome("unknown", {}),)),)))
    desk.clock.seconds = 30.0
    desk.settle(as_shown(a_request()))
    (holding,) = desk.positions.holdings([a_position(CALL, "10")], a_market())
    assert holding.state.exit is not None
    assert (holding.state.exit.step, holding.state.exit.age) == (3, dt.timedelta(seconds=30))
    assert desk.journal.kinds == ["adopted"]
    assert desk.sentences == [f"{CALL_TEXT} adopted: an order of an earlier run is working (new)"]
    desk.settle(as_shown(a_request()))
    assert desk.journal.kinds == ["adopted"]


def test_a_fill_that_an_earlier_process_told_is_not_told_again() -> None:
    outcomes = (Outcome("accepted", {"order_id": "b1"}), Outcome("fill", {"filled_qty": "4"}))
    desk = Desk(journal=FakeJournal(left_open=(OpenOrder(INTENT, outcomes),)))
    desk.settle(as_shown(a_request(), filled="4"))
    assert desk.journal.kinds == ["adopted"]
    assert len(desk.sentences) == 1


def test_an_order_of_another_host_is_followed_without_an_exit() -> None:
    desk = Desk()
    desk.settle(as_shown(a_request()))
    (holding,) = desk.positions.holdings([a_position(CALL, "10")], a_market())
    assert (desk.manager.pending_count, holding.state.exit) == (1, None)
    assert desk.journal.kinds == ["adopted"]


def test_a_resting_backstop_is_adopted_without_a_word_to_the_user() -> None:
    desk = Desk()
    desk.settle(as_shown(a_backstop_request()))
    assert (desk.journal.kinds, desk.sentences) == (["adopted"], [])
    assert (desk.manager.pending_count, desk.manager.symbols_with_backstop) == (0, (CALL,))


def test_fills_of_an_earlier_process_are_waited_for_in_the_positions() -> None:
    desk = Desk(journal=FakeJournal(late_fills={CALL: at("11:59")}))
    desk.settle()
    (holding,) = desk.positions.holdings([a_position(CALL, "10")], a_market())
    assert holding.state.filled_at == at("11:59")


# --- cancelling (I4) --------------------------------------------------------------------------------------------------


def test_a_cancel_is_written_down_and_asked_for_and_the_next_read_shows_its_end() -> None:
    desk = Desk()
    desk.send()
    assert desk.cancel(desk.broker.orders[AN_EXIT])
    assert desk.broker.requests[1:] == ["cancel"]
    assert desk.journal.kinds == ["intent", "accepted", "cancel"]
    assert desk.sentences[-1] == f"{CALL_TEXT} canceled: it is old"
    assert (desk.manager.pending_count, desk.manager.pending_cancel_ids) == (1, {desk.broker.orders[AN_EXIT].id})
    desk.manager.follow(desk.broker.orders.values())
    assert desk.journal.kinds[-1] == "canceled"
    assert desk.manager.pending_count == 0


def test_the_broker_s_last_answer_on_each_working_order_is_at_hand() -> None:
    desk = Desk()
    desk.send()
    assert desk.manager.shown == (desk.broker.orders[AN_EXIT],)
    desk.manager.follow([desk.broker.shows(AN_EXIT, status="filled", filled_qty=Decimal(10))])
    assert desk.manager.shown == ()


def test_a_cancel_that_was_taken_is_no_end() -> None:
    desk = Desk(FakeBroker(ends_on_cancel=False))
    desk.send()
    order = desk.broker.orders[AN_EXIT]
    assert desk.cancel(order)
    assert (desk.manager.pending_count, desk.manager.pending_cancel_ids) == (1, {order.id})
    assert not desk.cancel(order)
    desk.clock.seconds = CANCEL_ALERT_SECONDS
    assert desk.cancel(order)
    assert any("a cancel has been pending for 30 s" in sentence for sentence in desk.sentences)


def test_an_order_that_can_not_be_cancelled_any_more_is_read_to_its_end() -> None:
    desk = Desk(FakeBroker(cancel_answers=[refusal(Refusal.NOT_CANCELABLE)]))
    desk.send()
    order = desk.broker.shows(AN_EXIT, status="filled", filled_qty=Decimal(10))
    assert desk.cancel(order)
    desk.manager.follow([order])
    assert desk.journal.kinds[-1] == "filled"


@pytest.mark.parametrize(
    ("error", "asked", "told"),
    [
        (refusal(message="not now"), False, "rejected: cancel refused: Refused: not now."),
        (AuthError("The key is refused."), False, "degraded: cancel failed: The key is refused."),
        (TIMED_OUT, True, "canceled: it is old"),
    ],
    ids=["refused", "failed", "unknown"],
)
def test_a_cancel_that_fails_is_told_and_one_without_an_answer_is_waited_for(
    error: Exception, asked: bool, told: str
) -> None:
    desk = Desk(FakeBroker(cancel_answers=[error]))
    desk.send()
    assert desk.cancel(desk.broker.orders[AN_EXIT]) is asked
    assert told in desk.sentences[-1]
    assert ("cancel_unknown" in desk.journal.kinds) is asked


def test_a_persons_order_that_is_cancelled_is_over_once_the_broker_lists_it_no_more() -> None:
    desk = Desk()
    theirs = an_order(CALL)
    desk.broker.orders[theirs.client_order_id] = theirs
    assert desk.cancel(theirs)
    assert desk.journal.rows == [("cancel", CALL)]
    assert (desk.book.open, desk.manager.pending_cancel_ids) == ((), {theirs.id})
    desk.settle(theirs)
    assert desk.manager.pending_cancel_ids == {theirs.id}
    desk.settle()
    assert desk.manager.pending_cancel_ids == frozenset()


# --- backstops --------------------------------------------------------------------------------------------------------


def test_a_backstop_is_written_down_as_every_order_and_is_no_exit() -> None:
    desk = Desk()
    assert not desk.guard()
    assert desk.journal.rows == [("intent", A_BACKSTOP), ("accepted", A_BACKSTOP)]
    assert desk.sentences == [f"{CALL_TEXT} sent: backstop: sell 10 stop $0.40 (day)"]
    assert (desk.manager.pending_count, desk.manager.symbols_with_backstop) == (0, (CALL,))


def test_where_the_broker_takes_no_backstop_it_is_told_once_and_not_asked_again() -> None:
    desk = Desk(FakeBroker(answers=[refusal(message="stops are not supported")]))
    desk.guard()
    desk.guard()
    assert desk.broker.requests == ["submit 10"]
    assert desk.journal.kinds == ["intent", "refused", "no_backstop"]
    assert len(desk.sentences) == 1
    assert desk.book.rejects(CALL, 0.0).count == 0


def test_what_an_earlier_process_of_today_learnt_of_backstops_holds() -> None:
    desk = Desk(journal=FakeJournal(noted=(OTHER,)))
    desk.guard()
    assert desk.broker.requests == []


def test_a_backstop_that_fills_is_told_and_may_be_missing_in_the_positions() -> None:
    desk = Desk()
    desk.guard()
    shown = desk.broker.shows(A_BACKSTOP, status="filled", filled_qty=Decimal(10), filled_at=at("12:01"))
    desk.settle(replace(shown, filled_avg_price=Decimal("0.39")))
    assert desk.sentences[-1] == f"{CALL_TEXT} filled: backstop: 10 of 10 at $0.39, -$610.00"
    (holding,) = desk.positions.holdings([a_position(CALL, "10")], a_market())
    assert holding.state.filled_at == a_market().now
    assert holding.state.backstop.paused
