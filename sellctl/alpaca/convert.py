"""Converts Alpaca's JSON to sellctl's values. Pure.

An unreadable row becomes an InvalidRow and affects no other row; an unreadable answer raises UnreadableError.
"""

import datetime as dt
import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import TypeVar

from sellctl.alpaca.position_checks import RowAmounts, entry_contradiction, price_contradiction, shares_of
from sellctl.core.model.instrument import an_option, instrument_of
from sellctl.core.model.market import NEW_YORK, BrokerClock, Quote, Session, Split
from sellctl.core.model.order import Order, OrderType, PositionIntent, Side
from sellctl.core.model.position import Direction, Position
from sellctl.core.model.snapshot import AccountFacts, InvalidRow, Rows
from sellctl.core.structures.names import is_reserved

T = TypeVar("T")
Row = Mapping[str, object]

_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]{1,3})?")
_HOURS = re.compile(r"[0-9]{2}:[0-9]{2}")
_ORDINARY_SYMBOL = re.compile(r"[A-Z0-9][A-Z0-9.]*")
_KEPT_NUMBERS = 16_384
_LONGEST_NUMBER = 64  # characters; longer than any price or quantity
_LARGEST_EXPONENT = 15  # larger than a quadrillion or smaller than a quintillionth is an error
_SMALLEST_EXPONENT = -18
_LONGEST_SYMBOL = 64
_LONGEST_REPR = 40

# Flags of GET /v2/account that block all orders, and what each means.
_BLOCKS = {
    "account_blocked": "the account is blocked",
    "trading_blocked": "trading is blocked",
    "trade_suspended_by_user": "trading is suspended in the account's own settings",
}
# Statuses of an account that can't trade (OpenAPI AccountStatus). With any other, the broker decides on each order.
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
    """Alpaca's answer is not what was requested. The text gives the reason and quotes at most a few characters."""


# --- scalars


def truncate_repr(value: object) -> str:
    """A value from the broker, to be quoted in a sentence: escaped, and short."""
    text = repr(value)
    return text if len(text) <= _LONGEST_REPR else f"{text[:_LONGEST_REPR]}..."


def number_of(value: object, what: str) -> Decimal:
    """A JSON number or a decimal text as an exact Decimal. NaN, infinity and implausible sizes are unreadable."""
    number = _known(value)
    if number is None:
        kind = "a number" if _exact(value) is None else "a plausible number"
        raise UnreadableError(f"{what} {truncate_repr(value)} is not {kind}")
    return number


def _known(value: object) -> Decimal | None:
    """A plausible number; None when it is none."""
    if isinstance(value, str):
        return _known_text(value) if len(value) <= _LONGEST_NUMBER else None
    number = _exact(value)
    return number if number is not None and _is_plausible(number) else None


@lru_cache(_KEPT_NUMBERS)  # most numbers of a position are those of the last poll: 4 of the 75 ms of a poll of 1,000
def _known_text(text: str) -> Decimal | None:
    number = _exact(text)
    return number if number is not None and _is_plausible(number) else None


def _is_plausible(number: Decimal) -> bool:
    return not number or _SMALLEST_EXPONENT <= number.adjusted() <= _LARGEST_EXPONENT


def _exact(value: object) -> Decimal | None:
    if isinstance(value, str):
        is_number = len(value) <= _LONGEST_NUMBER and _NUMBER.fullmatch(value)
        return Decimal(value) if is_number else None
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    return value if isinstance(value, Decimal) and value.is_finite() else None


def amount_of(value: object, what: str) -> Decimal:
    """A number that must not be negative."""
    number = number_of(value, what)
    if number < 0:
        raise UnreadableError(f"{what} {truncate_repr(value)} is negative")
    return number


def quantity_of(value: object, what: str) -> Decimal:
    """An amount without zeros after the point: 2.0 contracts are 2, in orders and in words."""
    return _without_zeros(amount_of(value, what))


def _without_zeros(number: Decimal) -> Decimal:
    whole = number.to_integral_value()
    return whole if whole == number else number


def _absent(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value)


def _known_or_none(row: Row, key: str) -> Decimal | None:
    """An optional number of the row; None when it is missing or unreadable."""
    return _known(row.get(key))


def text_of(row: Row, key: str) -> str:
    """A required, non-empty text."""
    value = row.get(key)
    if not isinstance(value, str) or not value:
        raise UnreadableError(f"{key} {truncate_repr(value)} is not text")
    return value


def _text_or_empty(row: Row, key: str) -> str:
    value = row.get(key)
    return value if isinstance(value, str) else ""


def symbol_of(row: Row) -> str:
    """The row's symbol: at most 64 printable characters without spaces and commas, and not the name of a structure."""
    symbol = text_of(row, "symbol")
    if not _is_symbol(symbol):
        raise UnreadableError(f"symbol {truncate_repr(symbol)} is not a symbol")
    return symbol


def _is_symbol(text: str) -> bool:
    if not (0 < len(text) <= _LONGEST_SYMBOL and text.isprintable()):
        return False
    return " " not in text and "," not in text and not is_reserved(text)


def is_ordinary_symbol(text: str) -> bool:
    """Whether it has no characters with a meaning to a server: `*` would subscribe to every symbol."""
    return _ORDINARY_SYMBOL.fullmatch(text) is not None


def instant_of(value: object, what: str) -> dt.datetime:
    """An RFC 3339 timestamp in UTC. Nanoseconds are cut to microseconds; without an offset it is unreadable."""
    if not isinstance(value, str):
        raise UnreadableError(f"{what} {truncate_repr(value)} is not a timestamp")
    try:
        instant = dt.datetime.fromisoformat(value)
        return _with_offset(instant).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        raise UnreadableError(f"{what} {truncate_repr(value)} is not a timestamp") from None


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
    """The rows of a list answer. Anything but a list is unreadable: a failed read must not pass for an empty one."""
    if not isinstance(answer, list):
        raise UnreadableError(f"expected a list, got {_kind(answer)}")
    return answer


def dict_of(answer: object) -> Row:
    """The fields of an object."""
    if not isinstance(answer, dict):
        raise UnreadableError(f"expected an object, got {_kind(answer)}")
    return answer


def _kind(answer: object) -> str:
    return "nothing" if answer is None else f"a {type(answer).__name__}"


def rows_of(answer: object, read: Callable[[Row], T]) -> Rows[T]:
    """Every row of a list answer, converted by `read`; unreadable rows separately, with symbol and reason."""
    good: list[T] = []
    invalid: list[InvalidRow] = []
    for row in list_of(answer):
        try:
            good.append(read(dict_of(row)))
        except UnreadableError as error:
            invalid.append(InvalidRow(_symbol_or_quoted(row), str(error)))
    return Rows(tuple(good), tuple(invalid))


def _symbol_or_quoted(row: object) -> str:
    """The row's symbol; in quotes when it is a text but no symbol, so that it is taken for no other; "" without any."""
    symbol = row.get("symbol") if isinstance(row, dict) else None
    if not isinstance(symbol, str) or not symbol:
        return ""
    return symbol if _is_symbol(symbol) else truncate_repr(symbol)


# --- positions


def position_of(row: Row) -> Position:
    """One row of GET /v2/positions. Symbol and quantity are required; an unreadable price is None.

    So is a price that other amounts of the row contradict. A row that is long and short at once is unreadable.
    """
    qty = number_of(row.get("qty"), "qty")
    if not qty:
        raise UnreadableError("qty is 0")
    instrument = instrument_of(symbol_of(row), _text_or_empty(row, "asset_class")[:_LONGEST_SYMBOL])
    value = _known_or_none(row, "market_value")
    direction = _direction_of(row, qty, value)
    entry = _known_or_none(row, "avg_entry_price")
    entry = entry if entry and not entry.is_signed() else None
    price = _known_or_none(row, "current_price")
    amounts = RowAmounts(
        direction=direction,
        shares=shares_of(instrument, qty),
        price=price,
        entry=entry,
        value=value,
        cost_basis=_known_or_none(row, "cost_basis"),
        profit=_known_or_none(row, "unrealized_pl"),
    )
    wrong_price, wrong_entry = price_contradiction(amounts), entry_contradiction(amounts)
    available = _known_or_none(row, "qty_available")
    return Position(
        instrument=instrument,
        direction=direction,
        qty=_without_zeros(qty.copy_abs()),
        available=None if available is None else _without_zeros(available.copy_abs()),
        entry_price=None if wrong_entry or wrong_price else entry,
        current_price=None if wrong_price else price,
        contradiction=wrong_entry or wrong_price,
        lastday_price=_known_or_none(row, "lastday_price"),
    )


def _direction_of(row: Row, qty: Decimal, value: Decimal | None) -> Direction:
    """Long or short, by the side and by the signs of quantity and value: some brokers write no signs for a short."""
    signed = qty.is_signed() or (value is not None and value < 0)
    if row.get("side") == "short" or (qty.is_signed() and row.get("side") != "long"):
        return Direction.SHORT
    if signed:
        amounts = f"qty {truncate_repr(row.get('qty'))} and market_value {truncate_repr(row.get('market_value'))}"
        raise UnreadableError(f"it is long and short at once: side {truncate_repr(row.get('side'))}, {amounts}")
    return Direction.LONG


# --- orders


def order_of(row: Row) -> Order:
    """One order of any of Alpaca's order endpoints, a multi-leg order with its legs."""
    legs = tuple(order_of(dict_of(leg)) for leg in list_of(row.get("legs") or []))
    order_class = _text_or_empty(row, "order_class")
    parent = bool(legs) or (order_class == "mleg" and _absent(row.get("symbol")))  # its legs may be left out
    price = number_of if order_class == "mleg" else amount_of  # a credit is a negative net price
    return Order(
        id=text_of(row, "id"),
        client_order_id=_text_or_empty(row, "client_order_id"),
        symbol=_order_symbol(row, parent=parent),
        side=_side_of(row, parent=parent),
        status=text_of(row, "status"),
        type=_order_type_of(row),
        time_in_force=_text_or_empty(row, "time_in_force"),
        qty=_optional(row, "qty", quantity_of),
        filled_qty=quantity_of(row.get("filled_qty"), "filled_qty"),
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


def _order_symbol(row: Row, *, parent: bool) -> str:
    """The symbol; empty for the parent of a multi-leg order."""
    return "" if parent and _absent(row.get("symbol")) else symbol_of(row)


def _side_of(row: Row, *, parent: bool) -> Side | None:
    """Buy or sell; None for the parent of a multi-leg order."""
    side = row.get("side")
    if parent and _absent(side):
        return None
    for known in Side:
        if side == known.value:
            return known
    raise UnreadableError(f"side {truncate_repr(side)} is neither buy nor sell")


def _order_type_of(row: Row) -> OrderType:
    """The order type; OTHER for an unknown one. `order_type` is the field's older name."""
    kind = row.get("type") or row.get("order_type")
    return next((known for known in OrderType if kind == known.value), OrderType.OTHER)


def _intent_of(row: Row) -> PositionIntent | None:
    intent = row.get("position_intent")
    return next((known for known in PositionIntent if intent == known.value), None)


# --- quotes


def quote_of(symbol: str, row: Row, feed: str) -> Quote:
    """One quote of the market data API, whose numbers are JSON numbers. A price of 0 means an unquoted side."""
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
    """The requested quotes of a latest-quotes answer. A null quote counts as absent."""
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


# --- corporate actions


def splits_of(answer: object, day: dt.date) -> tuple[tuple[Split, ...], str]:
    """The splits with this ex-date on one page of corporate actions, and the token of the next page ("": none).

    A list of splits with an unreadable row is unreadable: which stock it is about isn't known.
    """
    page = dict_of(answer)
    actions = dict_of(page.get("corporate_actions"))
    found = [
        Split(symbol_of(row), ratio(row), _date_of(row, "ex_date"))
        for kind, ratio in _SPLITS.items()
        for row in map(dict_of, list_of(actions.get(kind) or []))
    ]
    return tuple(split for split in found if split.ex_date == day), _text_or_empty(page, "next_page_token")


def _split_ratio(row: Row) -> Decimal:
    new, old = (number_of(row.get(key), key) for key in ("new_rate", "old_rate"))
    if new <= 0 or old <= 0:
        raise UnreadableError(f"a split of {truncate_repr(new)} for {truncate_repr(old)} is not possible")
    return new / old


def _dividend_ratio(row: Row) -> Decimal:
    """New shares per old one after a dividend in shares of the same stock."""
    return 1 + amount_of(row.get("rate"), "rate")


# How each kind of split states its ratio.
_SPLITS: Mapping[str, Callable[[Row], Decimal]] = {
    "forward_splits": _split_ratio,
    "reverse_splits": _split_ratio,
    "stock_dividends": _dividend_ratio,
}


def _date_of(row: Row, key: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text_of(row, key)[:10])
    except ValueError:
        raise UnreadableError(f"{key} {truncate_repr(row.get(key))} is not a date") from None


# --- account, clock, calendar


def account_of(answer: object, name: str, *, paper: bool) -> AccountFacts:
    """GET /v2/account: number, equity and transfers, the options level, and what blocks trading."""
    row = dict_of(answer)
    level = row.get("options_trading_level")
    return AccountFacts(
        name=name,
        number=text_of(row, "account_number"),
        paper=paper,
        blocked=_blocked_by(row),
        equity=_known_or_none(row, "equity"),
        last_equity=_known_or_none(row, "last_equity"),
        transfers=_known_or_none(row, "intraday_adjustments"),
        options_level=level if isinstance(level, int) and not isinstance(level, bool) else None,
    )


def _blocked_by(row: Row) -> str:
    reasons = [reason for flag, reason in _BLOCKS.items() if row.get(flag) not in (None, False)]
    status = _text_or_empty(row, "status")
    if status in _UNTRADABLE:
        reasons.append(f"its status is {status}")
    return "; ".join(reasons)


def penny_of_contract(answer: object) -> Mapping[str, bool]:
    """GET /v2/options/contracts/{symbol}: whether its underlying is in the Penny Interval Program (`ppind`)."""
    return _penny_program([answer])


def penny_of_contracts(answer: object) -> Mapping[str, bool]:
    """GET /v2/options/contracts: likewise for every underlying of which the page has a contract."""
    return _penny_program(list_of(dict_of(answer).get("option_contracts")))


def _penny_program(rows: Iterable[object]) -> dict[str, bool]:
    """By underlying; without those whose rows lack `ppind`, can't be read or contradict each other."""
    found: dict[str, set[bool]] = {}
    for row in map(dict_of, rows):
        symbol, ppind = row.get("symbol"), row.get("ppind")
        option = an_option(symbol) if isinstance(symbol, str) else None
        if option is not None and isinstance(ppind, bool):
            found.setdefault(option.underlying, set()).add(ppind)
    return {underlying: answers.pop() for underlying, answers in found.items() if len(answers) == 1}


def clock_of(answer: object) -> BrokerClock:
    """GET /v2/clock."""
    row = dict_of(answer)
    is_open = row.get("is_open")
    if not isinstance(is_open, bool):
        raise UnreadableError(f"is_open {truncate_repr(is_open)} is neither true nor false")
    return BrokerClock(
        now=instant_of(row.get("timestamp"), "timestamp"),
        is_open=is_open,
        next_open=instant_of(row.get("next_open"), "next_open"),
        next_close=instant_of(row.get("next_close"), "next_close"),
    )


def sessions_of(answer: object, start: dt.date, end: dt.date) -> tuple[Session, ...]:
    """GET /v2/calendar from `start` to `end`. One unreadable day makes it unreadable: a gap would be a holiday."""
    sessions = [_session_of(dict_of(row)) for row in list_of(answer)]
    return tuple(session for session in sessions if start <= session.date <= end)


def _session_of(row: Row) -> Session:
    """One day, whose `open` and `close` are HH:MM in New York."""
    try:
        date = dt.date.fromisoformat(text_of(row, "date"))
        opens, closes = (_in_new_york(date, text_of(row, key)) for key in ("open", "close"))
    except (ValueError, OverflowError):
        raise UnreadableError(f"the calendar's day {truncate_repr(row.get('date'))} has no readable hours") from None
    if not opens < closes:
        raise UnreadableError(f"the calendar's day {truncate_repr(row.get('date'))} closes before it opens")
    return Session(date, opens, closes)


def _in_new_york(date: dt.date, hours: str) -> dt.datetime:
    if not _HOURS.fullmatch(hours):
        raise UnreadableError(f"{truncate_repr(hours)} is not HH:MM")
    return dt.datetime.combine(date, dt.time.fromisoformat(hours), NEW_YORK).astimezone(dt.UTC)
