"""Which shorts nothing covers, and which longs may not leave alone because a short leans on them.

Covered means: a short call against 100 shares each, or a short option against a long of the same type and underlying
that expires no earlier. An adjusted contract delivers something else than 100 shares, so only its own root covers it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from sellctl.core.model.instrument import AssetClass, Instrument, OptionContract, Right
from sellctl.core.model.position import Holding

SHARES_A_CONTRACT = Decimal(100)
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Cover:
    """`uncovered`: contracts of each short option that nothing covers. `reserved`: what of each long covers a short.

    `leaning` names, for each long that covers, the shorts that lean on it.
    """

    uncovered: Mapping[str, Decimal]
    reserved: Mapping[str, Decimal]
    leaning: Mapping[str, tuple[str, ...]]


def cover_of(holdings: Iterable[Holding]) -> Cover:
    """Match every short option with what covers it, the shorts that are hardest to cover first."""
    everything = tuple(holdings)
    left = {h.symbol: h.position.qty for h in everything if h.position.is_long}
    longs = {h.symbol: h.position.instrument for h in everything if h.position.is_long}
    uncovered: dict[str, Decimal] = {}
    reserved: dict[str, Decimal] = {}
    leaning: dict[str, tuple[str, ...]] = {}
    for short, contract in _shorts(everything):
        missing = short.position.qty
        for symbol, each in _candidates(short.position.instrument, contract, longs):
            taken = min(missing, left[symbol] // each)
            if taken > 0:
                missing -= taken
                left[symbol] -= taken * each
                reserved[symbol] = reserved.get(symbol, ZERO) + taken * each
                leaning[symbol] = (*leaning.get(symbol, ()), short.symbol)
        uncovered[short.symbol] = missing
    return Cover(uncovered, reserved, leaning)


def _shorts(holdings: Iterable[Holding]) -> list[tuple[Holding, OptionContract]]:
    """Short options, latest expiry first: its candidates are a subset of every earlier one's."""
    shorts = [(h, h.position.instrument.option) for h in holdings if not h.position.is_long]
    known = [(holding, option) for holding, option in shorts if option is not None]
    return sorted(known, key=lambda pair: (pair[1].expires, pair[0].symbol), reverse=True)


def _candidates(
    short: Instrument, contract: OptionContract, longs: Mapping[str, Instrument]
) -> Iterator[tuple[str, Decimal]]:
    """Longs that can cover one contract, with how many units that takes: options first, the earliest that serves."""
    options = [
        (long.option.expires, symbol)
        for symbol, long in longs.items()
        if long.option is not None and _covers(long.option, contract)
    ]
    yield from ((symbol, Decimal(1)) for _, symbol in sorted(options))
    if contract.right is Right.CALL and not contract.is_adjusted:
        yield from (
            (symbol, SHARES_A_CONTRACT)
            for symbol, long in longs.items()
            if long.asset_class is AssetClass.STOCK and long.symbol == short.underlying
        )


def _covers(long: OptionContract, short: OptionContract) -> bool:
    return long.root == short.root and long.right is short.right and long.expires >= short.expires
