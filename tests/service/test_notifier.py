"""Notifications: by kind, once, never in the way. An Apprise service on loopback takes them."""

import datetime as dt
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from builders import a_config, replace

from sellctl.core.config.schema import Config, News, NotifyConfig, WatchConfig
from sellctl.core.errors import ConfigError
from sellctl.core.model.event import Event, EventKind, Severity
from sellctl.service.notifier import Notifier

pytest.importorskip("apprise")


class Inbox:
    """What arrived, and an event to wait for more."""

    def __init__(self) -> None:
        self.arrived: list[str] = []
        self.came = threading.Semaphore(0)
        self.status = 200

    def wait_for(self, count: int) -> list[str]:
        for _ in range(count):
            assert self.came.acquire(timeout=5), self.arrived
        return self.arrived


@pytest.fixture
def inbox() -> Iterator[tuple[Inbox, int]]:
    box = Inbox()

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.answer(f"{body['title']} | {body['message']}")

        def do_GET(self) -> None:
            self.answer("heartbeat")

        def answer(self, what: str) -> None:
            self.send_response(box.status)
            self.send_header("Content-Length", "0")
            self.end_headers()
            box.arrived.append(what)
            box.came.release()

        def log_message(self, *_words: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Door) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield box, server.server_address[1]
        server.shutdown()


def a_notifier(
    port: int,
    *kinds: News,
    heartbeat: bool = False,
    redact: bool = False,
    monotonic: Callable[[], float] = time.monotonic,
) -> Notifier:
    entry = NotifyConfig(f"json://127.0.0.1:{port}/", kinds or tuple(News))
    plain = a_config()
    watch = WatchConfig(heartbeat=f"http://127.0.0.1:{port}/beat" if heartbeat else None)
    config = Config(accounts=plain.accounts, notify=(entry,), watch=watch)
    return Notifier(config, (lambda text: text.replace("canary", "***")) if redact else str, monotonic)


def an_event(kind: EventKind, text: str) -> Event:
    return Event(dt.datetime(2026, 11, 24, 17, tzinfo=dt.UTC), text, "main", symbol="AAPL", kind=kind)


def test_only_the_kinds_asked_for_are_told(inbox: tuple[Inbox, int]) -> None:
    box, port = inbox
    notifier = a_notifier(port, News.FILLED)
    notifier.hear(an_event(EventKind.BLOCKED, "by your order"))
    notifier.hear(an_event(EventKind.FILLED, "3 of 3 at $1.20"))
    assert box.wait_for(1) == ["sellctl: filled | main: AAPL filled: 3 of 3 at $1.20"]
    notifier.close()


def test_the_same_news_is_told_once_and_every_fill_is(inbox: tuple[Inbox, int]) -> None:
    box, port = inbox
    notifier = a_notifier(port)
    for age in (61, 62):
        notifier.hear(an_event(EventKind.DENIED, f"quote is {age} s old"))
        notifier.hear(an_event(EventKind.FILLED, "1 of 3 at $1.20"))
    assert len(box.wait_for(3)) == 3
    notifier.close()
    assert len(box.arrived) == 3


def test_what_is_critical_is_told_again_when_it_is_said_again_minutes_later(inbox: tuple[Inbox, int]) -> None:
    box, port = inbox
    seconds = iter([0.0, 60.0, 180.0, 240.0])
    notifier = a_notifier(port, monotonic=lambda: next(seconds))
    for _ in range(4):
        notifier.hear(replace(an_event(EventKind.ALERT, "still not out: stop -20%"), severity=Severity.CRITICAL))
    assert len(box.wait_for(2)) == 2
    notifier.close()
    assert len(box.arrived) == 2


def test_secrets_are_struck_out(inbox: tuple[Inbox, int]) -> None:
    box, port = inbox
    notifier = a_notifier(port, redact=True)
    notifier.hear(an_event(EventKind.ALERT, "canary"))
    assert "canary" not in box.wait_for(1)[0]
    notifier.close()


def test_a_heartbeat_a_minute_and_a_summary_after_the_close(inbox: tuple[Inbox, int]) -> None:
    box, port = inbox
    notifier = a_notifier(port, News.SUMMARY, heartbeat=True)
    notifier.hear(an_event(EventKind.FILLED, "3 of 3 at $1.20"))
    for is_open in (True, True, False, False):
        notifier.beat(is_open)
    assert box.wait_for(2) == ["heartbeat", "sellctl: summary | The market has closed. Today: 1 filled."]
    notifier.close()


def test_a_service_that_fails_neither_blocks_nor_raises(inbox: tuple[Inbox, int]) -> None:
    box, port = inbox
    box.status = 500
    notifier = a_notifier(port)
    for number in range(500):
        notifier.hear(an_event(EventKind.FILLED, f"{number}"))
    box.wait_for(2)


def test_an_address_that_nobody_knows_is_a_mistake_that_names_no_secret() -> None:
    with pytest.raises(ConfigError) as mistake:
        Notifier(Config(accounts=a_config().accounts, notify=(NotifyConfig("nonsense-canary"),)))
    assert "canary" not in str(mistake.value)
