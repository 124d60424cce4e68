"""The filters of the commands that read the journal: their options, and the check of what they name."""

import datetime as dt
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from sellctl.commands.completion import reasons, recorded_accounts, recorded_names
from sellctl.commands.session import options_of, say
from sellctl.core.errors import ConfigError
from sellctl.core.text import did_you_mean
from sellctl.service.options import Options

if TYPE_CHECKING:
    from sellctl.core.config.schema import Config
    from sellctl.journal.location import JournalLocation
    from sellctl.journal.queries import Filters, Recorded

_MOST_SHOWN = 40  # characters of a name that is none
SymbolArgument = Annotated[
    str | None,
    typer.Argument(
        help="Only this contract or structure, or all on this underlying.",
        show_default=False,
        autocompletion=recorded_names,
    ),
]
AccountFilter = Annotated[
    str | None,
    typer.Option("--account", "-a", metavar="<name>", help="Only this account.", autocompletion=recorded_accounts),
]
ReasonFilter = Annotated[
    str | None, typer.Option("--reason", help="Only exits for this reason, e.g. stop_loss.", autocompletion=reasons)
]
DayFilter = Annotated[str | None, typer.Option("--day", help="Only this exchange date, e.g. 2025-08-26.")]
SinceFilter = Annotated[str | None, typer.Option("--since", help="Only this exchange date and later ones.")]


@dataclass(frozen=True, slots=True)
class JournalQuery:
    """The journal in use, which of its rows are wanted, and what it knows of accounts."""

    path: "JournalLocation"
    filters: "Filters"
    recorded: "Recorded"


def journal_query(
    ctx: typer.Context, symbol: str | None, account: str | None, reason: str | None, day: str | None, since: str | None
) -> JournalQuery:
    """What these options ask for. ConfigError when one names what there isn't; prints that a journal is missing."""
    from sellctl.journal.queries import Filters

    path = journal_path(ctx)
    recorded = _known(ctx, path, account or "", reason or "")
    filters = replace(
        _named(ctx, path, symbol) if symbol else Filters(),
        account=account or "",
        reason=reason or "",
        day=_date_of("--day", day),
        since=_date_of("--since", since),
        limit=None,
    )
    return JournalQuery(path, filters, recorded)


def journal_path(ctx: typer.Context) -> "JournalLocation":
    """Where the journal in use is."""
    from sellctl.bootstrap import state_of

    return state_of(options_of(ctx)).journal


def _known(ctx: typer.Context, path: "JournalLocation", account: str, reason: str) -> "Recorded":
    """What the journal knows of accounts, after a check of these filters.

    ConfigError when an account is neither on record nor configured, when a reason is none, or when there is neither a
    journal nor a configuration that could lead to one.
    """
    from sellctl.core.model.plan import Reason
    from sellctl.journal.location import exists
    from sellctl.journal.queries import recorded

    found, config = recorded(path), _configuration(ctx, path)
    configured = frozenset(config.accounts) if config else frozenset[str]()
    if not exists(path):
        say(f"The history is empty: there is no journal at {path} yet. A run that acts writes it.")
    accounts, reasons = found.accounts | configured, found.reasons | set(Reason)
    if account and account not in accounts:
        hint = did_you_mean(account, accounts) or f"There are: {', '.join(sorted(accounts)) or 'none'}."
        raise ConfigError(f"No account is called {account}.", hint=hint)
    if reason and reason not in reasons:
        hint = did_you_mean(reason, reasons) or "`sellctl strategies --precedence` lists all."
        raise ConfigError(f"{reason} is no reason of an exit.", hint=hint)
    return found


def _named(ctx: typer.Context, path: "JournalLocation", text: str) -> "Filters":
    """The filter for a symbol, a structure or an underlying. ConfigError when the journal knows none that is called so.

    An underlying stands for all options and structures on it too.
    """
    from sellctl.core.model.instrument import symbol_of
    from sellctl.core.structures.names import legs_of, name_or_symbol, underlying_named
    from sellctl.journal.queries import Filters, recorded_names

    name = symbol_of(text.strip()) or name_or_symbol(text)
    own = _own_names(ctx, path, text)
    known = recorded_names(path)
    on_it = any(underlying_named(each) == name for each in known if each != name)
    parts = {name, *legs_of(name), *own}
    if not own and not on_it and known and not any(parts & {each, *legs_of(each)} for each in known):
        shown = ascii(name)[1:-1]
        shown = shown if len(shown) <= _MOST_SHOWN else f"{shown[:_MOST_SHOWN]}..."
        candidates = {*known, *map(underlying_named, known)}
        hint = did_you_mean(name[:_MOST_SHOWN], candidates) or "`sellctl history` lists what is."
        raise ConfigError(f"{shown} is not in the journal.", hint=hint)
    return Filters(underlying=name) if on_it and not own else Filters(symbol=name, names=own)


def _own_names(ctx: typer.Context, path: "JournalLocation", name: str) -> tuple[str, ...]:
    """The names that sellctl may have given the structure that the user calls so; none when nothing is called so."""
    from sellctl.core.decision.policy import named_structures
    from sellctl.core.structures.named import possible_names

    config = _configuration(ctx, path) if name else None
    named = named_structures(config.sell_module) if config else ()
    meant = next((each for each in named if each.name and each.name.lower() == name.strip().lower()), None)
    if meant and not meant.legs:
        sentence = f"{meant.name} is named by its order, whose legs only the broker knows."
        raise ConfigError(sentence, hint="Use the name that sellctl gives it: `sellctl positions` shows it.")
    return tuple(sorted(possible_names(meant))) if meant else ()


def _configuration(ctx: typer.Context, path: "JournalLocation") -> "Config | None":
    """The configuration. A journal can be read without one: None; ConfigError when there is neither."""
    from sellctl.core.config_manager import ConfigManager
    from sellctl.journal.location import exists

    options = ctx.find_object(Options)
    try:
        return ConfigManager(options.config if options else None, with_notify=False, with_chat=False).load().config
    except ConfigError:
        if exists(path):
            return None
        raise


def _date_of(option: str, text: str | None) -> str:
    """The date given with an option, in ISO format; "" without it. ConfigError when it is not a date."""
    try:
        return dt.date.fromisoformat(text).isoformat() if text else ""
    except ValueError:
        raise ConfigError(f"{option} {text} is not a date.", hint="Write it as 2025-08-26.") from None
