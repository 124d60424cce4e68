"""Telemetry as the composition root uses it: what is told goes in through ports that change nothing."""

import datetime as dt
import logging
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from sellctl.core.errors import BrokerError
from sellctl.core.model.event import Event, Severity
from sellctl.core.ports import Clock, Journal, RequestMade
from sellctl.telemetry.exit_traces import ExitTraces
from sellctl.telemetry.facts import Fact, Filled, Intended, LeaseChanged, Planned, QuoteTimes, Recorded
from sellctl.telemetry.metrics import Metrics, Sources
from sellctl.telemetry.observed_journal import ObservedJournal
from sellctl.telemetry.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sellctl.core.market_clock import MarketClock
    from sellctl.core.price_tracker import PriceTracker
    from sellctl.telemetry.sdk import Sdk

CLOSE_SECONDS: Final = 1.0  # the longest that the end of the process waits for a collector
SCOPE: Final = "sellctl"
_LOG = logging.getLogger(__name__)


class Telemetry:
    """The traces and metrics of one process. Whatever is told returns at once and raises nothing.

    `redact` removes secrets from texts. `news` are sentences of other threads on the collector; the next plan publishes
    them.
    """

    def __init__(
        self, sdk: "Sdk", clock: Clock, redact: Callable[[str], str] = str, news: "deque[str] | None" = None
    ) -> None:
        self._sdk = sdk
        self._clock = clock
        self._redact = redact
        self._news = deque() if news is None else news
        self._recorder = Recorder(clock.monotonic)
        self._quote_times: Callable[[str], QuoteTimes] = lambda _symbol: QuoteTimes()
        self._metrics: Metrics | None = None
        self._traces: ExitTraces | None = None

    def start(
        self,
        now: Callable[[], dt.datetime],
        market_clock: "MarketClock",
        prices: "PriceTracker",
        budgets_left: "Callable[[], Mapping[tuple[str, str], int]]",
    ) -> None:
        """Begin to make telemetry of what was told and will be. `now` is the broker's time; every span has it."""

        def quote_times(symbol: str) -> QuoteTimes:
            history = prices.history(symbol)
            return QuoteTimes() if history is None else QuoteTimes(history.seen_at, history.window_began_at)

        def is_open() -> bool:
            try:
                return market_clock.now().is_open
            except BrokerError:
                return True

        def offset() -> float:
            return now().timestamp() - self._clock.monotonic()

        self._quote_times = quote_times
        sources = Sources(now, is_open, budgets_left, lambda: self._recorder.dropped)
        self._metrics = Metrics(self._sdk.meters.get_meter(SCOPE), sources)
        self._traces = ExitTraces(self._sdk.tracers.get_tracer(SCOPE), self._metrics, offset, self._redact)
        self._recorder.start(self._handle)

    # --- what is told -------------------------------------------------------------------------------------------------

    def observing(self, journal: Journal, listener: Callable[[Event], None]) -> Journal:
        """The journal, with telemetry told of what it records. `listener` gets what is wrong with the collector."""

        def publish_news() -> None:
            while self._news:
                sentence = self._redact(self._news.popleft())
                try:
                    listener(Event(self._clock.now(), sentence, severity=Severity.WARNING))
                except Exception:  # noqa: BLE001  a listener may raise anything, and a plan is being recorded
                    _LOG.exception("A listener failed on: %s", sentence)

        return ObservedJournal(journal, self._recorder, self._times_of, publish_news)

    def _times_of(self, symbol: str) -> QuoteTimes:
        return self._quote_times(symbol)

    def listening(self, listener: Callable[[Event], None]) -> Callable[[Event], None]:
        """The listener of events, with telemetry told of each."""

        def listen(event: Event) -> None:
            self._recorder.put(event)
            listener(event)

        return listen

    def requested(self, made: RequestMade) -> None:
        """A request to the broker has ended."""
        self._recorder.put(made)

    def lease_changed(self, account: str, change: str) -> None:
        """A lease of an account was "won", or has "ended"."""
        self._recorder.put(LeaseChanged(account, change))

    # --- what comes of it ---------------------------------------------------------------------------------------------

    def page(self) -> bytes:
        """The metrics in Prometheus' text format. It takes a while with many accounts: call it in a thread."""
        self.flush()
        return self._sdk.page()

    def flush(self) -> None:
        """Make spans and metrics of what was told until now."""
        self._recorder.drain()

    def push(self) -> None:
        """Send the metrics now, instead of with the next push; waits for the collector's answer."""
        self.flush()
        self._sdk.meters.force_flush()

    def close(self) -> None:
        """End what is under way, and send what is queued, for at most CLOSE_SECONDS."""
        self._recorder.stop()
        if self._traces is not None:
            self._traces.close(self._clock.monotonic())
        self._sdk.close(CLOSE_SECONDS)

    def _handle(self, at: float, fact: Fact) -> None:
        metrics, traces = self._metrics, self._traces
        if metrics is None or traces is None:
            return
        match fact:
            case Planned():
                if not fact.snapshot.on_tick:
                    metrics.polled(fact.snapshot)
                    traces.planned(at, fact.plan)
            case RequestMade():
                metrics.requested(fact)
                traces.requested(at, fact)
            case Event():
                metrics.published(fact)
            case Intended():
                traces.intended(at, fact)
            case Recorded():
                traces.recorded(at, fact)
            case Filled():
                traces.filled(at, fact)
            case LeaseChanged():
                metrics.lease_changed(fact.account, fact.change)
