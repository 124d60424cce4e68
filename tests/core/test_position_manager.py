"""Positions joined with what is remembered of them: orders, fills, peaks, absences, and what nobody can explain."""

import asyncio
import datetime as dt
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from decimal import Decimal

import pytest
from builders import CALL, PUT, TUESDAY, a_market, a_policy, a_position, a_quote, an_order, at, replace
from order_builders import AN_EXIT, a_backstop_order, a_request, a_signal, a_structure_exit, an_exit_order
from order_fakes import FakeClock, FakeEpisodeStore, NoQuotes
from structure_builders import a_multi_leg_order, call, put

from sellctl.core.config.schema import MatchConfig, SellModuleConfig, StrategyConfig
from sellctl.core.model.episode import Episode
from sellctl.core.model.instrument import StructureKind, an_option
from sellctl.core.model.market import Market, Split
from sellctl.core.model.order import Order, PositionIntent, Side
from sellctl.core.model.position import BackstopState, Direction, Holding, PastAverage, Position
from sellctl.core.orders.order_book import OrderBook
from sellctl.core.orders.order_events import Accepted, Refused
from sellctl.core.position_manager import ABSENCES, PositionManager
from sellctl.core.price_tracker import PriceTracker
from sellctl.core.structures.opened import OpenedStructure
from sellctl.core.structures.recognition import KINDS, SPREADS
from sellctl.core.tracking.episodes import KEPT_ASIDE, Episodes
from sellctl.core.tracking.fill_ledger import LEDGER_SECONDS
from sellctl.core.tracking.splits import SplitsOfDay

TEN = a_position(CALL, "10")
HIGHER = "AAPL261218C00210000"
VERTICAL = "AAPL-vertical-261218-200-210C"


@dataclass
class Desk:
    """One account's positions."""

    clock: FakeClock = field(default_factory=FakeClock)
    episode_store: FakeEpisodeStore = field(default_factory=FakeEpisodeStore)
    kinds: Collection[StructureKind] = frozenset()
    may_match: Callable[[str], bool] = lambda _structure: True

    def __post_init__(self) -> None:
        self.book = OrderBook()
        self.prices = PriceTracker(NoQuotes(), self.clock)
        episodes = Episodes("main", self.episode_store)
        self.splits = SplitsOfDay()
        self.splits.begin(TUESDAY)
        self.positions = PositionManager(
            self.prices, self.clock, episodes, self.book, kinds=self.kinds, may_match=self.may_match, splits=self.splits
        )

    def poll(self, *positions: Position, seconds: float = 1.0, market: Market | None = None) -> tuple[Holding, ...]:
        self.clock.seconds += seconds
        held = self.positions.holdings(positions, market or replace(a_market(), now=self.clock.now()))
        asyncio.run(self.positions.save())
        return held

    def send(self, accepted: bool = True) -> None:
        """An exit of all ten contracts goes out."""
        self.positions.sending(a_request(), a_signal(), self.clock.now())
        self.book.add_recorded(an_exit_order(at=self.clock.seconds))
        if accepted:
            self.book.record(AN_EXIT, Accepted("b1"))

    def fill(self, cumulative: int) -> None:
        self.positions.filled(an_exit_order(), Decimal(cumulative))

    def quote(self, bid: str, ask: str, symbol: str = CALL) -> None:
        """The same prices in two quotes, far enough apart to agree."""
        instrument = an_option(symbol)
        assert instrument is not None
        for _ in range(2):
            self.clock.seconds += 2
            self.prices.accept({symbol: a_quote(symbol, bid, ask, self.clock.now())}, {symbol: instrument})


A_SHORT = a_position(CALL, "10", short=True)


def test_a_short_that_a_read_leaves_out_is_missing_until_as_many_reads_agree_that_it_is_gone() -> None:
    desk = Desk()
    desk.poll(A_SHORT)
    assert desk.positions.missing_shorts(TUESDAY) == ()
    for _ in range(ABSENCES - 1):
        desk.poll()
        missing = desk.positions.missing_shorts(TUESDAY)
        assert [(each.symbol, each.qty, each.direction) for each in missing] == [(CALL, 10, Direction.SHORT)]
    desk.poll()
    assert desk.positions.missing_shorts(TUESDAY) == ()


def test_a_short_that_a_fill_of_ours_has_closed_is_not_missing() -> None:
    desk = Desk()
    desk.poll(A_SHORT)
    desk.send()
    desk.fill(10)
    desk.poll()
    assert desk.positions.missing_shorts(TUESDAY) == ()


def test_of_a_short_that_a_fill_of_ours_has_reduced_the_rest_is_missing() -> None:
    desk = Desk()
    desk.poll(A_SHORT)
    desk.send()
    desk.fill(4)
    desk.poll()
    assert [each.qty for each in desk.positions.missing_shorts(TUESDAY)] == [6]


def test_a_short_that_an_earlier_process_knew_is_missing_unless_it_has_expired() -> None:
    first = Desk()
    first.poll(A_SHORT)
    second = Desk(episode_store=first.episode_store)
    second.poll()
    assert [each.qty for each in second.positions.missing_shorts(TUESDAY)] == [10]
    assert second.positions.missing_shorts(dt.date(2026, 12, 19)) == ()


def test_shorts_that_an_earlier_process_knew_are_missing_in_the_order_of_their_symbols() -> None:
    """Their order was that of a set, so that the journal of the same day differed from process to process."""
    symbols = [f"AAPL261218C00{strike}000" for strike in range(200, 220)]
    first = Desk()
    first.poll(*(a_position(symbol, "10", short=True) for symbol in symbols))
    second = Desk(episode_store=first.episode_store)
    second.poll()
    assert [each.symbol for each in second.positions.missing_shorts(TUESDAY)] == symbols


def test_neither_a_long_nor_shares_are_missing() -> None:
    desk = Desk()
    desk.poll(TEN, a_position("AAPL", "100", short=True))
    desk.poll()
    assert desk.positions.missing_shorts(TUESDAY) == ()


# --- joined with the order book ---------------------------------------------------------------------------------------


def test_what_the_order_book_says_of_a_symbol_is_in_its_state() -> None:
    desk = Desk()
    desk.poll(TEN)
    desk.send(accepted=False)
    (holding,) = desk.poll(TEN)
    assert holding.state.unresolved == 10
    assert holding.state.exit is not None
    assert (holding.state.order_count.all, desk.positions.order_count.all) == (1, 1)
    desk.book.record(AN_EXIT, Refused(desk.clock.seconds, counted=True))
    (holding,) = desk.poll(TEN)
    assert (holding.state.unresolved, holding.state.exit, holding.state.rejects) == (0, None, 1)


def test_a_backstop_that_was_refused_and_an_unknown_fill_are_remembered_beside_the_episode() -> None:
    desk = Desk()
    desk.poll(TEN)
    desk.book.record_backstop_refusals([CALL])
    desk.positions.filled_before(CALL, dt.timedelta(seconds=4))
    desk.positions.filled_before(CALL, dt.timedelta(hours=1))
    (holding,) = desk.poll(TEN, seconds=1.0)
    assert holding.state.backstop == BackstopState(refused=True)
    assert holding.state.filled_at == desk.clock.now() - dt.timedelta(seconds=5)
    assert holding.state.original_qty == 10


# --- fills that the position does not show yet (S5) -------------------------------------------------------------------


def test_our_own_fills_count_before_the_position_shows_them() -> None:
    desk = Desk()
    desk.poll(TEN)
    desk.send()
    desk.fill(4)
    desk.fill(4)
    (holding,) = desk.poll(TEN)
    assert holding.state.qty_left == 6


def test_a_backstops_fill_counts_only_while_its_ledger_is_open() -> None:
    desk = Desk()
    desk.poll(TEN)
    desk.positions.sending(a_request(), a_signal(), desk.clock.now())
    desk.positions.filled(a_backstop_order(), Decimal(4))
    assert desk.poll(TEN)[0].state.qty_left == 6
    late = Desk()
    late.poll(TEN)
    late.positions.sending(a_request(), a_signal(), late.clock.now())
    late.poll(TEN, seconds=LEDGER_SECONDS + 1)
    late.positions.filled(a_backstop_order(), Decimal(4))
    seen_at = late.clock.now()
    (holding,) = late.poll(TEN)
    assert (holding.state.qty_left, holding.state.filled_at) == (None, seen_at)


def test_a_fill_that_was_just_seen_is_new_whatever_the_brokers_clock_says() -> None:
    """A clock that was an hour ahead made a fill of this moment an old one, which the positions had to show."""
    desk = Desk()
    desk.positions.filled(an_exit_order(), Decimal(10))
    ahead = replace(a_market(), now=desk.clock.now() + dt.timedelta(hours=1, seconds=1))
    (holding,) = desk.poll(TEN, market=ahead)
    assert holding.state.filled_at == ahead.now - dt.timedelta(seconds=1)


def test_a_position_that_came_to_agree_with_our_fills_is_in_no_doubt() -> None:
    desk = Desk()
    desk.poll(TEN)
    desk.send()
    desk.fill(4)
    desk.poll(a_position(CALL, "6"), seconds=LEDGER_SECONDS + 1)
    assert desk.positions.in_doubt() == ()
    assert desk.poll(a_position(CALL, "6"))[0].state.qty_left is None


def test_a_position_that_shows_more_than_our_fills_left_is_quarantined_once_nothing_explains_it() -> None:
    desk = Desk()
    desk.poll(TEN)
    desk.send()
    desk.fill(4)
    desk.poll(TEN, seconds=LEDGER_SECONDS + 1)
    assert desk.positions.in_doubt() == (CALL,)
    assert desk.positions.in_doubt() == ()
    (sentence,) = desk.positions.explain({CALL: ()})
    assert sentence == f"{CALL} quarantined: 10 held, 6 expected after our fills"
    assert desk.positions.explain({CALL: ()}) == ()
    assert "quarantined" in desk.poll(TEN)[0].state.quarantine


def test_somebody_elses_purchase_explains_the_difference() -> None:
    desk = Desk()
    desk.poll(TEN)
    desk.send()
    desk.fill(4)
    desk.poll(TEN, seconds=LEDGER_SECONDS + 1)
    bought = replace(an_order(CALL, "sell", "4"), side=Side.BUY, position_intent=PositionIntent.BUY_TO_OPEN)
    bought = replace(bought, filled_qty=Decimal(4), filled_at=at("12:01"), status="filled")
    assert desk.positions.in_doubt() == (CALL,)
    assert desk.positions.explain({CALL: (bought,)}) == ()
    assert desk.poll(TEN)[0].state.quarantine == ""


# --- from flat to flat ------------------------------------------------------------------------------------------------


def test_one_answer_without_a_position_is_not_flat() -> None:
    desk = Desk()
    desk.poll(TEN)
    for _ in range(ABSENCES - 1):
        desk.poll()
    assert desk.positions.remembered == {CALL}
    desk.poll()
    assert desk.positions.remembered == frozenset()
    assert desk.episode_store.episodes == {}


def test_the_same_answer_once_more_makes_nobody_absent_anew() -> None:
    desk = Desk()
    desk.poll(TEN)
    for _ in range(ABSENCES):
        desk.positions.holdings((), a_market(), again=True)
    assert desk.positions.remembered == {CALL}


def test_a_position_with_an_order_of_unknown_outcome_is_not_forgotten() -> None:
    desk = Desk()
    desk.poll(TEN)
    desk.send(accepted=False)
    for _ in range(ABSENCES + 2):
        desk.poll()
    assert desk.positions.remembered == {CALL}


@pytest.mark.parametrize("again", [TEN, a_position(CALL, "10", short=True)], ids=["gone and back", "other side"])
def test_a_new_position_begins_without_the_exit_of_the_one_before(again: Position) -> None:
    desk = Desk()
    desk.poll(TEN)
    desk.send()
    for _ in range(ABSENCES if again is TEN else 0):
        desk.poll()
    assert desk.poll(again)[0].state.exit is None


def test_what_an_earlier_process_knew_is_forgotten_like_everything_else() -> None:
    known = Episode(PUT, Direction.LONG, at("10:00"), Decimal(1))
    desk = Desk(episode_store=FakeEpisodeStore({PUT: known}))
    for _ in range(ABSENCES):
        assert PUT in desk.episode_store.episodes
        desk.poll(TEN)
    assert set(desk.episode_store.episodes) == {CALL}


def with_a_peak(desk: Desk) -> None:
    """A position whose price was 1.31 once, and whose opening was looked up."""
    desk.quote("1.30", "1.32")
    desk.poll(TEN)
    desk.positions.episodes.opened(CALL, (), desk.clock.now())
    desk.quote("1.00", "1.02")
    assert desk.poll(TEN)[0].state.peak == Decimal("1.31")


def bought(status: str = "filled", when: str = "11:00") -> Order:
    """The order that opened the position."""
    order = replace(an_order(CALL, "sell", "10"), side=Side.BUY, position_intent=PositionIntent.BUY_TO_OPEN)
    return replace(order, filled_qty=Decimal(10), submitted_at=at(when), filled_at=at(when), status=status)


def test_a_position_that_a_few_lists_left_out_keeps_its_peak_once_its_orders_show_that_it_was_never_closed() -> None:
    desk = Desk()
    with_a_peak(desk)
    for _ in range(ABSENCES + 2):
        desk.poll()
    assert desk.poll(TEN)[0].state.peak is None
    assert desk.positions.episodes.without_opening() == (CALL,)
    desk.positions.episodes.opened(CALL, [bought()], desk.clock.now())
    assert desk.poll(TEN)[0].state.peak == Decimal("1.31")


def test_a_position_that_was_closed_and_opened_again_within_a_minute_begins_with_a_new_peak() -> None:
    desk = Desk()
    with_a_peak(desk)
    for _ in range(ABSENCES):
        desk.poll(seconds=5)
    desk.poll(TEN)
    desk.clock.seconds += 40
    desk.positions.episodes.opened(CALL, [bought(when="12:00:10")], desk.clock.now())
    assert desk.poll(TEN)[0].state.peak == Decimal("1.01")


@pytest.mark.parametrize("as_a_leg", [False, True], ids=["by an order of its own", "by a leg of a multi-leg order"])
def test_a_position_that_was_left_out_and_whose_opening_is_unknown_keeps_its_peak_unless_it_was_closed(
    as_a_leg: bool,
) -> None:
    for closed_at, peak in (("11:30", "1.31"), ("12:00", "1.01")):
        desk = Desk()
        with_a_peak(desk)
        for _ in range(ABSENCES):
            desk.poll()
        desk.poll(TEN)
        sold = replace(an_order(CALL, "sell", "10"), filled_qty=Decimal(10), status="filled", filled_at=at(closed_at))
        order = replace(an_order("", "sell", "10"), legs=(sold,)) if as_a_leg else sold
        desk.positions.episodes.opened(CALL, [order], desk.clock.now())
        assert desk.poll(TEN)[0].state.peak == Decimal(peak)


def test_a_long_that_is_to_follow_its_short_stays_marked_while_the_shorts_order_is_being_recorded() -> None:
    desk = Desk(kinds=SPREADS)
    legs = (a_position(CALL, "2", short=True), a_position(HIGHER, "3"))
    short, _ = desk.poll(*legs)
    signal = replace(a_signal(), holding=short, detail="vertical: stop", then_close=(HIGHER,))
    desk.positions.sending(a_request(signal), signal, desk.clock.now())
    desk.book.reserve(an_exit_order(at=desk.clock.seconds))
    marks = [f"{VERTICAL} vertical: stop", f"{VERTICAL}/1 vertical: stop"]
    assert [holding.state.exit_after for holding in desk.poll(*legs)] == marks
    desk.book.release(AN_EXIT)
    assert [holding.state.exit_after for holding in desk.poll(*legs)] == ["", ""]


def test_a_long_that_is_to_follow_stays_marked_in_the_next_process_until_the_fill_of_its_short_is_shown() -> None:
    desk = Desk(kinds=SPREADS)
    legs = (a_position(CALL, "2", short=True), a_position(HIGHER, "3"))
    short, _ = desk.poll(*legs)
    signal = replace(a_signal(), holding=short, then_close=(HIGHER,))
    desk.positions.sending(a_request(signal), signal, desk.clock.now())
    asyncio.run(desk.positions.save())
    later = Desk(clock=desk.clock, episode_store=desk.episode_store, kinds=SPREADS)
    later.fill(2)  # the order of the process that ended is looked up before positions are joined
    assert all(holding.state.exit_after for holding in later.poll(*legs))
    (long,) = later.poll(legs[1], seconds=9)
    assert long.state.exit_after
    again = Desk(clock=desk.clock, episode_store=desk.episode_store, kinds=SPREADS)
    again.fill(2)
    held = again.poll(*legs, seconds=40)  # the list is wrong, or somebody has sold short again
    assert not any(holding.state.exit_after for holding in held)


def test_a_position_that_was_gone_for_a_minute_begins_anew() -> None:
    desk = Desk()
    with_a_peak(desk)
    for _ in range(ABSENCES):
        desk.poll(seconds=KEPT_ASIDE.total_seconds())
    assert desk.poll(TEN, seconds=KEPT_ASIDE.total_seconds())[0].state.peak == Decimal("1.01")
    assert desk.positions.episodes.in_question == set()


def test_the_first_sight_and_the_peak_survive_a_restart() -> None:
    known = Episode(CALL, Direction.LONG, at("10:00"), Decimal(10), Decimal("1.00"), peak=Decimal("1.40"))
    (holding,) = Desk(episode_store=FakeEpisodeStore({CALL: known})).poll(TEN)
    assert (holding.state.first_seen, holding.state.peak) == (at("10:00"), Decimal("1.40"))


# --- peaks (D3) -------------------------------------------------------------------------------------------------------


def test_a_peak_moves_to_a_price_that_two_quotes_agree_on_and_is_stored() -> None:
    desk = Desk()
    desk.quote("1.30", "1.32")
    (holding,) = desk.poll(TEN)
    assert holding.state.peak == Decimal("1.31")
    assert desk.episode_store.episodes[CALL].peak == Decimal("1.31")
    desk.quote("1.20", "1.22")
    assert desk.poll(TEN)[0].state.peak == Decimal("1.31")


def test_a_wide_quote_moves_no_peak() -> None:
    desk = Desk()
    desk.quote("1.00", "2.00")
    assert desk.poll(TEN)[0].state.peak is None


@pytest.mark.parametrize("clock", ["08:00", "09:30:30"], ids=["closed", "first minute"])
def test_no_peak_is_set_while_the_market_is_closed_or_has_just_opened(clock: str) -> None:
    desk = Desk()
    desk.quote("1.30", "1.32")
    assert desk.poll(TEN, market=replace(a_market(clock), now=at(clock)))[0].state.peak is None


def test_a_structure_has_a_memory_of_its_own() -> None:
    desk = Desk(kinds=SPREADS)
    legs = (a_position(CALL, "2", "5.00"), a_position(HIGHER, "2", "3.00", short=True))
    desk.quote("6.00", "6.02")
    desk.quote("3.00", "3.02", HIGHER)
    desk.poll(*legs, market=replace(a_market(), now=at("12:00") + dt.timedelta(seconds=desk.clock.seconds)))
    ((name, state),) = desk.positions.structures.items()
    assert name == VERTICAL
    assert state.peak == Decimal("3.00")
    desk.poll(legs[0])
    assert desk.positions.structures == {}


def test_a_position_that_may_have_been_opened_anew_shows_no_peak_and_neither_does_its_structure() -> None:
    desk = Desk(kinds=SPREADS)
    legs = (a_position(CALL, "2", "5.00"), a_position(HIGHER, "2", "3.00", short=True))
    desk.quote("6.00", "6.02")
    desk.quote("3.00", "3.02", HIGHER)
    now = at("12:00") + dt.timedelta(seconds=desk.clock.seconds)

    def peaks() -> list[Decimal | None]:
        bought, _ = desk.poll(*legs, market=replace(a_market(), now=now))
        return [bought.state.peak, *(state.peak for state in desk.positions.structures.values())]

    before = peaks()
    assert None not in before
    later = now + dt.timedelta(seconds=1)
    added = an_order(CALL, "buy", "2", status="filled", filled_qty=Decimal(2), filled_at=later)
    desk.positions.episodes.opened(CALL, [replace(added, submitted_at=later)], later)
    assert peaks() == [None, None]
    desk.positions.episodes.opened(CALL, [], now)
    assert peaks() == before


def test_a_structure_whose_net_stays_wide_is_known_to_be_wide_since_then() -> None:
    desk = Desk(kinds=SPREADS)
    held = (a_position(CALL, "1", "3.00"), a_position(HIGHER, "1", "1.00", short=True))
    desk.quote("10.00", "10.20")
    desk.quote("9.50", "9.70", HIGHER)
    for _ in range(3):
        desk.poll(*held, seconds=30)
    assert desk.positions.structures[VERTICAL].wide_for == dt.timedelta(seconds=60)
    desk.quote("10.00", "10.02")
    desk.quote("9.50", "9.52", HIGHER)
    desk.poll(*held)
    assert desk.positions.structures[VERTICAL].wide_for == dt.timedelta(0)


def test_the_peak_of_a_structure_moves_on_a_narrow_net_only() -> None:
    desk = Desk(kinds=SPREADS)
    held = (a_position(CALL, "1", "3.00"), a_position(HIGHER, "1", "1.00", short=True))
    desk.quote("10.00", "10.20")
    desk.quote("7.00", "7.60", HIGHER)
    desk.poll(*held)
    assert desk.positions.structures[VERTICAL].peak is None
    desk.quote("10.00", "10.02")
    desk.quote("7.00", "7.02", HIGHER)
    desk.poll(*held)
    assert desk.positions.structures[VERTICAL].peak == Decimal("3.00")


def test_a_structure_that_is_asked_for_is_recognised_whatever_the_kinds() -> None:
    desk = Desk()
    held = (a_position(CALL, "1", "3.00"), a_position(HIGHER, "1", "1.00", short=True))
    desk.positions.holdings(held, replace(a_market(), now=desk.clock.now()), first=[VERTICAL])
    assert set(desk.positions.structures) == {VERTICAL}
    desk.poll(*held)
    assert desk.positions.structures == {}


@pytest.mark.parametrize("is_being_closed", [False, True])
def test_a_structure_gives_way_to_what_an_order_opened_before_unless_it_is_being_closed(is_being_closed: bool) -> None:
    desk, opened = Desk(kinds=SPREADS), OpenedStructure("AAPL-vertical-261218-200-220C", at("11:59"))
    held = (
        a_position(CALL, "10", "3.00"),
        a_position(HIGHER, "10", "1.00", short=True),
        a_position(call(220), "10", "0.50", short=True),
    )
    desk.poll(*held)
    assert set(desk.positions.structures) == {VERTICAL}
    if is_being_closed:
        desk.send()
    desk.positions.holdings(held, replace(a_market(), now=desk.clock.now()), opened=[opened])
    assert set(desk.positions.structures) == {VERTICAL if is_being_closed else opened.name}


def test_legs_that_leave_with_a_structure_are_in_none_that_an_order_opened() -> None:
    desk, opened = Desk(kinds=SPREADS), OpenedStructure("AAPL-vertical-261218-200-220C", at("11:59"))
    short, other = a_position(HIGHER, "10", "1.00", short=True), a_position(call(220), "10", "0.50", short=True)
    desk.poll(a_position(CALL, "10", "3.00"), short)
    desk.positions.episodes.mark_exit_after(VERTICAL, {CALL: Decimal(0), HIGHER: Decimal(0)}, "stop")
    desk.positions.holdings(
        [a_position(CALL, "10", "3.00"), other], replace(a_market(), now=desk.clock.now()), opened=[opened]
    )
    assert desk.positions.structures == {}


@pytest.mark.parametrize(
    "symbol",
    [
        "XYZ+",
        "=1+1",
        "+",
        f"{CALL}+",
        f"{HIGHER}+XYZ",
        f"{HIGHER}+{CALL}",
        "A-vertical",
        "AAPL-vertical-x-1-2C",
        VERTICAL,
    ],
)
@pytest.mark.parametrize("kinds", [frozenset(), SPREADS], ids=["positions only", "with structures"])
def test_a_symbol_that_looks_like_a_structures_name_is_an_ordinary_position(
    symbol: str, kinds: frozenset[StructureKind]
) -> None:
    desk = Desk(kinds=kinds)
    for _ in range(2):
        strange, other = desk.poll(a_position(symbol, "7"), TEN)
        assert (strange.symbol, strange.position.qty) == (symbol, 7)
        assert (other.symbol, other.state.original_qty) == (CALL, 10)
    assert desk.positions.structures == {}
    for _ in range(ABSENCES):
        desk.poll(TEN)
    assert set(desk.positions.episodes.known) == {CALL}


def test_a_position_with_the_name_of_a_held_structure_spoils_neither() -> None:
    desk = Desk(kinds=SPREADS)
    name = VERTICAL
    legs = (a_position(CALL, "2", "5.00"), a_position(HIGHER, "2", "3.00", short=True))
    for _ in range(2):
        held = desk.poll(a_position(name, "7"), *legs)
        assert [holding.position.qty for holding in held] == [7, 2, 2]
    assert list(desk.positions.structures) == [name]
    assert desk.positions.structures[name].original_qty == 2


# --- structures -------------------------------------------------------------------------------------------------------

LOWER, TOP = "AAPL261218C00190000", "AAPL261218C00220000"


def test_the_peak_of_a_pair_that_an_earlier_version_stored_is_that_of_its_structure() -> None:
    first = Desk(kinds=SPREADS)
    legs = (a_position(CALL, "2", "5.00"), a_position(HIGHER, "2", "3.00", short=True))
    first.poll(*legs)
    first.positions.episodes.peaked(VERTICAL, Decimal("3.30"))
    asyncio.run(first.positions.save())
    stored = first.episode_store.load("main")
    pair = f"{HIGHER}+{CALL}"
    old = {pair: replace(stored.pop(VERTICAL), symbol=pair)} | stored
    asyncio.run(first.episode_store.save("main", old))
    second = Desk(episode_store=first.episode_store, kinds=SPREADS)
    second.poll(*legs, seconds=60)
    state = second.positions.structures[VERTICAL]
    assert (state.peak, state.first_seen) == (Decimal("3.30"), old[pair].first_seen)
    assert set(second.episode_store.load("main")) == {VERTICAL, CALL, HIGHER}


def test_a_structure_stays_what_it_was_in_another_process_although_a_new_leg_would_fit_better() -> None:
    first = Desk(kinds=SPREADS)
    legs = (a_position(CALL, "2", "5.00"), a_position(TOP, "2", "3.00", short=True))
    first.poll(*legs)
    second = Desk(episode_store=first.episode_store, kinds=SPREADS)
    second.poll(*legs, a_position(HIGHER, "2", "4.00"))
    assert list(second.positions.structures) == ["AAPL-vertical-261218-200-220C"]


def test_a_structure_of_which_a_leg_was_left_out_of_one_list_is_the_same_again() -> None:
    desk = Desk(kinds=SPREADS)
    legs = (a_position(CALL, "2", "5.00"), a_position(TOP, "2", "3.00", short=True))
    desk.poll(*legs)
    desk.positions.episodes.peaked("AAPL-vertical-261218-200-220C", Decimal("3.30"))
    new_leg = a_position(HIGHER, "2", "4.00")
    desk.poll(legs[0], new_leg)
    assert desk.positions.structures == {}
    desk.poll(*legs, new_leg)
    assert {name: state.peak for name, state in desk.positions.structures.items()} == {
        "AAPL-vertical-261218-200-220C": Decimal("3.30")
    }


CONDOR = (
    a_position(put(170), "1", "1.00"),
    a_position(put(180), "1", "2.00", short=True),
    a_position(HIGHER, "1", "2.00", short=True),
    a_position(call(220), "1", "1.00"),
)
NAME_OF_CONDOR = "AAPL-iron_condor-261218-170-180-210-220"


def a_desk_for_condors() -> Desk:
    """One whose rules are about condors only; verticals are looked for besides."""
    return Desk(kinds=SPREADS | {StructureKind.IRON_CONDOR}, may_match=lambda name: "iron_condor" in name)


def test_a_condor_whose_spreads_were_opened_one_after_the_other_is_a_condor() -> None:
    desk = a_desk_for_condors()
    desk.poll(*CONDOR[:2])
    assert list(desk.positions.structures) == ["AAPL-vertical-261218-170-180P"]
    desk.poll(*CONDOR, seconds=120)
    assert list(desk.positions.structures) == [NAME_OF_CONDOR]


@pytest.mark.parametrize("missing", range(4))
@pytest.mark.parametrize("seconds", [1, 90])
def test_a_condor_of_which_a_leg_was_left_out_of_one_list_is_a_condor_again(missing: int, seconds: float) -> None:
    desk = a_desk_for_condors()
    desk.poll(*CONDOR)
    desk.poll(*(leg for index, leg in enumerate(CONDOR) if index != missing), seconds=seconds)
    desk.poll(*CONDOR, seconds=seconds)
    assert list(desk.positions.structures) == [NAME_OF_CONDOR]


def test_a_spread_that_a_match_names_does_not_become_a_part_of_a_condor() -> None:
    desk = Desk(kinds=SPREADS | {StructureKind.IRON_CONDOR})
    desk.poll(*CONDOR[:2])
    desk.poll(*CONDOR)
    assert list(desk.positions.structures) == ["AAPL-vertical-261218-170-180P", "AAPL-vertical-261218-210-220C"]


def test_a_spread_that_was_seen_first_becomes_a_butterfly_where_matches_for_spreads_are_for_other_underlyings() -> None:
    matches = (
        StrategyConfig("spreads", match=MatchConfig(underlying=("GOOG",), structure=(StructureKind.VERTICAL,))),
        StrategyConfig("butterflies", match=MatchConfig(structure=(StructureKind.BUTTERFLY,))),
    )
    policy = a_policy(SellModuleConfig(strategies=matches))
    desk = Desk(kinds=policy.structure_kinds, may_match=policy.may_match)
    legs = (a_position(LOWER, "2"), a_position(CALL, "4", short=True), a_position(HIGHER, "2"))
    desk.poll(*legs[:2])
    assert list(desk.positions.structures) == ["AAPL-vertical-261218-190-200C"]
    desk.poll(*legs)
    assert list(desk.positions.structures) == ["AAPL-butterfly-261218-190-200-210C"]


def closing(desk: Desk, held: tuple[Holding, ...], symbol: str) -> None:
    """An order that closes a structure by this leg is about to be sent."""
    holding = next(each for each in held if each.symbol == symbol)
    signal = replace(a_signal(symbol), holding=holding, detail="butterfly: stop", then_close=("others",))
    desk.positions.sending(a_request(signal), signal, desk.clock.now())


def test_every_leg_of_a_structure_is_marked_when_one_is_closed_until_it_is_whole_and_idle() -> None:
    desk = Desk(kinds=KINDS)
    legs = [a_position(LOWER, "2"), a_position(CALL, "4", short=True), a_position(HIGHER, "3")]
    name = "AAPL-butterfly-261218-190-200-210C"
    closing(desk, desk.poll(*legs), CALL)
    legs[1] = a_position(CALL, "3", short=True)  # one unit is left whole, of the other one a short contract
    marks = [f"{name} butterfly: stop", f"{name} butterfly: stop", f"{name}/1 butterfly: stop"]
    for _ in range(2):
        assert [holding.state.exit_after for holding in desk.poll(*legs)] == marks
        assert list(desk.positions.structures) == [name]
    whole = (a_position(LOWER, "1"), a_position(CALL, "2", short=True), a_position(HIGHER, "2"))
    assert [holding.state.exit_after for holding in desk.poll(*whole)] == ["", "", ""]


def test_every_leg_is_marked_while_all_of_them_leave_in_one_order() -> None:
    desk = Desk(kinds=SPREADS)
    legs = (a_position(CALL, "2", "5.00"), a_position(HIGHER, "2", "3.00", short=True))
    desk.poll(*legs)
    exit_ = a_structure_exit({CALL: 1, HIGHER: -1})
    assert exit_.submit
    assert exit_.signal
    desk.positions.sending(exit_.submit, exit_.signal, desk.clock.now())
    assert {symbol: mark.structure for symbol, mark in desk.positions.episodes.leaving.items()} == dict.fromkeys(
        (CALL, HIGHER), VERTICAL
    )


def test_what_is_left_of_a_structure_that_is_being_closed_forms_no_new_one() -> None:
    desk = Desk(kinds=KINDS)
    legs = [a_position(LOWER, "1"), a_position(CALL, "2", short=True), a_position(HIGHER, "1")]
    closing(desk, desk.poll(*legs), CALL)
    desk.poll(legs[0], a_position(CALL, "1", short=True), legs[2])
    assert desk.positions.structures == {}


# --- splits that the broker may not have booked -----------------------------------------------------------------------


def split(desk: Desk, ratio: str = "2") -> None:
    """The broker has a split of AAPL today."""
    desk.splits.answered(["AAPL"], [Split("AAPL", Decimal(ratio), TUESDAY)])


def test_on_the_day_of_a_split_the_rules_of_its_underlying_rest_until_the_user_resumes_them() -> None:
    desk = Desk()
    split(desk)
    desk.quote("0.50", "0.52")
    put = a_position(PUT, "1", "1.00")
    held = desk.poll(TEN, put)
    assert all(
        "today's 2:1 split of AAPL may not be reflected in the position yet" in each.state.suspended for each in held
    )
    assert [symbol for symbol, _ in desk.positions.episodes.take_newly_suspended()] == [CALL, PUT]
    assert desk.positions.splits.underlyings == ("AAPL",)
    assert desk.positions.splits.suspects([TEN], a_market())
    desk.positions.resume(frozenset({"AAPL"}), TUESDAY)
    assert [each.state.suspended for each in desk.poll(TEN, put)] == ["", ""]
    assert not desk.positions.splits.suspects([TEN], a_market())
    assert desk.positions.splits.underlyings == ()


def test_a_suspected_split_rests_the_rules_only_until_the_answer() -> None:
    desk = Desk()
    desk.splits.is_asked = True
    desk.quote("0.50", "0.50")
    ten = replace(TEN, lastday_price=Decimal("1.00"))
    assert "whether there was one is unknown" in desk.poll(ten)[0].state.suspended
    desk.splits.answered(["AAPL"], [])
    assert desk.poll(ten)[0].state.suspended == ""
    assert desk.positions.episodes.take_newly_suspended() == ()


def test_a_structure_is_held_since_its_last_leg_was_opened_and_has_the_tag_of_the_order_that_opened_it() -> None:
    desk = Desk(kinds=SPREADS)
    legs = (a_position(CALL, "2"), a_position(HIGHER, "2", short=True))
    desk.poll(*legs)
    of_legs = {CALL: (Side.BUY, at("09:40")), HIGHER: (Side.SELL, at("09:50"))}
    opened = [as_opening(symbol, "2", *each) for symbol, each in of_legs.items()]
    order = replace(a_multi_leg_order({}, "2", client_order_id="weekly-1"), status="filled", legs=tuple(opened))
    for symbol in of_legs:
        desk.positions.episodes.opened(symbol, [order], desk.clock.now())
    states = {holding.symbol: holding.state for holding in desk.poll(*legs)}
    assert {symbol: state.opened_at for symbol, state in states.items()} == {CALL: at("09:40"), HIGHER: at("09:50")}
    assert {state.opening_order_id for state in states.values()} == {"weekly-1"}
    whole = desk.positions.structures[VERTICAL]
    assert (whole.held_since, whole.opening_order_id) == (at("09:50"), "weekly-1")


def as_opening(symbol: str, qty: str, side: Side, filled_at: dt.datetime) -> Order:
    """A leg that has opened a position."""
    intent = PositionIntent.BUY_TO_OPEN if side is Side.BUY else PositionIntent.SELL_TO_OPEN
    more = {"filled_qty": Decimal(qty), "filled_at": filled_at, "position_intent": intent}
    return an_order(symbol, side, qty, status="filled", client_order_id=f"leg-{symbol}", **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("answered", [True, False])
def test_no_peak_moves_to_a_price_after_a_reverse_split(answered: bool) -> None:
    desk = Desk()
    ten = replace(TEN, lastday_price=Decimal("1.00"))
    desk.quote("1.00", "1.02")
    desk.poll(ten)
    peak = desk.poll(ten)[0].state.peak
    desk.splits.is_asked = True
    if answered:
        split(desk, "0.1")
    desk.quote("10.00", "10.02")
    assert [desk.poll(ten)[0].state.peak for _ in range(2)] == [peak, peak]


def test_a_position_that_was_opened_after_the_split_keeps_its_rules() -> None:
    desk = Desk()
    split(desk)
    desk.quote("0.50", "0.52")
    opened = an_order(CALL, "buy", "10", status="filled", filled_qty=Decimal(10), filled_at=at("10:00"))
    desk.positions.episodes.seen([TEN], at("10:00"))
    desk.positions.episodes.opened(CALL, [opened], at("10:05"))
    assert desk.poll(TEN)[0].state.suspended == ""


def test_what_was_armed_under_an_entry_that_is_no_longer_reported_stays_armed() -> None:
    desk = Desk()
    desk.poll(TEN)
    desk.quote("1.50", "1.52")
    (holding,) = desk.poll(TEN)
    assert holding.state.peak is not None
    (holding,) = desk.poll(replace(TEN, entry_price=None))
    assert holding.state.past_averages == (PastAverage(Decimal("1.00"), holding.state.peak),)
    (holding,) = desk.poll(TEN)
    assert not holding.state.past_averages
