"""The program with a collector, and with a dead one: what arrives there, and that nothing waits for it."""

import asyncio
import json
import signal
import time
from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise

import pytest
from stage import CALL, Play, Stage, end_of, three_calls
from telemetry.collector import DEAD, a_collector

from sellctl.bootstrap import RunOptions, Runtime, assemble
from sellctl.core.config_manager import ConfigManager
from sellctl.core.model.account_state import RunMode
from sellctl.core.model.event import Event
from sellctl.service.options import Options
from sellctl.telemetry.telemetry import CLOSE_SECONDS

TARGET = three_calls("1.20", "1.22")
TOKEN = "canary-Zx81-collector"  # noqa: S105  of no collector
INTERVAL = 1.0
LATE = 1.5  # seconds that a busy machine may add; whoever waits for an export waits for twice as long
START_SECONDS = 120.0  # on a machine that is busy with other tests
_TARGET_PRICES = Decimal("1.20"), Decimal("1.22")


def telemetry(url: str, more: str = "") -> str:
    return f"sell_module: {{check_interval: 1}}\ntelemetry: {{endpoint: '{url}', interval: 1s{more}}}\n"


def test_an_exit_arrives_as_one_trace_with_the_metrics_of_the_run(play: Play) -> None:
    with a_collector() as collector:
        ended = play(TARGET, telemetry(collector.url, f", token: {TOKEN}")).run("run-once")
    assert ended.status == 0, ended.err
    assert collector.names() == ["decision", "exit", "fill", "intent", "order", "quote", "request"]
    [exit_] = [attributes for name, attributes in collector.spans if name == "exit"]
    assert (exit_["sellctl.account"], exit_["sellctl.symbol"], exit_["sellctl.result"]) == ("main", CALL, "filled")
    assert collector.resources[0]["service.name"] == "sellctl"
    assert {"sellctl.polls", "sellctl.requests", "sellctl.budget.left", "sellctl.exit.slippage"} <= collector.metrics
    assert collector.authorizations == {f"Bearer {TOKEN}"}


def test_neither_a_key_nor_the_number_of_an_account_arrives(play: Play) -> None:
    scenario = TARGET.replace("key: k", "key: PKCANARYKEY81").replace("secret: s", "secret: canary-secret-81")
    with a_collector() as collector:
        play(scenario.replace("PA1", "PACANARY81"), telemetry(collector.url)).run("run-once")
    assert collector.spans
    told = b"".join(collector.bodies)
    assert not [word for word in (b"PKCANARYKEY81", b"canary-secret-81", b"PACANARY81") if word in told]


def test_a_dry_run_and_a_configuration_without_telemetry_send_nothing(play: Play) -> None:
    with a_collector() as collector:
        stage = play(TARGET, telemetry(collector.url))
        assert stage.run("run-once", "--dry-run").status == 0
        stage.configure("sell_module: {check_interval: 1}\n")
        assert stage.run("run-once").status == 0
    assert not collector.bodies


@pytest.mark.parametrize("dead", DEAD)
def test_with_a_dead_collector_polls_and_ticks_are_on_time(play: Play, dead: str) -> None:
    with DEAD[dead]() as url:
        stage = play(three_calls())
        _with_streams(stage, telemetry(url))
        events: list[Event] = []
        runtime = _assembled(stage, events)
        try:
            polls, sold_after = asyncio.run(_watched(runtime, stage))
        finally:
            closing = time.monotonic()
            runtime.close()
            closed_after = time.monotonic() - closing
    intervals = [later - earlier for earlier, later in pairwise(polls)]
    assert max(intervals) < INTERVAL + LATE
    assert sold_after < LATE
    assert closed_after < CLOSE_SECONDS + LATE
    problems = [event.sentence for event in events if "telemetry" in event.sentence]
    assert problems == [f"telemetry can't be sent to {url}; nothing waits for it, and it is tried again"]


def _with_streams(stage: Stage, rules: str) -> None:
    server = stage.server
    endpoints = (
        f"{{trading: '{server.url}', data: '{server.url}', trading_stream: '{server.stream_url}/stream', "
        f"stock_stream: '{server.stream_url}/v2/iex', option_stream: '{server.stream_url}/v1beta1/indicative'}}"
    )
    accounts = "".join(
        f"  {a.name}: {{api_key: {a.key}, secret_key: {a.secret}, endpoints: {endpoints}}}\n"
        for a in server.scenario.accounts
    )
    stage.write(f"accounts:\n{accounts}{rules}")


def _assembled(stage: Stage, events: list[Event]) -> Runtime:
    options = Options(stage.config, stage.state, live=False, debug=False, log_file=None)
    run_options = RunOptions("watch", RunMode.ACT, streams=True, observed=True)
    return assemble(ConfigManager(stage.config).load(), options, run_options, events.append)


async def _watched(runtime: Runtime, stage: Stage) -> tuple[list[float], float]:
    """When the positions were polled, for long enough that several exports have failed; then how late a tick sold."""
    stop, polls = asyncio.Event(), list[float]()
    seen = 0

    def polled(_wait: float) -> None:
        nonlocal seen
        count = sum(request.path == "/v2/positions" for request in stage.server.requests)
        if count > seen:
            seen = count
            polls.append(time.monotonic())

    watching = asyncio.create_task(runtime.scheduler.watch(stop, polled))
    handler = runtime.scheduler.tick_handler
    assert handler is not None
    await _until(lambda: handler.is_live and bool(handler.stream.streamed))
    polls.clear()  # to connect the streams loads packages
    await _until(lambda: len(polls) > 8)
    before = polls.copy()
    with stage.server.hold() as exchange:
        exchange.set_quote(CALL, *_TARGET_PRICES)
    began = time.monotonic()
    await _until(lambda: bool(stage.orders()))
    sold_after = time.monotonic() - began
    stop.set()
    await watching
    return before, sold_after


async def _until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(START_SECONDS):
        while not true():  # noqa: ASYNC110  what it waits for is in another thread
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("dead", DEAD)
def test_with_a_dead_collector_a_watch_ends_promptly_on_sigterm(play: Play, dead: str) -> None:
    with DEAD[dead]() as url:
        stage = play(TARGET, telemetry(url))
        process = stage.spawn("watch")
        ends = time.monotonic() + START_SECONDS
        while not stage.orders() and time.monotonic() < ends:
            time.sleep(0.02)
        time.sleep(1.5)  # an export of metrics is under way
        process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        result = end_of(process)
        took = time.monotonic() - began
    assert result.status == 0, result.err
    assert stage.orders(), "nothing was sold"
    assert took < 5.0
    assert "Traceback" not in result.err
    assert "opentelemetry" not in result.err


def test_without_the_extra_a_watch_says_how_to_install_it(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sellctl.bootstrap.importlib.util.find_spec", lambda _name: None)
    ended = play(TARGET, telemetry("http://127.0.0.1:9")).run("run-once")
    assert ended.status == 2
    assert "telemetry needs the extra telemetry, which isn't installed. Run: " in ended.err


def test_a_failing_collector_is_told_in_the_log_once(play: Play) -> None:
    with DEAD["refuses"]() as url:
        ended = end_of(play(TARGET, telemetry(url)).spawn("--log-format", "json", "run-once"), START_SECONDS)
    lines = [json.loads(line) for line in ended.err.splitlines()]
    assert len([line for line in lines if "telemetry" in line["message"]]) <= 1
    assert ended.status == 0
