"""A trading day of 50 accounts with 20 positions each, played in process and in virtual time: what it costs.

The whole program runs against the simulated exchange. Prices walk; 5% of the symbols meet their target in the middle of
the day and are sold. Looks are two minutes apart instead of seconds, so that a day takes half a minute: what is stored
depends on what happens, not on how often one looks.
"""

import asyncio
import datetime as dt
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from benchmarks.execution import DAY, Lot, Stage
from faults.loop import LoopClock, VirtualLoop
from faults.patching import patched
from sellctl.alpaca import connect as connecting
from sellctl.bootstrap import Wish, assemble
from sellctl.core.config_manager import LoadedConfig
from sellctl.core.model.config import SellModuleConfig, Style
from sellctl.core.model.market import NEW_YORK
from sellctl.core.sell_watcher import Mode
from sellctl.options import Options
from sellctl.sim.paths import Fixed, Walk, level
from sellctl.sim.paths import Path as PricePath
from sellctl.sim.settings import Settings

ACCOUNTS, HELD, SYMBOLS, DUE_EACH = 50, 20, 200, 20
INTERVAL = dt.timedelta(minutes=2)
DATABASE_BOUND_MB, GROWTH_BOUND_MB = 20, 10
_OPENS = "09:30:00"
_SIGMA = 0.00001  # of the mid, a second: far from any trigger
Figure = tuple[str, str, str]


@dataclass
class _Day:
    """What was seen of it."""

    looks: int = 0
    took: float = 0.0
    database: float = 0.0
    sold: int = 0
    requests: int = 0
    memory: list[float] = field(default_factory=list)


def figures() -> Iterator[Figure]:
    """Name, measured, bound."""
    day = live_through()
    what = f"a day of {ACCOUNTS} x {HELD}"
    seconds = INTERVAL.total_seconds()
    yield f"{what}: database", f"{day.database:.1f} MB, {day.sold} exits", f"< {DATABASE_BOUND_MB} MB"
    grown = day.memory[-1] - day.memory[len(day.memory) // 4]
    yield f"{what}: memory grown after the first quarter", f"{grown:.1f} MB", f"< {GROWTH_BOUND_MB} MB"
    looks = f"{day.looks} looks, {seconds:.0f} s apart, the exchange in the same process"
    yield f"{what}: processor and requests", f"{day.took:.0f} s, {day.requests:,} requests ({looks})", ""


def live_through() -> _Day:
    """Watch from the open to the close."""
    stage, day = _a_stage(), _Day()
    began = time.process_time()
    loop, clock = VirtualLoop(stage.exchange), LoopClock(stage.exchange)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        state = Path(folder) / "state"
        options = Options(None, state, live=False, debug=False, log_file=None)
        stack.enter_context(patched(connecting, "connect", lambda *_, **__: stage._connected(clock)))  # noqa: SLF001  ours
        wish = Wish("bench", Mode.ACT)
        runtime = assemble(LoadedConfig(stage.config, None, {}, ()), options, wish, lambda _event: None, clock)
        loop.run_until_complete(_watch(runtime.fleet, clock, day))
        runtime.close()
        loop.close()
        day.database = sum(each.stat().st_size for each in state.rglob("*") if each.is_file()) / 2**20
    day.took = time.process_time() - began
    day.requests, day.sold = len(stage.requests), len(stage.sent)
    return day


async def _watch(fleet: Any, clock: LoopClock, day: _Day) -> None:
    stop = asyncio.Event()

    def looked(_wait: float) -> None:
        day.looks += 1
        day.memory.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)

    watching = asyncio.ensure_future(fleet.watch(stop, looked))
    await clock.sleep(6.5 * 60 * 60)
    stop.set()
    await watching


def _a_stage() -> Stage:
    paths = [_path(number) for number in range(SYMBOLS)]
    lots = [
        Lot(f"a{account}", _symbol(number), Decimal("2.00"), paths[number])
        for account in range(ACCOUNTS)
        for number in ((account * 7 + n) % SYMBOLS for n in range(HELD))
    ]
    stage = Stage.of(lots, Settings(inside_fill=Decimal("0.05"), seed=1, rate_limit=0), _OPENS, Style.SMART)
    stage.config = replace(stage.config, sell_module=SellModuleConfig(check_interval=INTERVAL))
    return stage


def _symbol(number: int) -> str:
    return f"SPY261218C{(number + 1) * 1000:08d}"


def _path(number: int) -> PricePath:
    """Around $2; every twentieth jumps above its target at noon."""
    starts = dt.datetime.combine(DAY, dt.time(9), NEW_YORK).astimezone(dt.UTC)
    held = [Fixed(starts, level(Decimal("2.00"), Decimal("0.04"))), Walk(starts, number, _SIGMA, step=60.0)]
    if number % DUE_EACH == 0:
        noon = dt.datetime.combine(DAY, dt.time(12), NEW_YORK).astimezone(dt.UTC)
        held.append(Fixed(noon, level(Decimal("2.40"), Decimal("0.04"))))
    return PricePath(held)
