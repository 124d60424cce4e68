"""How values are written in YAML: one function per unit from text to value, and `value_text` for the reverse. No I/O.

Every `read_` function takes the text as written and raises UnitError.
"""

import datetime as dt
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sellctl.core.config.schema import (
    ChatConfig,
    IntRange,
    LegConfig,
    LockStep,
    Pullback,
    RoiStep,
    ScaleStep,
    ValueFormat,
)
from sellctl.core.model.gain import Amount, AmountUnit
from sellctl.core.text import did_you_mean

_NUMBER = re.compile(r"[+-]?(\d{1,12}(\.\d{0,12})?|\.\d{1,12})", re.ASCII)
_WHOLE = re.compile(r"\d{1,9}", re.ASCII)
_CHAT = re.compile(r"-?\d{1,18}", re.ASCII)
_DURATION = re.compile("".join(rf"(?:(\d{{1,6}}(?:\.\d{{1,6}})?){unit})?" for unit in "dhms"), re.ASCII)
_PERCENT = re.compile(r"([+-]?\d{1,6}(?:\.\d{1,6})?)(%?)", re.ASCII)
_MONEY = re.compile(r"\$(\d{1,9}(?:\.\d{1,4})?)/(contract|position)", re.ASCII)
_PRICE = re.compile(r"price \$?(\d{1,9}(?:\.\d{1,4})?)", re.ASCII)
_PULLBACK = re.compile(r"(\d{1,6}(?:\.\d{1,6})?)(pt|%)", re.ASCII)
_INT_RANGE = re.compile(r"<=(\d{1,9})|>=(\d{1,9})|(\d{1,9})(?:-(\d{1,9}))?", re.ASCII)
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d", re.ASCII)
_SYMBOL = re.compile(r"[A-Z0-9][A-Z0-9./]{0,24}", re.ASCII)
_LEG = re.compile(r"(?P<symbol>[A-Z0-9][A-Z0-9./]{0,24})(?: +X(?P<ratio>[1-9]\d?))?", re.ASCII)
_SMALLEST_BARE_PERCENTAGE = 5  # below it, a number without % is ambiguous: 1.1 could be a ratio of +10%
_SECONDS_IN = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_ALMOST_BOOLEAN = {"yes": "true", "on": "true", "y": "true", "1": "true"} | dict.fromkeys(
    ("no", "off", "n", "0"), "false"
)
RATIO_HINT = "A ratio is price / entry: +10% is 1.1, -20% is 0.8."
_MANY = 5  # choices among which the similar one is named first
_LONGEST_QUOTE = 40
_LONGEST_KEY = 30


class UnitError(ValueError):
    """A text isn't written as its unit requires. The sentence leaves out the key; the caller puts `key: ` before it."""

    def __init__(self, sentence: str, hint: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.hint = hint


def read_number(text: str) -> Decimal:
    """A plain decimal number; no percent sign, no exponent, no NaN."""
    if not _NUMBER.fullmatch(text):
        hint = "Write it with a decimal point." if "," in text else "Write a plain number."
        raise UnitError(f"{quoted(text)} isn't a number.", hint)
    return Decimal(text)


def read_whole(text: str) -> int:
    """A whole number, not negative."""
    if not _WHOLE.fullmatch(text):
        raise UnitError(f"{quoted(text)} isn't a whole number.", "Write digits only.")
    return int(text)


def read_chat(text: str) -> int:
    """Telegram's number of a chat; that of a group is negative."""
    if not _CHAT.fullmatch(text) or not int(text):
        raise UnitError(f"{quoted(text)} isn't the number of a chat.", "The log names it when you write to the bot.")
    return int(text)


def read_ratio(text: str) -> Decimal:
    """Price / entry; a percentage is refused because 10% could mean 1.1, 0.1 or 0.9."""
    if text.endswith("%"):
        raise UnitError(f"{quoted(text)} is a percentage where a ratio is meant.", RATIO_HINT)
    return read_number(text)


def read_seconds(text: str) -> dt.timedelta:
    """A duration; a bare number is in seconds."""
    return _read_duration(text, bare="s")


def read_minutes(text: str) -> dt.timedelta:
    """A duration; a bare number is in minutes."""
    return _read_duration(text, bare="m")


def _read_duration(text: str, bare: str) -> dt.timedelta:
    match = _DURATION.fullmatch(f"{text}{bare}" if _NUMBER.fullmatch(text) else text)
    if not match or not text:
        raise UnitError(f"{quoted(text)} isn't a duration.", "Write it like 15s, 5m, 1h30m or 2d.")
    amounts = zip(match.groups(default="0"), _SECONDS_IN.values(), strict=True)
    seconds = sum(Decimal(amount) * size for amount, size in amounts)
    return dt.timedelta(microseconds=int(seconds * 1_000_000))


def read_gain(text: str) -> Decimal:
    """A share of the entry price. The % may be left out, except where the number could be taken for a ratio."""
    match = _PERCENT.fullmatch(text)
    if not match:
        raise UnitError(f"{quoted(text)} isn't a percentage.", "Write it like 40%.")
    value = Decimal(match[1])
    if not match[2] and 0 < value < _SMALLEST_BARE_PERCENTAGE:
        raise UnitError(f"{quoted(text)} could be {text}% or {value:%}.", "Write it with its percent sign: 40%.")
    return value / 100


def read_amount(text: str) -> Amount:
    """How far from entry, written in one of four ways."""
    if money := _MONEY.fullmatch(text):
        return Amount(_above_zero(text, money[1]), AmountUnit(money[2]))
    if price := _PRICE.fullmatch(text):
        return Amount(_above_zero(text, price[1]), AmountUnit.PRICE)
    if text.startswith("$"):
        raise UnitError(f"{quoted(text)} has no unit.", f"Write {text}/contract, {text}/position or price {text}.")
    if not text.endswith("%"):
        example = f"price {text}" if _PRICE.fullmatch(f"price {text}") else "price 1.50"
        hint = f"Write 40%, $120/contract, $500/position or {example}."
        raise UnitError(f"{quoted(text)} has no unit.", hint)
    value = read_gain(text)
    if value <= 0:
        raise UnitError(f"{quoted(text)} isn't above 0.", "Write it without a sign: a stop at -40% is 40%.")
    return Amount(value)


def _above_zero(text: str, digits: str) -> Decimal:
    value = Decimal(digits)
    if value <= 0:
        raise UnitError(f"{quoted(text)} isn't above 0.", "Write a positive amount; the rule determines the direction.")
    return value


def read_pullback(text: str) -> Pullback:
    """Points of return (15pt), or a share of the peak's price (10%)."""
    match = _PULLBACK.fullmatch(text)
    if not match or not Decimal(match[1]):
        hint = "Write 15pt (points of return on entry) or 10% (of the peak's price)."
        raise UnitError(f"{quoted(text)} isn't a pullback.", hint)
    return Pullback(Decimal(match[1]) / 100, of_price=match[2] == "%")


def read_int_range(text: str) -> IntRange:
    """A range of whole numbers."""
    match = _INT_RANGE.fullmatch(text)
    if not match:
        raise UnitError(f"{quoted(text)} isn't a range.", 'Write 7, "<=7", ">=30" or 7-30.')
    most, least, first, last = (None if part is None else int(part) for part in match.groups())
    if first is not None:
        return IntRange(first, first if last is None else last)
    return IntRange(least, most)


def read_time(text: str) -> dt.time:
    """A time of day in New York."""
    if not _TIME.fullmatch(text):
        raise UnitError(f"{quoted(text)} isn't a time of day.", 'Write it like "15:30", New York time.')
    return dt.time.fromisoformat(text)


def read_boolean(text: str) -> bool:
    """`true` or `false`; yes, no, on and off are refused."""
    word = text.lower()
    if word not in {"true", "false"}:
        hint = f"Write {_ALMOST_BOOLEAN[word]}." if word in _ALMOST_BOOLEAN else "Write true or false."
        raise UnitError(f"{quoted(text)} is neither true nor false.", hint)
    return word == "true"


def read_symbol(text: str) -> str:
    """A ticker or an OCC symbol, in capitals."""
    symbol = text.strip().upper()
    if not _SYMBOL.fullmatch(symbol):
        raise UnitError(f"{quoted(text)} isn't a symbol.", "Write it like SPY or SPY260821C00500000.")
    return symbol


def read_leg(text: str) -> LegConfig:
    """A symbol, and after it the contracts per unit when they are more than one."""
    match = _LEG.fullmatch(text.strip().upper())
    if not match:
        sentence = f"{quoted(text)} isn't a leg."
        raise UnitError(sentence, "Write its symbol, and x2 after it for two per unit: AAPL261218C00200000 x2.")
    return LegConfig(match["symbol"], int(match["ratio"] or 1))


def read_text(text: str) -> str:
    """Printable text. The error doesn't repeat the text, which could be a secret."""
    if not text.strip() or not text.isprintable():
        raise UnitError("the text is empty, or isn't printable.", "Write it out, or delete the key.")
    return text.strip()


def either(words: list[str]) -> str:
    """`a, b or c`."""
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def quoted(text: str) -> str:
    """A value as an error may show it: one short line."""
    short = text if len(text) <= _LONGEST_QUOTE else text[: _LONGEST_QUOTE - 1] + "…"
    return "'" + "".join(char if char.isprintable() else "?" for char in short) + "'"


def key_name(key: str) -> str:
    """A key as an error may show it: what is too long or odd to be a key could be a secret in the wrong place."""
    is_word = key.replace("_", "").replace("-", "").replace(".", "").isalnum() and len(key) <= _LONGEST_KEY
    return f"'{key}'" if is_word else "A key"


def duration_text(value: dt.timedelta) -> str:
    """A duration in its largest whole unit: 65m, 15s, 2d."""
    seconds = value.total_seconds()
    unit = next((unit for unit, size in _SECONDS_IN.items() if seconds and seconds % size == 0), "s")
    return f"{seconds / _SECONDS_IN[unit]:g}{unit}"


def gain_text(value: Decimal) -> str:
    """A gain as a percentage: 40%."""
    return f"{_percent(value)}%"


def _percent(value: Decimal) -> str:
    return f"{(value * 100).normalize():f}"


def _amount_text(amount: Amount) -> str:
    if amount.unit is AmountUnit.GAIN:
        return gain_text(amount.value)
    return f"price {amount.value:f}" if amount.unit is AmountUnit.PRICE else f"${amount.value:f}/{amount.unit}"


def leg_text(leg: LegConfig) -> str:
    """A leg as it is written."""
    return leg.symbol if leg.ratio == 1 else f"{leg.symbol} x{leg.ratio}"


def int_range_text(int_range: IntRange) -> str:
    """A range of whole numbers as it is written in YAML."""
    if int_range.least == int_range.most:
        return str(int_range.least)
    if int_range.least is None:
        return f"<={int_range.most}"
    return f">={int_range.least}" if int_range.most is None else f"{int_range.least}-{int_range.most}"


def _pullback_text(trail: Pullback) -> str:
    return f"{_percent(trail.value)}{'%' if trail.of_price else 'pt'}"


def _list_text(values: tuple[object, ...]) -> str:
    inside = ", ".join(value_text(value) for value in values)
    return f"{{{inside}}}" if values and isinstance(values[0], RoiStep | ChatConfig) else f"[{inside}]"


_TEXT_OF: tuple[tuple[type, Callable[[Any], str]], ...] = (
    (bool, lambda value: str(value).lower()),
    (dt.timedelta, duration_text),
    (Decimal, lambda value: f"{value:f}"),
    (Amount, _amount_text),
    (Pullback, _pullback_text),
    (IntRange, int_range_text),
    (LegConfig, leg_text),
    (RoiStep, lambda step: f"{duration_text(step.after)}: {gain_text(step.gain)}"),
    (ChatConfig, lambda chat: f"{chat.id}: {chat.role}"),
    (LockStep, lambda step: f"{gain_text(step.at)} keeps {gain_text(step.keep)}"),
    (ScaleStep, lambda step: f"{gain_text(step.sell)} at {gain_text(step.at)}"),
    (dt.time, lambda value: f"{value:%H:%M}"),
    (tuple, _list_text),
)


def value_text(value: object, none_literal: str = "null", value_format: ValueFormat | None = None) -> str:
    """A value as it is written in YAML. A Decimal is a number, unless its format makes it a percentage."""
    if value is None:
        return none_literal
    if value_format is ValueFormat.PERCENT and isinstance(value, Decimal):
        return gain_text(value)
    return next((text(value) for kind, text in _TEXT_OF if isinstance(value, kind)), str(value))


@dataclass(frozen=True, slots=True)
class Format:
    """One way of writing a value: the function that reads it, its name in the reference, its JSON schema."""

    read: Callable[[str], Any]
    called: str
    schema: Mapping[str, object]


_DURATION_SCHEMA = {
    "type": ["string", "number"],
    "pattern": r"^(\d+(\.\d+)?d)?(\d+(\.\d+)?h)?(\d+(\.\d+)?m)?(\d+(\.\d+)?s?)?$",
}
_NUMBER_SCHEMA = {"type": "number"}
_TEXT_SCHEMA = {"type": "string", "minLength": 1}

_FORMATS: Mapping[object, Format] = {
    ValueFormat.RATIO: Format(read_ratio, "ratio", _NUMBER_SCHEMA),
    ValueFormat.SECONDS: Format(read_seconds, "duration; a bare number is seconds", _DURATION_SCHEMA),
    ValueFormat.MINUTES: Format(read_minutes, "duration; a bare number is minutes", _DURATION_SCHEMA),
    ValueFormat.SYMBOL: Format(read_symbol, "symbol", _TEXT_SCHEMA),
    ValueFormat.DOLLARS: Format(read_number, "dollars", _NUMBER_SCHEMA),
    ValueFormat.PERCENT: Format(read_gain, "percentage", {"type": ["string", "number"], "pattern": _PERCENT.pattern}),
    ValueFormat.AMOUNT: Format(read_amount, "40%, $120/contract, $500/position or price 1.50", _TEXT_SCHEMA),
    ValueFormat.PULLBACK: Format(read_pullback, "15pt or 10%", {"type": "string", "pattern": _PULLBACK.pattern}),
    ValueFormat.INT_RANGE: Format(read_int_range, "7, <=7, >=30 or 7-30", {"type": ["string", "integer"]}),
    ValueFormat.LEG: Format(read_leg, "symbol, or symbol x2", _TEXT_SCHEMA),
    ValueFormat.TIME: Format(read_time, "time of day, 15:30", {"type": "string", "pattern": _TIME.pattern}),
    ValueFormat.CHAT: Format(read_chat, "chat number", {"type": "integer"}),
    ValueFormat.SECRET: Format(read_text, "secret", _TEXT_SCHEMA),
    Decimal: Format(read_number, "number", _NUMBER_SCHEMA),
    int: Format(read_whole, "whole number", {"type": "integer"}),
    bool: Format(read_boolean, "true or false", {"type": "boolean"}),
    str: Format(read_text, "text", _TEXT_SCHEMA),
}


def format_of(kind: Any, value_format: ValueFormat | None) -> Format:
    """How a value of this type and format is written. Raises KeyError for a type that YAML can't express here."""
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return _choice(kind)
    return _FORMATS[value_format or kind]


def _choice(kind: type[StrEnum]) -> Format:
    allowed = [member.value for member in kind]

    def read(text: str) -> StrEnum:
        if text.lower() not in allowed:
            near = did_you_mean(text.lower(), allowed) if len(allowed) > _MANY else ""
            raise UnitError(f"{quoted(text)} isn't allowed.", f"{near} Use {either(allowed)}.".lstrip())
        return kind(text.lower())

    return Format(read, either(allowed), {"enum": allowed})
