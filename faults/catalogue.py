"""The faults that a day may draw, by the names of the catalogue of invariants, and how each is brought about."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

Options = Callable[[random.Random], dict[str, Any]]


class How(Enum):
    """How a fault comes about."""

    RATE = auto()  # at the simulated broker, by chance at every occasion, and once for sure
    WHILE = auto()  # at the simulated broker, for some minutes
    ONCE = auto()  # at an instant of the day, by the bench
    ALWAYS = auto()  # by the bench, by chance at every occasion
    SPACED = auto()  # at the simulated broker, one quote at a time and minutes apart: two in a row are a new price
    AT_ORDER = auto()  # at the simulated broker, by chance soon after it took an order of ours


def _none(_rng: random.Random) -> dict[str, Any]:
    return {}


@dataclass(frozen=True, slots=True)
class Fault:
    """One drawable fault. `wire` ones need the adapter: a body's bytes mean nothing to the in-process broker."""

    name: str
    how: How
    options: Options = _none
    wire: bool = False

    @property
    def family(self) -> str:
        """Its letter."""
        return self.name[0]


def _on(method: str = "", path: str = "", **choices: tuple[Any, ...]) -> Options:
    """Options that are the same each time, and some that are drawn."""

    def draw(rng: random.Random) -> dict[str, Any]:
        fixed = {key: value for key, value in (("method", method), ("path", path)) if value}
        return {**fixed, **{name: rng.choice(values) for name, values in choices.items()}}

    return draw


_ORDER = "POST"
CATALOGUE: tuple[Fault, ...] = (
    Fault("H01", How.RATE),
    Fault("H02", How.RATE),
    Fault("H03", How.RATE),
    Fault("H04", How.RATE),
    Fault("H05", How.RATE, _on(status=(500, 502, 503, 504), after=(True, False), html=(True, False))),
    Fault("H06", How.RATE, _on(reset=("none", "past", "far", "now"))),
    Fault("H07", How.WHILE, _on(status=(401, 403))),
    Fault("H08", How.RATE, _on(_ORDER)),
    Fault("H09", How.RATE, _on(_ORDER, status=(422, 409))),
    Fault("H10", How.RATE, _on(_ORDER, wash=(True, False))),
    Fault("H11", How.RATE, _on(body=("truncated", "empty", "null", "wrong_type", "html"))),
    Fault("H12", How.RATE, _on(change=("unknown_enum", "missing_field", "extra_field", "nan", "bad_row")), wire=True),
    Fault("H13", How.RATE, wire=True),
    Fault("H14", How.RATE, wire=True),
    Fault("H15", How.RATE),
    Fault("H16", How.RATE, _on(path="/v2/positions")),
    Fault("H18", How.RATE, _on(seconds=(2, 9))),
    Fault("H19", How.RATE, _on(seconds=(10, 600, None))),
    Fault("H20", How.WHILE, _on(skew=(3600, -3600, 600), down=(True, False))),
    Fault("O01", How.RATE),
    Fault("O02", How.RATE),
    Fault("O03", How.RATE, _on(qty=(1, 2))),
    Fault("O04", How.RATE),
    Fault("O05", How.RATE),
    Fault("O06", How.RATE, _on(status=("held", "suspended", "stopped", "calculated"))),
    Fault("O07", How.RATE),
    Fault("O08", How.AT_ORDER),
    Fault("O09", How.AT_ORDER),
    Fault("O13", How.RATE, _on(ratio=("0.01", "3"))),
    Fault("O14", How.RATE, _on(seconds=(3, 8))),
    Fault("Q01", How.RATE),
    Fault("Q02", How.RATE),
    Fault("Q03", How.RATE),
    Fault("Q04", How.RATE, _on(seconds=(61, 3600))),
    Fault("Q05", How.RATE, _on(seconds=(30, 600))),
    Fault("Q06", How.SPACED, _on(factor=("100", "0.01", "3"))),
    Fault("Q07", How.RATE, _on(share=("0.5", "0.95"))),
    Fault("Q08", How.RATE),
    Fault("Q09", How.WHILE),
    Fault("Q11", How.RATE, _on(share=("0.03", "-0.03"))),
    Fault("Q12", How.SPACED),
    Fault("Q13", How.WHILE),
    Fault("Q14", How.RATE, _on(value=("NaN", "Infinity", "1e308"))),
    Fault("W01", How.RATE),
    Fault("W02", How.WHILE),
    Fault("W03", How.RATE),
    Fault("W04", How.RATE),
    Fault("W05", How.RATE),
    Fault("W06", How.ONCE, _on(count=(5, 50))),
    Fault("W07", How.WHILE),
    Fault("W08", How.RATE, _on(what=("garbage", "event", "status"))),
    Fault("W09", How.RATE, _on(code=(402, 405, 406, 409, 429))),
    Fault("W10", How.RATE),
    Fault("W11", How.RATE),
    Fault("W12", How.ONCE, _on(seconds=(1.0, 20.0, 120.0))),
    Fault("T01", How.ALWAYS),
    Fault("T02", How.ONCE),
    Fault("T07", How.ONCE),
    Fault("P01", How.ALWAYS),
    Fault("P02", How.ONCE),
    Fault("P03", How.ONCE),
    Fault("D01", How.ALWAYS),
    Fault("D02", How.ALWAYS),
    Fault("D03", How.ALWAYS),
    Fault("D04", How.ALWAYS),
    Fault("D05", How.ALWAYS),
    Fault("D06", How.ONCE),
    Fault("K01", How.ONCE),
    Fault("A04", How.ONCE),
    Fault("A08", How.ONCE),
)
STREAMS = "W"  # drawn on the days that have streams, from a seed of their own
FAMILIES = tuple(dict.fromkeys(fault.family for fault in CATALOGUE if fault.family != STREAMS))
# What waits for other parts of the program, and why: the bench says so instead of leaving it out in silence.
WAITING: Mapping[str, str] = {
    "Q15": "odd prints: a trade confirms a stop on IEX quotes only, which the bench's feed isn't (tests/core)",
    "H17": "a page cut short: a day's orders never fill one (tests/alpaca)",
    "D07": "an old backup restored: its evidence is lost by definition, so what must hold is an alarm (tests/journal)",
}


def drawable(family: str, *, wire: bool = False) -> list[Fault]:
    """The faults of a family that a day may draw."""
    return [fault for fault in CATALOGUE if fault.family == family and (wire or not fault.wire)]
