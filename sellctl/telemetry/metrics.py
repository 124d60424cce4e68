"""The metrics: what each is called, what it counts, and in which unit. docs/telemetry.md has their labels.

A symbol is never a label: each would be a time series of its own. Spans have symbols.
"""

import datetime as dt
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from sellctl.core.model.event import Event, EventKind
from sellctl.core.model.snapshot import Snapshot
from sellctl.core.ports import RequestMade

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_MINUTES = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0)
_ORDERS = frozenset({"submit", "cancel"})
_MOST_POLLS = 20_000  # whose durations wait for the next collection
_SHARES = (0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)


@dataclass(frozen=True, slots=True)
class Sources:
    """What is read when metrics are collected: the broker's time, whether the market is open, budgets and losses."""

    now: Callable[[], dt.datetime]
    is_open: Callable[[], bool]  # True too while that is unknown
    budgets_left: Callable[[], Mapping[tuple[str, str], int]]
    dropped: Callable[[], int]


class Metrics:
    """Counts and measures. Called in one thread; what is observable is collected in others.

    What each poll and each request counts is kept in plain counters, which the SDK reads when it collects: its own cost
    ten times as much, which showed in the processor time of a poll. The durations of polls wait for that, too: recorded
    by itself, each cost 40 us, 2 % of a poll of one account; together with others about 5 us.
    """

    def __init__(self, meter: Meter, sources: Sources) -> None:
        self._sources = sources
        self._snapshots: dict[str, Snapshot] = {}  # of the last poll, by account
        self._poll_counts: Counter[str] = Counter()
        self._poll_times: deque[tuple[str, float]] = deque(maxlen=_MOST_POLLS)
        self._request_counts: Counter[tuple[str, str, str]] = Counter()
        count = meter.create_observable_counter
        counter, histogram, gauge = meter.create_counter, meter.create_histogram, meter.create_observable_gauge
        count("sellctl.polls", [self._polls], "{poll}", "Polls of an account that led to a decision.")
        self._poll_seconds = histogram(
            "sellctl.poll.duration",
            "s",
            "From the start of a poll's reads to its decision.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        count("sellctl.requests", [self._requests], "{request}", "Requests to the broker, with how they ended.")
        self._request_seconds = histogram(
            "sellctl.request.duration",
            "s",
            "Time until the answer to an order or a cancel.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._events = counter("sellctl.events", "{event}", "Events, as the log has them.")
        self._denials = counter("sellctl.denials", "{exit}", "Exits that a check of sellctl kept from being sent.")
        self._rejects = counter("sellctl.rejects", "{order}", "Orders and cancels that the broker refused.")
        self._exits = counter("sellctl.exits", "{exit}", "Exits that have ended, with their result.")
        self._latency = histogram(
            "sellctl.exit.latency",
            "s",
            "From the arrival of the quote that made an exit due to the answer to its first order.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._exit_seconds = histogram(
            "sellctl.exit.duration",
            "s",
            "From the arrival of that quote to the last fill.",
            explicit_bucket_boundaries_advisory=_MINUTES,
        )
        self._slippage = histogram(
            "sellctl.exit.slippage",
            "1",
            "How much worse than the mid at decision an exit filled, as a share of that mid; below 0: better.",
            explicit_bucket_boundaries_advisory=_SHARES,
        )
        self._leases = counter("sellctl.lease.changes", "{change}", "Leases of accounts that were won or have ended.")
        gauge("sellctl.view.age", [self._view_ages], "s", "Time since the positions of the last poll were requested.")
        gauge("sellctl.quote.age", [self._quote_ages], "s", "Age of the oldest quote of a position at the last poll.")
        gauge("sellctl.positions", [self._positions], "{position}", "Positions at the last poll.")
        gauge("sellctl.halted", [self._halts], "1", "1 while new orders are halted, else 0.")
        gauge("sellctl.budget.left", [self._budgets], "{request}", "Requests that a key may still send this minute.")
        count("sellctl.telemetry.dropped", [self._dropped], "{fact}", "Facts that telemetry has dropped.")

    # --- what has happened --------------------------------------------------------------------------------------------

    def polled(self, snapshot: Snapshot) -> None:
        """A poll has decided on a snapshot."""
        account = snapshot.account.name
        self._snapshots[account] = snapshot
        self._poll_counts[account] += 1
        took = (snapshot.market.now - snapshot.positions_at).total_seconds()
        self._poll_times.append((account, max(took, 0.0)))

    def requested(self, made: RequestMade) -> None:
        """A request has ended."""
        self._request_counts[made.account, made.operation, made.outcome] += 1
        if made.operation in _ORDERS:
            self._request_seconds.record(made.seconds, {"operation": made.operation})

    def published(self, event: Event) -> None:
        """An event was published."""
        labels = {"account": event.account}
        self._events.add(1, {**labels, "kind": event.kind.value, "severity": event.severity.value})
        if event.kind is EventKind.DENIED:
            self._denials.add(1, labels)
        elif event.kind is EventKind.REJECTED:
            self._rejects.add(1, labels)

    def exit_sent(self, account: str, reason: str, seconds: float) -> None:
        """The first order of an exit was answered, so many seconds after its quote arrived."""
        self._latency.record(seconds, {"account": account, "reason": reason})

    def exit_ended(self, account: str, reason: str, result: str) -> None:
        """An exit has ended."""
        self._exits.add(1, {"account": account, "reason": reason, "result": result})

    def exit_filled(self, account: str, reason: str, seconds: float, slippage: float | None) -> None:
        """An exit is filled; `slippage` is a share of the mid at decision, None when either price is unknown."""
        labels = {"account": account, "reason": reason}
        self._exit_seconds.record(seconds, labels)
        if slippage is not None:
            self._slippage.record(slippage, labels)

    def lease_changed(self, account: str, change: str) -> None:
        """A lease of an account was won, given up or lost."""
        self._leases.add(1, {"account": account, "change": change})

    # --- what is so when it is collected ------------------------------------------------------------------------------

    def _polls(self, _options: CallbackOptions) -> Iterable[Observation]:
        while self._poll_times:  # the SDK collects a histogram after what is observable
            account, seconds = self._poll_times.popleft()
            self._poll_seconds.record(seconds, {"account": account})
        for account, count in self._poll_counts.copy().items():
            yield Observation(count, {"account": account})

    def _requests(self, _options: CallbackOptions) -> Iterable[Observation]:
        for (account, operation, outcome), count in self._request_counts.copy().items():
            yield Observation(count, {"account": account, "operation": operation, "outcome": outcome})

    def _view_ages(self, _options: CallbackOptions) -> Iterable[Observation]:
        """None while the market is closed: nobody reads then."""
        if not self._sources.is_open():
            return
        now = self._sources.now()
        for account, snapshot in self._snapshots.copy().items():
            yield Observation(max((now - snapshot.positions_at).total_seconds(), 0.0), {"account": account})

    def _quote_ages(self, _options: CallbackOptions) -> Iterable[Observation]:
        for account, snapshot in self._snapshots.copy().items():
            quotes = (holding.quote for holding in snapshot.holdings)
            oldest = min((quote.at for quote in quotes if quote is not None), default=None)
            if oldest is not None:
                age = (snapshot.market.now - oldest).total_seconds()
                yield Observation(max(age, 0.0), {"account": account})

    def _positions(self, _options: CallbackOptions) -> Iterable[Observation]:
        for account, snapshot in self._snapshots.copy().items():
            yield Observation(len(snapshot.holdings), {"account": account})

    def _halts(self, _options: CallbackOptions) -> Iterable[Observation]:
        for account, snapshot in self._snapshots.copy().items():
            yield Observation(int(bool(snapshot.halted)), {"account": account})

    def _budgets(self, _options: CallbackOptions) -> Iterable[Observation]:
        for (account, api), left in self._sources.budgets_left().items():
            yield Observation(left, {"account": account, "api": api})

    def _dropped(self, _options: CallbackOptions) -> Iterable[Observation]:
        yield Observation(self._sources.dropped())
