"""How a running watcher shows itself: a live screen, JSON lines, or nothing but the log. It reads the fleet, only."""

import datetime as dt
from typing import TYPE_CHECKING, Protocol, Self

from sellctl.core.decision.explain import explained
from sellctl.core.errors import JournalError
from sellctl.core.model.account_state import RunMode
from sellctl.core.model.snapshot import AccountFacts
from sellctl.core.model.view import AccountView, Mode, WatchView

if TYPE_CHECKING:
    from collections.abc import Iterable
    from decimal import Decimal

    from rich.console import Console

    from sellctl.bootstrap import Runtime
    from sellctl.core.model.event import Event
    from sellctl.core.model.plan import Plan
    from sellctl.core.sell_watcher import SellWatcher


class Display(Protocol):
    """Shows a fleet after each look."""

    def __enter__(self) -> Self:
        """Start showing."""

    def __exit__(self, *_error: object) -> None:
        """Leave the terminal as it was found."""

    def update(self, wait: float) -> bool:
        """Show the fleet as it is now; the next look is `wait` seconds away. False when nobody reads it any more."""

    def refresh(self) -> None:
        """Let ages and the time to the next look go on between two looks, however long one hangs."""


class LogOnly:
    """Shows nothing: the log tells."""

    def __enter__(self) -> Self:
        """Nothing to start."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Nothing to undo."""

    def update(self, wait: float) -> bool:  # noqa: ARG002  there is nothing to show
        """Nothing to show."""
        return True

    def refresh(self) -> None:
        """Nothing to show."""


class JsonLines(LogOnly):
    """One versioned object a line, one line a look."""

    def __init__(self, runtime: "Runtime", events: "Iterable[Event]") -> None:
        self._runtime = runtime
        self._events = events
        self._plans = ExplainedPlans()

    def update(self, wait: float) -> bool:
        """One line."""
        from sellctl.ui.documents import watch_document  # noqa: PLC0415  help does without it
        from sellctl.ui.render import json_text, write  # noqa: PLC0415  help does without it

        return write(json_text(watch_document(view_of(self._runtime, self._events, wait, self._plans))) + "\n")


class Screen(LogOnly):
    """The live table of a terminal."""

    def __init__(self, runtime: "Runtime", events: "Iterable[Event]", console: "Console | None" = None) -> None:
        from rich.live import Live  # noqa: PLC0415  help does without it

        self._runtime = runtime
        self._events = events
        self._plans = ExplainedPlans()
        self._live: Live = Live("Looking at the accounts ...", console=console, auto_refresh=False)
        self._next_poll_at: float | None = None

    def __enter__(self) -> Self:
        """Take the terminal."""
        self._live.start()
        return self

    def __exit__(self, *_error: object) -> None:
        """Leave the last picture standing."""
        self._live.stop()

    def update(self, wait: float) -> bool:
        """Draw the fleet as it is now."""
        self._next_poll_at = self._runtime.clock.monotonic() + wait
        self.refresh()
        return True

    def refresh(self) -> None:
        """Draw it anew, by the time that has passed."""
        from sellctl.ui.screen import WatchScreen  # noqa: PLC0415  help does without it

        if self._next_poll_at is not None:
            wait = max(self._next_poll_at - self._runtime.clock.monotonic(), 0.0)
            self._live.update(WatchScreen(view_of(self._runtime, self._events, wait, self._plans)), refresh=True)


class ExplainedPlans:
    """The plans of a display with all their sentences; each plan is explained once, however often it is drawn."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Plan, Plan]] = {}

    def of(self, watcher: "SellWatcher") -> "Plan | None":
        """The last plan of an account; None before its first poll."""
        plan = watcher.plan
        known, shown = self._known.get(watcher.name, (None, None))
        if plan is None or plan is known:
            return shown
        shown = explained_plan(plan, watcher)
        self._known[watcher.name] = (plan, shown)
        return shown


def explained_plan(plan: "Plan", watcher: "SellWatcher") -> "Plan":
    """A plan of this account with all its sentences."""
    snapshot = watcher.last_snapshot
    return plan if snapshot is None else explained(plan, snapshot, watcher.policy)


def view_of(
    runtime: "Runtime", events: "Iterable[Event]", wait: float, plans: ExplainedPlans | None = None
) -> WatchView:
    """The fleet as a frozen value, by the broker's clock; the host's until the broker was asked."""
    scheduler = runtime.scheduler
    return WatchView(
        now=scheduler.market_clock.instant or runtime.clock.now(),
        accounts=tuple(_account_view(watcher, runtime, plans) for watcher in scheduler.watchers),
        events=tuple(events),
        next_poll_in=dt.timedelta(seconds=wait),
    )


def _account_view(watcher: "SellWatcher", runtime: "Runtime", plans: ExplainedPlans | None) -> AccountView:
    seen = watcher.seen_at
    return AccountView(
        facts=watcher.facts or AccountFacts(watcher.name, ""),
        mode=_mode(watcher, runtime),
        market=runtime.scheduler.market,
        plan=plans.of(watcher) if plans else watcher.plan,
        age=None if seen is None else dt.timedelta(seconds=runtime.clock.monotonic() - seen),
        problem=watcher.problem.sentence.removeprefix(f"{watcher.name}: ") if watcher.problem else "",
        requests_used=getattr(watcher.broker, "requests_last_minute", None),
        source=_source(watcher, runtime),
        orders_working=None if watcher.plan is None else len(watcher.open_orders),
        realised=_realised(watcher),
        halted=watcher.orders.halted(),
    )


def _realised(watcher: "SellWatcher") -> "Decimal | None":
    """What today's fills have made; a journal that can't be read stops orders, not the screen."""
    try:
        return watcher.journal.realised(watcher.name)
    except JournalError:
        return None


def _source(watcher: "SellWatcher", runtime: "Runtime") -> str:
    """How the account's prices come."""
    tick_handler = runtime.scheduler.tick_handler
    if tick_handler is None or not tick_handler.stream.troubles:
        return "polling"
    troubles = [trouble for trouble in tick_handler.stream.troubles.values() if trouble]
    if troubles:
        return f"polling: {troubles[0]}"
    held = [decision.holding.symbol for decision in watcher.plan.decisions] if watcher.plan else []
    books = [book for symbol in held if (book := tick_handler.prices.book(symbol)) is not None]
    last = max((book.streamed_at for book in books), default=float("-inf"))
    age = runtime.clock.monotonic() - last
    return "stream" if age == float("inf") else f"stream {age:.0f} s"


def _mode(watcher: "SellWatcher", runtime: "Runtime") -> Mode:
    if watcher.mode is RunMode.DRY_RUN:
        return Mode.DRY_RUN
    return Mode.PAPER if runtime.loaded.config.accounts[watcher.name].paper else Mode.LIVE
