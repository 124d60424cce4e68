"""Formatting of single values: prices, gains, ages, quantities, orders; and the sanitizing of text from elsewhere.

No layout and no colour. A Cell has a value in two forms: `text` for display and `data` for programs (decimals as text,
never as a float or with an exponent).
"""

import datetime as dt
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Context, Decimal
from enum import Enum, StrEnum

from sellctl.core.model.market import NEW_YORK, Market
from sellctl.core.model.order import Order, OrderType, Side
from sellctl.core.model.plan import DecisionState, PositionDecision, SubmitOrder, Trigger, reason_name
from sellctl.core.model.position import Holding
from sellctl.core.model.view import AccountListing, Mode
from sellctl.core.text import as_dollars, as_limit

Data = str | int | bool | None
UNKNOWN = "?"
ONE = Decimal(1)
# Wide enough for any price a broker could send: rounding for display must never fail.
_DISPLAY = Context(prec=60)
_FOUR_PLACES = Decimal("0.0001")
_CENT = Decimal("0.01")
_TENTH = Decimal("0.1")
_SIX_PLACES = Decimal("0.000001")
# Control, format (bidi overrides, zero width), surrogate, line and paragraph separators.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_BLANKS = frozenset("\t\n\r")


class Tone(StrEnum):
    """The colour of a value. It is never the only information: a gain also has a sign, a state also a name."""

    PLAIN = ""
    GOOD = "good"
    BAD = "bad"
    WARN = "warn"
    QUIET = "quiet"


STATE_WORD = {
    DecisionState.WATCHING: "watching",
    DecisionState.CLOSING: "closing",
    DecisionState.BLOCKED: "blocked",
    DecisionState.DENIED: "not sent",
    DecisionState.FAULT: "error",
    DecisionState.NO_QUOTE: "no quote",
    DecisionState.NOT_MANAGED: "NOT MANAGED",
    DecisionState.EXEMPT: "exempt",
}
STATE_TONE = {
    DecisionState.WATCHING: Tone.PLAIN,
    DecisionState.CLOSING: Tone.GOOD,
    DecisionState.BLOCKED: Tone.WARN,
    DecisionState.DENIED: Tone.WARN,
    DecisionState.FAULT: Tone.BAD,
    DecisionState.NO_QUOTE: Tone.BAD,
    DecisionState.NOT_MANAGED: Tone.WARN,
    DecisionState.EXEMPT: Tone.QUIET,
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One value, as text for display and as data for programs. In a drawn table `short` is shown instead, if given."""

    text: str
    data: Data
    tone: Tone = Tone.PLAIN
    is_number: bool = False
    short: str = ""

    @property
    def drawn(self) -> str:
        """Its text in a drawn table."""
        return self.short or self.text


def are_numbers(cells: Iterable[Cell]) -> bool:
    """Whether a column of these cells is right-aligned: every cell that isn't empty holds a number."""
    filled = [cell.is_number for cell in cells if cell.text]
    return bool(filled) and all(filled)


# --- any value --------------------------------------------------------------------------------------------------------


def sanitize(text: str) -> str:
    """The text without control sequences: tabs and line breaks become spaces, other control characters are escaped."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(character) for character in text)


def _escaped(character: str) -> str:
    if character in _BLANKS:
        return " "
    if unicodedata.category(character) not in _UNSAFE:
        return character
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def as_cell(value: object) -> Cell:
    """The cell of any value that a row may hold."""
    if isinstance(value, Cell):
        return Cell(sanitize(value.text), value.data, value.tone, value.is_number, sanitize(value.short))
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
    """A value as text for programs: instants in ISO 8601, durations in seconds, decimals without exponent."""
    if isinstance(value, Decimal):
        return number(value)
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat()
    if isinstance(value, dt.timedelta):
        return number(Decimal(str(value.total_seconds())))
    return str(value)


def number(value: Decimal) -> str:
    """The exact decimal, without exponent and without trailing zeros; "?" when it isn't finite."""
    if not value.is_finite():
        return UNKNOWN
    text = f"{value:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def number_data(value: Decimal | None) -> str | None:
    """A decimal as text for programs; None when unknown."""
    return None if value is None or not value.is_finite() else number(value)


# --- money, gains, time -----------------------------------------------------------------------------------------------


def price_text(price: Decimal | None) -> str:
    """A price rounded for display: at least two and at most four decimals; "?" when unknown."""
    if price is None or not price.is_finite():
        return UNKNOWN
    rounded = price.quantize(_FOUR_PLACES, context=_DISPLAY)
    cents = price.quantize(_CENT, context=_DISPLAY)
    return f"{cents:f}" if cents == rounded else number(rounded)


def price_cell(price: Decimal | None) -> Cell:
    """A price: rounded in the text, exact in the data."""
    return Cell(price_text(price), number_data(price), is_number=True)


def profit(amount: Decimal) -> str:
    """A profit or loss in dollars and cents, always signed: +$48.00, -$200.00."""
    cents = amount.quantize(_CENT, context=_DISPLAY)
    return f"{'-' if cents < 0 else '+' if cents > 0 else ''}${abs(cents):,f}"


def amount_cell(amount: Decimal | None) -> Cell:
    """An amount of dollars and cents: $1,250.00, -$40.00; "?" when unknown."""
    text = UNKNOWN if amount is None else profit(amount).lstrip("+")
    return Cell(text, _cents(amount), is_number=True)


def profit_cell(amount: Decimal | None) -> Cell:
    """A profit or loss; "?" when unknown."""
    tone = Tone.PLAIN if not amount else Tone.GOOD if amount > 0 else Tone.BAD
    return Cell(UNKNOWN if amount is None else profit(amount), _cents(amount), tone, is_number=True)


def _cents(amount: Decimal | None) -> str | None:
    return None if amount is None else number_data(amount.quantize(_CENT, context=_DISPLAY))


def percent(ratio: Decimal | None) -> str:
    """A ratio as a percentage, always signed and with one decimal, so that a column of them is aligned."""
    if ratio is None or not ratio.is_finite():
        return UNKNOWN
    shown = (ratio * 100).quantize(_TENTH, context=_DISPLAY)
    return "0.0%" if shown == 0 else f"{shown:+f}%"


def counted(count: int, noun: str) -> str:
    """A count with its noun: 1 exit, 2 exits."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def ratio_data(ratio: Decimal | None) -> str | None:
    """A ratio as text for programs: 0.1 is +10%."""
    return None if ratio is None else number_data(ratio.quantize(_SIX_PLACES, context=_DISPLAY))


def gain_cell(gain: Decimal | None) -> Cell:
    """A gain on entry."""
    tone = Tone.PLAIN if not gain else Tone.GOOD if gain > 0 else Tone.BAD
    return Cell(percent(gain), ratio_data(gain), tone, is_number=True)


def duration(span: dt.timedelta) -> str:
    """A length of time in its two largest units: 3d 4h, 3h 12m, 5m 09s, 42s. A negative one is 0s."""
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
    """A day and time in New York, for an instant that may lie on another day; "?" when unknown."""
    return UNKNOWN if instant is None else f"{instant.astimezone(NEW_YORK):%d %b} {clock(instant)}"


def full_moment(instant: dt.datetime) -> str:
    """A day, year and time in New York."""
    return f"{instant.astimezone(NEW_YORK):%d %b %y} {clock(instant)}"


def clock(instant: dt.datetime | None) -> str:
    """A time of day in New York; "?" when unknown."""
    return UNKNOWN if instant is None else f"{instant.astimezone(NEW_YORK):%H:%M:%S} ET"


def today_of(instant: dt.datetime) -> dt.date:
    """The exchange's date at an instant."""
    return instant.astimezone(NEW_YORK).date()


# --- accounts, holdings and orders ------------------------------------------------------------------------------------


def mode_cell(mode: str) -> Cell:
    """PAPER, SIMULATED or LIVE, as `watch` shows it; empty when it is unknown."""
    return Cell(mode.upper(), mode.lower(), Tone.WARN if mode == Mode.LIVE else Tone.PLAIN)


def account_text(account: AccountListing) -> str:
    """An account and what trades in it, as questions say it: "main (PAPER)", "ira (LIVE) with real money"."""
    money = " with real money" if account.mode is Mode.LIVE else ""
    return f"{account.account} ({account.mode.value.upper()}){money}"


def days_left(holding: Holding, today: dt.date) -> int | None:
    """Days until an option expires, 0 on its expiration date; None for assets that don't expire."""
    option = holding.position.instrument.option
    return None if option is None else (option.expires - today).days


def days_cell(holding: Holding, today: dt.date) -> Cell:
    """The days until expiry; 0 and less are highlighted."""
    days = days_left(holding, today)
    tone = Tone.WARN if days is not None and days <= 0 else Tone.PLAIN
    return Cell("" if days is None else str(days), days, tone, is_number=True)


def qty_cell(holding: Holding) -> Cell:
    """The signed quantity: +2 is long, -1 is short."""
    sign = "+" if holding.position.is_long else "-"
    qty = number(holding.position.qty)
    return Cell(f"{sign}{qty}", qty if sign == "+" else f"-{qty}", is_number=True)


def exit_side(holding: Holding) -> str:
    """The side of the quote that a closing order trades against: "bid" or "ask"."""
    return "bid" if holding.position.is_long else "ask"


def now_cell(holding: Holding) -> Cell:
    """The price at which it could be closed now; "?" without a usable quote."""
    return price_cell(holding.exit_price)


def state_cell(decision: PositionDecision, *, only_due: bool = False) -> Cell:
    """The state of a position, short enough for a column.

    Besides the words of STATE_WORD: "bad quote" and "wide spread" while price rules are suspended, "confirming" while a
    stop waits for its second quote, "halted", and "closing 2/4" for an exit at the second of four prices. With
    `only_due` an exit is "due" instead: no order of it works, and none is being sent.
    """
    state = decision.state
    if only_due and state is DecisionState.CLOSING:
        return Cell("due", state.value, Tone.WARN)
    if state is DecisionState.WATCHING and price_rules_suspended(decision):
        text = "bad quote" if decision.holding.prices.problem else "wide spread"
        return Cell(text, state.value, Tone.WARN)
    if state is DecisionState.DENIED and decision.is_halted:
        return Cell("halted", state.value, Tone.BAD)
    if state is DecisionState.DENIED and decision.unconfirmed:
        return Cell("confirming", state.value, Tone.WARN)
    if state is DecisionState.CLOSING and decision.step:
        return Cell(f"{STATE_WORD[state]} {decision.step.replace(' of ', '/')}", state.value, STATE_TONE[state])
    return Cell(STATE_WORD[state], state.value, STATE_TONE[state])


def state_text(decision: PositionDecision, *, only_due: bool = False) -> str:
    """The state of a position in full: "closing, price 2 of 4"."""
    if decision.state is DecisionState.CLOSING and decision.step and not only_due:
        return f"{STATE_WORD[decision.state]}, price {decision.step}"
    return state_cell(decision, only_due=only_due).text


def price_rules_suspended(decision: PositionDecision) -> bool:
    """Whether a position has price rules and its quote is unusable or its spread too wide for them."""
    holding = decision.holding
    return bool(decision.triggers) and (holding.prices.wide or bool(holding.prices.problem))


def nearest(decision: PositionDecision) -> Trigger | None:
    """The trigger with the smallest distance in percent; the first one when no distance is known.

    Where an exit is due, it is one of the rule that is met, and None when that rule has no price.
    """
    signal = decision.signal
    triggers = [each for each in decision.triggers if signal is None or each.reason is signal.reason]
    known = [trigger for trigger in triggers if trigger.distance is not None]
    return min(known, key=_absolute_distance) if known else next(iter(triggers), None)


def _absolute_distance(trigger: Trigger) -> Decimal:
    return abs(trigger.distance) if trigger.distance is not None else Decimal("Infinity")


def trigger_name(trigger: Trigger) -> str:
    """The short name of a trigger's rule."""
    return reason_name(trigger.reason)


def nearest_text(decision: PositionDecision) -> str:
    """The nearest trigger with its price and distance: "target $2.20, 6.3% away"; "" without one.

    Where an exit is due by a rule without a price, it names that rule: "due: last day".
    """
    trigger = nearest(decision)
    if trigger is None:
        return f"due: {reason_name(decision.signal.reason)}" if decision.signal else ""
    distance = distance_text(decision, trigger)
    return f"{trigger_name(trigger)} {as_dollars(trigger.price)}{distance and f', {distance}'}"


def distance_text(decision: PositionDecision, trigger: Trigger) -> str:
    """The distance from the price to a trigger: "6.3% away", or "reached"; "" when unknown."""
    if trigger.distance is None:
        return ""
    if trigger.is_reached(decision.holding.position):
        return "reached"
    return f"{percent(trigger.distance).lstrip('+-')} away"


def progress_to(decision: PositionDecision, trigger: Trigger) -> Decimal | None:
    """The progress of the price towards a trigger: 0 where it started, 1 at the trigger and beyond.

    It starts at the entry; towards a stop that a gain has moved past the entry, at the peak. None when it is unknown:
    no usable price, or nothing to start from.
    """
    holding = decision.holding
    if trigger.distance is None or trigger.distance <= -ONE:
        return None
    if trigger.is_reached(holding.position):
        return ONE
    left = trigger.price - trigger.price / (ONE + trigger.distance)
    ways = [trigger.price - start for start in (holding.position.entry_price, holding.state.peak) if start is not None]
    way = next((way for way in ways if way * left > 0), None)
    return None if way is None else max(ONE - left / way, Decimal(0))


def order_text(order: Order) -> str:
    """An order as short text: "sell 2 limit $1.10", "multi-leg 2 net limit $0.80 credit"."""
    qty = UNKNOWN if order.qty is None else number(order.qty)
    terms = _terms(order.type, order.limit_price, order.stop_price, is_net=order.is_multi_leg)
    return f"{side_text(order.side)} {qty} {terms}"


def submit_text(order: SubmitOrder) -> str:
    """An order that is about to be sent, as short text."""
    terms = _terms(order.type, order.limit_price, None, is_net=bool(order.legs))
    return f"{order.side.value} {number(order.qty)} {terms}"


def _terms(kind: OrderType, limit: Decimal | None, stop: Decimal | None, *, is_net: bool) -> str:
    if is_net and limit is not None:
        return as_limit(limit, is_net=True)
    prices = [as_dollars(price) for price in (stop, limit) if price is not None]
    return " ".join(("at market" if kind is OrderType.MARKET else kind.value.replace("_", " "), *prices))


def side_text(side: Side | None) -> str:
    """The side of an order; the parent of a multi-leg order has none."""
    return side.value if side else "multi-leg"


def sender(order: Order) -> str:
    """Who sent an order: "sellctl" or "you"."""
    return "sellctl" if order.is_ours else "you"


def market_phase(market: Market) -> str:
    """The market's phase: "closed", or "open" with the time left."""
    if not market.is_open:
        return "closed"
    left = market.until_close
    unconfirmed = "" if market.confirmed else ", hours unconfirmed"
    return f"open{unconfirmed}" if left is None else f"open, {duration(left)} left{unconfirmed}"
