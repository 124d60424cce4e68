"""How each kind of scalar is written in YAML: text to value, value to text, and its schema. One table, no I/O."""

import datetime as dt
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sellctl.core.config.schema import Amount, Counts, Per, Pullback, RoiStep, Unit

_NUMBER = re.compile(r"[+-]?(\d{1,12}(\.\d{0,12})?|\.\d{1,12})", re.ASCII)
_WHOLE = re.compile(r"\d{1,9}", re.ASCII)
_DURATION = re.compile("".join(rf"(?:(\d{{1,6}}(?:\.\d{{1,6}})?){unit})?" for unit in "dhms"), re.ASCII)
_PERCENT = re.compile(r"([+-]?\d{1,6}(?:\.\d{1,6})?)(%?)", re.ASCII)
_MONEY = re.compile(r"\$(\d{1,9}(?:\.\d{1,4})?)/(contract|position)", re.ASCII)
_PRICE = re.compile(r"price \$?(\d{1,9}(?:\.\d{1,4})?)", re.ASCII)
_PULLBACK = re.compile(r"(\d{1,6}(?:\.\d{1,6})?)(pt|%)", re.ASCII)
_COUNTS = re.compile(r"<=(\d{1,9})|>=(\d{1,9})|(\d{1,9})(?:-(\d{1,9}))?", re.ASCII)
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d", re.ASCII)
_LEAST_BARE = 5  # a bare 1.1 could be +10% or 1.1%
_SECONDS_IN = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_SYMBOL = re.compile(r"[A-Z0-9][A-Z0-9./]{0,24}", re.ASCII)
_ALMOST_BOOLEAN = {"yes": "true", "on": "true", "y": "true", "1": "true"} | dict.fromkeys(
    ("no", "off", "n", "0"), "false"
)
RATIO_HINTS = {
    "profit_rate": "profit_rate is price / entry: +10% is 1.1.",
    "stop_loss_rate": "stop_loss_rate is price / entry: -20% is 0.8.",
}


class UnitError(ValueError):
    """A text isn't written as its key wants it."""

    def __init__(self, sentence: str, hint: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.hint = hint


def number(name: str, text: str) -> Decimal:
    """A plain decimal number; no percent sign, no exponent, no NaN."""
    if not _NUMBER.fullmatch(text):
        hint = "Write it with a point." if "," in text else "Write a plain number."
        raise UnitError(f"{name}: {quoted(text)} isn't a number.", hint)
    return Decimal(text)


def _whole(name: str, text: str) -> int:
    if not _WHOLE.fullmatch(text):
        raise UnitError(f"{name}: {quoted(text)} isn't a whole number.", "Write digits only.")
    return int(text)


def ratio(name: str, text: str) -> Decimal:
    """Price / entry; a percentage is refused because 10% could mean 1.1, 0.1 or 0.9."""
    if text.endswith("%"):
        hint = RATIO_HINTS.get(name, f"{name} is a ratio: +10% is 1.1.")
        raise UnitError(f"{name}: {quoted(text)} is a percentage where a ratio is meant.", hint)
    return number(name, text)


def _duration(bare: str) -> Callable[[str, str], dt.timedelta]:
    def read(name: str, text: str) -> dt.timedelta:
        match = _DURATION.fullmatch(f"{text}{bare}" if _NUMBER.fullmatch(text) else text)
        if not match or not text:
            raise UnitError(f"{name}: {quoted(text)} isn't a duration.", "Write it like 15s, 5m, 1h30m or 2d.")
        amounts = zip(match.groups(default="0"), _SECONDS_IN.values(), strict=True)
        seconds = sum(Decimal(amount) * size for amount, size in amounts)
        return dt.timedelta(microseconds=int(seconds * 1_000_000))

    return read


def _gain(name: str, text: str) -> Decimal:
    """A share of the entry price. The % may be left out, but not of a small number: 1.1 could be +10%."""
    match = _PERCENT.fullmatch(text)
    if not match:
        raise UnitError(f"{name}: {quoted(text)} isn't a percentage.", f"Write it like {name}: 40%.")
    value = Decimal(match[1])
    if not match[2] and 0 < value < _LEAST_BARE:
        raise UnitError(f"{name}: {quoted(text)} could be {text}% or {value:%}.", "Write it with its sign: 40%.")
    return value / 100


def _amount(name: str, text: str) -> Amount:
    """How far from entry, in one of four ways."""
    money = _MONEY.fullmatch(text)
    if money:
        return Amount(_above_zero(name, text, money[1]), Per(money[2]))
    price = _PRICE.fullmatch(text)
    if price:
        return Amount(_above_zero(name, text, price[1]), Per.PRICE)
    if text.startswith("$"):
        raise UnitError(f"{name}: {quoted(text)} doesn't say of what.", f"Write {text}/contract or {text}/position.")
    if not text.endswith("%"):
        hint = "Write 40%, $120/contract, $500/position or price 1.50."
        raise UnitError(f"{name}: {quoted(text)} doesn't say what it counts in.", hint)
    value = _gain(name, text)
    if value <= 0:
        raise UnitError(f"{name}: {quoted(text)} isn't above 0.", "Write it without a sign: a stop at -40% is 40%.")
    return Amount(value)


def _above_zero(name: str, text: str, digits: str) -> Decimal:
    value = Decimal(digits)
    if value <= 0:
        raise UnitError(f"{name}: {quoted(text)} isn't above 0.", "Write a positive amount; the rule knows the side.")
    return value


def _pullback(name: str, text: str) -> Pullback:
    match = _PULLBACK.fullmatch(text)
    if not match or not Decimal(match[1]):
        hint = "Write 15pt (points of return on entry) or 10% (of the peak's price)."
        raise UnitError(f"{name}: {quoted(text)} doesn't say how far to fall back.", hint)
    return Pullback(Decimal(match[1]) / 100, of_price=match[2] == "%")


def _counts(name: str, text: str) -> Counts:
    match = _COUNTS.fullmatch(text)
    if not match:
        raise UnitError(f"{name}: {quoted(text)} isn't a range.", 'Write 7, "<=7", ">=30" or 7-30.')
    most, least, first, last = (None if part is None else int(part) for part in match.groups())
    if first is not None:
        return Counts(first, first if last is None else last)
    return Counts(least, most)


def _time(name: str, text: str) -> dt.time:
    if not _TIME.fullmatch(text):
        raise UnitError(f"{name}: {quoted(text)} isn't a time of day.", 'Write it like "15:30", New York time.')
    return dt.time.fromisoformat(text)


def _boolean(name: str, text: str) -> bool:
    word = text.lower()
    if word not in {"true", "false"}:
        hint = f"Write {_ALMOST_BOOLEAN[word]}." if word in _ALMOST_BOOLEAN else "Write true or false."
        raise UnitError(f"{name}: {quoted(text)} is neither true nor false.", hint)
    return word == "true"


def _symbol(name: str, text: str) -> str:
    symbol = text.strip().upper()
    if not _SYMBOL.fullmatch(symbol):
        raise UnitError(f"{name}: {quoted(text)} isn't a symbol.", "Write it like SPY or SPY260821C00500000.")
    return symbol


def _text(name: str, text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise UnitError(
            f"{name} is empty or holds a character that isn't printable.", "Write it out, or delete the key."
        )
    return text.strip()


def choice(kind: type[StrEnum], name: str, text: str) -> StrEnum:
    """One word of an enum."""
    words = [member.value for member in kind]
    if text.lower() not in words:
        raise UnitError(f"{name}: {quoted(text)} isn't one of its words.", f"Write {either(words)}.")
    return kind(text.lower())


def either(words: list[str]) -> str:
    """a, b or c."""
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def quoted(text: str) -> str:
    """A value as an error may show it: one short line."""
    longest = 40
    shown = text if len(text) <= longest else text[: longest - 1] + "…"
    return "'" + "".join(char if char.isprintable() else "?" for char in shown) + "'"


def duration_text(value: dt.timedelta) -> str:
    """A duration in its largest whole unit: 65m, 15s, 2d."""
    seconds = value.total_seconds()
    unit = next((unit for unit, size in _SECONDS_IN.items() if seconds and seconds % size == 0), "s")
    return f"{seconds / _SECONDS_IN[unit]:g}{unit}"


@dataclass(frozen=True, slots=True)
class Way:
    """One way of writing a scalar: how it is read, what it is called, and its JSON schema."""

    read: Callable[[str, str], Any]
    called: str
    schema: dict[str, object]


_DURATION_SCHEMA: dict[str, object] = {
    "type": ["string", "number"],
    "pattern": r"^(\d+(\.\d+)?d)?(\d+(\.\d+)?h)?(\d+(\.\d+)?m)?(\d+(\.\d+)?s?)?$",
}
_NUMBER_SCHEMA: dict[str, object] = {"type": "number"}
_TEXT_SCHEMA: dict[str, object] = {"type": "string", "minLength": 1}

WAYS: dict[object, Way] = {
    Unit.RATIO: Way(ratio, "ratio", _NUMBER_SCHEMA),
    Unit.SECONDS: Way(_duration("s"), "duration; a bare number is seconds", _DURATION_SCHEMA),
    Unit.MINUTES: Way(_duration("m"), "duration; a bare number is minutes", _DURATION_SCHEMA),
    Unit.SYMBOL: Way(_symbol, "symbol", _TEXT_SCHEMA),
    Unit.GAIN: Way(_gain, "percentage", {"type": ["string", "number"], "pattern": _PERCENT.pattern}),
    Unit.AMOUNT: Way(_amount, "40%, $120/contract, $500/position or price 1.50", _TEXT_SCHEMA),
    Unit.PULLBACK: Way(_pullback, "15pt or 10%", {"type": "string", "pattern": _PULLBACK.pattern}),
    Unit.COUNTS: Way(_counts, "7, <=7, >=30 or 7-30", {"type": ["string", "integer"]}),
    Unit.TIME: Way(_time, "time of day, 15:30", {"type": "string", "pattern": _TIME.pattern}),
    Unit.SECRET: Way(_text, "secret", _TEXT_SCHEMA),
    Decimal: Way(number, "number", _NUMBER_SCHEMA),
    int: Way(_whole, "whole number", {"type": "integer"}),
    bool: Way(_boolean, "true or false", {"type": "boolean"}),
    str: Way(_text, "text", _TEXT_SCHEMA),
}


def way_of(kind: Any, unit: Unit | None) -> Way:
    """How a scalar of this type and unit is written."""
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        words = [member.value for member in kind]
        return Way(lambda name, text: choice(kind, name, text), either(words), {"enum": words})
    return WAYS[unit or kind]


def gain_text(value: Decimal) -> str:
    """A gain as one writes it: 40%."""
    return f"{_percent(value)}%"


def _percent(value: Decimal) -> str:
    return f"{(value * 100).normalize():f}"


def _amount_text(amount: Amount) -> str:
    if amount.per is Per.GAIN:
        return gain_text(amount.value)
    return f"price {amount.value:f}" if amount.per is Per.PRICE else f"${amount.value:f}/{amount.per}"


def _counts_text(counts: Counts) -> str:
    if counts.least == counts.most:
        return str(counts.least)
    if counts.least is None:
        return f"<={counts.most}"
    return f">={counts.least}" if counts.most is None else f"{counts.least}-{counts.most}"


def _pullback_text(trail: Pullback) -> str:
    return f"{_percent(trail.value)}{'%' if trail.of_price else 'pt'}"


def _step_text(step: RoiStep) -> str:
    return f"{duration_text(step.after)}: {gain_text(step.gain)}"


def _list_text(values: tuple[object, ...]) -> str:
    inside = ", ".join(value_text(item) for item in values)
    return f"{{{inside}}}" if values and isinstance(values[0], RoiStep) else f"[{inside}]"


_TEXT_OF: tuple[tuple[type, Callable[[Any], str]], ...] = (
    (bool, lambda value: str(value).lower()),
    (dt.timedelta, duration_text),
    (Decimal, lambda value: f"{value:f}"),
    (Amount, _amount_text),
    (Pullback, _pullback_text),
    (Counts, _counts_text),
    (RoiStep, _step_text),
    (dt.time, lambda value: f"{value:%H:%M}"),
    (tuple, _list_text),
)


def value_text(value: object, none_word: str = "null", unit: Unit | None = None) -> str:
    """A value as one writes it in YAML."""
    if value is None:
        return none_word
    if unit is Unit.GAIN and isinstance(value, Decimal):
        return gain_text(value)
    return next((text(value) for kind, text in _TEXT_OF if isinstance(value, kind)), str(value))
