"""Trailing stop, breakeven and profit lock: armed by the peak, and fired at their threshold."""

from decimal import Decimal

import pytest
from builders import CALL, a_market, a_position, at_price, fires, replace
from hypothesis import assume, given
from hypothesis import strategies as st
from order_fakes import FakeEpisodeStore

from sellctl.core.config.schema import (
    LockStep,
    Pullback,
)
from sellctl.core.model.position import Holding, PastAverage
from sellctl.core.rules.breakeven import Breakeven
from sellctl.core.rules.profit_lock import ProfitLock
from sellctl.core.rules.trailing_stop import TrailingStop
from sellctl.core.sell_strategies.base_strategy import Rule
from sellctl.core.tracking.episodes import Episodes, carried_on, state_of_episode

D = Decimal
NOON = a_market("12:00")


POINTS, SHARE = Pullback(D("0.10")), Pullback(D("0.10"), of_price=True)
PEAKS = [
    # rule, peak, met, missed, short peak, met, missed
    (TrailingStop(POINTS, D("0.4")), "1.50", "1.40", "1.41", "0.50", "0.60", "0.59"),
    (TrailingStop(POINTS, D("0.4")), "1.40", "1.30", "1.31", "0.60", "0.70", "0.69"),
    (TrailingStop(SHARE, D("0.4")), "1.50", "1.35", "1.36", "0.50", "0.55", "0.54"),
    (TrailingStop(Pullback(D("0.5")), D("0.4"), floor=D("0.3")), "1.50", "1.30", "1.31", "0.50", "0.70", "0.69"),
    (TrailingStop(Pullback(D("0.5")), D("0.4"), max_pullback=SHARE), "1.50", "1.35", "1.36", "0.50", "0.55", "0.54"),
    (Breakeven(D("0.25")), "1.25", "1.00", "1.01", "0.75", "1.00", "0.99"),
    (Breakeven(D("0.25"), D("0.05")), "1.30", "1.05", "1.06", "0.70", "0.95", "0.94"),
    (ProfitLock((LockStep(D("0.2"), D("0.05")),)), "1.20", "1.05", "1.06", "0.80", "0.95", "0.94"),
]


@pytest.mark.parametrize("row", PEAKS)
def test_a_stop_that_follows_the_peak_fires_at_its_threshold(row: tuple[Rule, str, str, str, str, str, str]) -> None:
    rule, peak, met, missed, short_peak, short_met, short_missed = row
    assert fires(rule, at_price(met, peak=D(peak)))
    assert not fires(rule, at_price(missed, peak=D(peak)))
    assert fires(rule, at_price(short_met, short=True, peak=D(short_peak)))
    assert not fires(rule, at_price(short_missed, short=True, peak=D(short_peak)))


@pytest.mark.parametrize("rule", [row[0] for row in PEAKS])
def test_unarmed_it_never_fires(rule: Rule) -> None:
    assert not fires(rule, at_price("0.50"))
    assert not fires(rule, at_price("0.50", peak=D("1.19")))
    assert not fires(rule, at_price("1.50", short=True, peak=D("0.81")))


@pytest.mark.parametrize(
    ("rule", "label"),
    [
        (TrailingStop(POINTS, D("0.4")), "trailing stop 10pt, armed from +40% on"),
        (TrailingStop(POINTS, D("-Infinity")), "trailing stop 10pt, armed by the first confirmed price"),
        (Breakeven(D("0.25")), "breakeven, armed from +25% on"),
        (ProfitLock((LockStep(D("0.5"), D("0.3")), LockStep(D("0.2"), D("0.05")))), "profit lock, armed from +20% on"),
    ],
)
def test_unarmed_it_says_what_arms_it(rule: Rule, label: str) -> None:
    assert rule.label(at_price("1.00"), NOON) == label


def test_the_higher_rung_of_a_profit_lock_holds() -> None:
    lock = ProfitLock((LockStep(D("0.2"), D("0.05")), LockStep(D("0.5"), D("0.3"))))
    assert not fires(lock, at_price("1.29", peak=D("1.49")))
    assert fires(lock, at_price("1.30", peak=D("1.50")))


PRICE = st.decimals(min_value="0.05", max_value="9", places=2)


@given(prices=st.lists(PRICE, min_size=1, max_size=30), short=st.booleans(), of_price=st.booleans())
def test_a_trail_only_ever_moves_towards_the_gain(prices: list[Decimal], *, short: bool, of_price: bool) -> None:
    rule = TrailingStop(Pullback(D("0.2"), of_price=of_price), D("0.1"))
    peak, before = prices[0], None
    for price in prices:
        peak = min(peak, price) if short else max(peak, price)
        stop = rule.threshold(at_price("1.00", short=short, peak=peak), NOON)
        if before is not None:
            assert stop is not None
            assert stop <= before if short else stop >= before
        before = stop


@given(peak=PRICE, short=st.booleans(), of_price=st.booleans())
def test_at_its_own_peak_no_trail_fires(peak: Decimal, *, short: bool, of_price: bool) -> None:
    rule = TrailingStop(Pullback(D("0.01"), of_price=of_price))
    assert not fires(rule, at_price(str(peak), short=short, peak=peak))


def added(held: Holding, *entries: str, then_peak: str | None = None) -> Holding:
    """The position after additions that made its average each of these entries, and perhaps a better peak since."""
    for entry in entries:
        before, peak = held.position.entry_price, held.state.peak
        assert before is not None
        assert peak is not None
        past = (*held.state.past_averages, PastAverage(before, peak))
        position = replace(held.position, entry_price=D(entry))
        held = replace(held, position=position, state=replace(held.state, past_averages=past))
    return held if then_peak is None else replace(held, state=replace(held.state, peak=D(then_peak)))


def stop_of(rule: Rule, held: Holding) -> Decimal | None:
    trigger = rule.trigger(held, NOON)
    return trigger.price if trigger else None


LOCK = ProfitLock((LockStep(D("0.5"), D("0.2")), LockStep(D("0.8"), D("0.5"))))
ARMED = [
    # rule, peak, its stop; after adding at the same price; after a higher peak
    (TrailingStop(SHARE, D("0.5")), "1.51", "1.359", "1.359", "1.80", "1.62"),
    (TrailingStop(POINTS, D("0.5")), "1.51", "1.41", "1.41", "1.80", "1.70"),
    (Breakeven(D("0.5")), "1.51", "1.00", "1.00", "1.80", "1.00"),
    (LOCK, "1.51", "1.20", "1.20", "1.80", "1.50"),
]


@pytest.mark.parametrize("row", ARMED)
def test_what_is_armed_stays_armed_when_the_position_is_added_to(row: tuple[Rule, str, str, str, str, str]) -> None:
    rule, peak, before, after, higher, then = row
    held = at_price("1.50", peak=D(peak))
    assert stop_of(rule, held) == D(before)
    assert stop_of(rule, added(held, "1.25")) == D(after)
    assert stop_of(rule, added(held, "1.25", then_peak=higher)) == D(then)
    assert fires(rule, at_price(after, peak=D(peak), past_averages=(PastAverage(D("1.00"), D(peak)),)))


def test_what_an_earlier_average_had_not_armed_is_not_armed_by_it_later() -> None:
    held = added(at_price("1.40", peak=D("1.40")), "1.20", then_peak="1.55")
    assert stop_of(Breakeven(D("0.5")), held) is None
    assert stop_of(Breakeven(D("0.25")), held) == D("1.20")


def test_the_sentence_of_a_stop_names_the_average_that_armed_it() -> None:
    signal = LOCK.evaluate(added(at_price("1.19", peak=D("1.51")), "1.25"), NOON)
    assert signal is not None
    assert signal.detail == (
        "profit lock at +20% of the earlier average $1.00: mid $1.19 is at or below the stop $1.20"
    )


@given(
    entries=st.lists(PRICE, min_size=2, max_size=6),
    prices=st.lists(PRICE, min_size=6, max_size=6),
    rule=st.sampled_from([row[0] for row in (*PEAKS, *ARMED)]),
    short=st.booleans(),
)
def test_over_every_change_of_the_average_no_stop_moves_back(
    entries: list[Decimal], prices: list[Decimal], rule: Rule, *, short: bool
) -> None:
    episode, before = None, None
    for number, (entry, price) in enumerate(zip(entries, prices, strict=False), start=1):
        position = a_position(qty=str(number), entry=str(entry), short=short)
        episode = carried_on(episode, position, NOON.now)
        assume(not episode.suspended)
        episodes = Episodes("main", FakeEpisodeStore({CALL: episode}))
        episodes.peaked(CALL, price)
        episode = episodes.known[CALL]
        stop = stop_of(rule, Holding(position, state=state_of_episode(episode)))
        if before is not None:
            assert stop is not None
            assert stop <= before if short else stop >= before
        before = stop
