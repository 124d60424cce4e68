"""What each answer looks like, for OpenAPI and for clients that generate code from it. Decimals travel as text."""

import datetime as dt
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

_NAME = r"^[A-Za-z0-9_-]{0,40}$"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Problem(_Part):
    """Why a call was refused or failed."""

    detail: str


class Market(_Part):
    """The market by the broker's clock."""

    now: str
    is_open: bool
    closes_at: str | None
    phase: str = Field(description="As a person reads it.")


class AccountStatus(_Part):
    """One account as it was last seen."""

    account: str
    number: str
    mode: Literal["paper", "live"]
    holdings: int | None = Field(description="null before the first look.")
    leaving: int | None
    blocked: int | None = Field(description="Blocked by your own order, or denied by a guard.")
    orders_working: int | None
    age_seconds: float | None = Field(description="How long ago it was looked at.")
    problem: str


class Status(_Part):
    """What the watcher is doing."""

    version: Literal[2]
    program: str
    state: Literal["watching", "stopped", "running once", "failed"]
    fault: str
    halted: str = Field(description='Why trading is halted; "" when it is not.')
    enabled: bool
    market: Market | None
    looks: int
    next_look_in_seconds: float | None
    problem: str
    accounts: list[AccountStatus]


class ConfigValue(_Part):
    """One key."""

    key: str
    value: str
    origin: str


class ConfigShown(_Part):
    """The configuration as `config show` prints it, secrets masked."""

    version: Literal[2]
    file: str | None
    values: list[ConfigValue]


class Order(_Part):
    """An order at the broker."""

    id: str
    client_order_id: str
    by: Literal["sellctl", "you"]
    symbol: str
    side: str | None
    qty: str | None
    filled_qty: str
    type: str
    limit_price: str | None
    stop_price: str | None
    filled_avg_price: str | None
    status: str
    submitted_at: str | None


class Cancel(Order):
    """An order that is cancelled, and why."""

    why: str


class Submit(_Part):
    """An order to send."""

    side: str
    qty: str
    type: str
    limit_price: str | None
    time_in_force: str
    client_order_id: str
    position_intent: str


class Quote(_Part):
    """A quote and what is wrong with it."""

    bid: str | None
    ask: str | None
    at: str | None
    feed: str | None
    problem: str
    wide: bool


class Trigger(_Part):
    """A price at which a rule becomes true."""

    reason: str
    price: str
    distance: str | None


class Holding(_Part):
    """A position, its gain, its triggers, and what is decided about it."""

    symbol: str
    underlying: str
    asset: str
    days_left: int | None
    side: str
    qty: str
    free: str | None
    entry: str | None
    now: str | None
    now_side: str
    gain: str | None
    quote: Quote | None
    triggers: list[Trigger]
    state: str
    sentence: str
    reason: str | None
    urgency: str | None
    order: Submit | None
    cancels: list[Cancel]
    violations: list[str]
    alert: bool


class AccountPositions(_Part):
    """One account's holdings and its open orders, as of its last look."""

    account: str
    at: str
    holdings: list[Holding]
    orders: list[Order]
    faults: list[str]


class Positions(_Part):
    """Everything held."""

    version: Literal[2]
    accounts: list[AccountPositions]


class AccountPlan(_Part):
    """What was decided at one account's last look."""

    account: str
    made_at: str
    acts: bool
    holdings: list[Holding]
    stale: list[Cancel]
    faults: list[str]


class Plans(_Part):
    """What was decided at the last look."""

    version: Literal[2]
    mode: str
    plans: list[AccountPlan]


class HistoryRow(_Part):
    """One row of the audit trail."""

    seq: int
    at: str
    account: str
    kind: str
    symbol: str
    reason: str
    client_order_id: str
    day: str
    body: dict[str, object]


class History(_Part):
    """A page of the audit trail, newest first; continue with `before` set to `next`."""

    version: Literal[2]
    rows: list[HistoryRow]
    next: int | None


class HistoryQuery(BaseModel):
    """Which rows are wanted; what is left out asks for all."""

    model_config = ConfigDict(extra="forbid")
    symbol: str = Field(default="", pattern=r"^[A-Za-z0-9./]{0,30}$")
    account: str = Field(default="", pattern=_NAME)
    reason: str = Field(default="", pattern=_NAME)
    day: dt.date | None = Field(default=None, description="An exchange date.")
    only_open: bool = Field(default=False, alias="open", description="Only exits whose end nobody has seen.")
    before: int | None = Field(default=None, ge=1, le=2**53, description="Continue below this row.")
    limit: int = Field(default=50, ge=1, le=500)


class Done(_Part):
    """What a call did."""

    state: str
    changed: bool = Field(description="false when it was so already.")
    sentence: str
    halted: str


class LeftOrder(Order):
    """An order of ours that goes on working at the broker."""

    account: str


class Stopped(Done):
    """What a stop did, and what it left."""

    working: list[LeftOrder]


class RunOnce(Plans):
    """What the look that was asked for decided."""

    finished: bool = Field(description="false when it still goes on; its outcome comes with the events.")
    halted: str


class HaltOrder(BaseModel):
    """Why everything is to be halted."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)
    reason: str = Field(default="halted by the control API", min_length=1, max_length=200)


class Health(_Part):
    """Whether the process does its work."""

    status: Literal["ok", "failing"]
