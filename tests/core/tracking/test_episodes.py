"""Episodes from flat to flat: what begins an episode, what carries over, what suspends its rules."""

import asyncio
import datetime as dt
from collections.abc import Mapping
from decimal import Decimal

import pytest
from builders import CALL, a_position, an_order, at, replace

from sellctl.core.errors import JournalError
from sellctl.core.model.episode import Episode
from sellctl.core.model.order import Order, PositionIntent, Side
from sellctl.core.model.position import Override, OverrideChange, PastAverage, Position
from sellctl.core.tracking.episodes import MAY_BE_MISSING, Episodes, carried_on, opening_of

NOON, LATER = at("12:00"), at("13:00")
D = Decimal
VERTICAL = "AAPL-vertical-261218-200-210C"


class Kept:
    """An episode store in memory that counts."""

    def __init__(self, episodes: Mapping[str, Episode] | None = None) -> None:
        self.episodes = dict(episodes or {})
        self.saves = 0

    def load(self, _account: str) -> dict[str, Episode]:
        return dict(self.episodes)

    async def save(self, _account: str, episodes: Mapping[str, Episode]) -> None:
        self.episodes = dict(episodes)
        self.saves += 1


def seen(*looks: tuple[Position, ...], kept: Kept | None = None) -> Episodes:
    """The episodes after these looks, an hour apart."""
    episodes = Episodes("main", kept or Kept())
    for number, positions in enumerate(looks):
        episodes.seen(positions, NOON + dt.timedelta(hours=number))
    return episodes


def peaked(position: Position, peak: str) -> Episode:
    return replace(carried_on(None, position, NOON), peak=D(peak))


def test_an_unchanged_position_is_the_same_episode() -> None:
    episode = peaked(a_position(qty="2"), "1.50")
    assert carried_on(episode, a_position(qty="2"), LATER) is episode


def test_a_flip_starts_afresh() -> None:
    after = carried_on(peaked(a_position(qty="2"), "1.50"), a_position(qty="2", short=True), LATER)
    assert (after.peak, after.first_seen, after.original_qty) == (None, LATER, 2)


@pytest.mark.parametrize(("qty", "original"), [("3", 3), ("2", 2), ("1", 2)])
def test_another_average_keeps_the_time_the_peak_and_the_average_before(qty: str, original: int) -> None:
    after = carried_on(peaked(a_position(qty="2"), "1.50"), a_position(qty=qty, entry="1.10"), LATER)
    assert (after.peak, after.first_seen, after.original_qty, after.suspended) == (D("1.50"), NOON, original, "")
    assert after.past_averages == (PastAverage(D("1.00"), D("1.50")),)


def test_an_average_that_the_price_never_beat_is_forgotten() -> None:
    after = carried_on(peaked(a_position(qty="2"), "0.90"), a_position(qty="4", entry="0.95"), LATER)
    assert (after.peak, after.past_averages) == (D("0.90"), ())


def test_an_average_that_returns_is_kept_once_with_its_later_peak() -> None:
    first = carried_on(peaked(a_position(qty="2"), "1.50"), a_position(qty="3", entry="1.10"), LATER)
    back = carried_on(replace(first, peak=D("1.60")), a_position(qty="2"), LATER)
    again = carried_on(replace(back, peak=D("1.70")), a_position(qty="3", entry="1.10"), LATER)
    assert again.past_averages == (PastAverage(D("1.10"), D("1.60")), PastAverage(D("1.00"), D("1.70")))


def test_an_entry_that_the_broker_stops_reporting_is_the_last_one_known() -> None:
    episode = peaked(a_position(qty="2"), "1.50")
    after = carried_on(episode, a_position(qty="2", entry=None), LATER)
    assert after == episode
    assert carried_on(after, a_position(qty="2"), LATER) is after


def test_selling_a_part_keeps_everything_and_remembers_the_whole() -> None:
    after = carried_on(peaked(a_position(qty="4"), "1.50"), a_position(qty="2"), LATER)
    assert (after.peak, after.qty, after.original_qty) == (D("1.50"), 2, 4)


@pytest.mark.parametrize(("qty", "entry"), [("20", "0.50"), ("1", "10"), ("5", "2")])
def test_a_split_suspends_the_rules_and_the_peak(qty: str, entry: str) -> None:
    kept = Kept({"AAPL": peaked(a_position("AAPL", "10"), "1.50")})
    episodes = seen((a_position("AAPL", qty, entry),), kept=kept)
    assert "split" in episodes.known["AAPL"].suspended
    assert [symbol for symbol, _ in episodes.take_newly_suspended()] == ["AAPL"]
    episodes.peaked("AAPL", D(9))
    assert episodes.known["AAPL"].peak == D("1.50")


@pytest.mark.parametrize(("qty", "entry"), [("999", "1.00"), ("1001", "1.0005")])
def test_a_small_trade_of_a_large_position_is_no_split(qty: str, entry: str) -> None:
    after = carried_on(peaked(a_position("AAPL", "1000"), "1.50"), a_position("AAPL", qty, entry), LATER)
    assert (after.suspended, after.peak) == ("", D("1.50"))


def test_suspended_rules_are_resumed_with_a_fresh_peak() -> None:
    episodes = seen((a_position("AAPL", "10"),), (a_position("AAPL", "20", "0.50"),))
    episodes.resume(frozenset({"MSFT"}))
    assert episodes.known["AAPL"].suspended
    episodes.resume(frozenset({"AAPL"}))
    assert (episodes.known["AAPL"].suspended, episodes.known["AAPL"].original_qty) == ("", 20)


def test_an_assignment_suspends_what_is_left_on_the_underlying() -> None:
    other = "AAPL261218P00150000"
    before = (a_position("AAPL", "200"), a_position(CALL, "2", short=True), a_position(other))
    episodes = seen(before, (a_position(other),))
    assert "assigned" in episodes.known[other].suspended


def test_an_assignment_suspends_nothing_again_after_manage() -> None:
    other, held = "AAPL261218P00150000", a_position("AAPL261218P00150000")
    episodes = seen((a_position("AAPL", "200"), a_position(CALL, "2", short=True), held), (held,))
    episodes.resume(frozenset({other}))
    for _ in range(2):
        episodes.seen((held,), at("12:30"))
        assert not episodes.known[other].suspended


def test_an_option_that_was_sold_suspends_nothing() -> None:
    other = "AAPL261218P00150000"
    episodes = seen((a_position("AAPL", "200"), a_position(CALL, "2"), a_position(other)), (a_position("AAPL", "200"),))
    assert all(not episode.suspended for episode in episodes.known.values())


def test_an_adjusted_symbol_suspends_its_rules() -> None:
    adjusted = CALL.replace("AAPL", "AAPL1")
    episodes = seen((a_position(CALL), a_position("AAPL", "7")), (a_position(adjusted), a_position("AAPL", "7")))
    assert "renamed" in episodes.known["AAPL"].suspended


@pytest.mark.parametrize(("short", "prices", "peak"), [(False, "1.2 1.5 1.3", "1.5"), (True, "0.8 0.5 0.7", "0.5")])
def test_a_peak_never_moves_back(prices: str, peak: str, *, short: bool) -> None:
    episodes = seen((a_position(short=short),))
    for price in prices.split():
        episodes.peaked(CALL, D(price))
    assert episodes.known[CALL].peak == D(peak)


def a_fill(side: str, qty: str, clock: str, name: str) -> Order:
    intent = PositionIntent.BUY_TO_OPEN if side == "buy" else PositionIntent.SELL_TO_CLOSE
    order = an_order(side=side, qty=qty, client_order_id=name, status="filled", position_intent=intent)
    return replace(order, filled_qty=D(qty), filled_at=at(clock), side=Side(side))


BOUGHT_TWICE = (
    a_fill("buy", "2", "10:00", "bot-1"),
    a_fill("sell", "2", "10:30", "x"),
    a_fill("buy", "2", "11:00", "bot-2"),
)


def test_the_opening_is_the_last_fill_that_found_it_flat() -> None:
    episode = carried_on(None, a_position(qty="2"), NOON)
    opening = opening_of(episode, BOUGHT_TWICE)
    assert opening is not None
    assert opening.client_order_id == "bot-2"
    assert opening_of(replace(episode, qty=D(3)), BOUGHT_TWICE) is None


@pytest.mark.parametrize("cancelled_at", ["12:09", None])
def test_what_a_cancelled_order_sold_counts_in_the_search_for_the_opening_order(cancelled_at: str | None) -> None:
    added = a_fill("buy", "2", "11:00", "bot-2")
    sold = replace(a_fill("sell", "3", "12:09", "sellctl-1"), status="canceled", filled_at=None)
    sold = replace(sold, updated_at=at(cancelled_at) if cancelled_at else None)
    before = replace(peaked(a_position(qty="2"), "1.50"), first_seen=at("10:05"))
    episodes = seen((a_position(qty="2"),), kept=Kept({CALL: before}))
    episodes.opened(CALL, (added, sold), LATER)
    assert episodes.known[CALL].peak == D("1.50")


def test_what_was_flat_while_nobody_looked_starts_afresh() -> None:
    before = replace(peaked(a_position(qty="2"), "1.50"), first_seen=at("10:05"))
    episodes = seen((a_position(qty="2"),), kept=Kept({CALL: before}))
    episodes.opened(CALL, BOUGHT_TWICE, LATER)
    after = episodes.known[CALL]
    assert (after.peak, after.first_seen, after.opening_order_id) == (None, at("11:00"), "bot-2")


def test_an_addition_that_the_positions_may_not_show_yet_opens_nothing_and_is_looked_up_again() -> None:
    """Two were held; two more have just been bought, which the positions that were read before don't show."""
    before = replace(peaked(a_position(qty="2"), "1.50"), first_seen=at("10:05"))
    episodes = seen((a_position(qty="2"),), kept=Kept({CALL: before}))
    added = a_fill("buy", "2", "11:00", "me")
    episodes.opened(CALL, [added], at("11:00") + MAY_BE_MISSING / 2)
    assert (episodes.known[CALL], episodes.without_opening(), episodes.in_question) == (before, (CALL,), {CALL})
    episodes.seen((a_position(qty="4"),), LATER)
    episodes.opened(CALL, [added], at("11:00") + 2 * MAY_BE_MISSING)
    assert (episodes.known[CALL].peak, episodes.without_opening(), episodes.in_question) == (D("1.50"), (), set())


def test_another_average_is_checked_for_a_position_that_was_flat_in_between() -> None:
    episodes = seen((a_position(qty="2"),))
    episodes.peaked(CALL, D("1.50"))
    episodes.opened(CALL, (), LATER)
    assert not episodes.without_opening()
    episodes.seen((a_position(qty="2", entry="1.20"),), LATER)
    assert episodes.without_opening() == (CALL,)
    reopened = (a_fill("sell", "2", "12:10", "x"), a_fill("buy", "2", "12:20", "bot-2"))
    episodes.opened(CALL, [replace(order, submitted_at=order.filled_at) for order in reopened], LATER)
    assert (episodes.known[CALL].peak, episodes.known[CALL].past_averages) == (None, ())


def test_a_position_that_its_opening_order_is_still_filling_stays_armed() -> None:
    opening = replace(a_fill("buy", "3", "12:30", "bot"), submitted_at=at("11:59"))
    episodes = seen((a_position(qty="2"),))
    episodes.peaked(CALL, D("1.50"))
    episodes.seen((a_position(qty="3", entry="1.10"),), LATER)
    episodes.opened(CALL, [opening], LATER)
    assert (episodes.known[CALL].peak, episodes.known[CALL].opening_order_id) == (D("1.50"), "bot")


def test_the_legs_follow_a_structure_until_nobody_closes_that() -> None:
    other = "AAPL261218C00210000"
    episodes = seen((a_position(CALL, short=True), a_position(other)))
    episodes.mark_exit_after(VERTICAL, {other: D(0), CALL: D(3)}, "vertical: stop")
    episodes.mark_exit_after(VERTICAL, {other: D(5)}, "vertical: another")
    assert episodes.known[other].exit_after == f"{VERTICAL} vertical: stop"
    assert episodes.known[CALL].exit_after == f"{VERTICAL}/3 vertical: stop"
    assert set(episodes.leaving) == {CALL, other}
    episodes.unmark_exit_after([VERTICAL])
    assert not episodes.known[other].exit_after


PUT_SPREAD, SHORT_PUT, LONG_PUT = "AAPL-vertical-261218-190-200P", "AAPL261218P00200000", "AAPL261218P00190000"
SHORT_CALL, LONG_CALL = CALL, "AAPL261218C00210000"


def left_after(short: str, long: str, name: str, *shares: Position | None, filled: tuple[str, ...] = ()) -> str:
    """What the long leg is marked with once the short one is gone, with the shares before and after."""
    before, after = (tuple(filter(None, (each,))) for each in shares)
    episodes = seen((a_position(short, "2", short=True), a_position(long, "2"), *before))
    episodes.mark_exit_after(name, {short: D(0), long: D(0)}, "vertical: stop")
    episodes.seen((a_position(long, "2"), *after), LATER, filled)
    return episodes.known[long].exit_after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, a_position("AAPL", "200")),
        (a_position("AAPL", "50"), a_position("AAPL", "250")),
        (a_position("AAPL", "200", short=True), None),
    ],
)
def test_a_long_put_stays_when_the_assignment_of_its_short_brings_shares(
    before: Position | None, after: Position | None
) -> None:
    assert left_after(SHORT_PUT, LONG_PUT, PUT_SPREAD, before, after) == ""


def test_a_long_call_stays_when_the_assignment_of_its_short_sells_shares() -> None:
    assert left_after(SHORT_CALL, LONG_CALL, VERTICAL, None, a_position("AAPL", "200", short=True)) == ""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, None),
        (a_position("AAPL", "200"), a_position("AAPL", "200")),  # shares that have nothing to do with it
        (None, a_position("AAPL", "100")),  # of one contract only
        (None, a_position("AAPL", "200", short=True)),  # no put brings these
    ],
)
def test_a_long_follows_its_short_when_no_shares_came_with_its_end(
    before: Position | None, after: Position | None
) -> None:
    assert left_after(SHORT_PUT, LONG_PUT, PUT_SPREAD, before, after) == f"{PUT_SPREAD} vertical: stop"


def test_a_long_follows_its_short_when_a_fill_of_ours_has_closed_it_whatever_the_shares_do() -> None:
    left = left_after(SHORT_PUT, LONG_PUT, PUT_SPREAD, None, a_position("AAPL", "200"), filled=(SHORT_PUT,))
    assert left == f"{PUT_SPREAD} vertical: stop"


def test_of_an_iron_butterfly_whose_put_is_assigned_the_call_side_follows_still() -> None:
    short_put, long_put = a_position(SHORT_PUT, short=True), a_position(LONG_PUT)
    calls = (a_position(SHORT_CALL, short=True), a_position(LONG_CALL))
    episodes = seen((short_put, long_put, *calls))
    name = "AAPL-iron_butterfly-261218-190-200-210"
    episodes.mark_exit_after(name, dict.fromkeys((SHORT_PUT, LONG_PUT, SHORT_CALL, LONG_CALL), D(0)), "stop")
    episodes.seen((long_put, *calls, a_position("AAPL", "100")), LATER)
    assert set(episodes.leaving) == {SHORT_CALL, LONG_CALL}


def test_memory_that_can_not_be_kept_is_an_error_before_anything_is_decided() -> None:
    class Broken(Kept):
        async def save(self, _account: str, _episodes: Mapping[str, Episode]) -> None:
            raise JournalError("full")

    episodes = seen((a_position(),), kept=Broken())
    with pytest.raises(JournalError):
        asyncio.run(episodes.save())


def test_a_long_that_follows_the_short_of_a_pair_since_an_earlier_version_does_so_still() -> None:
    other = "AAPL261218C00210000"
    kept = Kept({other: replace(peaked(a_position(other), "1.50"), exit_after=f"{CALL} vertical: stop")})
    episodes = Episodes("main", kept)
    assert set(episodes.leaving) == {other}
    episodes.unmark_exit_after([CALL])
    assert episodes.leaving == {}


def test_the_episode_of_a_pair_of_an_earlier_version_is_carried_over_to_its_structure() -> None:
    pair = "AAPL261218C00210000+AAPL261218C00200000"
    before = peaked(a_position(pair, "2"), "2.50")
    kept = Kept({pair: before, CALL: peaked(a_position(), "1.50")})
    episodes = Episodes("main", kept)
    assert episodes.known[VERTICAL] == replace(before, symbol=VERTICAL)
    assert (episodes.known[VERTICAL].peak, episodes.known[VERTICAL].first_seen) == (D("2.50"), before.first_seen)
    assert (episodes.structures, set(episodes.known)) == ((VERTICAL,), {VERTICAL, CALL})
    asyncio.run(episodes.save())
    assert Episodes("main", kept).known == episodes.known


def test_the_opening_order_is_looked_up_for_every_position_and_for_no_structure() -> None:
    kept = Kept({symbol: peaked(a_position(symbol), "1.50") for symbol in (CALL, "XYZ+", "=1+1", VERTICAL)})
    assert Episodes("main", kept).without_opening() == (CALL, "XYZ+", "=1+1")


def test_a_leg_keeps_the_whole_structure_it_was_in_until_it_is_gone() -> None:
    call, higher = a_position(CALL), a_position(CALL.replace("200000", "210000"), short=True)
    kept = Kept()
    episodes = seen([call, higher], kept=kept)
    episodes.held_whole([VERTICAL])
    asyncio.run(episodes.save())
    later = seen([call], [call], kept=kept)
    later.set_aside([higher.symbol], LATER)
    assert later.whole == {VERTICAL}
    later.set_aside([call.symbol], LATER)
    assert later.whole == frozenset()


def test_a_leg_that_changed_sides_was_in_no_whole_structure() -> None:
    episodes = seen([a_position(CALL)])
    episodes.held_whole([VERTICAL])
    episodes.seen([a_position(CALL, short=True)], LATER)
    assert episodes.whole == frozenset()


# --- what a person sets -----------------------------------------------------------------------------------------------


def with_a_stop(episodes: Episodes, *, until: dt.datetime | None = None) -> Episodes:
    assert episodes.change_override(CALL, OverrideChange(stop="25%", until=until), "alice", NOON)
    return episodes


def test_what_is_set_is_kept_while_the_position_is_held_also_when_it_is_added_to() -> None:
    kept = Kept()
    episodes = with_a_stop(seen((a_position(qty="2"),), kept=kept))
    asyncio.run(episodes.save())
    later = seen((a_position(qty="3", entry="1.10"),), kept=kept)
    assert later.known[CALL].override == Override("alice", NOON, stop="25%")


@pytest.mark.parametrize("after", [a_position(qty="2", short=True)], ids=["flip"])
def test_what_is_set_ends_with_the_position(after: Position) -> None:
    episodes = with_a_stop(seen((a_position(qty="2"),)))
    episodes.seen((after,), LATER)
    assert episodes.known[CALL].override is None


def test_what_is_set_does_not_go_over_to_a_position_that_was_opened_anew() -> None:
    episodes = with_a_stop(seen((a_position(qty="2"),)))
    sold = an_order(qty="2", status="filled", filled_qty=D(2), filled_at=at("12:20"), submitted=at("12:19"))
    bought = an_order(
        side="buy",
        qty="2",
        status="filled",
        filled_qty=D(2),
        filled_at=at("12:30"),
        submitted=at("12:29"),
        client_order_id="again",
        position_intent=PositionIntent.BUY_TO_OPEN,
    )
    episodes.opened(CALL, (sold, bought), LATER)
    assert episodes.known[CALL].first_seen == at("12:30")
    assert episodes.known[CALL].override is None


def test_what_is_set_until_a_time_ends_then_and_says_so_once() -> None:
    episodes = with_a_stop(seen((a_position(),)), until=LATER)
    assert episodes.end_overrides(LATER - dt.timedelta(seconds=1)) == ()
    ((symbol, ended),) = episodes.end_overrides(LATER)
    assert (symbol, ended.stop) == (CALL, "25%")
    assert episodes.end_overrides(LATER) == ()
    assert not episodes.has_overrides


def test_nothing_is_set_for_what_is_not_held() -> None:
    assert not seen((a_position(),)).change_override("MSFT", OverrideChange(stop="25%"), "alice", NOON)


def test_resumed_rules_are_those_of_the_configuration() -> None:
    episodes = with_a_stop(seen((a_position(),)))
    episodes.suspend("AAPL", "a split", [CALL])
    assert episodes.known[CALL].override
    episodes.resume(frozenset({CALL}))
    assert episodes.known[CALL].override is None


def test_a_dry_run_takes_over_what_another_process_has_set_and_keeps_what_it_has_seen_itself() -> None:
    kept = Kept()
    acting, dry = (seen((a_position(),), kept=kept) for _ in range(2))
    dry.peaked(CALL, D("1.50"))
    for override in (Override("alice", NOON, stop="25%"), None):
        acting.known[CALL] = replace(acting.known[CALL], override=override)
        asyncio.run(acting.save())
        dry.follow_stored_overrides()
        assert (dry.known[CALL].override, dry.known[CALL].peak) == (override, D("1.50"))
