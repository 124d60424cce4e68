"""Notifications, received by an HTTP server on loopback."""

import datetime as dt
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from builders import a_config, replace

from sellctl.core.config.schema import Config, NotificationKind, NotifyConfig, WatchConfig
from sellctl.core.errors import ConfigError
from sellctl.core.model.event import Event, EventKind, Severity
from sellctl.service.notifier import Notifier

pytest.importorskip("apprise")


class Inbox:
    """The received messages, and a semaphore to wait for more."""

    def __init__(self) -> None:
        self.arrived: list[str] = []
        self.came = threading.Semaphore(0)
        self.status = 200
        self.location = ""  # where a redirect points

    def wait_for(self, count: int) -> list[str]:
        for _ in range(count):
            assert self.came.acquire(timeout=5), self.arrived
        return self.arrived


@pytest.fixture
def inbox() -> Iterator[tuple[Inbox, int]]:
    box = Inbox()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.answer(f"{body['title']} | {body['message']}")

        def do_GET(self) -> None:
            self.answer("heartbeat")

        def answer(self, what: str) -> None:
            self.send_response(box.status)
            self.send_header("Content-Length", "0")
            if box.location:
                self.send_header("Location", box.location)
            self.end_headers()
            box.arrived.append(what)
            box.came.release()

        def log_message(self, *_args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield box, server.server_address[1]
        server.shutdown()


def a_notifier(
    port: int,
    *kinds: NotificationKind,
    heartbeat: bool = False,
    redact: bool = False,
    monotonic: Callable[[], float] = time.monotonic,
) -> Notifier:
    entry = NotifyConfig(f"json://127.0.0.1:{port}/", kinds or tuple(NotificationKind))
    plain = a_config()
    watch = WatchConfig(heartbeat=f"http://127.0.0.1:{port}/beat" if heartbeat else None)
    config = Config(accounts=plain.accounts, notify=(entry,), watch=watch)
    return Notifier(config, (lambda text: text.replace("canary", "***")) if redact else str, monotonic)


def an_event(kind: EventKind, text: str) -> Event:
    return Event(dt.datetime(2026, 11, 24, 17, tzinfo=dt.UTC), text, "main", symbol="AAPL", kind=kind)


def test_only_the_configured_kinds_are_sent(inbox: tuple[Inbox, int]) -> None:
    box, port = inbox
    notifier = a_notifier(port, NotificationKind.FILLED)
    notifier.notify(an_event(EventKind.BLOCKED, "by your order"))
    notifier.notify(an_event(EventKind.FILLED, "3 of 3 at $1.20"))
    assert box.wait_for(1) == ["sellctl: filled | main: AAPL filled: 3 of 3 at $1.20"]
    notifier.close()


def test_a_repeated_event_is_sent_once_and_every_fill_is_sent(inbox: tuple[Inbox, int]) -> None:
    box, port = inbox
    notifier = a_notifier(port)
    for age in (61, 62):
        notifier.notify(an_event(EventKind.DENIED, f"quote is {age} s old"))
        notifier.notify(an_event(EventKind.FILLED, "1 of 3 at $1.20"))
    assert len(box.wait_for(3)) == 3
    notifier.close()
    assert len(box.arrived) == 3


def test_a_critical_event_is_sent_again_after_two_minutes(inbox: tuple[Inbox, int]) -> None:
    box, port = inbox
    seconds = iter([0.0, 60.0, 180.0, 240.0])
    notifier = a_notifier(port, monotonic=lambda: next(seconds))
    for _ in range(4):
        notifier.notify(replace(an_event(EventKind.ALERT, "still not out: stop -20%"), severity=Severity.CRITICAL))
    assert len(box.wait_for(2)) == 2
    notifier.close()
    assert len(box.arrived) == 2


def test_secrets_are_redacted(inbox: tuple[Inbox, int]) -> None:
    box, port = inbox
    notifier = a_notifier(port, redact=True)
    notifier.notify(an_event(EventKind.ALERT, "canary"))
    assert "canary" not in box.wait_for(1)[0]
    notifier.close()


def test_a_heartbeat_a_minute_and_a_summary_after_the_close(inbox: tuple[Inbox, int]) -> None:
    box, port = inbox
    notifier = a_notifier(port, NotificationKind.SUMMARY, heartbeat=True)
    notifier.notify(an_event(EventKind.FILLED, "3 of 3 at $1.20"))
    for is_open in (True, True, False, False):
        notifier.after_poll(is_open)
    # Both are sent from threads of their own, so either may arrive first.
    assert sorted(box.wait_for(2)) == ["heartbeat", "sellctl: summary | The market has closed. Today: 1 filled."]
    notifier.close()


def test_a_service_that_fails_neither_blocks_nor_raises(inbox: tuple[Inbox, int]) -> None:
    box, port = inbox
    box.status = 500
    notifier = a_notifier(port)
    for number in range(500):
        notifier.notify(an_event(EventKind.FILLED, f"{number}"))
    box.wait_for(2)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(inbox: tuple[Inbox, int], status: int) -> None:
    box, port = inbox
    box.status, box.location = status, f"http://127.0.0.1:{port}/internal"
    notifier = a_notifier(port, heartbeat=True)
    notifier.notify(an_event(EventKind.FILLED, "3 of 3 at $1.20"))
    notifier.after_poll(is_open=True)
    box.wait_for(2)
    notifier.close()
    assert sorted(box.arrived) == ["heartbeat", "sellctl: filled | main: AAPL filled: 3 of 3 at $1.20"]


@pytest.mark.parametrize("url", ["ftp://beats.example", "https://", "https://[::1]evil.com/", "https://beats:nine/"])
def test_a_heartbeat_without_a_usable_web_address_is_an_error(url: str) -> None:
    with pytest.raises(ConfigError, match="isn't a web address"):
        Notifier(replace(a_config(), watch=WatchConfig(heartbeat=url)))


def test_an_unsupported_address_is_an_error_without_the_secret() -> None:
    with pytest.raises(ConfigError) as mistake:
        Notifier(Config(accounts=a_config().accounts, notify=(NotifyConfig("nonsense-canary"),)))
    assert "canary" not in str(mistake.value)
