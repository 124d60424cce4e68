"""What is known of today's orders, and when that is certain."""

import datetime as dt
from decimal import Decimal

from builders import CALL, PUT, an_order, at, our_order, replace
from hypothesis import given
from hypothesis import strategies as st
from structure_builders import a_multi_leg_order

from sellctl.core.model.order import Order
from sellctl.core.model.snapshot import InvalidRow, Rows
from sellctl.core.tracking.todays_orders import TodaysOrders

MIDNIGHT = at("00:00")
NEXT_MIDNIGHT = MIDNIGHT + dt.timedelta(days=1)
SYMBOLS = (CALL, PUT)


def read(
    todays: TodaysOrders, *orders: Order, midnight: dt.datetime = MIDNIGHT, symbols: tuple[str, ...] | None = None
) -> int:
    """A read that has shown these orders."""
    number = todays.begin_read()
    todays.loaded(Rows(orders), midnight, number, symbols)
    return number


def streamed() -> TodaysOrders:
    todays = TodaysOrders()
    todays.streamed(is_connected=True)
    return todays


def known(todays: TodaysOrders, since: int | None = None) -> dict[str, tuple[Order, ...]]:
    return todays.known(SYMBOLS, MIDNIGHT, since)


# --- certainty


def test_nothing_is_known_before_the_first_read() -> None:
    assert known(TodaysOrders()) == known(streamed()) == {}


def test_without_a_stream_the_orders_are_known_for_the_read_that_brought_them_and_for_no_later_one() -> None:
    todays, order = TodaysOrders(), an_order(CALL)
    number = read(todays, order)
    assert known(todays, number) == {CALL: (order,), PUT: ()}
    assert known(todays) == {}
    assert known(todays, todays.begin_read()) == {}


def test_while_the_stream_is_connected_they_stay_certain_until_it_brings_news_of_the_symbol() -> None:
    todays = streamed()
    number = read(todays)
    assert known(todays).keys() == {CALL, PUT}
    todays.changed(CALL)
    assert known(todays).keys() == {PUT}
    assert known(todays, number).keys() == {CALL, PUT}
    read(todays)
    assert known(todays).keys() == {CALL, PUT}


def test_news_without_a_symbol_may_be_of_any() -> None:
    todays = streamed()
    read(todays)
    todays.changed("")
    assert known(todays) == {}


def test_news_during_a_read_are_not_taken_to_be_in_its_answer() -> None:
    todays = streamed()
    number = todays.begin_read()
    todays.changed(CALL)
    todays.loaded(Rows(()), MIDNIGHT, number)
    assert known(todays).keys() == {PUT}
    assert known(todays, number).keys() == {CALL, PUT}


def test_a_break_of_the_stream_makes_all_uncertain_and_its_return_alone_makes_nothing_certain() -> None:
    todays = streamed()
    read(todays)
    todays.streamed(is_connected=False)
    assert known(todays) == {}
    todays.streamed(is_connected=True)
    assert known(todays) == {}
    assert todays.lacks(SYMBOLS, MIDNIGHT)
    read(todays)
    assert known(todays).keys() == {CALL, PUT}
    assert not todays.lacks(SYMBOLS, MIDNIGHT)


def test_without_a_stream_no_read_would_make_anything_certain_for_later() -> None:
    assert not TodaysOrders().lacks(SYMBOLS, MIDNIGHT)


def test_a_read_of_one_symbol_says_nothing_of_another() -> None:
    todays = streamed()
    read(todays, symbols=(CALL,))
    assert known(todays).keys() == {CALL}


def test_an_answer_that_comes_late_is_no_newer_than_its_request() -> None:
    todays = streamed()
    slow = todays.begin_read()
    todays.changed(CALL)
    read(todays)
    todays.loaded(Rows(()), MIDNIGHT, slow)
    assert known(todays).keys() == {CALL, PUT}


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("begin"), st.none()),
            st.tuples(st.just("answer"), st.sampled_from([None, *SYMBOLS])),
            st.tuples(st.just("change"), st.sampled_from(["", *SYMBOLS])),
            st.tuples(st.just("stream"), st.booleans()),
        ),
        max_size=20,
    )
)
def test_a_symbol_is_certain_exactly_if_it_was_requested_after_all_news_and_the_stream_is_connected(
    acts: list[tuple[str, str | bool | None]],
) -> None:
    todays, begun, is_up = TodaysOrders(), [0], False
    answered, news = dict.fromkeys(SYMBOLS, -1), dict.fromkeys(SYMBOLS, 0)
    requests = {0: todays.begin_read()}
    for moment, (act, value) in enumerate(acts, start=1):
        if act == "begin":
            requests[moment] = todays.begin_read()
            begun.append(moment)
        elif act == "answer":
            symbols = None if value is None else (str(value),)
            todays.loaded(Rows(()), MIDNIGHT, requests[begun[-1]], symbols)
            answered |= {symbol: max(begun[-1], answered[symbol]) for symbol in symbols or SYMBOLS}
        elif act == "change":
            todays.changed(str(value))
            news |= {symbol: moment for symbol in SYMBOLS if value in {"", symbol}}
        else:
            is_up = bool(value)
            todays.streamed(is_connected=is_up)
            news |= dict.fromkeys(SYMBOLS, moment)
    certain = {symbol for symbol in SYMBOLS if is_up and answered[symbol] > news[symbol]}
    assert known(todays).keys() == certain


# --- orders


def test_an_answer_about_an_order_of_ours_is_known_without_another_request() -> None:
    todays = streamed()
    read(todays)
    sent = our_order(CALL)
    todays.put(sent)
    assert known(todays)[CALL] == (sent,)
    ended = replace(sent, status="canceled")
    todays.put(ended)
    assert known(todays)[CALL] == (ended,)


def test_an_order_that_was_answered_during_a_read_whose_list_lacks_it_stays_known() -> None:
    todays = streamed()
    number = todays.begin_read()
    sent = our_order(CALL)
    todays.put(sent)
    todays.loaded(Rows(()), MIDNIGHT, number)
    assert known(todays)[CALL] == (sent,)


def test_orders_of_earlier_days_are_not_among_them() -> None:
    todays = streamed()
    early = an_order(CALL, submitted=MIDNIGHT - dt.timedelta(hours=8), id="early")
    number = read(todays, early, an_order(CALL, submitted=MIDNIGHT))
    todays.put(early)
    assert [order.id for order in known(todays, number)[CALL]] == [an_order(CALL).id]


def test_a_new_day_begins_without_orders_and_with_nothing_known() -> None:
    todays = streamed()
    read(todays, an_order(CALL))
    assert todays.known(SYMBOLS, NEXT_MIDNIGHT) == {}
    assert todays.lacks(SYMBOLS, NEXT_MIDNIGHT)
    read(todays, midnight=NEXT_MIDNIGHT)
    assert todays.known(SYMBOLS, NEXT_MIDNIGHT) == {CALL: (), PUT: ()}


def test_an_order_that_newly_misses_in_the_list_of_open_ones_makes_its_symbol_uncertain_once() -> None:
    todays = streamed()
    resting = an_order(CALL)
    read(todays, resting)
    todays.listed([resting])
    assert known(todays).keys() == {CALL, PUT}
    todays.listed([])
    assert known(todays).keys() == {PUT}
    read(todays, resting)
    todays.listed([])
    assert known(todays).keys() == {CALL, PUT}


@given(st.permutations(range(5)), st.lists(st.integers(0, 4), max_size=5))
def test_views_of_an_order_lead_to_the_same_knowledge_in_whatever_order_and_however_often_they_arrive(
    order_of_arrival: list[int], repeated: list[int]
) -> None:
    sent = our_order(CALL, qty="3")
    views = [
        sent,
        replace(sent, status="partially_filled", filled_qty=Decimal(1)),
        replace(sent, status="pending_cancel", filled_qty=Decimal(1), updated_at=at("12:00")),
        replace(sent, status="partially_filled", filled_qty=Decimal(2)),
        replace(sent, status="canceled", filled_qty=Decimal(2)),
    ]
    todays = streamed()
    read(todays)
    for index in (*order_of_arrival, *repeated):
        todays.put(views[index])
    assert known(todays)[CALL] == (views[-1],)


# --- rows that can't be read


def unreadable(todays: TodaysOrders, symbol: str) -> int:
    number = todays.begin_read()
    todays.loaded(Rows((), (InvalidRow(symbol, "qty is 'NaN'"),)), MIDNIGHT, number)
    return number


def test_an_unreadable_row_leaves_its_symbol_unknown_and_no_other_until_a_read_without_it() -> None:
    todays = streamed()
    number = unreadable(todays, CALL)
    assert known(todays).keys() == known(todays, number).keys() == {PUT}
    assert not todays.lacks(SYMBOLS, MIDNIGHT)
    read(todays, symbols=(CALL,))
    assert known(todays).keys() == {CALL, PUT}


def test_an_unreadable_row_without_a_symbol_leaves_all_unknown() -> None:
    todays = streamed()
    read(todays)
    number = unreadable(todays, "")
    assert known(todays) == known(todays, number) == {}


# --- multi-leg orders

BOTH = {CALL: 1, PUT: -1}


def test_a_multi_leg_order_is_one_of_each_of_its_symbols() -> None:
    todays = TodaysOrders()
    order = a_multi_leg_order(BOTH)
    number = read(todays, order)
    assert known(todays, number) == {CALL: (order,), PUT: (order,)}


def test_while_its_legs_are_not_shown_it_is_one_of_every_symbol() -> None:
    todays, shown = TodaysOrders(), a_multi_leg_order({CALL: 1})
    hidden = replace(shown, legs=())
    number = read(todays, hidden)
    assert known(todays, number) == {CALL: (hidden,), PUT: (hidden,)}
    todays.put(shown)
    assert known(todays, number) == {CALL: (shown,), PUT: ()}


def test_an_answer_without_its_legs_leaves_those_known_and_says_how_much_of_each_has_filled() -> None:
    todays = TodaysOrders()
    number = read(todays, a_multi_leg_order({CALL: 1, PUT: -2}, "3"))
    todays.put(a_multi_leg_order({CALL: 1}, "3", filled="1", status="canceled", shows_legs=False))
    ((order,), (same,)) = known(todays, number).values()
    assert order == same
    assert [(leg.symbol, leg.qty, leg.filled_qty, leg.is_terminal) for leg in order.legs] == [
        (CALL, 3, 1, True),
        (PUT, 6, 2, True),
    ]


def test_one_that_newly_misses_in_the_list_of_open_ones_makes_each_of_its_symbols_uncertain() -> None:
    todays = streamed()
    read(todays, a_multi_leg_order(BOTH))
    todays.listed([])
    assert known(todays) == {}


# --- fills that positions may not show yet ----------------------------------------------------------------------------


def test_the_underlyings_on_which_an_order_has_just_filled_are_known_after_a_read_of_all() -> None:
    filled = replace(an_order(CALL), filled_qty=Decimal(1), filled_at=at("11:59:45"))
    todays = TodaysOrders()
    assert todays.filled_underlyings(at("11:59:30")) is None
    read(todays, filled, an_order("MSFT"))
    assert todays.filled_underlyings(at("11:59:30")) == {"AAPL"}
    assert todays.filled_underlyings(at("11:59:50")) == set()


def test_an_open_multi_leg_order_may_be_filling_while_the_positions_are_read() -> None:
    for status, expected in (("new", {"AAPL"}), ("canceled", set())):
        todays = TodaysOrders()
        read(todays, a_multi_leg_order({CALL: 1, PUT: -1}, status=status), an_order("MSFT"))
        assert todays.filled_underlyings(at("11:59")) == expected


def test_they_are_unknown_while_an_order_or_its_legs_cannot_be_read() -> None:
    todays = TodaysOrders()
    unreadable(todays, CALL)
    assert todays.filled_underlyings(at("11:00")) is None
    todays = TodaysOrders()
    read(todays, a_multi_leg_order({CALL: 1, PUT: 1}, status="filled", filled="1", shows_legs=False))
    assert todays.filled_underlyings(at("11:59")) is None
