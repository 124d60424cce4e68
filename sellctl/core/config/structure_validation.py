"""Checks of the structures that the user names: each has legs that can be held together, or an opening order."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from math import gcd

from sellctl.core.config.findings import Finding, Findings
from sellctl.core.config.schema import Config, LegConfig, SideKind, StrategyConfig, StructureConfig
from sellctl.core.config.units import leg_text, quoted
from sellctl.core.model.instrument import StructureKind, an_option, underlying_of

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}", re.ASCII)
_COULD_BE_A_STOCK = re.compile(r"[A-Za-z]{1,5}", re.ASCII)
_NAMED_BY_SELLCTL = re.compile(rf"[A-Z0-9.]+-({'|'.join(StructureKind)})-.+", re.ASCII | re.IGNORECASE)
_OWN_NAME = "Write it like my-condor."
_WITHOUT_LEGS = frozenset({StructureKind.SINGLE, StructureKind.SHORT_PUT})


def structures(config: Config) -> Findings:
    """The checks of every structure, and of what they are to each other and to the strategies."""
    named = config.sell_module.structures
    if named is None:
        for index, strategy in enumerate(config.sell_module.strategies):
            yield from _needs_structures(strategy, f"sell_module.strategies[{index}].match.structure")
        return
    for path, entry in _with_paths(named):
        yield from _entry(entry, path)
    yield from _twice(named)


def _with_paths(named: Sequence[StructureConfig]) -> Iterator[tuple[str, StructureConfig]]:
    return ((f"sell_module.structures[{index}]", entry) for index, entry in enumerate(named))


def _needs_structures(entry: StrategyConfig, path: str) -> Findings:
    """A match on a kind with several legs; a call alone may be a covered one without them."""
    match = entry.match
    alone = _WITHOUT_LEGS | ({StructureKind.COVERED_CALL} if match.side is SideKind.SHORT else set())
    kind = next((kind for kind in match.structure if kind not in alone), None)
    if kind:
        sentence = f"match.structure names {kind}, and sell_module.structures is off: nothing can match."
        yield Finding(path, sentence, "Delete one of the two.")


def _entry(entry: StructureConfig, path: str) -> Findings:
    if entry.name is not None:
        yield from _name(entry.name, f"{path}.name")
    if entry.legs and entry.order:
        yield Finding(path, f"{path} has both legs and order.", "The order has the legs; delete one of the two.")
    elif not entry.legs and not entry.order:
        yield Finding(path, f"{path} has neither legs nor order.", "Give it its legs.")
    elif entry.legs:
        yield from _legs(entry.legs, f"{path}.legs")


def _name(name: str, key: str) -> Findings:
    if _NAMED_BY_SELLCTL.fullmatch(name):
        yield Finding(key, f"{key}: {quoted(name)} is how sellctl itself names a structure.", _OWN_NAME)
    elif not _NAME.fullmatch(name):
        hint = "Use up to 32 letters, digits, - and _."
        yield Finding(key, f"{key}: {quoted(name)} can't be the name of a structure.", hint)
    elif _COULD_BE_A_STOCK.fullmatch(name):
        yield Finding(key, f"{key}: {quoted(name)} could be a symbol.", f"Write it longer: {name}-1.")
    elif an_option(name.upper()):
        yield Finding(key, f"{key}: {quoted(name)} could be a symbol.", _OWN_NAME)


def _legs(legs: Sequence[LegConfig], key: str) -> Findings:
    first, times = legs[0], Counter(leg.symbol for leg in legs)
    twice = next((leg.symbol for leg in legs if times[leg.symbol] > 1), None)
    other = next((leg for leg in legs if underlying_of(leg.symbol) != underlying_of(first.symbol)), None)
    units = gcd(*(leg.ratio for leg in legs))
    if twice:
        total = sum(leg.ratio for leg in legs if leg.symbol == twice)
        hint = f"For more contracts per unit write {leg_text(LegConfig(twice, total))}."
        yield Finding(key, f"{key} names {twice} twice.", hint)
    elif not any(an_option(leg.symbol) for leg in legs):
        yield Finding(key, f"{key} has no option.", "A structure has at least one option; shares are its underlying.")
    elif other:
        on = f"{other.symbol} is on {underlying_of(other.symbol)}, and {first.symbol} on {underlying_of(first.symbol)}"
        yield Finding(f"{key}[{legs.index(other)}]", f"{key}: {on}.", "All legs have one underlying.")
    elif len(legs) == 1:
        yield Finding(key, f"{key} has one leg.", "A structure has two or more.")
    elif units > 1:
        written, lowest = (_counts(legs, by) for by in (1, units))
        yield Finding(key, f"{key}: {written} contracts are {_UNITS.get(units, units)} units of {lowest}.", _ONE_UNIT)


_UNITS = {2: "two", 3: "three"}
_ONE_UNIT = "Write one unit: how many are held shows how many units there are."


def _counts(legs: Sequence[LegConfig], divisor: int) -> str:
    return " and ".join(str(leg.ratio // divisor) for leg in legs)


def _twice(named: Sequence[StructureConfig]) -> Findings:
    """A name, an order or a leg that two entries have."""
    names, orders, symbols = set[str](), set[str](), set[str]()
    for path, entry in _with_paths(named):
        if entry.name and entry.name.lower() in names:
            yield Finding(f"{path}.name", f"{path}.name: {quoted(entry.name)} is taken.", "Give it another name.")
        if entry.order and entry.order in orders:
            yield Finding(f"{path}.order", f"{path}: order {quoted(entry.order)} is named twice.", _KEEP_ONE)
        of_entry = {leg.symbol for leg in entry.legs}
        for index, leg in enumerate(entry.legs):
            if leg.symbol in symbols:
                sentence = f"{path}: {leg.symbol} is a leg of two structures."
                yield Finding(f"{path}.legs[{index}]", sentence, "Leave it in one of them.")
        names |= {entry.name.lower()} if entry.name else set()
        orders |= {entry.order} if entry.order else set()
        symbols |= of_entry


_KEEP_ONE = "Keep one of them."
