"""The faults that a day may draw, by their codes (docs/reliability.md), and how each is injected.

What the simulator's faults do is said in its own catalogue (sellctl/sim/faults/catalogue.py).
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from sellctl.sim.faults.catalogue import CATALOGUE as SIMULATED

Options = Callable[[random.Random], dict[str, Any]]


class Timing(Enum):
    """When a fault occurs, and whether the simulated broker or the bench injects it."""

    RATE = auto()  # broker: with a probability at every occasion, and once with certainty
    WHILE = auto()  # broker: for some minutes
    ONCE = auto()  # bench: at an instant of the day
    ALWAYS = auto()  # bench: with a probability at every occasion
    SPACED = auto()  # broker: single quotes, minutes apart, because two in a row would confirm each other
    AT_ORDER = auto()  # broker: with a probability soon after it accepted an order of ours


def _none(_rng: random.Random) -> dict[str, Any]:
    return {}


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault that a day may draw.

    `adapter_only`: it changes response bytes, which the in-process broker has not. `does` says what the bench does; for
    a fault of the simulator it is empty. `share` is that of the days on which one is drawn that is drawn separately.
    """

    name: str
    timing: Timing
    options: Options = _none
    adapter_only: bool = False
    does: str = ""
    share: float = 0.125

    @property
    def text(self) -> str:
        """What happens, in one sentence without its full stop."""
        return self.does or SIMULATED[self.name].text

    @property
    def family(self) -> str:
        """The letter of its code."""
        return self.name[0]


def _on(method: str = "", path: str = "", **choices: tuple[Any, ...]) -> Options:
    """Fixed options, and some that are drawn from `choices`."""

    def draw(rng: random.Random) -> dict[str, Any]:
        fixed = {key: value for key, value in (("method", method), ("path", path)) if value}
        return {**fixed, **{name: rng.choice(values) for name, values in choices.items()}}

    return draw


_ORDER = "POST"
CATALOGUE: tuple[Fault, ...] = (
    Fault("H01", Timing.RATE),
    Fault("H02", Timing.RATE),
    Fault("H03", Timing.RATE),
    Fault("H04", Timing.RATE),
    Fault("H05", Timing.RATE, _on(status=(500, 502, 503, 504), after=(True, False), html=(True, False))),
    Fault("H06", Timing.RATE, _on(reset=("none", "past", "far", "now"))),
    Fault("H07", Timing.WHILE, _on(status=(401, 403))),
    Fault("H08", Timing.RATE, _on(_ORDER)),
    Fault("H09", Timing.RATE, _on(_ORDER, status=(422, 409))),
    Fault("H10", Timing.RATE, _on(_ORDER, wash=(True, False))),
    Fault("H11", Timing.RATE, _on(body=("truncated", "empty", "null", "wrong_type", "html"))),
    Fault(
        "H12",
        Timing.RATE,
        _on(change=("unknown_enum", "missing_field", "extra_field", "nan", "bad_row")),
        adapter_only=True,
    ),
    Fault("H13", Timing.RATE, adapter_only=True),
    Fault("H14", Timing.RATE, adapter_only=True),
    Fault("H15", Timing.RATE),
    Fault("H16", Timing.RATE, _on(path="/v2/positions")),
    Fault("H18", Timing.RATE, _on(seconds=(2, 9))),
    Fault("H19", Timing.RATE, _on(seconds=(10, 600, None))),
    Fault("H20", Timing.WHILE, _on(skew=(3600, -3600, 600), down=(True, False))),
    Fault("O01", Timing.RATE),
    Fault("O02", Timing.RATE),
    Fault("O03", Timing.RATE, _on(qty=(1, 2))),
    Fault("O04", Timing.RATE),
    Fault("O05", Timing.RATE),
    Fault("O06", Timing.RATE, _on(status=("held", "suspended", "stopped", "calculated"))),
    Fault("O07", Timing.RATE),
    Fault("O08", Timing.AT_ORDER),
    Fault("O09", Timing.AT_ORDER),
    Fault("O13", Timing.RATE, _on(ratio=("0.01", "3"))),
    Fault("O14", Timing.RATE, _on(seconds=(3, 8))),
    Fault("Q01", Timing.RATE),
    Fault("Q02", Timing.RATE),
    Fault("Q03", Timing.RATE),
    Fault("Q04", Timing.RATE, _on(seconds=(61, 3600))),
    Fault("Q05", Timing.RATE, _on(seconds=(30, 600))),
    Fault("Q06", Timing.SPACED, _on(factor=("100", "0.01", "3"))),
    Fault("Q07", Timing.RATE, _on(share=("0.5", "0.95"))),
    Fault("Q08", Timing.RATE),
    Fault("Q09", Timing.WHILE),
    Fault("Q11", Timing.RATE, _on(share=("0.03", "-0.03"))),
    Fault("Q12", Timing.SPACED),
    Fault("Q13", Timing.WHILE),
    Fault("Q14", Timing.RATE, _on(value=("NaN", "Infinity", "1e308"))),
    Fault("W01", Timing.RATE),
    Fault("W02", Timing.WHILE),
    Fault("W03", Timing.RATE),
    Fault("W04", Timing.RATE),
    Fault("W05", Timing.RATE),
    Fault("W06", Timing.ONCE, _on(count=(5, 50))),
    Fault("W07", Timing.WHILE),
    Fault("W08", Timing.RATE, _on(what=("garbage", "event", "status"))),
    Fault("W09", Timing.RATE, _on(code=(402, 405, 406, 409, 429))),
    Fault("W10", Timing.RATE),
    Fault("W11", Timing.RATE),
    Fault("W12", Timing.ONCE, _on(seconds=(1.0, 20.0, 120.0))),
    Fault("T01", Timing.ALWAYS, does="the host's clock is wrong by ten minutes or two hours from the start of the day"),
    Fault("T02", Timing.ONCE, does="the host's clock steps by ten minutes or two hours"),
    Fault("T07", Timing.ONCE, does="the host is suspended for up to three hours"),
    Fault("P01", Timing.ALWAYS, does="the process is killed at a named step, as by SIGKILL"),
    Fault("P02", Timing.ONCE, does="the process is stopped as by SIGTERM"),
    Fault("P03", Timing.ONCE, does="the process is suspended for 30 seconds or ten minutes, as by SIGSTOP"),
    Fault("D01", Timing.ALWAYS, does="writing to the journal fails: the database is locked"),
    Fault("D02", Timing.ALWAYS, does="writing to the journal fails: the disk is full"),
    Fault("D03", Timing.ALWAYS, does="writing to the journal fails: disk I/O error"),
    Fault("D04", Timing.ALWAYS, does="writing to the journal fails: the database is read-only"),
    Fault("D05", Timing.ALWAYS, does="writing to the journal fails: the database is malformed"),
    Fault("D06", Timing.ONCE, does="the journal's files are moved away from the running process for some minutes"),
    Fault("K01", Timing.ONCE, does="an operator halts and, some minutes later, resumes"),
    Fault("A04", Timing.ONCE, does="the broker blocks trading on the account for some minutes"),
    Fault("A08", Timing.ONCE, does="the entry price of a position becomes 0"),
)


def _refusal(rng: random.Random) -> dict[str, Any]:
    """A refusal of orders as status, code and message, by the broker or by a gateway before it."""
    status, code, message = rng.choice(
        (
            (401, None, "unauthorized."),
            (403, None, "forbidden."),
            (403, None, "request denied"),
            (403, 40310000, "options trading level too low"),
            (400, None, "bad request"),
            (400, 40010001, "order type is not supported"),
            (405, None, "method not allowed"),
            (422, 42210000, "asset is not tradable"),
            (422, None, ""),
        )
    )
    return {"method": "POST", "path": "/v2/orders", "status": status, "code": code, "message": message}


def _multi_leg_refusal(rng: random.Random) -> dict[str, Any]:
    """A refusal of every multi-leg order as status and message."""
    status, message = rng.choice(
        (
            (422, "order is not allowed"),
            (403, "account not eligible to trade spreads or uncovered contracts"),
            (400, "invalid order_class"),
        )
    )
    return {"status": status, "message": message}


# Each is drawn on a share of the days, from a random stream of its own, so that the rest of a day stays as it is.
SEPARATE: tuple[Fault, ...] = (
    Fault(
        "A07",
        Timing.ONCE,
        _on(amount=("-60000", "-40000", "40000", "90000"), known=(True, True, False)),
        does="money is transferred into or out of an account with an account guard, with or without being reported",
    ),
    Fault(
        "A11",
        Timing.ONCE,
        _on(
            symbol=(
                "XYZ+", "=1+1", "+", "+XYZ", "A|B", "A:B", "A,B", "A/B", "A B", "[red]A[/red]", "{symbol}", "%s", "*",
                "../A", "'; DROP TABLE audit; --", "A\nB", "\u202eA", "é", "A" * 300, "structure",
            )
        ),
        does="a position appears whose symbol has characters that mean something elsewhere, or a structure's name",
    ),
    Fault(
        "A12",
        Timing.ONCE,
        does="after an order without an answer the process ends, and another account is behind the key",
    ),
    Fault(
        "A13",
        Timing.ONCE,
        does="the account's options level is 2 from the start or from some minute on, too low for multi-leg orders",
    ),
    Fault("H21", Timing.WHILE, _refusal),
    Fault(
        "H22",
        Timing.ONCE,
        _on(best=(True, False)),
        adapter_only=True,
        does="the remembered feeds of quotes were revoked over night, or better ones were granted",
    ),
    Fault(
        "O16",
        Timing.ONCE,
        _on(rule=("points", "percent", "lock"), share=("0.6", "1", "2")),
        does="a person adds to a position whose trailing stop or profit lock is armed, far above its average price",
    ),
    Fault(
        "O17",
        Timing.ONCE,
        _on(age_in_days=(1, 3, 0)),
        does="each remembered price increment is wrong: it has changed over night or, once in three times, today",
    ),
    Fault(
        "O18", Timing.ONCE, _multi_leg_refusal, does="multi-leg orders are refused, for good"
    ),
    Fault(
        "O19",
        Timing.ONCE,
        _on(structure=(0, 1), leg=(0, 1, 2, 3), share=("0.5", "1"), during=(True, True, False), delay=(0, 1, 3)),
        does="a person closes all or a part of one leg of a structure, before its exit or in the middle of it",
        share=0.25,
    ),
    Fault(
        "O20",
        Timing.ONCE,
        _on(structure=(0, 1), orders=(1, 2, 3)),
        does="the first orders that close a structure are not answered, can't be cancelled, fill in parts, or hang",
        share=0.5,
    ),
    Fault(
        "O21",
        Timing.ONCE,
        does="people set rules for positions and structures, clear them, and close parts, also while an exit goes on",
        share=1.0,
    ),
    Fault(
        "T11",
        Timing.ONCE,
        _on(seconds=(45, 60, 120)),
        does="the broker's clock can't be read for a minute or two, around an exit that becomes due",
    ),
)  # fmt: skip
STREAMS = "W"  # drawn on the days with streams, from a separate seed
FAMILIES = tuple(dict.fromkeys(fault.family for fault in CATALOGUE if fault.family != STREAMS))
# Faults that no day draws, with the reason and where they are tested instead.
NOT_DRAWN: Mapping[str, str] = {
    "Q15": "odd prints: trades confirm stops on IEX quotes only, and the bench has another feed (tests/core)",
    "H17": "truncated pages: a day's orders never fill a page (tests/alpaca)",
    "D07": "a restored backup: its later rows are lost by definition, so only an alert can be checked (tests/journal)",
    "O11": "the broker's own liquidation: of this kind a day has only that of options that expire today, at its time "
    "(tests/e2e/test_e2e_structures.py)",
    "O12": "a busted fill: position and order contradict each other for good, so only an alert can be checked "
    "(tests/sim/faults)",
    "O15": "assignment or exercise: it happens overnight, and a day ends at its close "
    "(tests/e2e/test_e2e_corporate_actions.py)",
    "Q10": "wide quotes in the opening minute: no price exit is due so early in a day (tests/core/decision)",
}
# What a day has besides its faults, and the simulator has as a fault too: manual trades, crashes and slow declines.
DRAWN_OTHERWISE = frozenset({"O10", "Q16", "Q17"})


def drawable(family: str, *, adapter: bool = False) -> list[Fault]:
    """The faults of a family that a day may draw; `adapter`: a day on which requests pass through the adapter."""
    return [fault for fault in CATALOGUE if fault.family == family and (adapter or not fault.adapter_only)]
