"""How one value reads: prices, gains, ages, quantities; and text from outside, made harmless. No layout, no colour.

A Cell has two faces: `text` for a person and `data` for a program (decimals as text, never float or exponent).
"""

import datetime as dt
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Context, Decimal
from enum import Enum, StrEnum

from sellctl.core.model.market import NEW_YORK
from sellctl.core.model.order import Order, OrderType, Side
from sellctl.core.model.plan import DecisionState, PositionDecision, Reason, SubmitOrder, Trigger
from sellctl.core.model.position import Holding

Data = str | int | bool | None
UNKNOWN = "?"
ONE = Decimal(1)
# Wide enough for any price a broker could send: rounding for the eye must never fail.
_EYE = Context(prec=60)
_FOUR_PLACES = Decimal("0.0001")
_CENT = Decimal("0.01")
_TENTH = Decimal("0.1")
_SIX_PLACES = Decimal("0.000001")
# Control, format (bidi overrides, zero width), surrogate, line and paragraph separators.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_BLANKS = frozenset("\t\n\r")
_SHORT_NAME = {Reason.TAKE_PROFIT: "target", Reason.STOP_LOSS: "stop"}


class Tone(StrEnum):
    """What a value is like. Colour may follow it and never carries it alone: a gain has its sign, a state its word."""

    PLAIN = ""
    GOOD = "good"
    BAD = "bad"
    WARN = "warn"
    QUIET = "quiet"


STATE_TONE = {
    DecisionState.WATCHING: Tone.PLAIN,
    DecisionState.CLOSING: Tone.GOOD,
    DecisionState.BLOCKED: Tone.WARN,
    DecisionState.DENIED: Tone.WARN,
    DecisionState.FAULT: Tone.BAD,
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One value with its two faces."""

    text: str
    data: Data
    tone: Tone = Tone.PLAIN
    is_number: bool = False


def are_numbers(cells: Iterable[Cell]) -> bool:
    """Whether a column of these cells is set flush right: all that is there is numbers."""
    filled = [cell.is_number for cell in cells if cell.text]
    return bool(filled) and all(filled)


# --- any value --------------------------------------------------------------------------------------------------------


def sanitize(text: str) -> str:
    """Text with nothing left in it that a terminal would obey: blanks become spaces, the rest is spelled out."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_spelled(character) for character in text)


def _spelled(character: str) -> str:
    if character in _BLANKS:
        return " "
    if unicodedata.category(character) not in _UNSAFE:
        return character
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def as_cell(value: object) -> Cell:
    """The cell of any value a row may hold."""
    if isinstance(value, Cell):
        return Cell(sanitize(value.text), value.data, value.tone, value.is_number)
    if isinstance(value, Decimal):
        return Cell(number(value), number(value), is_number=True)
    if isinstance(value, bool):
        return Cell("yes" if value else "no", value)
    if value is None:
        return Cell("", None)
    if isinstance(value, int) and not isinstance(value, Enum):
        return Cell(str(value), value, is_number=True)
    return Cell(sanitize(plain_text(value)), plain_text(value))


def plain_text(value: object) -> str:
    """A value as a program reads it: instants in ISO 8601, durations in seconds, decimals without exponent."""
    if isinstance(value, Decimal):
        return number(value)
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat()
    if isinstance(value, dt.timedelta):
        return number(Decimal(str(value.total_seconds())))
    return str(value)


def number(value: Decimal) -> str:
    """A decimal, exact, without exponent and without trailing zeros."""
    if not value.is_finite():
        return UNKNOWN
    text = f"{value:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def number_data(value: Decimal | None) -> str | None:
    """A decimal for a program; None when unknown."""
    return None if value is None or not value.is_finite() else number(value)


# --- money, gains, time -----------------------------------------------------------------------------------------------


def price_text(price: Decimal | None) -> str:
    """A price for the eye: two decimals at least and four at most; "?" when unknown."""
    if price is None or not price.is_finite():
        return UNKNOWN
    rounded = price.quantize(_FOUR_PLACES, context=_EYE)
    cents = price.quantize(_CENT, context=_EYE)
    return f"{cents:f}" if cents == rounded else number(rounded)


def price_cell(price: Decimal | None) -> Cell:
    """A price: rounded for the eye, exact for a program."""
    return Cell(price_text(price), number_data(price), is_number=True)


def dollars(price: Decimal | None) -> str:
    """A price inside a sentence."""
    return UNKNOWN if price is None else f"${price_text(price)}"


def profit(made: Decimal) -> str:
    """Dollars made or lost, signed and to the cent."""
    cents = made.quantize(_CENT, context=_EYE)
    return f"{'-' if cents < 0 else '+' if cents > 0 else ''}${abs(cents):f}"


def percent(ratio: Decimal | None) -> str:
    """A ratio for the eye, always signed and with one decimal, so that a column of them lines up."""
    if ratio is None or not ratio.is_finite():
        return UNKNOWN
    shown = (ratio * 100).quantize(_TENTH, context=_EYE)
    return "0.0%" if shown == 0 else f"{shown:+f}%"


def ratio_data(ratio: Decimal | None) -> str | None:
    """A ratio for a program: 0.1 is +10%."""
    return None if ratio is None else number_data(ratio.quantize(_SIX_PLACES, context=_EYE))


def gain_cell(gain: Decimal | None) -> Cell:
    """A gain on entry."""
    tone = Tone.PLAIN if not gain else Tone.GOOD if gain > 0 else Tone.BAD
    return Cell(percent(gain), ratio_data(gain), tone, is_number=True)


def duration(span: dt.timedelta) -> str:
    """A length of time in its two largest units: 3d 4h, 3h 12m, 5m 09s, 42s; never less than 0s."""
    seconds = max(int(span.total_seconds()), 0)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d {hours}h"
    if hours:
        return f"{hours}h {minutes:02}m"
    return f"{minutes}m {seconds:02}s" if minutes else f"{seconds}s"


def moment(instant: dt.datetime | None) -> str:
    """A day and time in New York, for what may be from another day."""
    return UNKNOWN if instant is None else f"{instant.astimezone(NEW_YORK):%d %b} {clock(instant)}"


def clock(instant: dt.datetime | None) -> str:
    """A time of day in New York; "?" when unknown."""
    return UNKNOWN if instant is None else f"{instant.astimezone(NEW_YORK):%H:%M:%S} ET"


def today_of(instant: dt.datetime) -> dt.date:
    """The exchange's date at an instant."""
    return instant.astimezone(NEW_YORK).date()


# --- holdings and orders ----------------------------------------------------------------------------------------------


def days_left(holding: Holding, today: dt.date) -> int | None:
    """Days until an option expires, 0 on its last day; None for what doesn't expire."""
    option = holding.position.instrument.option
    return None if option is None else (option.expires - today).days


def days_cell(holding: Holding, today: dt.date) -> Cell:
    """The days left; 0 stands out."""
    days = days_left(holding, today)
    tone = Tone.WARN if days is not None and days <= 0 else Tone.PLAIN
    return Cell("" if days is None else str(days), days, tone, is_number=True)


def qty_cell(holding: Holding) -> Cell:
    """The quantity with its side: +2 is long, -1 is short."""
    sign = "+" if holding.position.is_long else "-"
    shown = number(holding.position.qty)
    return Cell(f"{sign}{shown}", shown if sign == "+" else f"-{shown}", is_number=True)


def exit_side(holding: Holding) -> str:
    """The side of the quote that closing it trades against."""
    return "bid" if holding.position.is_long else "ask"


def now_cell(holding: Holding) -> Cell:
    """What one could get now; "?" when no usable price stands."""
    return price_cell(holding.exit_price)


def state_cell(decision: PositionDecision) -> Cell:
    """Where a holding stands, in a word.

    Besides the states of a verdict: guarded while its rules can't trust the quote, waiting for a stop's second quote,
    halted; and which step of how many an exit is at.
    """
    state = decision.state
    if state is DecisionState.WATCHING and is_guarded(decision):
        return Cell("guarded", state.value, Tone.WARN)
    if state is DecisionState.DENIED and decision.is_halted:
        return Cell("halted", state.value, Tone.BAD)
    if decision.unconfirmed and state is DecisionState.DENIED:
        return Cell("waiting", state.value, Tone.WARN)
    if decision.step and state is DecisionState.CLOSING:
        return Cell(f"exit {decision.step.replace(' of ', '/')}", state.value, STATE_TONE[state])
    return Cell(state.value, state.value, STATE_TONE[state])


def is_guarded(decision: PositionDecision) -> bool:
    """Whether price rules stand for a holding and its quote is too wide or not usable."""
    holding = decision.holding
    return bool(decision.triggers) and (holding.prices.wide or holding.exit_price is None)


def nearest(decision: PositionDecision) -> Trigger | None:
    """The trigger that is the fewest percent away; the first one when no distance is known."""
    known = [trigger for trigger in decision.triggers if trigger.distance is not None]
    return min(known, key=_how_far) if known else next(iter(decision.triggers), None)


def _how_far(trigger: Trigger) -> Decimal:
    return abs(trigger.distance) if trigger.distance is not None else Decimal("Infinity")


def trigger_name(trigger: Trigger) -> str:
    """A trigger's rule in a word or two."""
    return _SHORT_NAME.get(trigger.reason, trigger.reason.value.replace("_", " "))


def nearest_text(decision: PositionDecision) -> str:
    """The nearest trigger with its price and how far the price has to move; "" without one."""
    trigger = nearest(decision)
    if trigger is None:
        return ""
    away = distance_text(decision, trigger)
    return f"{trigger_name(trigger)} {dollars(trigger.price)}{away and f' ({away})'}"


def distance_text(decision: PositionDecision, trigger: Trigger) -> str:
    """How far the price has to move to a trigger; "met" when it has; "" when that is unknown."""
    if trigger.distance is None:
        return ""
    return "met" if way_gone(decision, trigger) == ONE else percent(trigger.distance)


def way_gone(decision: PositionDecision, trigger: Trigger) -> Decimal | None:
    """How much of the way from the entry to a trigger the price has gone: 0 at the entry, 1 at the trigger and beyond.

    None when that can't be known: no usable price, no entry price, or a trigger at the entry itself.
    """
    entry = decision.holding.position.entry_price
    if trigger.distance is None or trigger.distance <= -ONE or entry is None or entry == trigger.price:
        return None
    now = trigger.price / (ONE + trigger.distance)
    if (now - trigger.price) * (trigger.price - entry) >= 0:
        return ONE
    return max(ONE - abs(trigger.price - now) / abs(trigger.price - entry), Decimal(0))


def order_text(order: Order) -> str:
    """An order in a few words: sell 2 limit $1.10."""
    side = order.side.value if order.side else "multi-leg"
    qty = UNKNOWN if order.qty is None else number(order.qty)
    return f"{side} {qty} {_terms(order.type, order.limit_price, order.stop_price)}"


def submit_text(order: SubmitOrder) -> str:
    """An order about to be sent, in a few words."""
    return f"{order.side.value} {number(order.qty)} {_terms(order.type, order.limit_price, None)}"


def _terms(kind: OrderType, limit: Decimal | None, stop: Decimal | None) -> str:
    prices = [dollars(price) for price in (stop, limit) if price is not None]
    return " ".join(("at market" if kind is OrderType.MARKET else kind.value.replace("_", " "), *prices))


def side_text(side: Side | None) -> str:
    """The side of an order; the parent of a multi-leg order has none."""
    return side.value if side else "multi-leg"
