"""Figures of exits of structures: the one multi-leg order beside orders by legs, on the same seeds and in virtual time.

Half are verticals and half iron condors; half have reached their target, and half expire today. The prices of each leg
are a random walk from a seed, and a limit inside the spread, net or of a leg, fills with probability p per second
(docs/market-model.md). By legs the same program closes them in accounts whose options level admits no multi-leg order.

Slippage is the exchange's own record: the net mid at the instant of the first order less the cash that closing brought,
in dollars per share of one unit, whatever the number of orders.
"""

import datetime as dt
import os
import random
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from statistics import mean

from benchmarks.execution import AT_ONCE, EXITS, SEED, SIGMA, Figure, Stage, instant
from sellctl.core.config.schema import (
    AccountConfig,
    Config,
    ExecutionConfig,
    MatchConfig,
    RulesConfig,
    SellModuleConfig,
    StrategyConfig,
    Style,
)
from sellctl.core.decision.multi_leg.ways import MULTI_LEG_OPTIONS_LEVEL
from sellctl.core.model.exit_record import CONTRACT
from sellctl.core.model.gain import Amount
from sellctl.core.model.instrument import StructureKind
from sellctl.core.model.market import NEW_YORK
from sellctl.sim.market.assets import asset_of
from sellctl.sim.market.market import Market, quoted
from sellctl.sim.market.price_paths import CENT, Fixed, Walk, level
from sellctl.sim.market.price_paths import Path as PricePath
from sellctl.sim.settings import Settings
from sellctl.sim.venue.accounts import SimAccount
from sellctl.sim.venue.coverage import uncovered_contracts
from sellctl.sim.venue.exchange import Exchange
from sellctl.sim.venue.orders import SimEvent, SimPosition

CHANCE = Decimal("0.05")
WIDTH, APART = 10, 20  # dollars between the strikes of a vertical, and between the two of a condor
AT_TARGET, LAST_DAY = "12:00", "14:55:30"  # when they become due, in New York
CUTOFF = "15:15:00"  # from here on Alpaca takes no order for what expires today
PATIENCE = dt.timedelta(minutes=10)  # for one that has reached its target
RULES = RulesConfig(take_profit=Amount(Decimal("0.5")))
KINDS = (StructureKind.VERTICAL, StructureKind.IRON_CONDOR)
CASH = Decimal(100_000)
_ZERO = Decimal(0)
_FILLS = frozenset({"fill", "partial_fill"})


@dataclass(frozen=True, slots=True)
class Way:
    """How structures are closed: the style of the orders, and the options level of the accounts."""

    style: Style
    options_level: int


ONE_ORDER = Way(Style.SMART, MULTI_LEG_OPTIONS_LEVEL)
LIMITS_BY_LEGS = Way(Style.SMART, MULTI_LEG_OPTIONS_LEVEL - 1)
MARKET_BY_LEGS = Way(Style.MARKET, MULTI_LEG_OPTIONS_LEVEL - 1)


def figures() -> Iterator[Figure]:
    """Name, measured value, bound."""
    ours, market, limits = (play_all(way) for way in (ONE_ORDER, MARKET_BY_LEGS, LIMITS_BY_LEGS))
    name = f"verticals and condors, p = {CHANCE}: slippage against the net mid, one order"
    yield f"{name} / market orders by legs", _compared(ours, market), ">= 40% less"
    yield f"{name} / limit orders by legs", _compared(ours, limits), "> 0% less"
    fills, seconds = sum(one.naked_fills for one in ours), sum(one.naked_seconds for one in ours)
    yield "the same: fills after which a short was uncovered", f"{fills}, for {seconds:.1f} s in all", "0"
    expiring = [one for one in ours if one.expires_today]
    missed = sum(1 for one in expiring if one.missed)
    yield "the same: deadlines missed by those that expire today", f"{missed} of {len(expiring)}", "0"


def _compared(ours: Sequence["Played"], theirs: Sequence["Played"]) -> str:
    cost, other = (mean(one.slippage for one in played if one.slippage is not None) for played in (ours, theirs))
    return f"{cost:.4f} / {other:.4f} $ per share: {1 - cost / other:.0%} less; {_closed(ours)} / {_closed(theirs)}"


def _closed(played: Sequence["Played"]) -> str:
    closed = [one for one in played if one.slippage is not None]
    seconds, orders = mean(one.seconds for one in closed), mean(one.orders for one in closed)
    return f"{len(closed)} of {len(played)} closed in {seconds:.1f} s by {orders:.1f} orders"


@dataclass(frozen=True, slots=True)
class Played:
    """The exit of one structure, by the exchange's record. `slippage` is None when it was not closed completely.

    `seconds` are from the first order to the last fill. `naked_fills` are the fills after which a short option was
    uncovered, and `naked_seconds` how long. `missed` means held at the cutoff without an alert.
    """

    slippage: float | None
    seconds: float
    orders: int
    naked_fills: int
    naked_seconds: float
    expires_today: bool
    missed: bool


def play_all(way: Way, count: int = EXITS) -> list[Played]:
    """The exits of so many structures in one way, in batches on each core."""
    with ProcessPoolExecutor(os.cpu_count()) as cores:
        return [played for batch in cores.map(partial(_batch, way), range(0, count, AT_ONCE)) for played in batch]


def _batch(way: Way, first: int) -> list[Played]:
    """One batch; those of every other one expire today."""
    return play(way, range(first, first + AT_ONCE), expires_today=first // AT_ONCE % 2 == 1)


def play(way: Way, numbers: range, *, expires_today: bool) -> list[Played]:
    """The exits of the structures with these numbers, each in an account of its own."""
    structures = [_structure(number, expires_today=expires_today) for number in numbers]
    stage = _stage(structures, way, LAST_DAY if expires_today else AT_TARGET, SEED + numbers.start)
    naked = {each.name: NakedTime(stage.exchange, each.name) for each in structures}
    stage.exchange.listeners.append(lambda event: naked[event.account].on_event(event))
    until = instant(CUTOFF) if expires_today else instant(AT_TARGET) + PATIENCE
    began: dict[str, dt.datetime] = {}
    for each in stage.play(f"{until.astimezone(NEW_YORK):%H:%M:%S}", until_flat=True):
        began.setdefault(each.account, each.began)
    return [_played(each, stage, began.get(each.name), naked[each.name]) for each in structures]


# --- the structures ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SimStructure:
    """A structure in an account of its own: its legs' quantities, below zero when short, their entries and paths."""

    name: str
    expires_today: bool
    legs: Mapping[str, Decimal]
    entries: Mapping[str, Decimal]
    paths: Mapping[str, PricePath]


def _structure(number: int, *, expires_today: bool) -> SimStructure:
    """A credit vertical of calls, or with another one of puts below it a condor, by turns.

    The short legs cost between $1 and $4, and the long ones 15% to 40% of that. Each spread is 2% to 8% of the leg's
    mid. At the target each leg was entered at 2.5 times its price, so that three fifths of the credit are won.
    """
    rng = random.Random(SEED + number)  # noqa: S311  a bench's seed
    root, expires, clock = ("AAPL", "261124", LAST_DAY) if expires_today else ("SPY", "261218", AT_TARGET)
    starts = instant(clock) - dt.timedelta(seconds=600)
    lowest = 100 + 3 * APART * number
    strikes = {f"C{lowest + WIDTH + APART:05d}000": -1, f"C{lowest + 2 * WIDTH + APART:05d}000": 1}
    if number % 2:
        strikes |= {f"P{lowest + WIDTH:05d}000": -1, f"P{lowest:05d}000": 1}
    legs, entries, paths = {}, {}, {}
    short = _ZERO  # the mid of the short leg, which comes before the long one
    for strike, qty in strikes.items():
        short = Decimal(rng.randint(100, 400)) / 100 if qty < 0 else short
        mid = short if qty < 0 else (short * rng.randint(15, 40) / 100).quantize(CENT)
        spread = max((mid * rng.randint(2, 8) / 100).quantize(CENT), 3 * CENT)
        symbol = f"{root}{expires}{strike}"
        legs[symbol] = Decimal(qty)
        entries[symbol] = mid if expires_today else mid * 5 / 2
        walk = Walk(starts, rng.getrandbits(32), SIGMA)
        paths[symbol] = PricePath([Fixed(starts, level(mid, spread)), walk])
    return SimStructure(f"a{number}", expires_today, legs, entries, paths)


def _stage(structures: Sequence[SimStructure], way: Way, clock: str, seed: int) -> Stage:
    accounts = [
        SimAccount(
            each.name,
            each.name,
            "s",
            f"PA{each.name}",
            CASH,
            options_level=way.options_level,
            positions={symbol: SimPosition(symbol, qty, each.entries[symbol]) for symbol, qty in each.legs.items()},
        )
        for each in structures
    ]
    market = Market({symbol: path for each in structures for symbol, path in each.paths.items()})
    settings = Settings(inside_fill=CHANCE, seed=seed, rate_limit=0)
    config = Config(
        accounts={account.name: AccountConfig(account.name, "s") for account in accounts},
        execution=ExecutionConfig(style=way.style),
        sell_module=SellModuleConfig(
            strategies=(StrategyConfig(name="structures", match=MatchConfig(structure=KINDS), rules=RULES),)
        ),
    )
    return Stage(Exchange(instant(clock), accounts, market, settings), config)


# --- the exchange's record --------------------------------------------------------------------------------------------


def _played(each: SimStructure, stage: Stage, began: dt.datetime | None, naked: "NakedTime") -> Played:
    account = stage.exchange.accounts[each.name]
    orders = [order for order in account.orders.values() if order.parent is None]
    filled = [order.filled_at for order in orders if order.filled_at]
    is_closed = began is not None and not account.positions
    return Played(
        slippage=_slippage(each, account, began) if is_closed and began else None,
        seconds=(max(filled) - began).total_seconds() if filled and began else 0.0,
        orders=len(orders),
        naked_fills=naked.fills,
        naked_seconds=naked.seconds,
        expires_today=each.expires_today,
        missed=each.expires_today and bool(account.positions) and not stage.alerts[each.name],
    )


def _slippage(each: SimStructure, account: SimAccount, began: dt.datetime) -> float:
    """What the legs were worth at their mids when the first order was sent, less the cash that closing them brought."""
    worth = sum((qty * _mid(symbol, each.paths[symbol], began) for symbol, qty in each.legs.items()), _ZERO)
    return float(worth - (account.cash - CASH) / CONTRACT)


def _mid(symbol: str, path: PricePath, at: dt.datetime) -> Decimal:
    stands = path.at(at)
    return quoted(asset_of(symbol), stands).mid if stands else _ZERO


@dataclass(slots=True)
class NakedTime:
    """After how many fills, and how long, an account held a short option that no long one covered."""

    exchange: Exchange
    account: str
    fills: int = 0
    _since: dt.datetime | None = None
    _before: float = 0.0

    def on_event(self, event: SimEvent) -> None:
        """Take the account's coverage after a fill."""
        if event.kind not in _FILLS:
            return
        held = {symbol: each.qty for symbol, each in self.exchange.accounts[self.account].positions.items()}
        if uncovered_contracts(held, _ZERO):
            self.fills += 1
            self._since = self._since or event.at
        else:
            self._before, self._since = self.seconds, None

    @property
    def seconds(self) -> float:
        """So far, in seconds."""
        return self._before + ((self.exchange.now - self._since).total_seconds() if self._since else 0.0)


if __name__ == "__main__":
    for figure in figures():
        print(*figure, sep=" | ")  # noqa: T201  its output
