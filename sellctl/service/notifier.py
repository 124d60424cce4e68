"""Tells people: notifications through Apprise, and a heartbeat. In a thread of its own; it never blocks, never raises.

The same sentence to the same effect (its numbers apart) is told once in ten minutes, a critical one once in two; fills
are all told. What can't be delivered is dropped: trading waits for nobody (invariant I9).
"""

import http.client
import queue
import re
import threading
import time
import urllib.request
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from sellctl.core.config.schema import Config, News
from sellctl.core.errors import ConfigError
from sellctl.core.model.event import Event, EventKind, Severity

QUIET_SECONDS: Final = 600.0
QUIET_SECONDS_CRITICAL: Final = 120.0
HEARTBEAT_SECONDS: Final = 60.0
_PATIENCE: Final = 10.0
_AT_MOST: Final = 200  # that wait to be delivered
_LAST_WORDS: Final = 3.0  # seconds that the last ones get
_NUMBERS: Final = re.compile(r"\d[\d.,:]*")
NEWS_OF: Final[Mapping[EventKind, News]] = {
    EventKind.FILLED: News.FILLED,
    EventKind.REJECTED: News.FAILED,
    EventKind.UNKNOWN: News.FAILED,
    EventKind.BLOCKED: News.BLOCKED,
    EventKind.DENIED: News.BLOCKED,
    EventKind.HALTED: News.HALTED,
    EventKind.DEGRADED: News.DEGRADED,
    EventKind.RECOVERED: News.DEGRADED,
    EventKind.ALERT: News.ALERT,
}


@dataclass(frozen=True, slots=True)
class _Message:
    news: News
    text: str


_END: Final = _Message(News.SUMMARY, "")
_BEAT: Final = _Message(News.SUMMARY, "beat")


class Notifier:
    """Hears every event of a watch and passes on what somebody asked for. ConfigError when it can't ever."""

    def __init__(
        self,
        config: Config,
        redact: Callable[[str], str] = str,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._heartbeat = _web_address(config.watch.heartbeat)
        self._notifier = _notifier(config)
        self._wanted = {news for entry in config.notify for news in entry.kinds}
        self._redact = redact
        self._monotonic = monotonic
        self._told_at: dict[tuple[str, str, str], float] = {}
        self._counts: Counter[News] = Counter()
        self._was_open: bool | None = None
        self._beat_at = float("-inf")
        self._queue: queue.Queue[_Message] = queue.Queue(_AT_MOST)
        self._thread = threading.Thread(target=self._deliver_all, name="sellctl-notify", daemon=True)
        if self._heartbeat or config.notify:
            self._thread.start()

    def hear(self, event: Event) -> None:
        """Pass an event on if it is news to somebody."""
        news = NEWS_OF.get(event.kind)
        if news is None:
            return
        self._counts[news] += 1
        if news in self._wanted and self._is_news(event):
            account = f"{event.account}: " if event.account else ""
            self._put(_Message(news, self._redact(f"{account}{event.sentence}")))

    def beat(self, is_open: bool | None) -> None:
        """A look has ended: the heartbeat once a minute, and the day's summary once the market has closed."""
        now = self._monotonic()
        if self._heartbeat and now - self._beat_at >= HEARTBEAT_SECONDS:
            self._beat_at = now
            self._put(_BEAT)
        if self._was_open and is_open is False:
            if News.SUMMARY in self._wanted:
                self._put(_Message(News.SUMMARY, self._summary()))
            self._counts.clear()
        self._was_open = self._was_open if is_open is None else is_open

    def close(self) -> None:
        """Deliver what waits, for a moment."""
        if self._thread.is_alive():
            self._put(_END)
            self._thread.join(_LAST_WORDS)

    # --- inside -------------------------------------------------------------------------------------------------------

    def _is_news(self, event: Event) -> bool:
        if event.kind is EventKind.FILLED:
            return True
        now = self._monotonic()
        same = (event.account, event.symbol, _NUMBERS.sub("#", event.sentence))
        quiet = QUIET_SECONDS_CRITICAL if event.severity is Severity.CRITICAL else QUIET_SECONDS
        is_news = now - self._told_at.get(same, float("-inf")) >= quiet
        self._told_at = {key: at for key, at in self._told_at.items() if now - at < QUIET_SECONDS}
        if is_news:
            self._told_at[same] = now
        return is_news

    def _summary(self) -> str:
        counted = [f"{self._counts[news]} {news.value}" for news in News if self._counts[news]]
        return f"The market has closed. Today: {', '.join(counted) or 'nothing happened'}."

    def _put(self, message: _Message) -> None:
        try:
            self._queue.put_nowait(message)
        except queue.Full:
            return

    def _deliver_all(self) -> None:
        while (message := self._queue.get()) is not _END:
            try:
                self._deliver(message)
            except Exception:  # noqa: BLE001, S112  a service of somebody else's may raise anything (fault P06)
                continue

    def _deliver(self, message: _Message) -> None:
        if message is _BEAT:
            _ask_for(self._heartbeat)
        elif self._notifier is not None:
            self._notifier.notify(body=message.text, title=f"sellctl: {message.news.value}", tag=message.news.value)


def _notifier(config: Config) -> Any:
    """Everybody who is told, by kind; None when nobody is."""
    if not config.notify:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # what Apprise's plugins import
            from apprise import Apprise  # noqa: PLC0415  an optional extra
    except ImportError:
        raise ConfigError("notify needs the extra.", hint="Run: pip install 'sellctl[notify]'") from None
    notifier = Apprise()
    for place, entry in enumerate(config.notify):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            known = notifier.add(entry.url, tag=[news.value for news in entry.kinds])
        if not known:
            raise ConfigError(f"notify[{place}].url is no address that Apprise knows.", hint="See apprise's list.")
    return notifier


def _web_address(url: str | None) -> str:
    if url and urlsplit(url).scheme not in {"http", "https"}:
        raise ConfigError("watch.heartbeat is no web address.", hint="Write https://...")
    return url or ""


def _ask_for(url: str) -> None:
    request = urllib.request.Request(url, headers={"User-Agent": "sellctl"})  # noqa: S310  http and https only
    try:
        with urllib.request.urlopen(request, timeout=_PATIENCE):  # noqa: S310  likewise
            return
    except (OSError, http.client.HTTPException, ValueError):
        return
