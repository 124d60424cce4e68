"""The one order of a structure: what is written down, counted and told of it, and what follows when it is refused."""

from decimal import Decimal

import pytest
from builders import CALL, a_market, a_position, at, replace
from order_builders import a_structure_exit
from order_desk import TIMED_OUT, TOO_MANY, Desk
from order_fakes import as_shown_with_legs, refusal
from structure_builders import call

from sellctl.core.errors import FailureKind, Refusal, UnknownOutcomeError
from sellctl.core.model.intent import Intent, OpenOrder, Outcome
from sellctl.core.model.plan import CancelOrder, SubmitOrder

OTHER = call(210)
NAME = "AAPL-vertical-261218-200-210C"
EXIT = a_structure_exit({CALL: 1, OTHER: -1})
TODAY = at("12:00").date()


def request() -> SubmitOrder:
    assert EXIT.submit is not None
    return EXIT.submit


def a_desk(**more: object) -> Desk:
    """A desk that holds the two legs of a vertical, two units of it."""
    held = (a_position(CALL, "2"), a_position(OTHER, "2", short=True))
    desk = Desk(held=held, **more)  # type: ignore[arg-type]
    desk.positions.holdings(held, a_market())
    return desk


def left(desk: Desk) -> list[Decimal | None]:
    """What is left of each leg by our own count."""
    holdings = desk.positions.holdings(desk.held, a_market())
    return [holding.state.qty_left for holding in holdings]


def test_it_is_one_order_of_each_of_its_legs_and_nothing_else_is_sent_on_them() -> None:
    desk = a_desk()
    assert desk.carry_out(EXIT)
    assert desk.broker.requests == ["submit 2"]
    assert desk.manager.pending_symbols == (CALL, OTHER)
    assert left(desk) == [2, 2]
    assert desk.sentences == [f"{NAME} sent: sell 2 net limit $1.20 credit: vertical: the stop"]


def test_a_fill_is_counted_on_each_leg_once_and_told_with_what_it_brought() -> None:
    desk = a_desk()
    desk.carry_out(EXIT)
    half = as_shown_with_legs(request(), "partially_filled", "1")
    desk.settle(half, seconds=1)
    desk.settle(half, seconds=1)
    assert left(desk) == [1, 1]
    assert desk.sentences[1:] == [f"{NAME} filled: 1 of 2 at $1.10 credit, +$10.00: stop"]
    desk.settle(seconds=1)
    desk.broker.orders[request().client_order_id] = as_shown_with_legs(request(), "filled", "2")
    desk.settle(seconds=1)
    assert left(desk) == [0, 0]
    assert desk.manager.pending_count == 0


@pytest.mark.parametrize("answer", [None, refusal(message="too late")])
def test_its_cancel_is_told_under_the_structures_name(answer: Exception | None) -> None:
    desk = a_desk()
    desk.carry_out(EXIT)
    (order,) = desk.settle(as_shown_with_legs(request()), seconds=1)
    desk.broker.cancel_answers += [answer] if answer else []
    desk.run(lambda: desk.manager.cancel_all([CancelOrder(order, "to reprice")]))
    assert [each.partition(":")[0] for each in desk.sentences[1:]] == [
        f"{NAME} canceled",
        *([f"{NAME} rejected"] if answer else []),
    ]


def test_a_cancel_is_told_by_the_name_of_its_structure_and_one_of_the_users_order_by_its_legs() -> None:
    desk = a_desk()
    desk.carry_out(EXIT)
    [ours] = desk.settle(as_shown_with_legs(request()), seconds=1)
    desk.cancel(ours)
    desk.cancel(replace(ours, id="theirs", client_order_id="by-hand"))
    assert desk.sentences[1:] == [f"{NAME} canceled: it is old", f"{CALL}+{OTHER} canceled: it is old"]


def test_what_a_look_up_leaves_out_is_known_from_the_order_itself() -> None:
    desk = a_desk()
    desk.carry_out(EXIT)
    shown = as_shown_with_legs(request(), "partially_filled", "1")
    desk.broker.orders[request().client_order_id] = replace(shown, legs=())
    (order,) = desk.settle(seconds=1)
    assert [(leg.symbol, leg.leaves_qty) for leg in order.legs] == [(CALL, 1), (OTHER, 1)]
    assert left(desk) == [1, 1]


def test_a_list_that_leaves_the_legs_out_does_not_hide_them() -> None:
    desk = a_desk()
    desk.carry_out(EXIT)
    (order,) = desk.settle(replace(as_shown_with_legs(request()), legs=()), seconds=1)
    assert order.symbols == (CALL, OTHER)


def test_an_acceptance_that_leaves_the_legs_out_does_not_hide_them() -> None:
    desk = a_desk()
    desk.broker.hides_legs = True
    desk.carry_out(EXIT)
    (shown,) = desk.manager.shown
    assert shown.symbols == (CALL, OTHER)
    assert desk.manager.todays.lacking_in([], ["MSFT"]) == frozenset()


def test_until_its_outcome_is_known_each_leg_counts_as_gone() -> None:
    desk = a_desk()
    desk.broker.answers.append(TIMED_OUT)
    desk.broker.arrives = False
    desk.carry_out(EXIT)
    assert desk.book.unresolved() == {CALL: 2, OTHER: 2}
    assert desk.broker.requests == ["submit 2", "look up"]


def test_it_is_sent_again_only_while_every_leg_is_still_free() -> None:
    for gone, requests in ((False, 2), (True, 1)):
        desk = a_desk()
        desk.broker.answers.append(TIMED_OUT)
        desk.carry_out(EXIT)
        if gone:
            desk.held = desk.held[:1]
        desk.settle(seconds=1)
        desk.settle(seconds=6)
        assert desk.broker.requests.count("submit 2") == requests


@pytest.mark.parametrize(
    ("kind", "refused"),
    [(Refusal.OPTIONS_LEVEL, ""), (Refusal.UNCOVERED, NAME), (Refusal.OTHER, NAME)],
)
def test_a_refusal_is_remembered_for_the_day_and_counts_towards_no_pause(kind: Refusal, refused: str) -> None:
    desk = a_desk()
    desk.broker.answers.append(refusal(kind, "order is not allowed"))
    assert desk.carry_out(EXIT)  # the legs follow at once
    assert desk.manager.no_multi_leg(TODAY) == {refused}
    assert desk.manager.no_multi_leg(TODAY.replace(day=25)) == frozenset()
    assert desk.journal.kinds == ["intent", "refused", "no_multi_leg"]
    assert [desk.book.rejects(symbol, 1.0).count for symbol in (CALL, OTHER)] == [0, 0]
    assert desk.manager.rejected == ()
    assert desk.sentences[-1] == (
        f"{NAME}: the broker takes no multi-leg order (order is not allowed); "
        "its legs are closed one by one, short ones first"
    )


@pytest.mark.parametrize("answer", [refusal(Refusal.INSUFFICIENT_QTY), refusal(Refusal.WASH_TRADE), TOO_MANY])
def test_a_refusal_with_another_recovery_is_tried_again_as_one(answer: Exception) -> None:
    desk = a_desk()
    desk.broker.answers.append(answer)
    desk.carry_out(EXIT)
    assert desk.manager.no_multi_leg(TODAY) == frozenset()
    assert [desk.book.rejects(symbol, 1.0).count for symbol in (CALL, OTHER)] == [1, 1]


def test_when_the_position_intents_are_refused_twice_in_a_row_it_leaves_by_legs() -> None:
    desk = a_desk()
    desk.broker.answers += [refusal(Refusal.INTENT_MISMATCH), refusal(Refusal.INTENT_MISMATCH)]
    desk.carry_out(EXIT)
    assert desk.manager.no_multi_leg(TODAY) == frozenset()
    again = replace(request(), client_order_id="sellctl-second")
    desk.carry_out(replace(EXIT, submit=again))
    assert desk.manager.no_multi_leg(TODAY) == {NAME}


def test_a_refusal_in_other_words_is_looked_up_and_then_remembered_too() -> None:
    desk = a_desk()
    desk.broker.answers.append(UnknownOutcomeError("The host answered with status 403.", kind=FailureKind.GATEWAY))
    desk.carry_out(EXIT)
    desk.settle(seconds=1)
    desk.settle(seconds=6)
    desk.settle(seconds=11)
    assert desk.manager.no_multi_leg(TODAY) == {NAME}
    assert desk.book.unresolved() == {}


def test_one_that_the_exchange_rejects_later_is_remembered_too() -> None:
    desk = a_desk()
    desk.carry_out(EXIT)
    desk.broker.orders[request().client_order_id] = as_shown_with_legs(request(), "rejected")
    desk.settle(seconds=1)
    assert desk.manager.no_multi_leg(TODAY) == {NAME}


def test_what_another_process_was_refused_today_holds_after_a_restart() -> None:
    desk = a_desk()
    desk.journal.noted = (NAME,)
    assert desk.manager.no_multi_leg(TODAY) == {NAME}


def test_a_restart_follows_it_with_its_legs() -> None:
    order = request()
    intent = Intent(
        order.client_order_id,
        NAME,
        Decimal(2),
        "stop_loss",
        1,
        1,
        order.limit_price,
        at("12:00"),
        order.legs,
        order.side,
    )
    desk = a_desk()
    desk.journal.left_open = (OpenOrder(intent, (Outcome("accepted", {"order_id": "b1"}),)),)
    desk.broker.orders[order.client_order_id] = replace(as_shown_with_legs(order), legs=())
    (found,) = desk.settle()
    assert found.symbols == (CALL, OTHER)
    assert desk.manager.pending_symbols == (CALL, OTHER)
    desk.broker.orders[order.client_order_id] = replace(as_shown_with_legs(order, "filled", "2"), legs=())
    desk.settle(seconds=1)
    assert desk.sentences[-1] == f"{NAME} filled: 2 of 2 at $1.10 credit: stop"


def test_one_of_another_host_is_taken_over_with_the_legs_that_the_broker_shows() -> None:
    desk = a_desk()
    desk.settle(as_shown_with_legs(request()))
    assert desk.manager.pending_symbols == (CALL, OTHER)
