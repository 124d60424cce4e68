"""Symbols and the names of structures as a trader reads them."""

from sellctl.core.model.instrument import OptionContract, an_option
from sellctl.core.structures.kinds import Leg
from sellctl.core.structures.names import kind_named, legs_named
from sellctl.ui.formatting import Cell, sanitize


def name_cell(symbol: str) -> Cell:
    """A symbol or the name of a structure: readable in the text, as recorded in the data.

    In a drawn table a structure has no strikes, so that the column stays narrow.
    """
    return Cell(readable_name(symbol), symbol, short=readable_name(symbol, strikes=False))


def readable_name(symbol: str, *, strikes: bool = True) -> str:
    """AAPL 18 Dec 26 230 C; QQQ iron condor 18 Dec 26 550/560/640/650; any other symbol as it is."""
    option = an_option(symbol)
    if option and option.option:
        return option.option.text
    legs = legs_named(symbol)
    return _structure_text(symbol, legs, strikes=strikes) if legs else sanitize(symbol)


def _structure_text(name: str, legs: tuple[Leg, ...], *, strikes: bool) -> str:
    options = [leg.instrument.option for leg in legs if leg.instrument.option]
    dates = "/".join(dict.fromkeys(f"{each.expires.day} {each.expires:%b %y}" for each in options))
    kind = kind_named(name).value.replace("_", " ")
    shown = f" {_strikes(options)}" if strikes else ""
    return f"{legs[0].instrument.underlying} {kind} {dates}{shown}"


def _strikes(options: list[OptionContract]) -> str:
    return "/".join(dict.fromkeys(f"{each.strike.normalize():f}" for each in options))
