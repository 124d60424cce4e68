"""The speed of decisions: holdings per second, and the growth of the time per holding with their number."""

import datetime as dt
import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from statistics import median
from string import ascii_uppercase

from msgspec.structs import replace

from sellctl.core.config.schema import (
    AccountConfig,
    AssetKind,
    BreakevenConfig,
    Config,
    DteConfig,
    LockStep,
    MatchConfig,
    Pullback,
    RoiStep,
    RulesConfig,
    ScaleStep,
    SellModuleConfig,
    StrategyConfig,
    TrailingStopConfig,
    UnderlyingConfig,
)
from sellctl.core.decision.engine import decide
from sellctl.core.decision.policy import Policy, compile_policy
from sellctl.core.model.gain import Amount
from sellctl.core.model.instrument import StructureKind, an_option
from sellctl.core.model.market import Market, Quote, Window
from sellctl.core.model.order import Order, OrderType, PositionIntent, Side
from sellctl.core.model.position import Direction, Holding, Override, Position, PositionState
from sellctl.core.model.snapshot import AccountFacts, Snapshot

PER_SECOND_BOUND = 30_000
EVERY_RULE_BOUND = 10_000
GROWTH_BOUND = 2.0
CONDORS_BOUND = 2
OVERRIDES_BOUND = 1.05
DUE_EACH = 20  # one holding in this many meets its target
_SMALL, _BOOK, _LARGE = 100, 1_000, 100_000
_PAIRS = 30
_FIRST_POLLS = 5
_NOON = dt.datetime(2026, 11, 24, 17, 0, tzinfo=dt.UTC)
_CENT = Decimal("0.01")
D = Decimal
HALF_OF_THE_CREDIT = RulesConfig(take_profit=Amount(D("0.5")), stop_loss=Amount(D(2)))
# Right, strike, side, entry, and bids: while its condor stays, and when that has reached its target.
CONDOR = (
    ("P", 170, Direction.LONG, D(1), D("0.98"), D("0.98")),
    ("P", 180, Direction.SHORT, D(2), D("1.78"), D("1.44")),
    ("C", 210, Direction.SHORT, D(2), D("1.78"), D("1.44")),
    ("C", 220, Direction.LONG, D(1), D("0.98"), D("0.98")),
)
EVERY_RULE = RulesConfig(
    take_profit=Amount(D("0.1")),
    stop_loss=Amount(D("0.2")),
    trailing_stop=TrailingStopConfig(Pullback(D("0.15")), D("0.01"), max_pullback=Pullback(D("0.3"), of_price=True)),
    breakeven=BreakevenConfig(D("0.25")),
    profit_lock=(LockStep(D("0.2"), D("0.1")), LockStep(D("0.5"), D("0.2"))),
    roi_table=(RoiStep(dt.timedelta(0), D("0.9")), RoiStep(dt.timedelta(hours=1), D("0.6"))),
    max_hold=dt.timedelta(days=30),
    before_close=dt.timedelta(minutes=10),
    exit_at=dt.time(15, 40),
    days_to_expiry=7,
    days_to_expiry_with_gain=DteConfig(10, D("0.05")),
    underlying=UnderlyingConfig(above=D(400), below=D(100)),
    in_the_money=D(400),
    scale_out=(ScaleStep(D("0.5"), D("0.5")),),
)


def figures() -> list[tuple[str, str, str]]:
    """Name, measured value, bound."""
    one, every = strategy_one(), every_rule()
    book, known = a_book(_BOOK), with_memory(a_book(_BOOK))
    small, large = a_book(_SMALL), a_book(_LARGE)
    growth, fewest, most = _growth(small, large, one)
    with uncollected():
        work, *_ = _growth(small, large, one)
    held = f"{_BOOK:,} holdings, {100 // DUE_EACH}% due, an order on every tenth"
    return [
        (f"decide, {held}: strategy one", _speed(book, one), f">= {PER_SECOND_BOUND:,} holdings/s"),
        (f"decide, {held}: every rule on", _speed(known, every), f">= {EVERY_RULE_BOUND:,} holdings/s"),
        ("decide, the same with nothing due: strategy one", _speed(a_book(_BOOK, due_each=0), one), ""),
        ("decide, the same with a quarter due: strategy one", _speed(a_book(_BOOK, due_each=4), one), ""),
        (
            f"decide, time per position: {_LARGE:,} holdings / {_SMALL:,}, without the garbage collector's share",
            f"{work:.2f} x ({growth:.2f} x with it: {most:.1f} / {fewest:.1f} us)",
            f"<= {GROWTH_BOUND} x",
        ),
        _condors_beside_their_legs(),
        _new_condors_beside_their_legs(),
        _set_by_hand_beside_configured(),
    ]


def _condors_beside_their_legs() -> tuple[str, str, str]:
    """Whole condors, recognised and judged, beside the same legs judged alone by the same rules."""
    book = condors(_BOOK)
    together, apart = seconds_beside(book, as_condors(), as_legs(), _PAIRS)
    name = f"decide, {_BOOK:,} condors, {100 // DUE_EACH}% due / their {len(book.holdings):,} legs alone"
    return name, _ratio(together, apart), f"<= {CONDORS_BOUND} x"


def _new_condors_beside_their_legs() -> tuple[str, str, str]:
    """The same where nothing is known of the condors. Each book is decided once, as its legs are remembered."""
    books = [replace(condors(_BOOK, number * _BOOK), structures={}) for number in range(1, _FIRST_POLLS + 1)]
    together = min(_timed(book, as_condors()) for book in books)
    apart = min(_timed(book, as_legs()) for book in books)
    return "decide, the same on the first poll, which puts them together", _ratio(together, apart), "listed"


def _set_by_hand_beside_configured() -> tuple[str, str, str]:
    """Positions with a stop and a target set by hand beside the same with those of the configuration."""
    policy = strategy_one()
    override = Override("a person", _NOON, stop="20%", target="10%")
    by_hand, configured = (_a_book_in(PositionState(override=each)) for each in (override, None))
    times = [(_timed(by_hand, policy), _timed(configured, policy)) for _ in range(2 * _PAIRS)]
    ratio = median(ours / other for ours, other in times)
    ours, other = (1e3 * median(each) for each in zip(*times, strict=True))
    name = f"decide, {_BOOK:,} positions with a stop and a target set by hand / with those of the configuration"
    return name, f"{ratio:.3f} x (median of pairs; {ours:.1f} / {other:.1f} ms)", f"<= {OVERRIDES_BOUND} x"


def _a_book_in(state: PositionState) -> Snapshot:
    book = a_book(_BOOK)
    return replace(book, holdings=tuple(replace(holding, state=state) for holding in book.holdings))


def _ratio(ours: float, others: float) -> str:
    return f"{ours / others:.2f} x ({1e3 * ours:.0f} / {1e3 * others:.0f} ms)"


def seconds_beside(book: Snapshot, one: Policy, other: Policy, pairs: int) -> tuple[float, float]:
    """The processor times of the fastest of so many decisions by either policy, taken in turns."""
    times = [(_timed(book, one), _timed(book, other)) for _ in range(pairs)]
    return min(first for first, _ in times), min(second for _, second in times)


def _speed(snapshot: Snapshot, policy: Policy) -> str:
    return f"{1 / seconds_per_holding(snapshot, policy, 60):,.0f} holdings/s"


def seconds_per_holding(snapshot: Snapshot, policy: Policy, repeats: int) -> float:
    """The processor time per holding of the fastest of many decisions; slower ones were disturbed."""
    return min(_timed(snapshot, policy) for _ in range(repeats)) / len(snapshot.holdings)


def _growth(small: Snapshot, large: Snapshot, policy: Policy) -> tuple[float, float, float]:
    """The ratio of the time per holding in the large book to that in the small one, and both in microseconds."""
    fewest, most = (1e6 * seconds_per_holding(book, policy, n) for book, n in ((small, 300), (large, 4)))
    return most / fewest, fewest, most


@contextmanager
def uncollected() -> Iterator[None]:
    """Disable the garbage collector, whose full passes take time in proportion to the whole book."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def a_book(holdings: int, due_each: int = DUE_EACH) -> Snapshot:
    """Long options between stop and target except the due ones; one in ten has a resting manual order."""
    market = Market(_NOON, is_open=True, closes_at=_NOON + dt.timedelta(hours=4), opened_at=_NOON.replace(hour=14))
    held = tuple(_holding(number, due=due_each > 0 and number % due_each == 0) for number in range(holdings))
    orders = tuple(_order(each.symbol) for each in held[::10])
    return Snapshot(AccountFacts("main", "PA1"), market, held, orders, _NOON)


def with_memory(snapshot: Snapshot) -> Snapshot:
    """The same positions, held for a day, with a peak, a confirming quote, and the underlyings' quotes."""
    held = tuple(replace(each, state=_state(each)) for each in snapshot.holdings)
    names = {each.position.instrument.underlying for each in held}
    quotes = {name: Quote(name, D(200), D("200.02"), _NOON) for name in names}
    return replace(snapshot, holdings=held, underlyings=quotes)


def _state(holding: Holding) -> PositionState:
    seen, window = _NOON - dt.timedelta(days=1), Window(holding.quote, holding.quote) if holding.quote else None
    qty = holding.position.qty
    return PositionState(first_seen=seen, opened_at=seen, window=window, peak=D("1.06"), original_qty=qty)


def _holding(number: int, *, due: bool) -> Holding:
    symbol = f"T{number // 1000:04}261218C{number % 1000 + 1:05}000"
    instrument = an_option(symbol)
    if instrument is None:
        raise ValueError(symbol)
    bid = D("1.12") if due else D(95 + number % 10) * _CENT
    position = Position(instrument, Direction.LONG, D(2), D(2), D(1))
    return Holding(position, Quote(symbol, bid, bid + 2 * _CENT, _NOON))


def _order(symbol: str) -> Order:
    return Order(
        id=f"id-{symbol}",
        client_order_id=f"by-hand-{symbol}",
        symbol=symbol,
        side=Side.SELL,
        status="new",
        type=OrderType.LIMIT,
        time_in_force="day",
        qty=Decimal(1),
        filled_qty=Decimal(0),
        submitted_at=_NOON,
        position_intent=PositionIntent.SELL_TO_CLOSE,
        limit_price=Decimal(2),
    )


def condors(count: int, first: int = 0) -> Snapshot:
    """So many iron condors from a number on, each on an underlying of its own, held and known since an earlier poll."""
    market = Market(_NOON, is_open=True, closes_at=_NOON + dt.timedelta(hours=4), opened_at=_NOON.replace(hour=14))
    numbers = range(first, first + count)
    held = tuple(leg for number in numbers for leg in _condor(number, due=number % DUE_EACH == 0))
    names = (f"{_underlying(number)}-iron_condor-261218-170-180-210-220" for number in numbers)
    known = {name: PositionState(first_seen=_NOON - dt.timedelta(days=1)) for name in names}
    return Snapshot(AccountFacts("main", "PA1", options_level=3), market, held, (), _NOON, structures=known)


def _condor(number: int, *, due: bool) -> Iterator[Holding]:
    for right, strike, direction, entry, stays, due_at in CONDOR:
        symbol = f"{_underlying(number)}261218{right}{strike:05}000"
        instrument = an_option(symbol)
        if instrument is None:
            raise ValueError(symbol)
        bid = due_at if due else stays
        yield Holding(Position(instrument, direction, D(2), D(2), entry), Quote(symbol, bid, bid + 2 * _CENT, _NOON))


def _underlying(number: int) -> str:
    letters = (number // len(ascii_uppercase) ** place % len(ascii_uppercase) for place in (2, 1, 0))
    return "".join(ascii_uppercase[letter] for letter in letters)


def as_condors() -> Policy:
    """The policy of a strategy that judges condors as one position."""
    return _policy_of(MatchConfig(structure=(StructureKind.IRON_CONDOR,)))


def as_legs() -> Policy:
    """The policy of a strategy that judges every option alone, by the same rules."""
    return _policy_of(MatchConfig(asset=(AssetKind.OPTION,)))


def _policy_of(match: MatchConfig) -> Policy:
    return _policy(SellModuleConfig(strategies=(StrategyConfig(name="ours", match=match, rules=HALF_OF_THE_CREDIT),)))


def strategy_one() -> Policy:
    """The policy of the default configuration."""
    return _policy(SellModuleConfig())


def every_rule() -> Policy:
    """The policy of one strategy that manages everything and has every rule."""
    return _policy(SellModuleConfig(strategies=(StrategyConfig(name="everything", rules=EVERY_RULE),)))


def _policy(sell: SellModuleConfig) -> Policy:
    return compile_policy(Config(accounts={"main": AccountConfig("key", "secret")}, sell_module=sell), "main")


def _timed(snapshot: Snapshot, policy: Policy) -> float:
    start = time.process_time()
    decide(snapshot, policy)
    return time.process_time() - start
