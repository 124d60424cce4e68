"""How the simulated broker can misbehave, by name: the families H, O, W and Q of the fault catalogue.

`CATALOGUE` says what each name does and what it can be told. A `Fault` is one that is switched on; the
`BehaviourBook` holds them, decides by seed whether one strikes, and counts how often each did.
"""

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any


@dataclass(frozen=True, slots=True)
class Kind:
    """One entry of the catalogue: its name, what it does, and the parameters it knows with their defaults."""

    name: str
    text: str
    params: Mapping[str, Any] = field(default_factory=dict)
    times: int | None = None  # how often it strikes unless told otherwise; None: until switched off

    @property
    def family(self) -> str:
        """H for HTTP, O for orders, W for streams, Q for quotes."""
        return self.name[0]


_KINDS = (
    Kind("H01", "no answer, and nothing was done", {"hold": 60.0}, 1),
    Kind("H02", "done, and no answer", {"hold": 60.0}, 1),
    Kind("H03", "connection reset before anything was done", {}, 1),
    Kind("H04", "done, and reset in the middle of the answer", {}, 1),
    Kind(
        "H05", "a 5xx, before or after it was done, as JSON or HTML", {"status": 503, "after": False, "html": False}, 1
    ),
    Kind("H06", "429; reset says when the budget refills: now, past, far or none", {"reset": "none"}, 1),
    Kind("H07", "the key is refused (401 or 403)", {"status": 401}),
    Kind("H08", "403 insufficient quantity on an order", {}, 1),
    Kind("H09", "the client order id is called a duplicate although it is new", {"status": 422}, 1),
    Kind(
        "H10",
        "another refusal of an order: a 422 text, or a wash trade",
        {"message": "invalid order", "wash": False},
        1,
    ),
    Kind("H11", "an unreadable body: truncated, empty, null, wrong_type, html or huge", {"body": "truncated"}, 1),
    Kind(
        "H12",
        "a changed shape: unknown_enum, missing_field, extra_field, number_for_string, nan or bad_row",
        {"change": "unknown_enum"},
        1,
    ),
    Kind("H13", "the body drips, one byte at a time", {"delay": 0.05}, 1),
    Kind("H14", "a redirect to another host", {"location": "http://127.0.0.1:1/"}, 1),
    Kind("H15", "the connection closes as soon as it is made, as a failing TLS peer or proxy does", {}, 1),
    Kind("H16", "positions answer [] although something is held", {}, 1),
    Kind("H17", "lists are cut to a page", {"page": 50}),
    Kind("H18", "positions lag behind fills (simulated seconds)", {"seconds": 10}),
    Kind(
        "H19",
        "a cancel is accepted and the order stays pending_cancel (simulated seconds; never: null)",
        {"seconds": None},
    ),
    Kind(
        "H20",
        "clock and calendar (or the one that path names) are wrong by so many seconds, or down",
        {"skew": 3600, "down": False},
    ),
    Kind("O01", "orders are rejected at once", {}, 1),
    Kind("O02", "orders are accepted, then rejected", {}, 1),
    Kind("O03", "orders fill in parts of this size", {"qty": 1}),
    Kind("O04", "the order fills while it is being cancelled", {}, 1),
    Kind("O05", "orders stay pending_new", {}, 1),
    Kind("O06", "orders stay in this status: held, suspended, stopped, calculated", {"status": "held"}, 1),
    Kind("O07", "orders become done_for_day", {}, 1),
    Kind("O08", "an open order is replaced by a corporate action", {}, 1),
    Kind("O09", "an order expires with a part filled", {}, 1),
    Kind("O10", "a human trades or rests an order mid-exit", {"side": "sell", "qty": 1, "limit_price": None}, 1),
    Kind("O11", "the broker liquidates a position by itself", {}, 1),
    Kind("O12", "the last fill of a symbol is busted", {}, 1),
    Kind("O13", "the next fill is at an absurd price (ratio of the quote)", {"ratio": "0.01"}, 1),
    Kind("O14", "new orders show in lists and by client id only later (simulated seconds)", {"seconds": 8}, 1),
    Kind("O15", "an option is assigned or exercised", {}, 1),
    Kind("W01", "the stream drops", {}, 1),
    Kind("W02", "connected, and mute", {}),
    Kind("W03", "one event is lost", {}, 1),
    Kind("W04", "one event comes twice", {}, 1),
    Kind("W05", "two events come in the wrong order", {}, 1),
    Kind("W06", "old events are replayed after a reconnect", {"count": 5}, 1),
    Kind("W07", "frames change between binary and text", {}),
    Kind(
        "W08",
        "a frame is malformed, or an event or status is unknown: garbage, event or status",
        {"what": "garbage"},
        1,
    ),
    Kind("W09", "a handshake is refused: 402, 405, 406, 409 or 429", {"code": 406}, 1),
    Kind("W10", "the server calls the consumer slow (407) and closes", {}, 1),
    Kind("W11", "another program's order shows on the stream", {}, 1),
    Kind("W12", "a gap: events are lost while the stream is down (seconds of the host)", {"seconds": 1.0}, 1),
    Kind("Q01", "bid 0", {}),
    Kind("Q02", "ask 0", {}),
    Kind("Q03", "crossed", {}),
    Kind("Q04", "stale: the stamp stays where it was (seconds old)", {"seconds": 3600}),
    Kind("Q05", "a stamp in the future", {"seconds": 600}),
    Kind("Q06", "prices times a factor, for so many looks", {"factor": "100"}, 1),
    Kind("Q07", "a spread of this share of the mid", {"share": "0.95"}),
    Kind("Q08", "size 0", {}),
    Kind("Q09", "trading is halted: nothing fills and quotes stand still", {}),
    Kind("Q10", "the opening minute: wide and jumping", {"share": "0.4"}),
    Kind("Q11", "the feed is silently the indicative one: off by this share", {"share": "0.03"}),
    Kind("Q12", "the quote of another contract, as an adjusted root gets", {"of": ""}),
    Kind("Q13", "no quote at all", {}),
    Kind("Q14", "a price that is no number: NaN, Infinity or 1e308", {"value": "NaN"}),
    Kind("Q15", "odd prints: the last trade is far from the quote", {"ratio": "1.5"}, 1),
    Kind("Q16", "a crash: -40 % in two seconds", {"ratio": "0.6", "seconds": 2}, 1),
    Kind("Q17", "a slow grind down, this share a minute", {"share": "0.01"}),
)
CATALOGUE: dict[str, Kind] = {kind.name: kind for kind in _KINDS}


@dataclass(slots=True)
class Fault:
    """One that is switched on. Empty `account`, `symbol`, `path`, `method`: any; `times` None: until off."""

    name: str
    account: str = ""
    symbol: str = ""
    path: str = ""
    method: str = ""
    times: int | None = None
    rate: Decimal = Decimal(1)
    params: dict[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> Kind:
        """Its entry in the catalogue."""
        return CATALOGUE[self.name]

    def __getitem__(self, param: str) -> Any:
        return self.params.get(param, self.kind.params.get(param))

    def fits(self, account: str, symbol: str, path: str, method: str) -> bool:
        """Whether it concerns this request, order or quote."""
        return (
            self.account in {"", account}
            and self.symbol in {"", symbol}
            and self.method in {"", method}
            and self.path in path
        )


class BehaviourBook:
    """What is switched on, and how often each name struck."""

    def __init__(self, seed: int = 1) -> None:
        self._active: list[Fault] = []
        self._dice = random.Random(seed)  # noqa: S311  a simulation's seed, not a secret
        self.fired: Counter[str] = Counter()

    @property
    def active(self) -> tuple[Fault, ...]:
        """Those that may still strike."""
        return tuple(self._active)

    def misbehave(self, name: str, **options: Any) -> Fault:
        """Switch one on. Options are account, symbol, path, method, times, rate and the parameters of its kind.

        KeyError names an unknown one; TypeError an unknown option.
        """
        kind = CATALOGUE[name]
        where = {key: options.pop(key) for key in ("account", "symbol", "path", "method") if key in options}
        times = options.pop("times", kind.times)
        rate = Decimal(str(options.pop("rate", 1)))
        if unknown := set(options) - set(kind.params):
            raise TypeError(f"{name} knows no {', '.join(sorted(unknown))}")
        misbehaviour = Fault(name, **where, times=times, rate=rate, params=options)
        self._active.append(misbehaviour)
        return misbehaviour

    def behave(self, name: str = "") -> None:
        """Switch one off, or all of them."""
        self._active = [one for one in self._active if name and one.name != name]

    def strike(
        self, *names: str, account: str = "", symbol: str = "", path: str = "", method: str = ""
    ) -> Fault | None:
        """The first of these that is on, fits and strikes now; it counts as fired."""
        for one in self._active:
            if one.name in names and one.fits(account, symbol, path, method) and self._dice.random() < float(one.rate):
                self._spend(one)
                return one
        return None

    def strikes(self, family: str, *, symbol: str = "", account: str = "") -> list[Fault]:
        """All of one family that are on, fit and strike now."""
        struck = [
            one
            for one in self._active
            if one.name.startswith(family)
            and one.fits(account, symbol, "", "")
            and self._dice.random() < float(one.rate)
        ]
        for one in struck:
            self._spend(one)
        return struck

    def is_on(self, name: str, *, symbol: str = "", account: str = "") -> Fault | None:
        """One that is on and fits, without counting it."""
        return next((one for one in self._active if one.name == name and one.fits(account, symbol, "", "")), None)

    def _spend(self, one: Fault) -> None:
        self.fired[one.name] += 1
        if one.times is not None:
            one.times -= 1
            if one.times <= 0:
                self._active.remove(one)
