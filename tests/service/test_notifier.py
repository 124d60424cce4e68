"""Notifications, received by an HTTP server on loopback."""

import datetime as dt
import time
from collections.abc import Callable, Iterator, Mapping

import pytest
from builders import a_config, replace
from inbox import Inbox, an_inbox

from sellctl.core.config.schema import Config, NotificationKind, NotifyConfig, WatchConfig
from sellctl.core.errors import ConfigError
from sellctl.core.model.event import Event, EventKind, Severity
from sellctl.service.notifier import Notifier, Signature

pytest.importorskip("apprise")


@pytest.fixture
def inbox() -> Iterator[tuple[Inbox, int]]:
    with an_inbox() as box:
        yield box


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


def test_a_message_is_as_serious_as_its_event(inbox: tuple[Inbox, int]) -> None:
    box, port = inbox
    notifier = a_notifier(port)
    for severity, kind in (
        (Severity.INFO, EventKind.FILLED),
        (Severity.INFO, EventKind.BLOCKED),
        (Severity.WARNING, EventKind.DEGRADED),
        (Severity.ERROR, EventKind.ALERT),
        (Severity.CRITICAL, EventKind.BLOCKED),
    ):
        notifier.notify(replace(an_event(kind, f"this is {severity}"), severity=severity))
    box.wait_for(5)
    notifier.close()
    assert box.types == ["info", "warning", "warning", "failure", "failure"]


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


def test_what_an_earlier_process_has_sent_is_not_sent_again(inbox: tuple[Inbox, int]) -> None:
    box, port = inbox
    entry = NotifyConfig(f"json://127.0.0.1:{port}/", tuple(NotificationKind))
    config = Config(accounts=a_config().accounts, notify=(entry,))
    sent: Mapping[Signature, float] = {}
    for now in (1000.0, 1060.0, 1600.0):
        notifier = Notifier(config, monotonic=lambda now=now: now, sent_at=sent)
        notifier.notify(an_event(EventKind.BLOCKED, "by your order"))
        notifier.close()
        sent = notifier.sent_at
    assert len(box.wait_for(2)) == 2


def test_a_recipient_that_does_not_answer_is_not_waited_for_at_the_end(inbox: tuple[Inbox, int]) -> None:
    box, port = inbox
    box.answers.clear()
    notifier = a_notifier(port)
    notifier.notify(an_event(EventKind.FILLED, "3 of 3 at $1.20"))
    start = time.monotonic()
    notifier.close(0.2)
    assert time.monotonic() - start < 2  # the recipient has 4 s to answer


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


class Chat:
    """A chat that wants halts and summaries, and what it was given."""

    kinds = frozenset({NotificationKind.HALTED, NotificationKind.SUMMARY})

    def __init__(self) -> None:
        self.alerts: list[tuple[str, str]] = []

    def alert(self, text: str, event: Event | None = None) -> None:
        self.alerts.append((text, event.symbol if event else ""))


def test_a_chat_gets_its_kinds_once_although_no_recipient_is_configured() -> None:
    chat = Chat()
    notifier = Notifier(Config(accounts=a_config().accounts), lambda text: text.replace("canary", "***"), chat=chat)
    for _ in range(2):
        notifier.notify(an_event(EventKind.HALTED, "not sent: canary"))
    notifier.notify(an_event(EventKind.FILLED, "3 of 3 at $1.20"))
    notifier.after_poll(is_open=True)
    notifier.after_poll(is_open=False)
    notifier.close()
    assert chat.alerts == [
        ("main: AAPL halted: not sent: ***", "AAPL"),
        ("The market has closed. Today: 1 filled, 2 halted.", ""),
    ]
