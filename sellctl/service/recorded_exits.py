"""Which exits on record are asked for, for the API and for assistants: the check of what a caller names."""

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING

from msgspec import Struct

from sellctl.core.decision.policy import named_structures
from sellctl.core.errors import ConfigError
from sellctl.core.model.plan import Reason
from sellctl.core.structures.named import possible_names
from sellctl.core.structures.names import legs_of, underlying_named
from sellctl.core.text import did_you_mean
from sellctl.journal.exits import exits
from sellctl.journal.location import JournalLocation
from sellctl.journal.queries import Filters, Recorded, recorded, recorded_names
from sellctl.service.names import name_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sellctl.core.config.schema import Config
    from sellctl.core.model.exit_record import Exit

    ModeAt = Callable[[str, int], str]


class ExitsAsked(Struct, frozen=True):
    """Which exits: of a symbol, structure or underlying, an account, a reason, a date of the exchange or from one on.

    What is "" leaves none out. Dates are in ISO format.
    """

    name: str = ""
    account: str = ""
    reason: str = ""
    day: str = ""
    since: str = ""


def filters_for(path: JournalLocation, config: "Config", asked: ExitsAsked, known: Recorded) -> Filters:
    """The rows that are asked for, without a limit. ConfigError when something is named that there isn't."""
    _check_known("account", asked.account, known.accounts | frozenset(config.accounts))
    _check_known("reason", asked.reason, known.reasons | frozenset(Reason))
    return replace(
        _named(path, config, asked.name) if asked.name else Filters(),
        account=asked.account,
        reason=asked.reason,
        day=_date_of("day", asked.day),
        since=_date_of("since", asked.since),
        limit=None,
    )


def recorded_exits(path: JournalLocation, config: "Config", asked: ExitsAsked) -> "tuple[Sequence[Exit], ModeAt]":
    """The exits that are asked for, and the mode of an account at a row of the journal. ConfigError as above."""
    known = recorded(path)
    return exits(path, filters_for(path, config, asked, known)), known.mode_at


def recorded_trades(path: JournalLocation, config: "Config", asked: ExitsAsked) -> "list[tuple[Exit, str]]":
    """The exits that have filled, each with the mode of its account then, oldest first. ConfigError as above."""
    found, mode_at = recorded_exits(path, config, asked)
    filled = (one for one in found if one.is_filled)
    return [(one, mode_at(one.account, one.row)) for one in sorted(filled, key=lambda one: one.last_at)]


def _named(path: JournalLocation, config: "Config", text: str) -> Filters:
    """The filter for a symbol, a structure or an underlying. ConfigError when the journal knows none called so."""
    name, own, known = name_of(text), _own_names(config, text), recorded_names(path)
    if own:
        return Filters(symbol=name, names=own)
    if any(underlying_named(each) == name for each in known if each != name):
        return Filters(underlying=name)
    parts = {name, *legs_of(name)}
    if known and not any(parts & {each, *legs_of(each)} for each in known):
        hint = did_you_mean(name, {*known, *map(underlying_named, known)})
        raise ConfigError(f"{name} is not in the journal.", hint=hint or "The history lists what is.")
    return Filters(symbol=name)


def _check_known(what: str, given: str, known: frozenset[str]) -> None:
    if given and given not in known:
        hint = did_you_mean(given, known) or f"There are: {', '.join(sorted(known))}."
        raise ConfigError(f"There is no such {what}.", hint=hint)


def _own_names(config: "Config", name: str) -> tuple[str, ...]:
    """The names that sellctl may have given the structure that the user calls so; none when nothing is called so."""
    named = named_structures(config.sell_module)
    meant = next((each for each in named if name and each.name and each.name.lower() == name.strip().lower()), None)
    return tuple(sorted(possible_names(meant))) if meant and meant.legs else ()


def _date_of(what: str, text: str) -> str:
    try:
        return dt.date.fromisoformat(text).isoformat() if text else ""
    except ValueError:
        raise ConfigError(f"The {what} is not a date.", hint="Write it as 2026-11-24.") from None
