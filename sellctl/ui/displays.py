"""Displays of a running watcher: a live screen, JSON lines, or only the log. They read the accounts' states."""

import datetime as dt
import sys
from typing import TYPE_CHECKING, Protocol, Self, TextIO, cast

from sellctl.core.decision.explain import explained
from sellctl.core.errors import JournalError
from sellctl.core.model.account_state import RunMode
from sellctl.core.model.event import EventKind
from sellctl.core.model.snapshot import AccountFacts
from sellctl.core.model.view import AccountView, Mode, WatchView, mode_of, only_due
from sellctl.core.watching.shown_structures import shown_structures
from sellctl.service.output_stream import OutputStream, output_stream

if TYPE_CHECKING:
    from collections.abc import Iterable
    from decimal import Decimal

    from rich.console import Console

    from sellctl.bootstrap import Runtime
    from sellctl.core.model.account_state import AccountState
    from sellctl.core.model.event import Event
    from sellctl.core.model.plan import Plan
    from sellctl.core.model.view import ShownStructure
    from sellctl.core.sell_watcher import SellWatcher


class Display(Protocol):
    """Shows the accounts after each poll."""

    def __enter__(self) -> Self:
        """Start the display."""

    def __exit__(self, *_error: object) -> None:
        """End the display and restore the terminal."""

    @property
    def problem(self) -> str:
        """Why nothing can be shown any more, as when the reader has gone; "" while it can."""

    def update(self, wait: float) -> None:
        """Show the accounts as they are now; the next poll is in `wait` seconds."""

    def refresh(self) -> None:
        """Update ages and the time to the next poll. Called every second, also during a poll."""


class LogOnly:
    """Displays nothing, because events are in the log."""

    def __enter__(self) -> Self:
        """Nothing to start."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Nothing to undo."""

    @property
    def problem(self) -> str:
        """Nothing to fail."""
        return ""

    def update(self, wait: float) -> None:
        """Nothing to show."""

    def refresh(self) -> None:
        """Nothing to show."""


class StdoutDisplay(LogOnly):
    """A display that writes the accounts to stdout, without ever waiting for its reader."""

    def __init__(self, runtime: "Runtime", events: "Iterable[Event]", out: OutputStream | None = None) -> None:
        self._out = out or output_stream(sys.stdout)
        self._runtime = runtime
        self._events = events
        self._plans = ExplainedPlans()

    @property
    def problem(self) -> str:
        """Why stdout can't be written any more."""
        return self._out.problem

    def _view_now(self, wait: float) -> WatchView:
        return view_of(self._runtime, self._events, max(wait, 0.0), self._plans)


class JsonLines(StdoutDisplay):
    """One versioned object per line, one line per poll. A reader that stalls misses lines, and they are counted."""

    def __init__(self, runtime: "Runtime", events: "Iterable[Event]", out: OutputStream | None = None) -> None:
        super().__init__(runtime, events, out)
        self._dropped = 0  # lines, when the reader last had read everything
        self._is_stalled = False

    def update(self, wait: float) -> None:
        """Print one line."""
        from sellctl.ui.documents import watch_document  # noqa: PLC0415  help doesn't need it
        from sellctl.ui.render import json_text  # noqa: PLC0415  help doesn't need it

        has_caught_up = self._out.is_idle
        self._out.write(json_text(watch_document(self._view_now(wait))) + "\n")
        self._report_stall(has_caught_up=has_caught_up)

    def _report_stall(self, *, has_caught_up: bool) -> None:
        """Publish that the reader has stalled, and once it has caught up, how much it has missed."""
        missed = self._out.dropped - self._dropped
        if missed and not self._is_stalled:
            self._is_stalled = True
            self._publish("nobody reads stdout: its newest lines are dropped")
        elif missed and has_caught_up:
            self._is_stalled = False
            self._publish(f"stdout is read again: {missed} lines were dropped")
            self._dropped += missed

    def _publish(self, text: str) -> None:
        self._runtime.scheduler.publish("", EventKind.NOTE, text, failed=True)


class LiveDisplay(StdoutDisplay):
    """A display on a terminal, drawn again every second. While the terminal doesn't take a picture, none is drawn."""

    _next_poll_at: float | None = None

    def update(self, wait: float) -> None:
        """Draw the accounts as they are now."""
        self._next_poll_at = self._runtime.clock.monotonic() + wait
        self.refresh()

    def refresh(self) -> None:
        """Draw again, with the present ages and time to the next poll."""
        if self._next_poll_at is not None and self._out.is_idle:
            self._show(self._next_poll_at - self._runtime.clock.monotonic())

    def _show(self, wait: float) -> None:
        """Draw the accounts; the next poll is in `wait` seconds, and overdue when they are below zero."""
        raise NotImplementedError


class Screen(LiveDisplay):
    """The live table of a terminal without keys."""

    def __init__(self, runtime: "Runtime", events: "Iterable[Event]", console: "Console | None" = None) -> None:
        from rich.console import Console  # noqa: PLC0415  help doesn't need it
        from rich.live import Live  # noqa: PLC0415  help doesn't need it

        super().__init__(runtime, events)
        console = console or Console(file=cast("TextIO", self._out))
        self._live: Live = Live("Polling the accounts ...", console=console, auto_refresh=False)

    def __enter__(self) -> Self:
        """Start drawing."""
        self._live.start()
        return self

    def __exit__(self, *_error: object) -> None:
        """Stop drawing. The last state stays on the terminal."""
        self._live.stop()
        self._out.drain()

    def _show(self, wait: float) -> None:
        from sellctl.ui.screen import WatchScreen  # noqa: PLC0415  help doesn't need it

        self._live.update(WatchScreen(self._view_now(wait)), refresh=True)


Shown = tuple["Plan | None", tuple["ShownStructure", ...]]


class ExplainedPlans:
    """The plans of a display with all their sentences; each plan is explained once, although it is drawn repeatedly."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Plan, Shown]] = {}

    def of(self, watcher: "SellWatcher") -> Shown:
        """The last plan of an account, None before its first poll, and its structures."""
        plan = watcher.state.plan
        known, shown = self._known.get(watcher.name, (None, (None, ())))
        if plan is None or plan is known:
            return shown
        explained = explained_plan(plan, watcher)
        shown = explained, structures_of(explained, watcher)
        self._known[watcher.name] = (plan, shown)
        return shown


def explained_plan(plan: "Plan", watcher: "SellWatcher") -> "Plan":
    """A plan of this account with all its sentences."""
    snapshot = watcher.state.snapshot
    return plan if snapshot is None else explained(plan, snapshot, watcher.policy)


def structures_of(plan: "Plan | None", watcher: "SellWatcher") -> "tuple[ShownStructure, ...]":
    """The structures of an explained plan of this account."""
    snapshot = watcher.state.snapshot
    return () if plan is None or snapshot is None else shown_structures(plan, snapshot, watcher.policy)


def only_due_of(plan: "Plan | None", watcher: "SellWatcher") -> frozenset[str]:
    """The symbols of a plan whose exit is due and isn't being sent, because this process sends nothing."""
    state = watcher.state
    return only_due(plan, state.open_orders) if plan and state.mode is RunMode.DRY_RUN else frozenset()


def view_of(
    runtime: "Runtime", events: "Iterable[Event]", wait: float, plans: ExplainedPlans | None = None
) -> WatchView:
    """All accounts as an immutable value. `now` is the broker's time, or the host's until the broker has answered."""
    scheduler = runtime.scheduler
    return WatchView(
        now=scheduler.market_clock.instant or runtime.clock.now(),
        accounts=tuple(_account_view(watcher, runtime, plans) for watcher in scheduler.watchers),
        events=tuple(events),
        next_poll_in=dt.timedelta(seconds=wait),
    )


def _account_view(watcher: "SellWatcher", runtime: "Runtime", plans: ExplainedPlans | None) -> AccountView:
    state = watcher.state
    plan, structures = plans.of(watcher) if plans else (state.plan, ())
    return AccountView(
        facts=state.facts or AccountFacts(state.name, ""),
        mode=_mode(state, runtime),
        market=runtime.scheduler.market,
        plan=plan,
        structures=structures,
        age=_age(state, runtime),
        problem=state.problem.sentence.removeprefix(f"{state.name}: ") if state.problem else "",
        requests_used=getattr(watcher.broker, "requests_last_minute", None),
        source=_source(state, runtime),
        orders_working=None if state.plan is None else len(state.open_orders),
        realised=_realised(watcher),
        halted=watcher.orders.halted(),
        only_due=only_due_of(plan, watcher),
    )


def _age(state: "AccountState", runtime: "Runtime") -> dt.timedelta | None:
    if state.polled_at is None:
        return None
    return dt.timedelta(seconds=runtime.clock.monotonic() - state.polled_at)


def _realised(watcher: "SellWatcher") -> "Decimal | None":
    """The profit of today's fills. None when it is unknown or the journal can't be read, so that displays go on."""
    try:
        return watcher.journal.realised(watcher.name)
    except JournalError:
        return None


def _source(state: "AccountState", runtime: "Runtime") -> str:
    """The source of the account's prices: the stream with the age of its newest quote, or polling and why."""
    tick_handler = runtime.scheduler.tick_handler
    if tick_handler is None or not tick_handler.stream.problems:
        return "polling"
    held = [holding.position.instrument for holding in state.snapshot.holdings] if state.snapshot else []
    problems = tick_handler.stream.problems_of(state.name, {instrument.asset_class for instrument in held})
    problem = next((problem for problem in problems.values() if problem), "")
    if problem:
        return f"polling: {problem}"
    age = runtime.scheduler.prices.seconds_since_streamed(instrument.symbol for instrument in held)
    return "stream" if age is None else f"stream {age:.0f} s"


def _mode(state: "AccountState", runtime: "Runtime") -> Mode:
    if state.mode is RunMode.DRY_RUN:
        return Mode.DRY_RUN
    config = runtime.loaded.config
    return mode_of(paper=config.accounts[state.name].paper, simulated=config.simulator)
