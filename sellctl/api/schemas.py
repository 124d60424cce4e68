"""The schemas of all answers, for OpenAPI and for clients that generate code from it. Decimals are strings."""

import datetime as dt
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

ACCOUNT = r"^[A-Za-z0-9_-]{0,40}$"


class Part(BaseModel):
    """A part of a document, which has no other keys."""

    model_config = ConfigDict(extra="forbid")


class Problem(Part):
    """Why a call was refused, or failed."""

    detail: str


class Market(Part):
    """The state of the market by the broker's clock."""

    now: str
    is_open: bool
    closes_at: str | None
    phase: str = Field(description="The state in words, for example: open, 1h 14m left.")


class Total(Part):
    """A sum of dollars over positions, some of which may be unknown. An unknown amount is left out, never zero."""

    dollars: str | None = Field(description="The sum of the known amounts; null when none is known.")
    known: int = Field(description="Of how many positions the amount is known.")
    of: int = Field(description="The number of positions.")


class Totals(Part):
    """Counts and totals over the positions of an account."""

    positions: int
    not_managed: int = Field(description="Positions that no rule protects; the sentence of each says why.")
    exempt: int = Field(description="Positions that you excluded, by command or in the configuration.")
    market_value: Total
    open_pnl: Total


class AccountStatus(Part):
    """One account, as of its last check."""

    account: str
    number: str
    mode: Literal["paper", "simulated", "live"]
    holdings: int | None = Field(description="The number of positions; null before the first check.")
    leaving: int | None = Field(description="How many positions are being closed.")
    blocked: int | None = Field(description="Exits that an order of yours blocks, or that a risk check denies.")
    orders_working: int | None
    realised_today: str | None = Field(description="Dollars that today's fills of sellctl gained; null when unknown.")
    age_seconds: float | None = Field(description="Seconds since the last check.")
    problem: str
    totals: Totals | None = Field(description="Null before the first check.")


class Status(Part):
    """The state of the watcher."""

    version: Literal[2]
    program: str
    state: Literal["watching", "stopped", "running once", "failed"]
    fault: str
    halted: str = Field(description='Why trading is halted; "" when it is not.')
    halt_origin: Literal["", "machine", "guard", "api", "chat"] = Field(
        description='Where the halt was made; "" when there is none. One of machine or guard is lifted at the machine.'
    )
    enabled: bool
    market: Market | None
    looks: int
    next_look_in_seconds: float | None
    problem: str
    accounts: list[AccountStatus]


class ConfigValue(Part):
    """One key with its value and where that comes from."""

    key: str
    value: str
    origin: str


class ConfigShown(Part):
    """The configuration, as `config show` prints it, with masked secrets."""

    version: Literal[2]
    file: str | None
    values: list[ConfigValue]


CONTRACT = "The option as people read it, such as AAPL 18 Dec 26 230 C; null for what is no option."
VALUE = (
    "Dollars that closing it would bring at the price one could get now: the bid for a long, the ask for a short, for "
    "which it is below zero; 100 shares per contract, without commissions; null while that price is unknown."
)
STATE = (
    "watching, closing, blocked, denied, fault, no quote, not managed (no rule protects it; the sentence says why and "
    "what would change it) or exempt (by you)."
)
PNL = "Dollars gained or lost since entry at the same price; null while the price or the entry is unknown."


class OrderLeg(Part):
    """A leg of a multi-leg order, with the quantity of all its units."""

    symbol: str
    contract: str | None = Field(description=CONTRACT)
    side: str | None
    qty: str | None


class Order(Part):
    """An order at the broker. The prices of one with legs are net: above zero a debit, below zero a credit."""

    id: str
    client_order_id: str
    by: Literal["sellctl", "you"]
    symbol: str
    contract: str | None = Field(description=CONTRACT)
    side: str | None
    qty: str | None
    filled_qty: str
    type: str
    limit_price: str | None
    stop_price: str | None
    filled_avg_price: str | None
    status: str
    submitted_at: str | None
    legs: list[OrderLeg]


class Cancel(Order):
    """An order that is being cancelled, and why."""

    why: str


class Submit(Part):
    """An order that is to be sent; as an Order, one with legs has net prices."""

    side: str
    qty: str
    type: str
    limit_price: str | None
    time_in_force: str
    client_order_id: str
    position_intent: str
    legs: list[OrderLeg]


class Quote(Part):
    """A quote. `problem` says why it can't be used; "" when it can."""

    bid: str | None
    ask: str | None
    at: str | None
    feed: str | None
    problem: str
    wide: bool


class Trigger(Part):
    """A price at which a rule closes the position; `distance` is the ratio by which the price would have to change."""

    reason: str
    price: str
    distance: str | None


class Holding(Part):
    """A position with its gain, its triggers and the decision on it."""

    symbol: str
    contract: str | None = Field(description=CONTRACT)
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
    market_value: str | None = Field(description=VALUE)
    open_pnl: str | None = Field(description=PNL)
    quote: Quote | None
    triggers: list[Trigger]
    set_by_hand: str | None = Field(description="The rules that a person has set for it, with end and author.")
    state: str = Field(description=STATE)
    sentence: str
    reason: str | None
    urgency: str | None
    order: Submit | None
    cancels: list[Cancel]
    objections: list[str]
    alert: bool


class StructureLeg(Part):
    """A leg of a structure; `qty` is what of its position belongs to it."""

    symbol: str
    contract: str | None = Field(description=CONTRACT)
    side: str
    qty: str


class Structure(Part):
    """Positions on one underlying that belong together, at net prices per share of one unit."""

    name: str
    own_name: str | None = Field(description="Your name for it, from the configuration.")
    kind: str
    underlying: str
    units: int
    days_left: int | None = Field(description="Days until its first leg expires.")
    side: str = Field(description="long: bought for a debit; short: sold for a credit.")
    entry: str | None
    bid: str | None
    ask: str | None
    now: str | None
    now_side: str
    problem: str
    wide: bool
    gain: str | None
    market_value: str | None = Field(description=VALUE)
    open_pnl: str | None = Field(description=PNL)
    most_profit: str | None = Field(description='Dollars at expiration, "unlimited", or null when unknown.')
    most_loss: str | None = Field(description='Dollars at expiration, "unlimited", or null when unknown.')
    breakevens: list[str]
    judged_as_one: bool = Field(description="Whether a strategy judges it as one position, and not its legs.")
    triggers: list[Trigger]
    set_by_hand: str | None = Field(description="The rules that a person has set for it, with end and author.")
    state: str = Field(description=STATE)
    sentence: str
    reason: str | None
    legs: list[StructureLeg]


class AccountPositions(Part):
    """Positions, structures and open orders of one account, as of its last check."""

    account: str
    at: str
    holdings: list[Holding]
    structures: list[Structure]
    orders: list[Order]
    faults: list[str]
    totals: Totals


class Positions(Part):
    """All positions."""

    version: Literal[2]
    accounts: list[AccountPositions]


class AccountPlan(Part):
    """The decisions of the last check of one account."""

    account: str
    made_at: str
    acts: bool
    holdings: list[Holding]
    stale: list[Cancel]
    faults: list[str]


class Plans(Part):
    """The decisions of the last check."""

    version: Literal[2]
    mode: str
    plans: list[AccountPlan]


class HistoryRow(Part):
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


class History(Part):
    """A page of the audit trail, newest first; continue with `before` set to `next`."""

    version: Literal[2]
    rows: list[HistoryRow]
    next: int | None


class HistoryQuery(BaseModel):
    """Filters of the history; a filter that is left out matches everything."""

    model_config = ConfigDict(extra="forbid")
    symbol: str = Field(default="", pattern=r"^[A-Za-z0-9./_-]{0,80}$", description="A symbol, or a structure's name.")
    account: str = Field(default="", pattern=ACCOUNT)
    reason: str = Field(default="", pattern=ACCOUNT)
    day: dt.date | None = Field(default=None, description="A date of the exchange, such as 2026-11-20.")
    only_open: bool = Field(default=False, alias="open", description="Only exits whose outcome is not known yet.")
    before: int | None = Field(default=None, ge=1, le=2**53, description="Only rows before this number.")
    limit: int = Field(default=50, ge=1, le=500)


class Done(Part):
    """The result of a call."""

    state: str
    changed: bool = Field(description="false when nothing had to change.")
    sentence: str
    halted: str


class LeftOrder(Order):
    """An order of sellctl that keeps working at the broker."""

    account: str


class Stopped(Done):
    """The result of a stop, and the orders that keep working at the broker."""

    working: list[LeftOrder]


class RunOnce(Plans):
    """The decisions of the requested check."""

    finished: bool = Field(description="false while it is still running; its outcome follows as events.")
    halted: str


class HaltOrder(BaseModel):
    """A halt and its reason."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)
    reason: str = Field(default="halted through the control API", min_length=1, max_length=200)


class ResumeOrder(BaseModel):
    """Why it is safe to send orders again."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)
    reason: str = Field(min_length=1, max_length=200)


class Health(Part):
    """Whether the process works."""

    status: Literal["ok", "failing"]
