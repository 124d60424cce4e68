"""Streamed news: which of them send an order, and which only wake a poll."""

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from functools import partial

import pytest
from builders import CALL, PUT, a_policy, a_position
from msgspec.structs import replace
from order_builders import an_exit_order
from shell_fakes import FakeBroker, FakeStream, World

from sellctl.core.config.schema import MatchConfig, RulesConfig, SellModuleConfig, StrategyConfig
from sellctl.core.decision.engine import decide
from sellctl.core.decision.risk_checks import MAX_NON_URGENT_ORDERS_PER_MINUTE
from sellctl.core.model.event import EventKind
from sellctl.core.model.gain import Amount, Basis
from sellctl.core.model.instrument import StructureKind
from sellctl.core.model.plan import Urgency
from sellctl.core.sell_watcher import SellWatcher
from sellctl.core.tick_handler import TickHandler

DUE, OVER_THE_STOP = ("1.20", "1.22"), ("0.70", "0.72")
MSFT_CALL = "MSFT261218C00400000"
HIGHER = "AAPL261218C00210000"


def with_options_on(*underlyings: str) -> tuple[World, list[str]]:
    """An account with a contract on each of these underlyings, none of them due, and their symbols."""
    world, symbols = World(), [f"{underlying}261218C00200000" for underlying in underlyings]
    world.broker.held = tuple(a_position(symbol, "1") for symbol in symbols)
    for symbol in symbols:
        world.quoted("1.00", "1.02", symbol)
    return world, symbols


class Ticks:
    """A tick handler on fakes after a poll, and the accounts that it woke."""

    def __init__(self, world: World | None = None, *others: SellWatcher) -> None:
        self.world = world or World()
        self.stream = FakeStream()
        self.woken: list[str] = []
        self.handler = TickHandler(
            [*others, self.world.watcher],
            self.stream,
            self.world.prices,
            self.world.market_clock,
            self.world.clock,
            self.world.watcher.publish,
        )

    async def poll(self) -> None:
        await self.world.poll()
        await self.handler.polled()

    async def quote(self, bid: str, ask: str, symbol: str = CALL) -> None:
        """A streamed quote, a second after whatever was before."""
        self.world.clock.seconds += 1
        self.world.quoted(bid, ask, symbol)
        self.handler.quotes_received([self.world.quotes.quote(symbol)])
        for _ in range(5):
            await asyncio.sleep(0)

    async def quotes(self, prices: tuple[str, str], symbols: list[str]) -> None:
        """The same streamed quote of several symbols, in one message."""
        self.world.clock.seconds += 1
        for symbol in symbols:
            self.world.quoted(*prices, symbol)
        self.handler.quotes_received([self.world.quotes.quote(symbol) for symbol in symbols])
        for _ in range(5):
            await asyncio.sleep(0)

    async def two_seconds_pass(self) -> None:
        """Time for a second quote to be requested, and for what follows from it."""
        await self.world.clock.sleep(2)
        await self.world.clock.sleep(0)

    def play(self, *acts: Callable[[], Awaitable[None]]) -> None:
        """Open with the order stream connected, poll twice so that all that is loaded ahead is there, act, close."""

        async def everything() -> None:
            self.handler.open(self.woken.append)
            self.world.watcher.orders_streamed(is_connected=True)
            await self.poll()
            self.world.clock.seconds += 5
            await self.poll()
            self.woken.clear()
            self.world.broker.requests.clear()
            self.world.quotes.requested.clear()
            for act in acts:
                await act()
            await self.handler.close()

        asyncio.run(everything())

    @property
    def sent(self) -> list[str]:
        return [order.symbol for order in self.world.broker.sent]


def test_what_is_held_is_streamed_the_nearest_to_its_trigger_first() -> None:
    world = World()
    world.broker.held = (a_position(PUT, "1"), a_position(CALL, "1"))
    world.quoted("0.95", "0.97", PUT)
    world.quoted("1.09", "1.11", CALL)
    ticks = Ticks(world)
    ticks.play()
    assert ticks.stream.subscribed == [CALL, PUT]


def test_a_tick_that_meets_a_target_sends_with_no_request_before_the_order() -> None:
    ticks = Ticks()
    ticks.play(lambda: ticks.quote(*DUE))
    assert ticks.sent == [CALL]
    assert ticks.world.broker.requests == ["submit"]
    assert ticks.woken == ["main"]


def test_a_tick_acts_on_no_account_that_has_left_and_on_one_that_has_joined_after_its_poll() -> None:
    ticks = Ticks()

    async def leave() -> None:
        ticks.handler.set_watchers([])

    async def join() -> None:
        ticks.handler.set_watchers([ticks.world.watcher])
        await ticks.poll()

    async def reach_the_target() -> None:
        await ticks.quote("1.20", "1.22")

    ticks.play(leave, reach_the_target)
    assert ticks.sent == []
    ticks.play(join, reach_the_target)
    assert ticks.sent == [CALL]


def test_orders_on_several_underlyings_at_once_ask_for_one_read() -> None:
    world = World()
    world.broker.held = (a_position(CALL, "3"), a_position(MSFT_CALL, "2"))
    world.quoted("1.00", "1.02", MSFT_CALL)
    ticks = Ticks(world)

    async def both() -> None:
        answered = world.broker.order_gates[MSFT_CALL] = asyncio.Event()
        world.clock.seconds += 1
        for symbol in (CALL, MSFT_CALL):
            world.quoted(*DUE, symbol)
        ticks.handler.quotes_received([world.quotes.quote(symbol) for symbol in (CALL, MSFT_CALL)])
        for _ in range(10):
            await asyncio.sleep(0)
        assert (sorted(ticks.sent), ticks.woken) == ([CALL, MSFT_CALL], [])
        answered.set()
        for _ in range(10):
            await asyncio.sleep(0)
        assert ticks.woken == ["main"]

    ticks.play(both)


def test_orders_of_one_instant_that_are_decided_one_after_the_other_count_against_each_other() -> None:
    world, symbols = with_options_on("AAA", "BBB", "CCC", "DDD")
    ticks = Ticks(world)

    async def all_are_due() -> None:
        of_earlier = MAX_NON_URGENT_ORDERS_PER_MINUTE[1] - 2  # two more orders of the account are allowed this minute
        for number in range(of_earlier):
            sent = an_exit_order(at=world.clock.seconds, urgency=Urgency.PROFIT)
            sent = replace(sent, client_order_id=f"sellctl-{number}")
            world.watcher.orders.book.add_recorded(sent)
        world.clock.seconds += 1
        for symbol in symbols:
            world.quoted(*DUE, symbol)
            ticks.handler.quotes_received([world.quotes.quote(symbol)])
        await world.clock.sleep(0)

    ticks.play(all_are_due)
    assert ticks.sent == symbols[:2]


def test_what_is_due_by_one_message_is_decided_together_and_recorded_in_one_plan() -> None:
    world, symbols = with_options_on("AAA", "BBB", "CCC", "DDD")
    ticks = Ticks(world)
    ticks.play(partial(ticks.quotes, DUE, symbols))
    assert ticks.sent == symbols
    assert [decision.holding.symbol for decision in ticks.world.journal.plans[-1].submits] == symbols


def test_a_ticks_plan_is_recorded_and_its_intent_too() -> None:
    ticks = Ticks()
    ticks.play(lambda: ticks.quote(*DUE))
    (order,) = ticks.world.broker.sent
    assert ticks.world.journal.intents == [order.client_order_id]
    assert ticks.world.journal.plans[-1].submits


def test_a_second_tick_sends_nothing_until_a_poll_has_seen_the_first_ones_order() -> None:
    ticks = Ticks()
    ticks.play(lambda: ticks.quote(*DUE), lambda: ticks.quote("1.21", "1.23"), ticks.poll, lambda: ticks.quote(*DUE))
    assert ticks.sent == [CALL]


def test_a_tick_that_changes_nothing_asks_for_nothing() -> None:
    ticks = Ticks()
    ticks.play(lambda: ticks.quote("1.01", "1.03"))
    assert (ticks.sent, ticks.woken, ticks.world.broker.requests) == ([], [], [])


def test_a_stop_needs_two_ticks_far_enough_apart() -> None:
    ticks = Ticks()
    ticks.play(lambda: ticks.quote(*OVER_THE_STOP))
    assert ticks.sent == []
    again = Ticks()
    again.play(
        lambda: again.quote(*OVER_THE_STOP), lambda: again.quote("0.69", "0.71"), lambda: again.quote("0.69", "0.70")
    )
    assert again.sent == [CALL]


def test_a_stop_without_a_second_tick_is_confirmed_by_one_request_for_its_symbol() -> None:
    world = World()
    world.broker.held = (a_position(CALL, "3"), a_position(PUT, "2"), a_position(MSFT_CALL, "2"))
    for symbol in (PUT, MSFT_CALL):
        world.quoted("1.00", "1.02", symbol)
    ticks = Ticks(world)
    ticks.play(lambda: ticks.quote(*OVER_THE_STOP), lambda: ticks.quote("0.70", "0.71"), ticks.two_seconds_pass)
    assert world.quotes.requested == [[CALL]]
    assert ticks.sent == [CALL]
    assert world.broker.requests == ["submit"]


def test_the_stop_of_a_vertical_is_confirmed_by_quotes_of_both_legs() -> None:
    stop = StrategyConfig(
        match=MatchConfig(structure=(StructureKind.VERTICAL,)), rules=RulesConfig(stop_loss=Amount(Decimal("0.4")))
    )
    world = World(policy=a_policy(SellModuleConfig(strategies=(stop,))))
    world.watcher.take_policy(world.policy, Basis.MID)
    world.broker.held = (a_position(CALL, "1", entry="1.00"), a_position(HIGHER, "1", entry="0.40", short=True))
    world.quoted("1.00", "1.02")
    world.quoted("0.40", "0.42", HIGHER)
    ticks = Ticks(world)
    ticks.play(lambda: ticks.quote("0.70", "0.72"), ticks.two_seconds_pass)
    assert ticks.world.quotes.requested == [[CALL, HIGHER]]
    assert ticks.sent == ["AAPL-vertical-261218-200-210C"]


def test_each_stop_waits_for_its_own_second_quote() -> None:
    world, symbols = with_options_on("AAA", "BBB", "CCC", "DDD")
    ticks = Ticks(world)

    async def three_seconds_pass() -> None:
        for _ in range(30):
            await ticks.world.clock.sleep(0.1)

    one_after_the_other = [partial(ticks.quotes, OVER_THE_STOP, [symbol]) for symbol in symbols[:2]]
    ticks.play(*one_after_the_other, three_seconds_pass)
    assert ticks.world.quotes.requested == [[symbols[0]], [symbols[1]]]
    assert ticks.sent == symbols[:2]


def test_a_second_quote_is_requested_as_early_as_the_slowest_of_the_last_answers_asks_for() -> None:
    world = World()

    async def answers() -> list[float]:
        found = []
        for world.quotes.delay in (0.05, 0.2, 0.05, 0.05, 0.05, 9.0):
            await world.prices.refresh([a_position(CALL).instrument])
            found.append(world.prices.round_trip)
        return found

    assert asyncio.run(answers()) == pytest.approx([0.05, 0.2, 0.2, 0.2, 0.05, 0.25])


@pytest.mark.parametrize("answers_after", [0.2, 0.05, 0.0], ids=["as before", "sooner", "at once"])
def test_a_second_quote_is_requested_before_it_is_due_and_confirms_when_it_is(answers_after: float) -> None:
    ticks = Ticks()
    ticks.world.quotes.delay = 0.2
    sent_at: list[float] = []

    async def answers_take_another_time() -> None:
        ticks.world.quotes.delay = answers_after

    async def three_seconds_pass() -> None:
        for _ in range(60):
            await ticks.world.clock.sleep(0.05)
            if ticks.sent and not sent_at:
                sent_at.append(ticks.world.clock.seconds)

    first_at: list[float] = []

    async def a_stop_is_streamed() -> None:
        await ticks.quote("0.70", "0.72")
        first_at.append(ticks.world.clock.seconds)

    ticks.play(answers_take_another_time, a_stop_is_streamed, three_seconds_pass)
    requested_after = [at - first_at[0] for at in ticks.world.quotes.requested_at if at > first_at[0]]
    assert requested_after == pytest.approx([1.5 - 0.2], abs=0.06)
    assert ticks.sent == [CALL]
    assert sent_at[0] - first_at[0] == pytest.approx(1.5, abs=0.11)
    assert sent_at[0] - first_at[0] >= 1.5


@pytest.mark.parametrize("turns", range(50, 60))
def test_a_position_that_is_gone_by_the_time_of_the_second_quotes_keeps_no_other_waiting(turns: int) -> None:
    world, symbols = with_options_on("AAA", "BBB", "CCC", "DDD")
    ticks = Ticks(world)
    broker = ticks.world.broker

    async def a_poll_ends_meanwhile() -> None:
        broker.held = broker.held[:1]
        market = await ticks.world.market_clock.read()
        for _ in range(turns):
            await asyncio.sleep(0)
        seen = await ticks.world.watcher.observe()
        assert seen is not None
        await ticks.world.watcher.act_on_poll(seen, market)
        await ticks.handler.polled()

    async def meanwhile() -> None:
        await asyncio.gather(a_poll_ends_meanwhile(), ticks.two_seconds_pass())

    ticks.play(partial(ticks.quotes, OVER_THE_STOP, symbols[:2]), meanwhile, ticks.two_seconds_pass)
    assert not [text for text in ticks.world.texts if "internal error" in text]
    assert ticks.sent == symbols[:1]


def test_what_is_not_held_any_more_is_not_requested() -> None:
    world = World()
    world.broker.held = (a_position(CALL, "3"), a_position(PUT, "3"))
    world.quoted("1.00", "1.02", PUT)
    ticks = Ticks(world)

    async def one_is_sold() -> None:
        world.broker.held = (a_position(CALL, "3"),)
        world.clock.seconds += 5
        await ticks.poll()
        world.quotes.requested.clear()

    ticks.play(one_is_sold, lambda: ticks.quote(*OVER_THE_STOP), ticks.two_seconds_pass)
    assert world.quotes.requested == [[CALL]]


def test_a_stop_that_a_second_tick_has_confirmed_requests_no_quote() -> None:
    ticks = Ticks()
    three = [("0.70", "0.72"), ("0.69", "0.71"), ("0.69", "0.70")]
    ticks.play(*(partial(ticks.quote, *prices) for prices in three), ticks.two_seconds_pass)
    assert (ticks.sent, ticks.world.quotes.requested) == ([CALL], [])


def test_stops_that_are_reached_in_quick_succession_share_their_requests() -> None:
    world, symbols = with_options_on("AAA", "BBB", "CCC", "DDD", "EEE", "FFF")
    ticks = Ticks(world)

    async def one_after_the_other() -> None:
        for symbol in symbols:
            world.clock.seconds += 0.01
            world.quoted(*OVER_THE_STOP, symbol)
            ticks.handler.quotes_received([world.quotes.quote(symbol)])

    ticks.play(one_after_the_other, ticks.two_seconds_pass, ticks.two_seconds_pass)
    assert sorted(ticks.sent) == symbols
    assert len(world.quotes.requested) <= 2


def test_stops_that_are_reached_by_two_messages_of_one_instant_share_a_request_and_none_waits_for_the_next() -> None:
    world, symbols = with_options_on("AAA", "BBB")
    ticks = Ticks(world)
    first_at = sent_at = 0.0

    async def one_after_the_other() -> None:
        nonlocal first_at
        first_at = world.clock.seconds
        for symbol in symbols:
            world.quoted(*OVER_THE_STOP, symbol)
            ticks.handler.quotes_received([world.quotes.quote(symbol)])
            world.clock.seconds += 0.005

    async def until_both_are_sent() -> None:
        nonlocal sent_at
        while len(ticks.sent) < len(symbols):
            await world.clock.sleep(0.01)
        sent_at = world.clock.seconds

    ticks.play(one_after_the_other, until_both_are_sent)
    assert [sorted(requested) for requested in world.quotes.requested] == [symbols]
    assert 1.505 <= sent_at - first_at <= 1.56


def test_a_second_quote_that_is_above_the_stop_refutes_it() -> None:
    ticks = Ticks()

    async def recovers() -> None:
        ticks.world.quoted("1.00", "1.02")

    ticks.play(lambda: ticks.quote(*OVER_THE_STOP), recovers, ticks.two_seconds_pass)
    assert (ticks.sent, ticks.woken, len(ticks.world.quotes.requested)) == ([], [], 1)


def test_a_second_quote_whose_view_has_expired_asks_for_a_read_instead() -> None:
    ticks = Ticks()

    async def a_fill_is_seen() -> None:
        ticks.world.watcher.orders.in_flight.invalidate_reads([CALL])

    ticks.play(lambda: ticks.quote(*OVER_THE_STOP), a_fill_is_seen, ticks.two_seconds_pass)
    assert (ticks.sent, ticks.woken) == ([], ["main"])


def test_second_quotes_that_can_not_be_read_are_requested_again() -> None:
    ticks = Ticks()

    async def quotes_fail() -> None:
        ticks.world.quotes.prices.clear()

    ticks.play(lambda: ticks.quote(*OVER_THE_STOP), quotes_fail, ticks.two_seconds_pass, ticks.two_seconds_pass)
    assert len(ticks.world.quotes.requested) >= 2


def test_an_internal_error_on_a_second_quote_is_told_and_the_account_is_read_instead() -> None:
    ticks = Ticks()

    async def breaks() -> None:
        ticks.world.quotes.fails = ZeroDivisionError()

    ticks.play(lambda: ticks.quote(*OVER_THE_STOP), breaks, ticks.two_seconds_pass)
    assert ticks.woken == ["main"]
    assert "internal error: ZeroDivisionError" in ticks.world.events[-1].sentence


def test_a_jump_sends_nothing_until_a_second_quote_agrees_with_it() -> None:
    ticks = Ticks()
    ticks.play(lambda: ticks.quote("9.00", "9.02"))
    assert ticks.sent == []
    again = Ticks()
    again.play(lambda: again.quote("9.00", "9.02"), again.two_seconds_pass)
    assert (again.sent, again.world.quotes.requested) == ([CALL], [[CALL]])


def test_a_price_that_jumps_again_and_again_is_requested_until_two_quotes_agree() -> None:
    ticks = Ticks()

    async def jumps_further() -> None:
        ticks.world.quoted("20.00", "20.02")
        await ticks.two_seconds_pass()

    ticks.play(lambda: ticks.quote("9.00", "9.02"), jumps_further, ticks.two_seconds_pass)
    assert (ticks.sent, len(ticks.world.quotes.requested)) == ([CALL], 2)


def test_an_internal_error_of_one_account_keeps_no_other_from_selling() -> None:
    world = World()
    other = world.a_watcher(FakeBroker(world.clock, "other"))
    ticks = Ticks(world, other)

    def fails() -> str:
        raise ZeroDivisionError

    async def the_other_breaks() -> None:
        seen = await other.observe()
        assert seen is not None
        await other.act_on_poll(seen, world.market_clock.now())
        await ticks.handler.polled()
        other.orders.halted = fails

    ticks.play(the_other_breaks, lambda: ticks.quote(*DUE))
    assert ticks.sent == [CALL]
    assert ticks.woken == ["other", "main"]
    assert "internal error: ZeroDivisionError" in world.events[0].sentence


def test_no_tick_acts_while_the_market_is_closed() -> None:
    world = World()
    world.broker.is_open = False
    ticks = Ticks(world)
    ticks.play(lambda: ticks.quote(*DUE))
    assert ticks.sent == []


def test_a_quote_of_what_nobody_holds_is_ignored() -> None:
    ticks = Ticks()
    ticks.play(lambda: ticks.quote(*DUE, symbol=PUT))
    assert ticks.world.prices.newest(PUT) is None


def test_an_order_that_changes_wakes_one_poll_which_reads_todays_orders_without_a_request_more() -> None:
    ticks = Ticks()

    async def change() -> None:
        ticks.handler.order_changed("main", CALL)
        ticks.handler.order_changed("main", CALL)
        await asyncio.sleep(0.02)

    ticks.play(change, ticks.poll)
    assert ticks.woken == ["main"]
    assert ticks.world.broker.requests == ["clock", "positions", "all orders"]


def test_a_tick_after_news_of_its_symbols_orders_sends_nothing_until_a_poll_has_read_them() -> None:
    ticks = Ticks()

    async def change() -> None:
        ticks.handler.order_changed("main", CALL)

    ticks.play(change, lambda: ticks.quote(*DUE))
    assert (ticks.sent, ticks.world.broker.requests) == ([], [])
    assert ticks.woken[0] == "main"


def test_a_tick_after_news_of_another_symbols_orders_sends() -> None:
    ticks = Ticks()

    async def change() -> None:
        ticks.handler.order_changed("main", PUT)

    ticks.play(change, lambda: ticks.quote(*DUE))
    assert ticks.sent == [CALL]


def all_are_due_after_news_of_the_second_ones_orders() -> tuple[Ticks, list[str]]:
    """Four contracts become due by one message, after an order of the second one changed."""
    world, symbols = with_options_on("AAA", "BBB", "CCC", "DDD")
    ticks = Ticks(world)

    async def change() -> None:
        ticks.handler.order_changed("main", symbols[1])

    ticks.play(change, partial(ticks.quotes, DUE, symbols))
    return ticks, symbols


def test_news_of_one_symbols_orders_hold_back_nothing_else_that_is_due_by_the_same_message() -> None:
    ticks, symbols = all_are_due_after_news_of_the_second_ones_orders()
    assert ticks.sent == [symbols[0], *symbols[2:]]
    assert "main" in ticks.woken


def test_news_between_a_ticks_decision_and_its_order_hold_the_order_back() -> None:
    ticks = Ticks()

    async def change() -> None:
        ticks.world.quoted(*DUE)
        ticks.handler.quotes_received([ticks.world.quotes.quote()])
        ticks.handler.order_changed("main", CALL)
        await ticks.world.clock.sleep(0)

    ticks.play(change)
    assert ticks.sent == []


def test_the_plan_of_a_tick_is_recorded_with_exactly_the_snapshot_that_it_follows_from() -> None:
    ticks, symbols = all_are_due_after_news_of_the_second_ones_orders()
    journal = ticks.world.journal
    assert ticks.sent == [symbols[0], *symbols[2:]]
    assert [decide(snapshot, ticks.world.policy) for snapshot in journal.decided_on] == journal.plans


@pytest.mark.parametrize("is_back", [False, True])
def test_after_a_break_of_the_order_stream_a_tick_sends_nothing_until_todays_orders_were_read(*, is_back: bool) -> None:
    ticks = Ticks()

    async def breaks() -> None:
        ticks.handler.connection_changed("orders of main", "the connection was cut")
        if is_back:
            ticks.handler.connection_changed("orders of main", "")

    async def next_poll() -> None:
        ticks.world.quoted("1.00", "1.02")
        await ticks.poll()
        requests.extend(ticks.world.broker.requests)

    requests: list[str] = []
    ticks.play(breaks, lambda: ticks.quote(*DUE), next_poll, lambda: ticks.quote(*DUE))
    assert requests == ["clock", "positions", "all orders" if is_back else "orders"]
    assert ticks.sent == ([CALL] if is_back else [])


def test_a_reevaluation_without_an_order_stream_asks_once_for_the_orders_of_all_that_is_due() -> None:
    world = World()
    world.broker.held = (a_position(CALL, "3"), a_position(PUT, "1"))
    world.quoted("1.00", "1.02", PUT)
    ticks = Ticks(world)

    async def due() -> None:
        world.watcher.orders_streamed(is_connected=False)
        world.clock.seconds += 2
        world.quoted(*DUE)
        world.quoted(*DUE, PUT)
        await world.prices.refresh([position.instrument for position in world.broker.held])
        await world.watcher.reevaluate(world.market_clock.now())

    ticks.play(due)
    assert world.broker.requests[:3] == ["history", "submit", "submit"]


def test_a_reevaluation_with_the_order_stream_connected_needs_no_request_before_the_order() -> None:
    ticks = Ticks()

    async def due() -> None:
        ticks.world.clock.seconds += 2
        ticks.world.quoted(*DUE)
        await ticks.world.prices.refresh([a_position(CALL).instrument])
        await ticks.world.watcher.reevaluate(ticks.world.market_clock.now())

    ticks.play(due)
    assert ticks.world.broker.requests[0] == "submit"


def test_a_connection_is_published_when_it_changes_and_all_accounts_are_polled_once_it_is_up() -> None:
    ticks = Ticks()

    async def changes() -> None:
        ticks.handler.connection_changed("orders of main", "")
        ticks.handler.connection_changed("orders of main", "the connection was cut")
        ticks.handler.connection_changed("orders of main", "")
        await asyncio.sleep(0.02)

    ticks.play(changes)
    assert ticks.world.texts == [
        "orders of main: stream connected",
        "degraded: orders of main: the connection was cut; polling instead",
        "recovered: orders of main: stream connected",
    ]
    assert ticks.woken == [""]


def test_a_stream_that_is_silent_while_polls_see_prices_move_is_restarted() -> None:
    ticks = Ticks()

    async def polls() -> None:
        for cents in range(1, 4):
            ticks.world.clock.seconds += 5
            ticks.world.quoted(f"1.0{cents}", f"1.0{cents + 2}")
            await ticks.poll()

    ticks.play(polls)
    assert ticks.stream.restarts == ["silent although prices move"]


def test_a_stream_that_brought_a_jump_which_is_held_back_is_not_restarted() -> None:
    ticks = Ticks()

    async def moves() -> None:
        for price in ("2.00", "4.00", "8.00", "16.00"):
            await ticks.quote(price, price)
            for _ in range(3):
                ticks.world.clock.seconds += 1
                await ticks.poll()

    ticks.play(moves)
    assert ticks.stream.restarts == []


def test_a_bug_while_preparing_is_published_and_ends_no_poll() -> None:
    ticks = Ticks()

    def broken(_instruments: object) -> None:
        raise ZeroDivisionError

    ticks.stream.subscribe = broken  # type: ignore[method-assign]
    ticks.play()
    assert [event.kind for event in ticks.world.events] == [EventKind.DEGRADED] * 2
    assert "ZeroDivisionError" in ticks.world.texts[0]


def test_a_poll_that_was_requested_when_the_watch_stopped_can_be_requested_in_the_next_one() -> None:
    ticks = Ticks()

    async def connected() -> None:
        ticks.handler.connection_changed("option quotes", "")
        await asyncio.sleep(0)

    async def a_while() -> None:
        await asyncio.sleep(0.01)

    ticks.play(connected)
    assert ticks.woken == []
    ticks.play(connected, a_while)
    assert ticks.woken == [""]


def test_it_is_live_when_every_connection_is_up() -> None:
    ticks = Ticks()
    assert ticks.handler.is_live
    ticks.stream.problems["orders of main"] = "connecting"
    assert not ticks.handler.is_live
