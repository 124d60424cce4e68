"""How each kind of scalar is written in YAML: text to value, value to text, and its schema. One table, no I/O."""

import datetime as dt
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sellctl.core.model.config import Unit

_NUMBER = re.compile(r"[+-]?(\d{1,12}(\.\d{0,12})?|\.\d{1,12})", re.ASCII)
_WHOLE = re.compile(r"\d{1,9}", re.ASCII)
_DURATION = re.compile("".join(rf"(?:(\d{{1,6}}(?:\.\d{{1,6}})?){unit})?" for unit in "dhms"), re.ASCII)
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


def value_text(value: object, none_word: str = "null") -> str:
    """A value as one writes it in YAML."""
    match value:
        case None:
            return none_word
        case bool():
            return str(value).lower()
        case dt.timedelta():
            return duration_text(value)
        case Decimal():
            return f"{value:f}"
        case tuple():
            return "[" + ", ".join(value_text(item) for item in value) + "]"
    return str(value)
