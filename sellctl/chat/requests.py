"""What a person writes, read: the command, its name, quantity, time and rules. Pure."""

import re
from collections import deque
from typing import Final

from msgspec import Struct

from sellctl.core.config.schema import ChatRole
from sellctl.core.config.units import quoted
from sellctl.core.errors import ConfigError
from sellctl.core.model.instrument import symbol_of
from sellctl.service.rule_changes import RuleTexts

_QTY: Final = re.compile(r"[+-]?\d[\d.]{0,15}%?", re.ASCII)
_TIME: Final = re.compile(
    r"today|(mon|tues?|wed(nes)?|thu(rs)?|fri|satur|sat|sun)(day)?|\d{1,2}:\d{2}|\d{4}-\d{2}-\d{2}(t\S{1,20})?",
    re.ASCII | re.IGNORECASE,
)
_CLOCK: Final = re.compile(r"\d{1,2}:\d{2}\S*", re.ASCII)
_WORD: Final = re.compile(r'"([^"]*)"|\'([^\']*)\'|(\S+)')
_STRAIGHT_QUOTES: Final = str.maketrans("\u201c\u201d\u201e\u2018\u2019", '"""\'\'')  # phones write curly ones
_WORDS_OF_A_CONTRACT: Final = 6  # AAPL 18 Dec 26 230 C
_AMOUNTS: Final = frozenset({"stop", "target", "trail"})
_FLAGS: Final = frozenset({"breakeven", "clear"})
SET_EXAMPLE: Final = "/set AAPL stop 25% target 80% until friday"
_COMMAND: Final = re.compile(r"/(?P<name>[A-Za-z0-9_]{1,32})(@\w{1,64})?(\s+(?P<rest>.*))?", re.ASCII | re.DOTALL)


class CommandHelp(Struct, frozen=True):
    """One command: what it is followed by, what it does, and the role that it needs."""

    name: str
    arguments: str
    does: str
    role: ChatRole


COMMANDS: Final = (
    CommandHelp("positions", "", "every position with its gain and nearest trigger", ChatRole.VIEWER),
    CommandHelp("explain", "NAME", "everything about one position, and why it is kept or sold", ChatRole.VIEWER),
    CommandHelp("report", "", "the exits of today, and the profit of the last days", ChatRole.VIEWER),
    CommandHelp("trades", "", "what was closed in the last seven days, with totals", ChatRole.VIEWER),
    CommandHelp("help", "", "this list", ChatRole.VIEWER),
    CommandHelp("close", "NAME [QTY]", "close it, or 2 or 50% of it; asks first", ChatRole.OPERATOR),
    CommandHelp(
        "set",
        "NAME RULES",
        "its own stop 25%, target 80%, trail 10pt or breakeven, until friday; or clear; asks first",
        ChatRole.OPERATOR,
    ),
    CommandHelp("exempt", "NAME [UNTIL]", "leave it alone, until friday or 15:30", ChatRole.OPERATOR),
    CommandHelp("manage", "NAME", "manage it again", ChatRole.OPERATOR),
    CommandHelp("confirm", "CODE", "show what an assistant has proposed; asks first", ChatRole.OPERATOR),
    CommandHelp("halt", "REASON", "send no new orders, until sellctl resume at the machine", ChatRole.OPERATOR),
)
_BY_NAME: Final = {each.name: each for each in COMMANDS} | {"start": CommandHelp("help", "", "", ChatRole.VIEWER)}


def command_in(text: str) -> tuple[str, str] | None:
    """The name of the command that a message begins with, in small letters, and the rest; None without one."""
    found = _COMMAND.fullmatch(text.strip())
    return None if found is None else (found["name"].lower(), " ".join((found["rest"] or "").split()))


def known_command(name: str) -> CommandHelp | None:
    """The command with this name."""
    return _BY_NAME.get(name)


def name_and_qty(rest: str) -> tuple[str, str]:
    """A name, and the quantity after it; "" for all."""
    name, _, last = rest.rpartition(" ")
    return (name, last) if name and _QTY.fullmatch(last) else (rest, "")


def name_and_until(rest: str) -> tuple[str, str]:
    """A name, and the time after it; "" without one. The word until may stand between them."""
    name, _, last = rest.rpartition(" ")
    if not name or not _TIME.fullmatch(last):
        return rest, ""
    return name.removesuffix(" until").removesuffix(" UNTIL"), last


def name_and_rules(rest: str) -> tuple[str, RuleTexts]:
    """A name, and the rules after it, each a word with its value: "AAPL stop 25% until friday".

    A value that is a price or a date with a time may have two words, and anything may be quoted. ConfigError, with an
    example, for what can't be read.
    """
    words = deque(_words(rest))
    name, given = _taken_name(words), dict[str, str]()
    while words:
        word = words.popleft()
        key = word.lower()
        if key not in _AMOUNTS | _FLAGS | {"until"}:
            raise _unreadable(f"{quoted(word)} is no rule.")
        if key in given:
            raise _unreadable(f"{key} is given twice.")
        if key not in _FLAGS and not words:
            raise _unreadable(f"{key} needs a value.")
        given[key] = key if key in _FLAGS else _taken_value(key, words)
    amounts = {key: value for key, value in given.items() if key not in _FLAGS}
    return name, RuleTexts(**amounts, breakeven="breakeven" in given, clear="clear" in given)


def _words(text: str) -> list[str]:
    """The words of a text; what is quoted is one."""
    found = _WORD.finditer(text.translate(_STRAIGHT_QUOTES))
    return [next(part for part in each.groups() if part is not None) for each in found]


def _taken_name(words: deque[str]) -> str:
    """The name at the beginning, taken from the words: a contract as tables show it, or one word."""
    contract = " ".join(list(words)[:_WORDS_OF_A_CONTRACT])
    count = _WORDS_OF_A_CONTRACT if symbol_of(contract) else 1
    return " ".join(words.popleft() for _ in range(min(count, len(words))))


def _taken_value(key: str, words: deque[str]) -> str:
    """The value of a rule, taken from the words."""
    value = words.popleft().lower()
    has_more = bool(words) and (value == "price" if key in _AMOUNTS else _CLOCK.fullmatch(words[0]) is not None)
    return f"{value} {words.popleft().lower()}" if has_more else value


def _unreadable(sentence: str) -> ConfigError:
    return ConfigError(sentence, hint=f"Write it like {SET_EXAMPLE}.")
