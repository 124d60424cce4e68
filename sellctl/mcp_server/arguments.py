"""What each tool takes, as values: their JSON schemas are shown to the client, and arguments are checked by them."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from sellctl.core.errors import ConfigError
from sellctl.ui.formatting import sanitize

_MOST_SHOWN = 200  # characters of a message about arguments, which may quote them

Name = Annotated[
    str,
    Meta(max_length=80, description="A symbol, an underlying, or the name of a structure, as `positions` shows it."),
]
Account = Annotated[str, Meta(max_length=64, description="Only this account of the configuration; all without it.")]
Reason = Annotated[str, Meta(max_length=40, description="Only exits for this reason, e.g. stop_loss.")]
Day = Annotated[str, Meta(max_length=10, description="Only this exchange date, e.g. 2026-11-24.")]
Since = Annotated[str, Meta(max_length=10, description="Only this exchange date and later ones.")]
Until = Annotated[
    str,
    Meta(max_length=40, description="Until then only: friday, today, 15:30, a date, or a date and time, New York."),
]


class Arguments(Struct, frozen=True, forbid_unknown_fields=True):
    """The arguments of a tool. An optional one may also be null."""


class PositionsArguments(Arguments, frozen=True):
    """Which positions to list."""

    name: Name = ""
    account: Account = ""
    limit: Annotated[int, Meta(ge=1, le=1000, description="The most positions to return.")] = 200
    offset: Annotated[int, Meta(ge=0, le=100_000, description="How many positions to leave out first.")] = 0


class ExplainArguments(Arguments, frozen=True):
    """Which position or structure to explain."""

    name: Name
    account: Account = ""


class PlanArguments(Arguments, frozen=True):
    """Of which account to show the plan."""

    account: Account = ""


class HistoryArguments(Arguments, frozen=True):
    """Which entries of the history to return."""

    name: Name = ""
    account: Account = ""
    reason: Reason = ""
    day: Day = ""
    since: Since = ""
    limit: Annotated[int, Meta(ge=1, le=200, description="The most entries to return.")] = 50
    before: Annotated[int, Meta(ge=1, le=2**53, description="Continue below this row.")] | None = None


class ReportArguments(Arguments, frozen=True):
    """Which exits to report on."""

    name: Name = ""
    account: Account = ""
    reason: Reason = ""
    day: Day = ""
    since: Since = ""


class CloseArguments(Arguments, frozen=True):
    """What to close, and how."""

    name: Name
    account: Account = ""
    qty: Annotated[str, Meta(max_length=20, description="How much: 2, or 50%. All of it without it.")] | int = ""
    limit: Annotated[str, Meta(max_length=20, description="The worst acceptable price in dollars, e.g. 2.40.")] = ""
    patience: Annotated[
        str, Meta(max_length=20, description="How fast prices walk: profit, time, protective (usual) or forced.")
    ] = ""


class SetArguments(Arguments, frozen=True):
    """For which position to set rules, and which."""

    name: Name
    account: Account = ""
    stop: Annotated[
        str, Meta(max_length=64, description="Its stop: 25%, $120/contract, $500/position or price 4.20.")
    ] = ""
    target: Annotated[str, Meta(max_length=64, description="Its target, written likewise.")] = ""
    trail: Annotated[
        str,
        Meta(max_length=64, description="Its trailing stop: 10pt (points of return) or 10% below the best price."),
    ] = ""
    breakeven: Annotated[bool, Meta(description="Its stop at the entry price.")] = False
    until: Until = ""
    clear: Annotated[bool, Meta(description="Back to the rules of the configuration.")] = False


class HaltArguments(Arguments, frozen=True):
    """Why to halt."""

    reason: Annotated[str, Meta(min_length=1, max_length=200, description="Shown until the halt is lifted.")]


class ExemptArguments(Arguments, frozen=True):
    """What to leave alone, and until when."""

    name: Name
    until: Until = ""


def schema_of(arguments: type[Arguments]) -> dict[str, Any]:
    """The JSON schema of a tool's arguments."""
    (schema,), definitions = msgspec.json.schema_components([arguments], ref_template="#/$defs/{name}")
    return {key: value for key, value in definitions[schema["$ref"].rpartition("/")[2]].items() if key != "title"}


def arguments_of(kind: type[Arguments], given: object) -> Arguments:
    """The arguments that a client gave. ConfigError when they don't fit the schema."""
    present = {key: value for key, value in given.items() if value is not None} if isinstance(given, dict) else {}
    try:
        return msgspec.convert(present, type=kind, strict=False)
    except (msgspec.ValidationError, UnicodeEncodeError) as error:  # the latter: half of a surrogate pair as a key
        text = sanitize(str(error))
        shown = text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"
        raise ConfigError(f"The arguments don't fit: {shown}.", hint="See the input schema of the tool.") from None
