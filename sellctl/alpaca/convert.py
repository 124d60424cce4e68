"""Alpaca's JSON into our values, row by row; pure. An unreadable row spoils itself only, an unreadable whole raises."""

import datetime as dt
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import TypeVar

from sellctl.core.model.instrument import instrument_of
from sellctl.core.model.market import NEW_YORK, BrokerClock, Quote, Session
from sellctl.core.model.order import Order, OrderType, PositionIntent, Side
from sellctl.core.model.position import Direction, Position
from sellctl.core.model.snapshot import AccountFacts, InvalidRow, Rows

T = TypeVar("T")
Row = Mapping[str, object]

_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]{1,3})?")
_HOURS = re.compile(r"[0-9]{2}:[0-9]{2}")
_TEXTS_KEPT = 16_384
_LONGEST_NUMBER = 64  # characters; no price and no quantity is longer
_LARGEST_EXPONENT = 15  # a quadrillion dollars or shares is nonsense, and so is a quintillionth
_SMALLEST_EXPONENT = -18
_LONGEST_SYMBOL = 64
_SHOWN = 40  # characters of a foreign value that a sentence shows

_LONG, _SHORT = Direction  # looked up once: every row of positions names one

# Flags of GET /v2/account that stop all orders, and what each means.
_BLOCKS = {
    "account_blocked": "the account is blocked",
    "trading_blocked": "trading is blocked",
    "trade_suspended_by_user": "trading is suspended in the account's own settings",
}
# Statuses of an account that can't trade (OpenAPI AccountStatus). Any other is left to the broker's answer to an order.
_UNTRADABLE = frozenset(
    {
        "ACCOUNT_CLOSED",
        "ACCOUNT_CLOSED_PENDING",
        "APPROVAL_PENDING",
        "DISABLED",
        "INACTIVE",
        "ONBOARDING",
        "REJECTED",
        "SUBMISSION_FAILED",
        "SUBMITTED",
    }
)


class UnreadableError(ValueError):
    """What Alpaca sent is not what was asked for. The text says why and quotes at most a few characters of it."""


# --- scalars


def shown(value: object) -> str:
    """A foreign value as a sentence may quote it: escaped, and short."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def number_of(value: object, what: str) -> Decimal:
    """A JSON number or a decimal text as an exact Decimal; NaN, infinity, a flag and nonsense are refused."""
    number, why = _sane_in(value) if isinstance(value, str) and len(value) <= _LONGEST_NUMBER else _sane(_exact(value))
    if number is None:
        raise UnreadableError(f"{what} {shown(value)} {why}")
    return number


def _exact(value: object) -> Decimal | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return Decimal(value)
    return value if isinstance(value, Decimal) and value.is_finite() else None


@lru_cache(maxsize=_TEXTS_KEPT)
def _sane_in(text: str) -> tuple[Decimal | None, str]:
    """Quantities and entry prices come again with every look, digit by digit the same."""
    return _sane(Decimal(text) if _NUMBER.fullmatch(text) else None)


def _sane(number: Decimal | None) -> tuple[Decimal | None, str]:
    """A number that can be one; else why not."""
    if number is None:
        return None, "is not a number"
    if number and not _SMALLEST_EXPONENT <= number.adjusted() <= _LARGEST_EXPONENT:
        return None, "is beyond all reason"
    return number, ""


def amount_of(value: object, what: str) -> Decimal:
    """A number that is never below zero."""
    number = number_of(value, what)
    if number < 0:
        raise UnreadableError(f"{what} {shown(value)} is negative")
    return number


def _absent(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value)


def _known_or_none(row: Row, key: str) -> Decimal | None:
    """A number that nothing vital hangs on: missing and unreadable are both unknown."""
    try:
        return number_of(row.get(key), key)
    except UnreadableError:
        return None


def text_of(row: Row, key: str) -> str:
    """A text that must be there."""
    value = row.get(key)
    if not isinstance(value, str) or not value:
        raise UnreadableError(f"{key} {shown(value)} is not a text")
    return value


def _text_or_empty(row: Row, key: str) -> str:
    value = row.get(key)
    return value if isinstance(value, str) else ""


def symbol_of(row: Row) -> str:
    """The row's symbol: short, printable, without blanks."""
    symbol = text_of(row, "symbol")
    if not _is_symbol(symbol):
        raise UnreadableError(f"symbol {shown(symbol)} is not a symbol")
    return symbol


def _is_symbol(text: str) -> bool:
    return 0 < len(text) <= _LONGEST_SYMBOL and text.isprintable() and " " not in text


def instant_of(value: object, what: str) -> dt.datetime:
    """An RFC 3339 instant in UTC; nanoseconds are cut to microseconds, a stamp without an offset is refused."""
    if not isinstance(value, str):
        raise UnreadableError(f"{what} {shown(value)} is not an instant")
    try:
        instant = dt.datetime.fromisoformat(value)
        return _with_offset(instant).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        raise UnreadableError(f"{what} {shown(value)} is not an instant") from None


def _with_offset(instant: dt.datetime) -> dt.datetime:
    if instant.tzinfo is None:
        raise ValueError
    return instant


def _instant_or_none(row: Row, key: str) -> dt.datetime | None:
    try:
        return instant_of(row.get(key), key)
    except UnreadableError:
        return None


# --- lists


def list_of(answer: object) -> list[object]:
    """The rows of a list answer. Anything but a list is unreadable: a failed read is never an empty one."""
    if not isinstance(answer, list):
        raise UnreadableError(f"a list was asked for and {_kind(answer)} came")
    return answer


def dict_of(answer: object) -> Row:
    """The fields of an object."""
    if not isinstance(answer, dict):
        raise UnreadableError(f"an object was asked for and {_kind(answer)} came")
    return answer


def _kind(answer: object) -> str:
    return "nothing" if answer is None else f"a {type(answer).__name__}"


def rows_of(answer: object, read: Callable[[Row], T]) -> Rows[T]:
    """Every row of a list answer through `read`; the unreadable ones apart, each with its symbol and why."""
    good: list[T] = []
    invalid: list[InvalidRow] = []
    for row in list_of(answer):
        try:
            good.append(read(dict_of(row)))
        except UnreadableError as error:
            invalid.append(InvalidRow(_symbol_if_readable(row), str(error)))
    return Rows(tuple(good), tuple(invalid))


def _symbol_if_readable(row: object) -> str:
    symbol = row.get("symbol") if isinstance(row, dict) else None
    return symbol if isinstance(symbol, str) and _is_symbol(symbol) else ""


# --- positions


def position_of(row: Row) -> Position:
    """One row of GET /v2/positions. Symbol and quantity must be readable; a price that isn't is unknown."""
    qty = number_of(row.get("qty"), "qty")
    if not qty:
        raise UnreadableError("qty is 0")
    entry = _known_or_none(row, "avg_entry_price")
    available = _known_or_none(row, "qty_available")
    return Position(
        instrument=instrument_of(symbol_of(row), _text_or_empty(row, "asset_class")[:_LONGEST_SYMBOL]),
        direction=_SHORT if row.get("side") == "short" or qty.is_signed() else _LONG,
        qty=qty.copy_abs(),
        available=None if available is None else available.copy_abs(),
        entry_price=entry if entry and not entry.is_signed() else None,
        current_price=_known_or_none(row, "current_price"),
        asset_id=_text_or_empty(row, "asset_id"),
    )


# --- orders


def order_of(row: Row) -> Order:
    """One order as any of Alpaca's order endpoints shows it, multi-leg ones with their legs."""
    legs = tuple(order_of(dict_of(leg)) for leg in list_of(row.get("legs") or []))
    order_class = _text_or_empty(row, "order_class")
    price = number_of if order_class == "mleg" else amount_of  # a credit is a negative net price
    return Order(
        id=text_of(row, "id"),
        client_order_id=_text_or_empty(row, "client_order_id"),
        symbol=_order_symbol(row, legs),
        side=_side_of(row, legs),
        status=text_of(row, "status"),
        type=_order_type_of(row),
        time_in_force=_text_or_empty(row, "time_in_force"),
        qty=_optional(row, "qty", amount_of),
        filled_qty=amount_of(row.get("filled_qty"), "filled_qty"),
        submitted_at=_instant_or_none(row, "submitted_at"),
        order_class=order_class,
        position_intent=_intent_of(row),
        limit_price=_optional(row, "limit_price", price),
        stop_price=_optional(row, "stop_price", price),
        trail_percent=_optional(row, "trail_percent", price),
        filled_avg_price=_optional(row, "filled_avg_price", price),
        filled_at=_instant_or_none(row, "filled_at"),
        updated_at=_instant_or_none(row, "updated_at"),
        legs=legs,
    )


def _optional(row: Row, key: str, read: Callable[[object, str], Decimal]) -> Decimal | None:
    value = row.get(key)
    return None if _absent(value) else read(value, key)


def _order_symbol(row: Row, legs: tuple[Order, ...]) -> str:
    """The symbol; the parent of a multi-leg order has none of its own."""
    return "" if legs and _absent(row.get("symbol")) else symbol_of(row)


def _side_of(row: Row, legs: tuple[Order, ...]) -> Side | None:
    """Buy or sell; the parent of a multi-leg order has none."""
    side = row.get("side")
    if legs and _absent(side):
        return None
    for known in Side:
        if side == known.value:
            return known
    raise UnreadableError(f"side {shown(side)} is neither buy nor sell")


def _order_type_of(row: Row) -> OrderType:
    """The type; one that is new to us is OTHER. `order_type` is its older name."""
    kind = row.get("type") or row.get("order_type")
    return next((known for known in OrderType if kind == known.value), OrderType.OTHER)


def _intent_of(row: Row) -> PositionIntent | None:
    intent = row.get("position_intent")
    return next((known for known in PositionIntent if intent == known.value), None)


# --- quotes


def quote_of(symbol: str, row: Row, feed: str) -> Quote:
    """One quote of the market data API, whose numbers are JSON numbers. 0 is Alpaca's word for no active side."""
    return Quote(
        symbol=symbol,
        bid=_optional(row, "bp", amount_of) or None,
        ask=_optional(row, "ap", amount_of) or None,
        at=instant_of(row.get("t"), "t"),
        feed=feed,
        bid_size=_optional(row, "bs", amount_of),
        ask_size=_optional(row, "as", amount_of),
    )


def quotes_of(answer: object, symbols: frozenset[str], feed: str) -> Rows[Quote]:
    """The quotes of a latest-quotes answer that were asked for; a null one is an absent one."""
    good: list[Quote] = []
    invalid: list[InvalidRow] = []
    for symbol, row in dict_of(dict_of(answer).get("quotes")).items():
        if symbol not in symbols or row is None:
            continue
        try:
            good.append(quote_of(symbol, dict_of(row), feed))
        except UnreadableError as error:
            invalid.append(InvalidRow(symbol, str(error)))
    return Rows(tuple(good), tuple(invalid))


# --- account, clock, calendar


def account_of(answer: object, name: str, *, paper: bool) -> AccountFacts:
    """GET /v2/account: which account it is and whether it may trade."""
    row = dict_of(answer)
    return AccountFacts(
        name=name,
        number=text_of(row, "account_number"),
        paper=paper,
        blocked=_blocked_by(row),
        equity=_known_or_none(row, "equity"),
        last_equity=_known_or_none(row, "last_equity"),
    )


def _blocked_by(row: Row) -> str:
    reasons = [reason for flag, reason in _BLOCKS.items() if row.get(flag) not in (None, False)]
    status = _text_or_empty(row, "status")
    if status in _UNTRADABLE:
        reasons.append(f"its status is {status}")
    return "; ".join(reasons)


def penny_of(answer: object) -> bool | None:
    """Whether a contract says that it is in the penny programme; None when it doesn't say."""
    said = dict_of(answer).get("ppind")
    return said if isinstance(said, bool) else None


def clock_of(answer: object) -> BrokerClock:
    """GET /v2/clock."""
    row = dict_of(answer)
    is_open = row.get("is_open")
    if not isinstance(is_open, bool):
        raise UnreadableError(f"is_open {shown(is_open)} is neither true nor false")
    return BrokerClock(
        now=instant_of(row.get("timestamp"), "timestamp"),
        is_open=is_open,
        next_open=instant_of(row.get("next_open"), "next_open"),
        next_close=instant_of(row.get("next_close"), "next_close"),
    )


def sessions_of(answer: object, start: dt.date, end: dt.date) -> tuple[Session, ...]:
    """GET /v2/calendar from `start` to `end`. One unreadable day spoils the whole: a gap would read as a holiday."""
    sessions = [_session_of(dict_of(row)) for row in list_of(answer)]
    return tuple(session for session in sessions if start <= session.date <= end)


def _session_of(row: Row) -> Session:
    """One day; `open` and `close` are HH:MM in New York."""
    try:
        date = dt.date.fromisoformat(text_of(row, "date"))
        opens, closes = (_in_new_york(date, text_of(row, key)) for key in ("open", "close"))
    except (ValueError, OverflowError):
        raise UnreadableError(f"the calendar's day {shown(row.get('date'))} has no readable hours") from None
    if not opens < closes:
        raise UnreadableError(f"the calendar's day {shown(row.get('date'))} closes before it opens")
    return Session(date, opens, closes)


def _in_new_york(date: dt.date, hours: str) -> dt.datetime:
    if not _HOURS.fullmatch(hours):
        raise UnreadableError(f"{shown(hours)} is not HH:MM")
    return dt.datetime.combine(date, dt.time.fromisoformat(hours), NEW_YORK).astimezone(dt.UTC)
