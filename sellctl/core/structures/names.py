"""The names of structures: the same while their legs are held, typeable, and unique among what an account holds. Pure.

A name has the underlying, the kind, and per expiration its date and strikes: `AAPL-vertical-261218-200-210C`,
`AAPL-calendar-261218-270115-200C`. The root stands before a date where it isn't the underlying, `x2` after a strike of
two contracts per unit, and `C` or `P` after the last strike, or after each one where the kind leaves the right open.
"""

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from functools import lru_cache
from itertools import groupby

from sellctl.core.model.instrument import OptionContract, Right, StructureKind, a_stock, an_option, underlying_of
from sellctl.core.structures.kinds import Leg, kind_of_legs

_JOINER = "-"
_SHARES = "shares"
_DATE = re.compile(r"(?P<root>[0-9A-Z.]{0,6}?)(?P<date>\d{6})", re.ASCII)
_STRIKE = re.compile(r"(?P<strike>\d{1,5}(?:\.\d{1,3})?)(?:x(?P<times>\d{1,9}))?(?P<right>[CP]?)", re.ASCII)
_TIMES = re.compile(r"(?<=\d)X(?=\d+[CP]?$)", re.ASCII)
_LETTERS = {Right.CALL: "C", Right.PUT: "P"}
_STRIKE_SCALE = 1000
_KEPT = 16_384  # parsed names to keep: every poll needs the legs of every structure

# The rights of each strike of the kinds whose names have no letters, and how many options the other kinds have.
_RIGHTS = {
    StructureKind.IRON_CONDOR: ("P", "P", "C", "C"),
    StructureKind.IRON_BUTTERFLY: ("P", "CP", "C"),
    StructureKind.STRADDLE: ("CP",),
}
_OPTIONS = {
    StructureKind.VERTICAL: 2,
    StructureKind.CALENDAR: 2,
    StructureKind.DIAGONAL: 2,
    StructureKind.RATIO: 2,
    StructureKind.STRANGLE: 2,
    StructureKind.COLLAR: 2,
    StructureKind.BUTTERFLY: 3,
    StructureKind.COVERED_CALL: 1,
}
_OPEN_RIGHTS = frozenset({StructureKind.STRANGLE, StructureKind.COLLAR, StructureKind.CUSTOM})
_WITH_SHARES = frozenset({StructureKind.COVERED_CALL, StructureKind.COLLAR})
_NAMED = frozenset({*_RIGHTS, *_OPTIONS, StructureKind.CUSTOM})
_WITH_RATIOS = frozenset({StructureKind.RATIO, StructureKind.CUSTOM})

Numbered = tuple[OptionContract, int]  # an option, and its contracts per unit


def structure_name(kind: StructureKind, legs: Sequence[Leg]) -> str:
    """The name of a structure with these legs, whatever their order and their sides."""
    options = sorted(((leg.instrument.option, abs(leg.ratio)) for leg in legs if leg.instrument.option), key=_order)
    underlying = legs[0].instrument.underlying
    shares = [abs(leg.ratio) for leg in legs if leg.instrument.option is None]
    custom = [f"{_SHARES}{_times(shares[0])}"] if shares and kind is StructureKind.CUSTOM else []
    return _JOINER.join((underlying, kind.value, *custom, *_terms(kind, options, underlying)))


def is_structure_name(text: str) -> bool:
    """Whether it is exactly the name that some structure has. A broker's symbol may contain any character."""
    return bool(legs_named(text))


@lru_cache(_KEPT)
def legs_named(name: str) -> tuple[Leg, ...]:
    """The legs of the structure with this name, as if all were long; empty when it is not the name of one."""
    underlying, *words = name.split(_JOINER)
    kind = next((each for each in _NAMED if words and each.value == words[0]), None)
    if kind is None:
        return ()
    legs = (*_shares(kind, underlying, words[1:]), *_options(kind, underlying, words[1:]))
    options = sum(leg.instrument.is_option for leg in legs)
    if not options or options != _OPTIONS.get(kind, options) or any(_is_of_another(leg, underlying) for leg in legs):
        return ()
    return legs if structure_name(kind, legs) == name else ()


def canonical_name(text: str) -> str:
    """The name of a structure however its letters are written; "" when it is not the name of one."""
    underlying, *words = text.split(_JOINER)
    if not words:
        return ""
    kind, *terms = words
    name = _JOINER.join((underlying.upper(), kind.lower(), *map(_canonical_term, terms)))
    return name if is_structure_name(name) else ""


def name_or_symbol(text: str) -> str:
    """The name of a structure, or a symbol in upper case, however its letters are written."""
    return canonical_name(text) or text.upper()


def _canonical_term(term: str) -> str:
    lower = term.lower()
    return lower if lower.startswith(_SHARES) else _TIMES.sub("x", term.upper())


def kind_named(name: str) -> StructureKind:
    """The kind of a structure by its name."""
    return StructureKind(name.split(_JOINER)[1])


def legs_of(name: str) -> tuple[str, ...]:
    """The symbols of a structure's legs by its name; empty when it is not the name of one."""
    return tuple(leg.symbol for leg in legs_named(name))


def underlying_named(name: str) -> str:
    """The underlying of a structure by its name, or of an option; any other symbol is its own."""
    return next((leg.instrument.underlying for leg in legs_named(name)), "") or underlying_of(name)


def name_since(symbol: str) -> str:
    """The name of a pair of legs that was stored as `SHORT+LONG`; any other symbol unchanged."""
    first, joiner, second = symbol.partition("+")
    if not joiner:
        return symbol
    short, long = an_option(first), an_option(second)
    if short is None or long is None:
        return symbol
    legs = (Leg(short, -1), Leg(long, 1))
    kind = kind_of_legs(legs)
    return structure_name(kind, legs) if kind and short.underlying == long.underlying else symbol


def is_reserved(text: str) -> bool:
    """Whether it is the name of a structure, or was one in an earlier version, and so no symbol of a position."""
    return is_structure_name(text) or name_since(text) != text


# --- from the legs to the name ----------------------------------------------------------------------------------------


def _order(numbered: Numbered) -> tuple[object, ...]:
    option, _ = numbered
    return option.expires, option.root, option.strike, option.right


def _terms(kind: StructureKind, options: Sequence[Numbered], underlying: str) -> Iterator[str]:
    if kind is StructureKind.CALENDAR:
        yield from (_date(option, underlying) for option, _ in options)
        yield _strike(kind, options[0], is_last=True)
        return
    for date, group in groupby(options, lambda numbered: _date(numbered[0], underlying)):
        yield date
        strikes = (_strike(kind, each, is_last=each is options[-1]) for each in group)
        yield from dict.fromkeys(strikes) if kind in _RIGHTS else strikes


def _date(option: OptionContract, underlying: str) -> str:
    return f"{'' if option.root == underlying else option.root}{option.expires:%y%m%d}"


def _strike(kind: StructureKind, numbered: Numbered, *, is_last: bool) -> str:
    option, contracts = numbered
    times = _times(contracts) if kind in _WITH_RATIOS else ""
    has_letter = kind not in _RIGHTS and (is_last or kind in _OPEN_RIGHTS)
    return f"{option.strike.normalize():f}{times}{_LETTERS[option.right] if has_letter else ''}"


def _times(number: int) -> str:
    return f"x{number}" if number > 1 else ""


# --- from the name to the legs ----------------------------------------------------------------------------------------


def _is_of_another(leg: Leg, underlying: str) -> bool:
    return leg.instrument.underlying != underlying or leg.ratio < 1


def _shares(kind: StructureKind, underlying: str, words: Sequence[str]) -> Iterator[Leg]:
    if kind in _WITH_SHARES:
        yield Leg(a_stock(underlying), 1)
    elif kind is StructureKind.CUSTOM and words and words[0].startswith(_SHARES):
        times = words[0].removeprefix(f"{_SHARES}x")
        yield Leg(a_stock(underlying), int(times) if times.isdecimal() else 1)


def _options(kind: StructureKind, underlying: str, words: Sequence[str]) -> Iterator[Leg]:
    """The options of a name; none once a word is not understood."""
    dates: list[str] = []
    strikes: list[re.Match[str]] = []
    for word in words:
        if date := _DATE.fullmatch(word):
            if strikes:
                yield from _group(kind, dates, strikes, words)
                dates, strikes = [], []
            dates.append(f"{date['root'] or underlying}{date['date']}")
        elif strike := _STRIKE.fullmatch(word):
            strikes.append(strike)
    yield from _group(kind, dates, strikes, words)


def _group(
    kind: StructureKind, dates: Sequence[str], strikes: Sequence[re.Match[str]], words: Sequence[str]
) -> Iterator[Leg]:
    """The options of these dates at each of these strikes."""
    given = _RIGHTS.get(kind) or tuple(strike["right"] or words[-1][-1:] for strike in strikes)
    if len(given) != len(strikes):
        return
    for date in dates:
        for index, (strike, rights) in enumerate(zip(strikes, given, strict=True)):
            contracts = 2 if kind is StructureKind.BUTTERFLY and index == 1 else int(strike["times"] or 1)
            for right in rights:
                option = an_option(f"{date}{right}{int(Decimal(strike['strike']) * _STRIKE_SCALE):08d}")
                if option:
                    yield Leg(option, contracts)
