"""What a person writes, read: the command, its name, quantity and time. Pure."""

import re
from typing import Final

from msgspec import Struct

from sellctl.core.config.schema import ChatRole

_QTY: Final = re.compile(r"[+-]?\d[\d.]{0,15}%?", re.ASCII)
_TIME: Final = re.compile(
    r"today|(mon|tues?|wed(nes)?|thu(rs)?|fri|satur|sat|sun)(day)?|\d{1,2}:\d{2}|\d{4}-\d{2}-\d{2}(t\S{1,20})?",
    re.ASCII | re.IGNORECASE,
)
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
    CommandHelp("exempt", "NAME [UNTIL]", "leave it alone, until friday or 15:30", ChatRole.OPERATOR),
    CommandHelp("manage", "NAME", "manage it again", ChatRole.OPERATOR),
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
