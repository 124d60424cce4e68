"""The real watcher with the simulator's streams: a tick sells, and polling continues under every stream fault."""

import asyncio
import contextlib
import datetime as dt
import signal
import textwrap
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING

import pytest
from builders import replace
from stage import CALL, Play, Stage, end_of, three_calls

from sellctl.bootstrap import RunOptions, Runtime, assemble
from sellctl.core.config_manager import ConfigManager
from sellctl.core.errors import RateLimitedError
from sellctl.core.model.account_state import RunMode
from sellctl.core.tracking.quote_history import Source
from sellctl.service.host_clock import RealClock
from sellctl.service.options import Options
from sellctl.ui.displays import view_of

if TYPE_CHECKING:
    from sellctl.core.model.event import Event

SLOW = "sell_module: {check_interval: 60}\n"
QUICK = "sell_module: {check_interval: 1}\n"
Until = Callable[[], bool]


class Watch:
    """A watcher in this process, and all its events."""

    def __init__(self, stage: Stage, rules: str, clock: RealClock | None = None) -> None:
        self.stage = stage
        server = stage.server
        accounts = "".join(
            f"  {a.name}:\n    api_key: {a.key}\n    secret_key: {a.secret}\n    endpoints:\n"
            f"      trading: {server.url}\n      data: {server.url}\n"
            f"      trading_stream: {server.stream_url}/stream\n      stock_stream: {server.stream_url}/v2/iex\n"
            f"      option_stream: {server.stream_url}/v1beta1/indicative\n"
            for a in server.scenario.accounts
        )
        stage.write(f"accounts:\n{accounts}{textwrap.dedent(rules)}")
        self.events: list[Event] = []
        options = Options(stage.config, stage.state, live=False, debug=False, log_file=None)
        loaded = ConfigManager(stage.config).load()
        run_options = RunOptions("watch", RunMode.ACT, streams=True)
        self.runtime: Runtime = assemble(loaded, options, run_options, self.events.append, clock)

    def play(self, *acts: Callable[[], object] | Until, seconds: float = 8) -> None:
        """Watch while running the steps one after the other; a step that returns False is repeated."""
        self.play_each(acts, seconds=seconds)

    def play_each(self, *runs: tuple[Callable[[], object] | Until, ...], seconds: float = 8) -> None:
        """Watch several times, one after the other, as `POST /stop` and `POST /start` do."""

        async def each() -> None:
            for acts in runs:
                await self._play(acts, seconds)

        try:
            asyncio.run(each())
        finally:
            self.runtime.close()

    async def _play(self, acts: tuple[Callable[[], object], ...], seconds: float) -> None:
        stop = asyncio.Event()
        watching = asyncio.create_task(self.runtime.scheduler.watch(stop, lambda _wait: None))
        try:
            for act in acts:
                async with asyncio.timeout(seconds):
                    while act() is False and not watching.done():  # noqa: ASYNC110  acts look at other threads
                        await asyncio.sleep(0.02)
        finally:
            stop.set()
            await watching

    def result(self, arguments: str) -> bool:
        return any(arguments in event.sentence for event in self.events)

    @property
    def ticks_are_live(self) -> bool:
        tick_handler = self.runtime.scheduler.tick_handler
        return tick_handler is not None and tick_handler.is_live and bool(tick_handler.stream.streamed)

    def quote(self, bid: str, ask: str, symbol: str = CALL) -> None:
        with self.stage.server.hold() as exchange:
            exchange.set_quote(symbol, Decimal(bid), Decimal(ask))

    def move(self, seconds: float, bid: str, ask: str) -> None:
        """Advance the time and move the price."""
        self.stage.server.advance(seconds)
        self.quote(bid, ask)

    def quoted_by_stream(self, bid: str, ask: str) -> bool:
        """Move the price until the stream brings it; polls are too rare to."""
        self.quote(bid, ask)
        history = self.runtime.scheduler.prices.history(CALL)
        newest = history.newest if history and history.source is Source.STREAM else None
        return newest is not None and (newest.bid, newest.ask) == (Decimal(bid), Decimal(ask))

    def is_ready(self) -> bool:
        """Whether it streams and has read what an order on a tick requires: today's orders and the price increment."""
        has_orders = all(watcher.observer.known_orders([CALL]) for watcher in self.runtime.scheduler.watchers)
        has_increment = any("/options/contracts/" in r.path for r in self.stage.server.requests)
        return self.ticks_are_live and has_orders and has_increment

    def is_sold(self) -> bool:
        return self.stage.held(CALL) == 0


@pytest.fixture
def watch(play: Play) -> Callable[..., Watch]:
    def on(rules: str = SLOW, scenario: str = three_calls()) -> Watch:
        return Watch(play(scenario), rules)

    return on


def test_a_tick_that_meets_a_target_sells_with_no_request_before_the_order(watch: Callable[..., Watch]) -> None:
    one = watch()
    counted: list[int] = []

    def mark() -> None:
        counted.append(len(one.stage.server.requests))
        one.move(1, "1.20", "1.22")

    one.play(one.is_ready, mark, one.is_sold)
    after = one.stage.server.requests[counted[0] :]
    assert (after[0].method, after[0].path) == ("POST", "/v2/orders")
    assert len(one.stage.orders()) == 1


def test_a_stop_is_sold_by_the_tick_that_confirms_it(watch: Callable[..., Watch]) -> None:
    one = watch()
    begun: list[float] = []

    def fall() -> None:
        begun.append(one.runtime.clock.monotonic())
        one.move(1, "0.70", "0.72")

    one.play(
        one.is_ready,
        fall,
        lambda: one.runtime.clock.monotonic() - begun[0] > 1.0,
        lambda: one.move(1, "0.69", "0.71"),
        one.is_sold,
    )
    assert len(one.stage.orders()) == 1


def test_a_tick_sells_while_a_poll_waits_for_a_cancel_on_another_symbol(watch: Callable[..., Watch]) -> None:
    position = "{symbol: MSFT, qty: 5, entry: 400}"
    order = "{symbol: MSFT, side: sell, qty: 5, limit_price: 440, client_order_id: mine, age: 2m}"
    one = watch(SLOW, three_calls().replace("entry: 1.00}]", f"entry: 1.00}}, {position}]\n    orders: [{order}]"))
    one.stage.inject_fault("H19")

    def requests(method: str, path: str) -> list[int]:
        requests = enumerate(one.stage.server.requests)
        return [index for index, request in requests if (request.method, request.path) == (method, path)]

    def looks_again() -> None:
        one.stage.server.advance(90)
        one.runtime.scheduler.wake()

    one.play(
        one.is_ready,
        looks_again,
        lambda: bool(one.stage.server.exchange.faults.fired["H19"]),
        lambda: one.quote("1.20", "1.22"),
        one.is_sold,
    )
    assert len(requests("POST", "/v2/orders")) == 1


def test_a_tick_sells_when_reads_have_used_up_their_share_of_the_request_budget(watch: Callable[..., Watch]) -> None:
    one = watch(QUICK, three_calls() + "settings: {rate_limit: 40}\n")
    (watcher,) = one.runtime.scheduler.watchers
    used_up: list[int] = []

    async def use_up() -> None:
        with contextlib.suppress(RateLimitedError):
            while True:
                await watcher.broker.clock()
        used_up.append(len(one.stage.server.requests))

    tasks: list[asyncio.Task[None]] = []
    one.play(
        one.is_ready,
        lambda: tasks.append(asyncio.ensure_future(use_up())),
        lambda: bool(used_up),
        lambda: one.quote("1.20", "1.22"),
        one.is_sold,
    )
    assert ("POST", "/v2/orders") in {(r.method, r.path) for r in one.stage.server.requests[used_up[0] :]}


def test_a_ticks_order_is_on_the_price_increment_although_the_quote_is_not(watch: Callable[..., Watch]) -> None:
    nickels = "QAA261218C00100000"  # not in the penny programme
    one = watch(SLOW, three_calls().replace(CALL, nickels))
    one.play(
        one.is_ready,
        lambda: one.quote("1.21", "1.23", nickels),
        lambda: one.stage.held(nickels) == 0,
    )
    (order,) = one.stage.orders()
    assert (one.stage.sent(), order.limit_price) == (["POST /v2/orders"], Decimal("1.20"))


def test_one_bad_tick_sells_nothing(watch: Callable[..., Watch]) -> None:
    one = watch()
    one.play(
        one.is_ready,
        lambda: one.move(1, "0.01", "0.02"),
        lambda: one.move(1, "1.00", "1.02"),
        lambda: (one.runtime.scheduler.prices.history(CALL) is not None) and not one.runtime.scheduler.prices.jumped,
    )
    assert one.stage.orders() == []


@pytest.mark.parametrize("code", [402, 406, 409])
def test_a_refused_stream_is_reported_polling_sells_and_the_stream_reconnects(
    watch: Callable[..., Watch], code: int
) -> None:
    one = watch(QUICK)
    one.stage.inject_fault("W09", code=code, path="/v1beta1/indicative")
    one.play(
        lambda: one.result(f"({code}); polling instead"),
        lambda: one.move(1, "1.20", "1.22"),
        one.is_sold,
        lambda: one.ticks_are_live or one.is_sold(),
    )
    assert len(one.stage.orders()) == 1


def test_beyond_the_limit_the_nearest_symbols_are_streamed_and_the_others_polled(watch: Callable[..., Watch]) -> None:
    others = [f"AAPL261218C00{strike}000" for strike in (210, 220, 230)]
    positions = ", ".join(f"{{symbol: {symbol}, qty: 1, entry: 1.00}}" for symbol in (CALL, *others))
    prices = "".join(f"  {symbol}: [{{fixed: {{bid: 0.95, ask: 0.97}}}}]\n" for symbol in others)
    scenario = three_calls().replace("{symbol: AAPL261218C00200000, qty: 3, entry: 1.00}", positions)
    one = watch(QUICK, scenario + prices)
    exchange = one.stage.server.exchange
    exchange.settings = replace(exchange.settings, option_stream_quotes=2)
    one.play(
        lambda: one.ticks_are_live and one.runtime.scheduler.tick_handler.stream.streamed == {CALL, others[0]},  # type: ignore[union-attr]
        lambda: one.quote("1.20", "1.22", others[2]),
        lambda: one.stage.held(others[2]) == 0,
    )
    assert one.result("symbols are too many (405)")


def test_a_disconnected_stream_reconnects(watch: Callable[..., Watch]) -> None:
    one = watch(SLOW)
    one.play(
        lambda: one.ticks_are_live,
        lambda: one.stage.inject_fault("W01", times=2),
        lambda: one.result("connection was"),
        lambda: one.ticks_are_live,
        lambda: one.move(1, "1.20", "1.22"),
        one.is_sold,
    )
    assert len([order for order in one.stage.orders() if order.filled_qty]) == 1


def test_a_silent_stream_is_detected_by_polls_with_newer_data(watch: Callable[..., Watch]) -> None:
    one = watch(QUICK)
    moves = iter(range(1, 60))
    moved_at = [0.0]

    def drift() -> bool:
        now = one.runtime.clock.monotonic()
        if now - moved_at[0] > 0.3:
            moved_at[0] = now
            price = Decimal("1.00") + Decimal(next(moves) % 5) / 100
            one.move(1, f"{price}", f"{price + Decimal('0.02')}")
        return one.result("silent although prices move")

    one.play(lambda: one.ticks_are_live, lambda: one.stage.inject_fault("W02"), drift)


def test_while_the_market_is_closed_only_the_clock_is_requested_once_per_minute(play: Play) -> None:
    pace, minutes = 120, 5
    stage = play(three_calls(at="2026-11-24 17:00"), speed=pace)
    one = Watch(stage, "", RealClock(pace))
    begun: list[tuple[dt.datetime, int]] = []
    one.play(
        lambda: one.ticks_are_live,
        lambda: begun.append((stage.server.exchange.now, len(stage.server.requests))),
        lambda: stage.server.exchange.now - begun[0][0] >= dt.timedelta(minutes=minutes),
    )
    paths = [request.path for request in stage.server.requests[begun[0][1] :]]
    assert set(paths) == {"/v2/clock"}
    assert minutes - 2 <= len(paths) <= minutes + 2


def test_a_watcher_with_200_streamed_symbols_stops_at_once(play: Play) -> None:
    symbols = [f"Q{chr(65 + n // 20)}{chr(65 + n % 20)}261218C00100000" for n in range(200)]
    positions = ", ".join(f"{{symbol: {symbol}, qty: 1, entry: 1.00}}" for symbol in symbols)
    prices = "".join(f"  {symbol}: [{{fixed: {{bid: 1.00, ask: 1.05}}}}]\n" for symbol in symbols)
    account = f"accounts: {{main: {{key: k, secret: s, positions: [{positions}]}}}}\n"
    stage = play(f'start: "2026-11-24 12:00"\n{account}prices:\n{prices}')
    Watch(stage, SLOW).runtime.close()
    process, over = stage.spawn("watch", "--format", "log"), threading.Event()

    def tick() -> None:
        while not over.wait(0.1):
            with stage.server.hold() as exchange:
                for symbol in symbols[::10]:
                    exchange.set_quote(symbol, Decimal("1.00"), Decimal("1.05"))

    ticking = threading.Thread(target=tick)
    ticking.start()
    ends = time.monotonic() + 20
    while not any("status=all" in request.query for request in stage.server.requests):
        assert time.monotonic() < ends, "it never got ready"
        time.sleep(0.05)
    told_at = time.monotonic()
    process.send_signal(signal.SIGTERM)
    result = end_of(process)
    took = time.monotonic() - told_at
    over.set()
    ticking.join()
    assert result.status == 0, result.err
    assert took < 4  # on an idle machine under a second, including the interpreter's exit


STRIKES = [f"AAPL261218C00{strike}000" for strike in range(300, 306)]
INTERVAL, CONFIRMED, SLACK = (
    1.0,
    1.5,
    3.0,
)  # seconds: a poll, the confirming poll of a stop, tolerance for a busy machine


class Session(Watch):
    """A session with one stream fault after the other, and a stop that becomes due during each."""

    def trouble(self, symbol: str, *breaks: Callable[[], object], result: str) -> list[Callable[[], object]]:
        """Inject a fault, wait for its report, let a stop become due, and wait for the sale and the reconnect."""
        told: list[int] = []
        fell: list[float] = []

        def says_it_polls() -> bool:
            news = [event.sentence for event in self.events[told[0] :]]
            return any(result in each for each in news)

        def is_sold_in_time() -> bool:
            if self.stage.held(symbol):
                return False
            assert self.runtime.clock.monotonic() - fell[0] < INTERVAL + CONFIRMED + SLACK
            return True

        def streams_again() -> bool:
            return self.ticks_are_live and any("stream connected" in event.sentence for event in self.events[told[0] :])

        return [
            lambda: told.append(len(self.events)),
            *breaks,
            says_it_polls,
            lambda: self.quote("0.70", "0.72", symbol),
            lambda: fell.append(self.runtime.clock.monotonic()),
            is_sold_in_time,
            streams_again,
        ]

    def hurry(self) -> None:
        """Shorten the delays between connection attempts."""
        self.runtime.scheduler.tick_handler.stream._back_off = (0.05, 0.2)  # type: ignore[union-attr,attr-defined]  # noqa: SLF001

    def cut(self) -> None:
        self.stage.inject_fault("W01", times=2)

    def mute(self) -> None:
        self.stage.inject_fault("W02")

    def speak(self) -> None:
        with self.stage.server.hold() as exchange:
            exchange.clear_faults("W02")

    def drift(self) -> bool:
        """Move the price of an untriggered position until polls have detected that no stream reports it."""
        cents = int(self.runtime.clock.monotonic() * 3) % 5
        self.quote(f"1.0{cents}", f"1.0{cents + 2}")
        return self.result("silent although prices move")

    def refuse(self, code: int) -> None:
        self.stage.inject_fault("W09", code=code, path="/v1beta1/indicative", times=1)


def test_under_stream_faults_each_stop_is_sold_in_time_and_once(play: Play) -> None:
    positions = ", ".join(f"{{symbol: {symbol}, qty: 1, entry: 1.00}}" for symbol in (CALL, *STRIKES))
    prices = "".join(f"  {symbol}: [{{fixed: {{bid: 1.00, ask: 1.02}}}}]\n" for symbol in STRIKES)
    scenario = three_calls().replace(f"{{symbol: {CALL}, qty: 3, entry: 1.00}}", positions)
    one = Session(play(scenario + prices, speed=1), QUICK)
    acts = one.trouble(STRIKES[0], one.cut, result="connection was")
    for symbol, code in zip(STRIKES[1:5], (402, 405, 406, 409), strict=True):
        acts += one.trouble(symbol, partial(one.refuse, code), one.cut, result=f"({code})")
    acts += one.trouble(STRIKES[5], one.mute, one.drift, one.speak, result="silent although")
    one.hurry()
    one.play(lambda: one.ticks_are_live, *acts)
    filled = [order.symbol for order in one.stage.orders() if order.filled_qty]
    assert sorted(filled) == sorted(STRIKES)


def test_the_streams_are_closed_within_a_second(watch: Callable[..., Watch]) -> None:
    one = watch()
    left: list[dt.datetime] = []
    one.play(lambda: one.ticks_are_live, lambda: left.append(dt.datetime.now(dt.UTC)))
    assert dt.datetime.now(dt.UTC) - left[0] < dt.timedelta(seconds=1.5)


def test_a_watch_that_was_stopped_and_starts_again_streams_the_same_symbols_at_once(
    watch: Callable[..., Watch],
) -> None:
    one = watch(SLOW)
    one.play_each(
        (lambda: one.ticks_are_live, lambda: one.quoted_by_stream("1.00", "1.03")),
        (lambda: one.ticks_are_live, lambda: one.quoted_by_stream("1.01", "1.04")),
    )
    assert not one.ticks_are_live
    assert not one.result("polling instead")


def test_a_refused_key_of_one_account_is_no_problem_of_another(watch: Callable[..., Watch]) -> None:
    former = """\
  former:
    api_key: a-key-of-the-past
    secret_key: a-secret-of-the-past
    endpoints: {trading: URL, data: URL, trading_stream: WS/stream, option_stream: WS/v1beta1/indicative}
"""
    stage = watch().stage
    for name, address in (("URL", stage.server.url), ("WS", stage.server.stream_url)):
        former = former.replace(name, address)
    one = Watch(stage, former + SLOW)
    sources: dict[str, str] = {}

    def shown() -> bool:
        sources.update({account.facts.name: account.source for account in view_of(one.runtime, (), 0.0).accounts})
        return "refused" in sources.get("former", "") and sources["main"].startswith("stream")

    one.play(shown)
    assert sources["main"].startswith("stream")
