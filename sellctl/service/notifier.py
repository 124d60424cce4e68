"""Notifications through Apprise, and the heartbeat. They are sent in a separate thread, which never blocks trading.

Events whose sentences differ only in numbers are sent once per ten minutes, critical ones once per two minutes, also
from run to run of `run-once`; every fill is sent. A message that can't be delivered is dropped (I9). No redirect is
followed: it could point into the own network.
"""

import http.client
import importlib.util
import queue
import re
import threading
import time
import urllib.request
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from sellctl.core.config.hosts import host_of
from sellctl.core.config.schema import Config, NotificationKind
from sellctl.core.errors import ConfigError
from sellctl.core.model.event import Event, EventKind, Severity
from sellctl.installation import missing_extra

QUIET_SECONDS: Final = 600.0
QUIET_SECONDS_CRITICAL: Final = 120.0
HEARTBEAT_SECONDS: Final = 60.0
TEST_TEXT: Final = "TEST: `sellctl notify test` sent this. Nothing has happened, and there is nothing to do."
Signature = tuple[str, str, str]  # account, symbol, and the sentence without its numbers
_TIMEOUT: Final = 10.0  # seconds per heartbeat request
_QUEUE_SIZE: Final = 200
CLOSE_SECONDS: Final = 3.0  # the longest that delivering the queued messages may take at the end
_NUMBERS: Final = re.compile(r"\d[\d.,:]*")
NOTIFICATION_KIND_OF: Final[Mapping[EventKind, NotificationKind]] = {
    EventKind.FILLED: NotificationKind.FILLED,
    EventKind.REJECTED: NotificationKind.FAILED,
    EventKind.UNKNOWN: NotificationKind.FAILED,
    EventKind.BLOCKED: NotificationKind.BLOCKED,
    EventKind.DENIED: NotificationKind.BLOCKED,
    EventKind.HALTED: NotificationKind.HALTED,
    EventKind.DEGRADED: NotificationKind.DEGRADED,
    EventKind.RECOVERED: NotificationKind.DEGRADED,
    EventKind.ALERT: NotificationKind.ALERT,
}


# How serious a message is in the words of Apprise, which services show as a colour or a sign.
_TYPES: Final[Mapping[Severity, str]] = {
    Severity.INFO: "info",
    Severity.WARNING: "warning",
    Severity.ERROR: "failure",
    Severity.CRITICAL: "failure",
}
_NEVER_INFO: Final = frozenset({EventKind.REJECTED, EventKind.BLOCKED, EventKind.DENIED, EventKind.HALTED})


@dataclass(frozen=True, slots=True)
class _Message:
    kind: NotificationKind
    text: str
    type: str = _TYPES[Severity.INFO]


_END: Final = _Message(NotificationKind.SUMMARY, "")
_HEARTBEAT: Final = _Message(NotificationKind.SUMMARY, "heartbeat")


class ChatAlerts(Protocol):
    """A chat that gets the kinds of notifications that it names, beside the recipients."""

    @property
    def kinds(self) -> frozenset[NotificationKind]:
        """The kinds that it sends."""

    def alert(self, text: str, event: Event | None = None) -> None:
        """Queue a notification. Never waits."""


class Notifier:
    """Sends the configured kinds of events. ConfigError when notify or watch.heartbeat can't be used.

    `sent_at` is when each notification was last sent, on the clock `monotonic`. `chat` gets its kinds as they become
    due, whether or not a recipient does.
    """

    def __init__(
        self,
        config: Config,
        redact: Callable[[str], str] = str,
        monotonic: Callable[[], float] = time.monotonic,
        sent_at: Mapping[Signature, float] | None = None,
        chat: ChatAlerts | None = None,
    ) -> None:
        self._heartbeat = _web_address(config.watch.heartbeat)
        self._apprise = _apprise(config)
        self._wanted = {kind for entry in config.notify for kind in entry.kinds}
        self._chat = chat
        self._of_chat: frozenset[NotificationKind] = chat.kinds if chat else frozenset()
        self._redact = redact
        self._monotonic = monotonic
        self._sent_at = dict(sent_at or {})
        self._counts: Counter[NotificationKind] = Counter()
        self._was_open: bool | None = None
        self._heartbeat_at = float("-inf")
        self._queue: queue.Queue[_Message] = queue.Queue(_QUEUE_SIZE)
        self._thread = threading.Thread(target=self._deliver_all, name="sellctl-notify", daemon=True)
        if self._heartbeat or config.notify:
            self._thread.start()

    def notify(self, event: Event) -> None:
        """Queue a notification of an event if its kind is configured and it isn't a repetition."""
        kind = NOTIFICATION_KIND_OF.get(event.kind)
        if kind is None:
            return
        self._counts[kind] += 1
        if kind in self._wanted | self._of_chat and self._is_due(event):
            account = f"{event.account}: " if event.account else ""
            self._send(kind, self._redact(f"{account}{event.sentence}"), event)

    def after_poll(self, is_open: bool | None) -> None:
        """Send the heartbeat once per minute, and the summary of the day once the market has closed."""
        now = self._monotonic()
        if self._heartbeat and now - self._heartbeat_at >= HEARTBEAT_SECONDS:
            self._heartbeat_at = now
            self._put(_HEARTBEAT)
        if self._was_open and is_open is False:
            self._send(NotificationKind.SUMMARY, self._summary())
            self._counts.clear()
        self._was_open = self._was_open if is_open is None else is_open

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """Deliver the queued messages, for at most as many seconds."""
        if self._thread.is_alive():
            self._put(_END)
            self._thread.join(seconds)

    @property
    def sent_at(self) -> Mapping[Signature, float]:
        """When each notification was last sent that would not be sent again now."""
        return self._sent_at

    # --- internals ----------------------------------------------------------------------------------------------------

    def _send(self, kind: NotificationKind, text: str, event: Event | None = None) -> None:
        if kind in self._wanted:
            self._put(_Message(kind, text, _type_of(event) if event else _TYPES[Severity.INFO]))
        if self._chat and kind in self._of_chat:
            self._chat.alert(text, event)

    def _is_due(self, event: Event) -> bool:
        if event.kind is EventKind.FILLED:
            return True
        now = self._monotonic()
        signature = (event.account, event.symbol, _NUMBERS.sub("#", event.sentence))
        quiet = QUIET_SECONDS_CRITICAL if event.severity is Severity.CRITICAL else QUIET_SECONDS
        is_due = now - self._sent_at.get(signature, float("-inf")) >= quiet
        self._sent_at = {key: at for key, at in self._sent_at.items() if now - at < QUIET_SECONDS}
        if is_due:
            self._sent_at[signature] = now
        return is_due

    def _summary(self) -> str:
        counts = [f"{self._counts[kind]} {kind.value}" for kind in NotificationKind if self._counts[kind]]
        return f"The market has closed. Today: {', '.join(counts) or 'no events'}."

    def _put(self, message: _Message) -> None:
        try:
            self._queue.put_nowait(message)
        except queue.Full:
            return

    def _deliver_all(self) -> None:
        while (message := self._queue.get()) is not _END:
            try:
                self._deliver(message)
            except Exception:  # noqa: BLE001, S112  a notification service may raise anything
                continue

    def _deliver(self, message: _Message) -> None:
        if message is _HEARTBEAT:
            _get(self._heartbeat)
        elif self._apprise is not None:
            kind = message.kind.value
            self._apprise.notify(body=message.text, title=f"sellctl: {kind}", notify_type=message.type, tag=kind)


def _type_of(event: Event) -> str:
    """How serious a notification of an event is: what kept an exit from being sent is at least a warning."""
    is_quiet = event.severity is Severity.INFO
    return _TYPES[Severity.WARNING if is_quiet and event.kind in _NEVER_INFO else event.severity]


def check_recipients(config: Config) -> None:
    """ConfigError, as at the start of `watch`, when notify, heartbeat or telegram can't be used. Sends nothing."""
    _web_address(config.watch.heartbeat)
    _apprise(config)
    if config.telegram.token:
        check_telegram()


def check_telegram() -> None:
    """ConfigError when the extra `telegram` isn't installed."""
    if importlib.util.find_spec("telegram") is None:
        sentence, hint = missing_extra("The section telegram", "telegram")
        raise ConfigError(sentence, hint=hint)


def send_test(config: Config, kind: NotificationKind | None = None) -> Iterator[tuple[int, bool]]:
    """Send a test notification to each recipient in turn, or to those of a kind: its index, and whether it arrived.

    ConfigError, before anything is sent, when notify can't be used.
    """
    _apprise(config)
    title = f"sellctl: test{f' of {kind.value}' if kind else ''}"
    for index, entry in enumerate(config.notify):
        if kind is not None and kind not in entry.kinds:
            continue
        apprise = _apprise(replace(config, notify=(entry,)))
        try:
            arrived = apprise.notify(body=TEST_TEXT, title=title)
        except Exception:  # noqa: BLE001  a notification service may raise anything
            arrived = False
        yield index, bool(arrived)


def send_heartbeat(config: Config) -> bool:
    """Request watch.heartbeat once. Returns whether it was answered without an error. ConfigError as above."""
    return _get(_web_address(config.watch.heartbeat))


def _apprise(config: Config) -> Any:
    """An Apprise object with all addresses, tagged by kind; None without notifications."""
    if not config.notify:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # raised by imports of Apprise's plugins
            from apprise import Apprise, AppriseAsset  # noqa: PLC0415  an optional extra
    except ImportError:
        sentence, hint = missing_extra("The key notify", "notify")
        raise ConfigError(sentence, hint=hint) from None
    apprise = Apprise(asset=AppriseAsset(http_redirects=False))
    for index, entry in enumerate(config.notify):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            known = apprise.add(entry.url, tag=[kind.value for kind in entry.kinds])
        if not known:
            raise ConfigError(
                f"notify[{index}].url isn't an address that Apprise supports.",
                hint="See Apprise's list of supported addresses.",
            )
    return apprise


def _web_address(url: str | None) -> str:
    """The URL of the heartbeat, or "". ConfigError when it isn't a web address."""
    if not url:
        return ""
    try:
        scheme, netloc = urlsplit(url)[:2]
    except ValueError:
        scheme, netloc = "", ""
    if scheme not in {"http", "https"} or not host_of(netloc):
        raise ConfigError("watch.heartbeat isn't a web address.", hint="Write https://...")
    return url


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Treats a redirect as the error that it is for a heartbeat."""

    def redirect_request(self, *_: object) -> None:
        """Make no further request."""


_OPENER: Final = urllib.request.build_opener(_NoRedirects)


def _get(url: str) -> bool:
    request = urllib.request.Request(url, headers={"User-Agent": "sellctl"})  # noqa: S310  http and https only
    try:
        with _OPENER.open(request, timeout=_TIMEOUT):
            return True
    except (OSError, http.client.HTTPException, ValueError):
        return False
