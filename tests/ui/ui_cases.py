"""Views for the tests of the screen and the tables. The plans come from the engine, so the sentences are real."""

import datetime as dt
import re
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from io import StringIO

import pytest
from builders import (
    CALL,
    PUT,
    TODAYS_SPY_CALL,
    a_holding,
    a_market,
    a_policy,
    a_snapshot,
    an_order,
    at,
    our_order,
    replace,
)
from rich.console import Console

from sellctl.core.decision.engine import decide
from sellctl.core.decision.explain import explained
from sellctl.core.decision.policy import Policy
from sellctl.core.model.event import Event, Severity
from sellctl.core.model.market import Market
from sellctl.core.model.plan import CancelOrder, Plan, PositionDecision
from sellctl.core.model.position import ExitProgress, Holding, PositionState
from sellctl.core.model.snapshot import AccountFacts, InvalidRow
from sellctl.core.model.view import AccountListing, AccountView, Mode, WatchView

LONGEST = "GOOGL1261218C00200000"  # 21 characters, the longest an OCC symbol gets
STALE = an_order("TSLA", qty="3", limit="410", submitted=at("11:50"))
ANSI = re.compile(r"\x1b\[[0-9;]*m")  # the escapes of rich itself
HOSTILE = "\x1b[2J\x1b]0;owned\x07[red]boo[/red]\u202e=1+1"


def a_plan(*holdings: Holding, market: Market | None = None, policy: Policy | None = None, **more: object) -> Plan:
    """The engine's plan for these holdings, explained."""
    snapshot, policy = a_snapshot(*holdings, market=market, **more), policy or a_policy()  # type: ignore[arg-type]
    return explained(decide(snapshot, policy), snapshot, policy)


def listed(plan: Plan, mode: Mode = Mode.PAPER) -> AccountListing:
    """The account of a plan, as a command lists it."""
    return AccountListing(plan.account, mode=mode, plan=plan)


def a_decision(holding: Holding, **more: object) -> PositionDecision:
    """The engine's decision on one position."""
    return a_plan(holding, **more).decisions[0]


def under_way(step: int = 2) -> PositionState:
    """The state of a stop that has sent some orders."""
    age = dt.timedelta(seconds=1)
    return PositionState(exit=ExitProgress("stop_loss", 1, step, age, "sellctl-abc", Decimal("1.90")))


def an_afternoon(clock: str = "14:58") -> Plan:
    """A target, a stop in progress, a zero day, a blocked stop, a wide spread, no quote and an unmanaged stock."""
    nvda, msft, amd = "NVDA261127P00180000", "MSFT261218C00500000", "AMD261218C00250000"
    plan = a_plan(
        a_holding(CALL, "2", "1.00", bid="1.04", ask="1.06"),
        a_holding(LONGEST, "1", "2.00", bid="2.25", ask="2.30"),
        a_holding(TODAYS_SPY_CALL, "3", "2.40", bid="2.10", ask="2.12"),
        a_holding(nvda, "5", "2.40", bid="1.85", ask="1.95", state=under_way()),
        a_holding(msft, "1", "10.00", bid="7.50", ask="7.60", available="0"),
        a_holding(amd, "4", "3.00", bid="1.00", ask="4.00"),
        a_holding("F261218C00012000", "10", "0.35", bid=None, ask=None),
        a_holding(PUT, "1", "2.00", bid="1.50", ask="1.55", short=True),
        a_holding("TSLA", "3", "400.125", bid="408.20", ask="408.30"),
        market=a_market(clock),
        orders=(our_order(nvda, qty="5", limit="1.90"), an_order(msft, limit="15")),
    )
    return replace(plan, stale=(CancelOrder(STALE, "8 min old, 3 min allowed"),))


def a_second_account(clock: str = "14:58") -> Plan:
    """Two ordinary positions, and a row that can't be read."""
    plan = a_plan(
        a_holding("QQQ261204C00610000", "1", "6.20", bid="6.55", ask="6.60"),
        a_holding("QQQ261204P00590000", "1", "4.10", bid="3.60", ask="3.65"),
        market=a_market(clock),
        account=AccountFacts("main", "PA1"),
    )
    faults = tuple(f"{row.symbol} could not be read: {row.why}" for row in (InvalidRow("XYZ", "qty is 'abc'"),))
    return replace(plan, account="ira", faults=faults)


def a_view(clock: str = "14:58", **more: object) -> WatchView:
    """Three accounts: a busy one, a quiet one with real money, and one whose key is refused."""
    market, age = a_market(clock), dt.timedelta(seconds=1)
    view = WatchView(
        now=market.now,
        accounts=(
            AccountView(
                AccountFacts("main", "PA1"),
                Mode.PAPER,
                market,
                an_afternoon(clock),
                age,
                requests_used=42,
                orders_working=2,
            ),
            AccountView(
                AccountFacts("ira", "PA2", paper=False),
                Mode.LIVE,
                market,
                a_second_account(clock),
                age * 45,
                requests_used=12,
                orders_working=0,
            ),
            AccountView(
                AccountFacts("old", ""), Mode.PAPER, problem="the broker refused the key (401): check ALPACA_API_KEY"
            ),
        ),
        events=(
            Event(
                at("14:57:58"),
                "sold 2 AAPL261218C00210000 at $1.10: target +10%: bid $1.10 is at or above the target $1.10",
                "main",
            ),
            Event(at("14:57:59"), "cancel sell 3 limit $410: 8 min old, 3 min allowed", "main"),
            Event(at("14:58:00"), "no quotes from ira's key: falling back to main's", severity=Severity.WARNING),
        ),
        next_poll_in=dt.timedelta(seconds=4),
    )
    return replace(view, **more)  # type: ignore[arg-type]


def drawn(renderable: object, width: int, *, colour: bool = False, height: int | None = None) -> str:
    """What a terminal of that size shows."""
    out = StringIO()
    console = Console(
        file=out,
        width=width,
        height=height,
        force_terminal=True,
        color_system="truecolor" if colour else None,
        no_color=not colour,
    )
    console.print(renderable)
    return out.getvalue()


@contextmanager
def a_terminal(monkeypatch: pytest.MonkeyPatch, width: int, *, colour: bool = False) -> Iterator[None]:
    """Stdout pretends to be a terminal of that width."""
    with monkeypatch.context() as patch:
        patch.setattr("sys.stdout.isatty", lambda: True, raising=False)
        patch.setenv("COLUMNS", str(width))
        patch.setenv("TERM", "xterm-256color")
        patch.setenv("NO_COLOR", "" if colour else "1")
        yield
