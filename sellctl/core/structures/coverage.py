"""Which shorts are naked, and which longs may not be closed alone because they cover a short.

A short call is covered by 100 shares per contract, and a short option by a long of the same right (call or put) and
underlying that expires no earlier. An adjusted contract doesn't deliver 100 shares, and its root counts as its own
underlying, so only an option of that root covers it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType

from msgspec import Struct

from sellctl.core.model.gain import SHARES_PER_CONTRACT
from sellctl.core.model.instrument import AssetClass, Instrument, OptionContract, Right
from sellctl.core.model.position import Holding

ONE = Decimal(1)
ZERO = Decimal(0)


class Cover(Struct, frozen=True):
    """Which longs cover which shorts, by symbol.

    `uncovered`: naked contracts per short option. `contracts_covered_by_options`: contracts per short that long options
    cover. `reserved`: the quantity per long that covers shorts. `shorts_by_long`: the shorts that a long covers.
    `longs_by_short`: the longs that cover a short.
    """

    uncovered: Mapping[str, Decimal]
    contracts_covered_by_options: Mapping[str, Decimal]
    reserved: Mapping[str, Decimal]
    shorts_by_long: Mapping[str, tuple[str, ...]]
    longs_by_short: Mapping[str, tuple[str, ...]]


_NO_SHORTS = Cover({}, {}, {}, {}, {})


def cover_of(holdings: Iterable[Holding], within: Mapping[str, Decimal] = MappingProxyType({})) -> Cover:
    """Match every short option with the longs that cover it, the shorts that are hardest to cover first.

    `within` is how much of each long is a leg of a structure: that is used before what isn't. It doesn't change how
    much is covered: each long that covers a short also covers those that are matched after it.
    """
    everything = tuple(holdings)
    shorts = _shorts(everything)
    if not shorts:
        return _NO_SHORTS
    matching = _Matching(_longs_by_underlying(everything), within)
    for short, contract in shorts:
        matching.match(short, contract)
    return Cover(
        uncovered=matching.uncovered,
        contracts_covered_by_options=matching.contracts_covered_by_options,
        reserved=matching.reserved,
        shorts_by_long={long: tuple(shorts) for long, shorts in matching.shorts_by_long.items()},
        longs_by_short={short: tuple(longs) for short, longs in matching.longs_by_short.items()},
    )


@dataclass(slots=True)
class _Matching:
    """The matching in progress."""

    longs: Mapping[str, list[Holding]]
    within: Mapping[str, Decimal]
    uncovered: dict[str, Decimal] = field(default_factory=dict)
    contracts_covered_by_options: dict[str, Decimal] = field(default_factory=dict)
    reserved: dict[str, Decimal] = field(default_factory=dict)
    shorts_by_long: dict[str, list[str]] = field(default_factory=dict)
    longs_by_short: dict[str, list[str]] = field(default_factory=dict)

    def match(self, short: Holding, contract: OptionContract) -> None:
        """Cover as much of one short as the unused quantity of its candidates allows."""
        missing = short.position.qty
        for long, units_per_contract, usable in self._usable(short, contract):
            left = usable - self.reserved.get(long.symbol, ZERO)
            taken = min(missing, left // units_per_contract)
            if taken > 0:
                missing -= taken
                self._assign(short, long, taken, units_per_contract)
        self.uncovered[short.symbol] = missing

    def _usable(self, short: Holding, contract: OptionContract) -> Iterator[tuple[Holding, Decimal, Decimal]]:
        """The longs that can cover a short, with the units needed per contract and how much of the long may be used.

        What is in a structure comes first, then all of each long.
        """
        candidates = tuple(_candidates(contract, self.longs.get(short.position.instrument.underlying, [])))
        for long, units in candidates:
            if long.symbol in self.within:
                yield long, units, min(self.within[long.symbol], long.position.qty)
        yield from ((long, units, long.position.qty) for long, units in candidates)

    def _assign(self, short: Holding, long: Holding, contracts: Decimal, units_per_contract: Decimal) -> None:
        self.reserved[long.symbol] = self.reserved.get(long.symbol, ZERO) + contracts * units_per_contract
        if short.symbol not in (shorts := self.shorts_by_long.setdefault(long.symbol, [])):
            shorts.append(short.symbol)
            self.longs_by_short.setdefault(short.symbol, []).append(long.symbol)
        if long.position.instrument.is_option:
            covered = self.contracts_covered_by_options.get(short.symbol, ZERO)
            self.contracts_covered_by_options[short.symbol] = covered + contracts


def _longs_by_underlying(holdings: Iterable[Holding]) -> dict[str, list[Holding]]:
    longs: dict[str, list[Holding]] = {}
    for holding in holdings:
        if holding.position.is_long:
            longs.setdefault(holding.position.instrument.underlying, []).append(holding)
    return longs


def _shorts(holdings: Iterable[Holding]) -> list[tuple[Holding, OptionContract]]:
    """Short options, latest expiry first: a long that covers one also covers every earlier one."""
    shorts = [(h, h.position.instrument.option) for h in holdings if not h.position.is_long]
    known = [(holding, option) for holding, option in shorts if option is not None]
    return sorted(known, key=lambda pair: (pair[1].expires, pair[0].symbol), reverse=True)


def _candidates(contract: OptionContract, longs: Iterable[Holding]) -> Iterator[tuple[Holding, Decimal]]:
    """Longs that can cover a short, with the units needed per contract: options first, by expiry."""
    options = [(h.position.instrument.option, h) for h in longs if h.position.instrument.option is not None]
    suitable = [(option.expires, h.symbol, h) for option, h in options if option and _covers(option, contract)]
    yield from ((holding, ONE) for _, _, holding in sorted(suitable, key=lambda row: row[:2]))
    if contract.right is Right.CALL and not contract.is_adjusted:
        yield from ((h, Decimal(SHARES_PER_CONTRACT)) for h in longs if _is_stock(h.position.instrument))


def _is_stock(instrument: Instrument) -> bool:
    return instrument.asset_class is AssetClass.STOCK


def _covers(long: OptionContract, short: OptionContract) -> bool:
    """Same right (call or put), no earlier expiry; on the same date the same root (SPX stops trading before SPXW)."""
    if long.right is not short.right:
        return False
    return long.expires > short.expires or (long.expires == short.expires and long.root == short.root)
