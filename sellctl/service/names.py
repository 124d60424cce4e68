"""What the user calls a position: its symbol, an underlying, or a structure by sellctl's name or by the user's own."""

import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from sellctl.core.errors import ConfigError, SellctlError
from sellctl.core.text import did_you_mean

if TYPE_CHECKING:
    import datetime as dt

    from sellctl.core.config.schema import Config
    from sellctl.core.model.view import AccountListing, ShownStructure

_MAX_NAME = 80
_MAX_SYMBOL = 32  # beyond it, only the name of a structure is that long
_POSSIBLE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9./_-]*[A-Za-z0-9])?", re.ASCII)
_BEGUN_CONTRACT = re.compile(r"(?P<root>[A-Z.]{1,6})\d{4}", re.ASCII)  # a contract with a mistake behind its date
_ALL = "`sellctl positions` lists all positions."


def name_of(text: str) -> str:
    """The symbol that a text means, in upper case, or the structure's name. ConfigError when it can be neither.

    A contract may be written as tables show it: "AAPL 18 Dec 26 230 C".
    """
    from sellctl.core.model.instrument import symbol_of  # noqa: PLC0415  help and completion don't need it
    from sellctl.core.structures.names import name_or_symbol  # noqa: PLC0415  as above

    symbol = symbol_of(text.strip()) or text.strip().upper()
    if not symbol:
        raise ConfigError("The symbol is empty.", hint=_ALL)
    longest = _MAX_NAME if "-" in symbol else _MAX_SYMBOL
    if len(symbol) > longest or not symbol.isascii() or not symbol.isprintable() or " " in symbol:
        shown = symbol[:_MAX_SYMBOL].encode("unicode_escape").decode("ascii")
        raise ConfigError(f"{shown} can't be a symbol.", hint=_ALL)
    return name_or_symbol(symbol)


def exempted_text(name: str, end: "dt.datetime | None") -> str:
    """What is said once a position, an underlying or a structure is exempt: until `end`, or for good."""
    from sellctl.core.model.market import until_text  # noqa: PLC0415  as above

    until = f" until {until_text(end)}" if end else ""
    return f"{name} is exempt from the next check{until}. Orders that are working at the broker stay there."


def refuse_impossible(name: str) -> None:
    """ConfigError for what can be neither a symbol nor the name of a structure, where what is held doesn't tell."""
    if not _POSSIBLE.fullmatch(name):
        sentence = f"{name} can't be a symbol or the name of a structure."
        raise ConfigError(sentence, hint="These have letters, digits, and . / - or _ between them.")


def structures_called(name: str, accounts: "Iterable[AccountListing]") -> "list[ShownStructure]":
    """The structures with a name, of each account that holds one."""
    return [each for account in accounts for each in account.structures if each.is_called(name)]


def one_name(name: str, found: "Sequence[ShownStructure]") -> str:
    """The name that sellctl gives these structures. ConfigError when the user's name for them means different ones."""
    names = sorted({each.name for each in found})
    if len(names) > 1:
        sentence = f"{name} is {' in one account and '.join(names)} in another."
        raise ConfigError(sentence, hint="Name one of them.")
    return names[0]


def own_legs(config: "Config", name: str) -> tuple[str, ...]:
    """The legs of the structure that the configuration calls so; empty when it calls none so."""
    for entry in config.sell_module.structures or ():
        if (entry.name or "").lower() == name.lower():
            return tuple(leg.symbol for leg in entry.legs)
    return ()


def exempted_as(config: "Callable[[], Config]", name: str, exempted: Iterable[str]) -> str:
    """The name under which a structure with the user's own name is exempt; "" when it isn't.

    The configuration is only asked for when a structure is exempt.
    """
    from sellctl.core.structures.names import legs_of  # noqa: PLC0415  as above

    structures = {each: set(legs_of(each)) for each in exempted}
    legs = set(own_legs(config(), name)) if any(structures.values()) else set()
    return next((each for each, its in structures.items() if legs and its == legs), "")


def exempted_on(underlying: str, exempted: Iterable[str]) -> list[str]:
    """The options and structures on an underlying that are exempt."""
    from sellctl.core.structures.names import underlying_named  # noqa: PLC0415  as above

    return sorted(each for each in exempted if each != underlying and underlying_named(each) == underlying)


def refuse_part(name: str, exempted: Iterable[str], manage: Callable[[str], str]) -> None:
    """ConfigError when what it is part of is exempt, and it is not by itself: managing it would change nothing.

    `manage` is the command that ends the exemption of a structure or underlying.
    """
    whole = whole_of(name, exempted)
    if whole:
        raise ConfigError(part_of(name, whole), hint=f"Run: {manage(whole)}")


def whole_of(name: str, exempted: Iterable[str]) -> str:
    """The structure or underlying that is exempt and that a symbol is part of; "" without one."""
    from sellctl.core.structures.names import legs_of, underlying_named  # noqa: PLC0415  as above

    wholes = (each for each in sorted(exempted) if each != name)
    return next((each for each in wholes if name in legs_of(each) or underlying_named(name) == each), "")


def part_of(name: str, whole: str) -> str:
    """The sentence that it is exempt as a part of something."""
    from sellctl.core.structures.names import legs_of  # noqa: PLC0415  as above

    how = f"as a leg of {whole}" if legs_of(whole) else f"because {whole} is"
    return f"{name} is exempt {how}."


def not_held(name: str, accounts: "Iterable[AccountListing]", known: Iterable[str] = ()) -> ConfigError:
    """The error about what no account holds, with the one of these or of `known` that may have been meant."""
    near = _meant(name, list(accounts), known)
    return ConfigError(f"{name} is not held in any account.", hint=f"{near} {_ALL}".lstrip())


def unknown_whether_held(name: str, accounts: "Sequence[AccountListing]", otherwise: str = "") -> SellctlError:
    """The error about what no account that was read holds, while another one could not be read.

    It has what may have been meant, and what to do `otherwise`. Why that account could not be read is an event.
    """
    unread = next(each for each in accounts if each.plan is None)
    sentence = f"Account {unread.account} could not be read, so whether it holds {name} is unknown."
    return SellctlError(sentence, hint=f"{_meant(name, accounts)} {otherwise}".strip())


def _meant(name: str, every: "Sequence[AccountListing]", known: Iterable[str] = ()) -> str:
    """Which of what is held, or of `known`, may have been meant; "" when nothing is similar."""
    from sellctl.core.model.instrument import underlying_of  # noqa: PLC0415  as above

    held = sorted(_held(every))
    begun = _BEGUN_CONTRACT.match(name)
    options = [] if begun else [other for other in held if _is_option_on(name, other)]
    underlying = underlying_of(name)
    underlying = begun["root"] if begun and underlying == name else underlying
    candidates = {*held, *map(underlying_of, held), *known}
    similar = {other for other in candidates if did_you_mean(underlying, [underlying_of(other)])}
    near = f"Options held on {name}: {', '.join(options[:3])}." if options else did_you_mean(name, similar)
    return near or _similar_structure(name, every)


def _is_option_on(name: str, symbol: str) -> bool:
    """Whether a symbol is an option on an underlying of this name, or with this root."""
    from sellctl.core.model.instrument import underlying_of  # noqa: PLC0415  as above

    has_root = symbol.startswith(name) and symbol[len(name) :][:1].isdigit()
    return symbol != name and (underlying_of(symbol) == name or has_root)


def _similar_structure(name: str, accounts: "Iterable[AccountListing]") -> str:
    shown = [each for account in accounts for each in account.structures]
    names = {each.upper(): each for structure in shown for each in (structure.name, structure.own_name) if each}
    begin_so = sorted(each for each in names if each.startswith(f"{name.upper()}-"))
    near = begin_so or difflib.get_close_matches(name.upper(), sorted(names), n=1)
    return f"Did you mean {names[near[0]]}?" if near else ""


def held_name(name: str, accounts: "Sequence[AccountListing]", otherwise: str, known: Iterable[str] = ()) -> str:
    """The name of what is held: a symbol, an underlying with options, or a structure.

    ConfigError when it isn't, with what to do `otherwise`. An account that can't be read may hold it: then that is the
    error, unless another account does.
    """
    from sellctl.core.model.instrument import underlying_of  # noqa: PLC0415  as above
    from sellctl.core.structures.names import legs_of  # noqa: PLC0415  as above

    held = _held(accounts)
    underlyings = {underlying_of(each) for each in held}
    if name in held | underlyings or (legs_of(name) and held.issuperset(legs_of(name))):
        return name
    if called := structures_called(name, accounts):
        return one_name(name, called)
    if any(account.plan is None for account in accounts):
        raise unknown_whether_held(name, accounts, otherwise)
    error = not_held(name, accounts, {*underlyings, *known})
    error.hint = f"{error.hint} {otherwise}".rstrip()
    raise error


def _held(accounts: "Iterable[AccountListing]") -> set[str]:
    return {decision.holding.symbol for each in accounts if each.plan for decision in each.plan.decisions}
