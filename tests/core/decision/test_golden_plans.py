"""200 snapshots and their plans in one text: any change of precedence, urgency or price shows as a changed line.

`python tests/core/decision/test_golden_plans.py` (with tests/ on the path) rewrites the text; read its difference.
"""

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from itertools import product
from pathlib import Path

from builders import (
    CALL,
    TODAYS_CALL,
    a_config,
    a_holding,
    a_market,
    a_quote,
    a_snapshot,
    an_exit,
    at,
    our_order,
    replace,
)

from sellctl.core.config.schema import (
    BreakevenConfig,
    LockStep,
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
from sellctl.core.model.market import Window
from sellctl.core.model.plan import PositionDecision
from sellctl.core.model.position import PositionState
from sellctl.core.model.snapshot import Snapshot

GOLDEN = Path(__file__).parent / "golden" / "plans.txt"
D = Decimal
EVERY_RULE = RulesConfig(
    take_profit=Amount(D(1)),
    stop_loss=Amount(D("0.4")),
    trailing_stop=TrailingStopConfig(Pullback(D("0.15")), D("0.3")),
    breakeven=BreakevenConfig(D("0.25")),
    profit_lock=(LockStep(D("0.5"), D("0.2")),),
    roi_table=(RoiStep(dt.timedelta(0), D("0.9")), RoiStep(dt.timedelta(hours=1), D("0.6"))),
    max_hold=dt.timedelta(hours=4),
    before_close=dt.timedelta(minutes=10),
    exit_at=dt.time(15, 40),
    underlying=UnderlyingConfig(above=D(210)),
    scale_out=(ScaleStep(D("0.5"), D("0.5")),),
)
SYMBOLS = (CALL, TODAYS_CALL)
CLOCKS = ("09:30:30", "12:00", "14:56", "15:45", "15:52")
PRICES = (("0.50", None), ("1.00", "1.40"), ("1.20", "1.60"), ("1.55", None), ("2.10", "2.10"))
TWISTS = ("plain", "panic", "by hand", "target works")


def the_policy() -> Policy:
    strategy = StrategyConfig(name="everything", rules=EVERY_RULE)
    return compile_policy(a_config(SellModuleConfig(strategies=(strategy,))), "main")


def cases() -> Iterator[tuple[str, Snapshot]]:
    """Name and snapshot: two symbols, five times of day, five prices, four twists."""
    for symbol, clock, (price, peak), twist in product(SYMBOLS, CLOCKS, PRICES, TWISTS):
        name = f"{symbol[4:10]} {clock:8} bid {price} peak {peak or '-':4} {twist:12}"
        yield name, the_snapshot(symbol, clock, price, peak, twist)


def the_snapshot(symbol: str, clock: str, price: str, peak: str | None, twist: str) -> Snapshot:
    quote = a_quote(symbol, price, price, at(clock))
    state = an_exit(3) if twist == "target works" else PositionState()
    window = Window(quote, quote)
    state = replace(state, first_seen=at("10:00"), original_qty=D(4), peak=D(peak) if peak else None, window=window)
    held = a_holding(symbol, "4", bid=price, ask=price, state=state, quoted_at=at(clock))
    orders = (our_order(symbol, qty="4", limit=price),) if twist == "target works" else ()
    snapshot = a_snapshot(held, market=a_market(clock), orders=orders)
    snapshot = replace(snapshot, underlyings={"AAPL": a_quote("AAPL", "205", "205.02", at(clock))})
    if twist == "panic":
        return replace(snapshot, panic=frozenset({symbol}))
    return replace(snapshot, manual_closes=frozenset({symbol})) if twist == "by hand" else snapshot


def line_of(decision: PositionDecision) -> str:
    """What was decided, in one line."""
    signal, order = decision.signal, decision.submit
    reason = f"{signal.reason}/{signal.urgency.value} +{len(signal.other_reasons)}" if signal else "-"
    sent = "-" if order is None else f"{order.side} {order.qty:f} @ {order.limit_price or 'market'}"
    cancels = f" cancels {len(decision.cancel_first)}" if decision.cancel_first else ""
    return f"{decision.state:8} {reason:22} {sent}{cancels}"


def golden_text() -> str:
    """All cases with their plans."""
    policy = the_policy()
    lines = (f"{name} | {line_of(decide(snapshot, policy).decisions[0])}" for name, snapshot in cases())
    return "\n".join(line.rstrip() for line in lines) + "\n"


def test_the_plans_are_the_golden_ones() -> None:
    assert golden_text() == GOLDEN.read_text(encoding="utf-8"), (
        "PYTHONPATH=tests python tests/core/decision/test_golden_plans.py"
    )


if __name__ == "__main__":
    GOLDEN.parent.mkdir(exist_ok=True)
    GOLDEN.write_text(golden_text(), encoding="utf-8")
