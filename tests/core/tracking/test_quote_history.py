import datetime as dt
from decimal import Decimal

import pytest
from builders import CALL, a_quote, at
from hypothesis import given
from hypothesis import strategies as st

from sellctl.core.model.instrument import AssetClass
from sellctl.core.tracking.quote_history import QuoteHistory, Source

Tick = tuple[float, str, str]


def a_history(*ticks: Tick, asset: AssetClass = AssetClass.OPTION) -> QuoteHistory:
    """A history of these quotes: seconds, bid, ask."""
    history = QuoteHistory(asset, confirm=1.5)
    for seconds, bid, ask in ticks:
        store(history, seconds, bid, ask)
    return history


def store(history: QuoteHistory, seconds: float, bid: str, ask: str, source: Source = Source.STREAM) -> bool:
    when = at("12:00") + dt.timedelta(seconds=seconds)
    return history.store(a_quote(CALL, bid, ask, when), seconds, source)


def bid_of(history: QuoteHistory) -> str:
    assert history.newest is not None
    return str(history.newest.bid)


@pytest.mark.parametrize(("bid", "ask"), [("100.00", "102.00"), ("0.01", "0.02"), ("2.00", "2.10")])
def test_a_jump_is_not_used_until_a_second_quote_agrees(bid: str, ask: str) -> None:
    history = a_history((0, "1.00", "1.02"), (1, bid, ask))
    assert bid_of(history) == "1.00"
    assert history.has_jump(1)
    store(history, 2.4, bid, ask)
    assert bid_of(history) == "1.00"
    store(history, 2.5, bid, ask)
    assert bid_of(history) == bid


def test_one_bad_tick_leaves_no_trace() -> None:
    history = a_history((0, "1.00", "1.02"), (1, "100.00", "102.00"), (2, "1.00", "1.02"))
    assert not history.has_jump(2)
    assert bid_of(history) == "1.00"


def test_ticks_that_jump_about_never_become_the_level() -> None:
    history = a_history((0, "1.00", "1.02"), (1, "100.00", "102.00"), (3, "0.01", "0.02"), (5, "100.00", "102.00"))
    assert bid_of(history) == "1.00"


@pytest.mark.parametrize(("asset", "used"), [(AssetClass.OPTION, True), (AssetClass.STOCK, False)])
def test_a_stock_jumps_by_a_tenth_an_option_by_a_half(asset: AssetClass, *, used: bool) -> None:
    history = a_history((0, "10.00", "10.02"), asset=asset)
    assert store(history, 1, "8.00", "8.02") is used


def test_a_step_of_a_cheap_option_is_no_jump() -> None:
    assert store(a_history((0, "0.01", "0.02")), 1, "0.03", "0.04")


def test_a_slow_grind_is_believed_quote_by_quote() -> None:
    history = a_history((0, "1.00", "1.02"))
    assert all(store(history, n, f"{1 - n / 100:.2f}", f"{1.02 - n / 100:.2f}") for n in range(1, 90))


def test_a_window_says_when_its_first_quote_arrived() -> None:
    history = a_history((0, "0.70", "0.72"))
    assert history.window_began_at is None
    store(history, 1.0, "0.69", "0.71")
    store(history, 1.6, "0.69", "0.71")
    assert history.window_began_at == 0


def test_the_window_needs_a_sample_that_is_old_enough() -> None:
    history = a_history((0, "0.70", "0.72"), (1.4, "0.71", "0.73"))
    assert history.window is None
    store(history, 1.5, "0.69", "0.71")
    window = history.window
    assert window is not None
    assert (window.high.bid, window.low.bid) == (Decimal("0.71"), Decimal("0.69"))


@given(began=st.floats(0, 1e6), confirm=st.floats(0.1, 60), early=st.floats(0.001, 0.1))
def test_a_quote_awaited_to_the_very_instant_confirms_and_one_a_millisecond_earlier_does_not(
    began: float, confirm: float, early: float
) -> None:
    history, hasty = (QuoteHistory(AssetClass.OPTION, confirm) for _ in range(2))
    for each in (history, hasty):
        store(each, began, "1.00", "1.02")
    store(history, began + confirm, "0.99", "1.01")
    store(hasty, began + confirm - early, "0.99", "1.01")
    assert history.window is not None
    assert hasty.window is None


def test_the_window_begins_with_the_newest_sample_that_is_old_enough() -> None:
    history = a_history((0, "1.00", "1.02"), (5, "0.70", "0.72"), (6.6, "0.70", "0.72"))
    window = history.window
    assert window is not None
    assert window.high.bid == Decimal("0.70")


def test_a_sample_of_minutes_ago_confirms_nothing() -> None:
    assert a_history((0, "0.70", "0.72"), (70, "0.70", "0.72")).window is None


def test_a_confirmed_jump_brings_its_own_confirmation() -> None:
    window = a_history((0, "1.00", "1.02"), (5, "0.30", "0.32"), (6.5, "0.31", "0.33")).window
    assert window is not None
    assert window.high.bid == Decimal("0.31")


def test_a_quote_of_the_future_never_holds_up_the_next() -> None:
    history = a_history((0, "1.00", "1.02"))
    ahead = at("13:00")
    assert not history.store(a_quote(CALL, "5.00", "5.02", ahead), 1, Source.POLL, at("12:00"))
    assert store(history, 2, "1.01", "1.03")


def test_a_quote_that_came_while_the_clock_was_ten_minutes_fast_does_not_hold_up_the_next() -> None:
    history = a_history((0, "1.00", "1.02"))
    assert history.store(a_quote(CALL, "1.10", "1.12", at("12:10")), 1, Source.POLL, at("12:10"))
    assert history.store(a_quote(CALL, "1.05", "1.07", at("12:00")), 2, Source.POLL, at("12:00"))
    assert (bid_of(history), history.closed_at) == ("1.05", None)


def test_an_older_quote_never_replaces_a_newer_one() -> None:
    history = a_history((5, "1.00", "1.02"))
    assert not history.store(a_quote(CALL, "0.90", "0.92", at("12:00")), 6, Source.POLL)


def test_a_crossed_quote_is_shown_and_is_no_sample() -> None:
    history = a_history((0, "1.00", "1.02"), (2, "1.30", "1.00"))
    assert bid_of(history) == "1.30"
    assert history.window is None


def test_a_stream_whose_quote_is_held_back_as_a_jump_is_not_silent() -> None:
    history = a_history((0, "1.00", "1.02"), (0.9, "2.00", "2.02"))
    for seconds in (1, 2, 3):
        store(history, seconds, "2.00", "2.02", Source.POLL)
    assert history.polls_ahead == 0
    assert bid_of(history) == "2.00"


def test_one_jump_that_only_polls_bring_counts_once_against_the_stream() -> None:
    history = a_history((0, "1.00", "1.02"))
    for seconds in (1, 2, 3):
        store(history, seconds, "2.00", "2.02", Source.POLL)
    assert history.polls_ahead == 1


@pytest.mark.parametrize("stamp", [0.5, 60.0])
def test_a_stream_whose_quote_is_not_stored_is_heard_all_the_same(stamp: float) -> None:
    history = a_history((0, "1.00", "1.02"))
    for seconds, price in ((1, "1.01"), (2, "1.02")):
        store(history, seconds, price, "1.04", Source.POLL)
    assert history.polls_ahead == 2
    quote = a_quote(CALL, "1.03", "1.05", at("12:00") + dt.timedelta(seconds=stamp))
    assert not history.store(quote, 2.1, Source.STREAM, at("12:00"))
    assert (history.polls_ahead, history.streamed_at) == (0, 2.1)


def test_the_prices_on_both_sides_of_the_last_night_are_kept_whatever_follows() -> None:
    morning = 18 * 3600
    history = a_history((0, "1.00", "1.02"), (morning, "1.10", "1.12"), (morning + 60, "2.00", "2.04"))
    store(history, morning + 62, "2.00", "2.04")
    assert (history.closed_at, history.reopened_at) == (Decimal("1.01"), Decimal("1.11"))


def test_the_first_price_of_all_is_kept_where_none_before_the_night_is_known() -> None:
    history = a_history((0, "1.00", "1.02"), (60, "1.10", "1.12"))
    assert (history.closed_at, history.reopened_at) == (None, Decimal("1.01"))


def test_a_jump_over_night_is_the_first_price_once_it_is_confirmed() -> None:
    morning = 18 * 3600
    history = a_history((0, "1.00", "1.02"), (morning, "0.40", "0.42"))
    assert history.reopened_at is None
    store(history, morning + 2, "0.40", "0.42")
    assert (history.closed_at, history.reopened_at) == (Decimal("1.01"), Decimal("0.41"))
