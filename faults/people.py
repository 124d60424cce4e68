"""People who ask something of the running program (O21): rules set for a position, cleared, and parts closed.

They take the way of a surface: `Verbs` on the watchers of the running process, in its event loop. A person who is
refused, or whose change is not on record, asks again some seconds later, also after a restart.
"""

import asyncio
import datetime as dt
import random
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from faults.checkers import ExchangeChecker, is_backstop, is_ours
from faults.findings import Findings
from faults.generate import SECOND, Day
from faults.loop import LoopClock
from faults.patching import patched
from faults.people_draws import Effect, Errand, Part, Step, errands_of
from sellctl.bootstrap import Runtime
from sellctl.core.errors import SellctlError
from sellctl.core.model.position import Override, OverrideChange
from sellctl.core.watching.manual_exits import ProposedExit, QtyOrShare
from sellctl.service import verbs as verbs_module
from sellctl.service.verbs import Verbs
from sellctl.sim.venue.accounts import SimAccount
from sellctl.sim.venue.exchange import Exchange
from sellctl.sim.venue.orders import SimEvent, SimOrder

if TYPE_CHECKING:
    from sellctl.core.watching.manual_requests import CommandRequest

ASKS_AGAIN_AFTER = 10 * SECOND  # the first time, and as much later each time: each proposal costs a decision
TRIES = 14
ON_RECORD_WITHIN, LOOKS_EVERY = 60 * SECOND, 2 * SECOND
TICK = Decimal("0.1")  # on it, a limit is on the grid of any option or stock
ACCEPTED = frozenset({"accepted", "pending_new"})  # the first event of an order, which has not filled yet
# Seconds that the first order of an exit waits at the exchange after somebody asks in the middle of it: otherwise most
# exits would end with that order, in the instant in which it arrives.
WAITS = (1, 6)


@dataclass(slots=True)
class Asked:
    """What has been asked for under one name, and what of it is certain.

    `override` is what is set once all changes are on record; while one isn't, `is_certain` is False. `was_set`: any
    change was on record; the last one `since`. `parts` are what was asked to be closed, by symbol, besides what earlier
    requests had closed already; `accepted_at` is when, and `process` which one accepted it.
    """

    errand: Errand
    override: Override | None = None
    is_certain: bool = True
    was_set: bool = False
    since: dt.datetime | None = None
    parts: dict[str, Decimal] = field(default_factory=dict)
    closed_before: dict[str, Decimal] = field(default_factory=dict)  # by requests before the last one, by symbol
    accepted_at: dt.datetime | None = None
    has_limit: bool = False
    process: int = 0
    steps_done: int = 0
    gone: bool = False  # it was closed, or somebody else changed it: nothing is certain any more


@dataclass(slots=True)
class People:
    """The people of one day. `asked` is by the name of the position or structure."""

    day: Day
    exchange: Exchange
    account: SimAccount
    findings: Findings
    clock: LoopClock
    checker: ExchangeChecker
    done: list[tuple[dt.datetime, str]]  # what was accepted, for the events of a day
    closed_by_request: Callable[[Asked, str], Decimal] = lambda _asked, _symbol: Decimal(0)  # by now, of a symbol
    asked: dict[str, Asked] = field(init=False)
    processes: int = 0
    _under_way: dict[str, asyncio.Event] = field(default_factory=dict)
    _closing: set[str] = field(default_factory=set)  # names of which an order of ours was accepted
    _prolonged: set[str] = field(default_factory=set)  # names of which an order of ours had to wait at the exchange
    _rng: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._rng = random.Random(f"{self.day.seed} requests")  # noqa: S311  a bench's seed, not a secret
        self.asked = {errand.name: Asked(errand) for errand in errands_of(self.day)}

    def listen(self) -> None:
        """Subscribe to the exchange's events."""
        self.exchange.listeners.append(self._on_event)

    def _on_event(self, event: SimEvent) -> None:
        if event.order is None or event.kind not in {*ACCEPTED, "new", "partial_fill", "fill"}:
            return
        order = self.account.orders.get(event.order["id"])
        if order is None or not is_ours(order) or is_backstop(order):
            return
        for name, asked in self.asked.items():
            if not asked.errand.symbols.isdisjoint(order.symbols):
                if event.kind in ACCEPTED:
                    self._prolong(asked, order)
                self._closing.add(name)
                if name in self._under_way:
                    self._under_way[name].set()

    def _prolong(self, asked: Asked, order: SimOrder) -> None:
        """Let the first order of an exit in whose middle somebody asks wait at the exchange until after that."""
        left = asked.errand.steps[asked.steps_done :]
        if not left or not left[0].during_exit or asked.errand.name in self._prolonged:
            return
        self._prolonged.add(asked.errand.name)
        self.exchange.stuck.add(order.id)
        until = self.exchange.now + left[0].pause + self._rng.randint(*WAITS) * SECOND
        self.exchange.at(until, lambda exchange: exchange.stuck.discard(order.id))

    # --- what they do in one process ----------------------------------------------------------------------------------

    async def ask(self, runtime: Runtime) -> None:
        """Ask for what is left to be asked, as long as this process runs."""
        self.processes += 1
        verbs = Verbs(runtime)
        self._under_way = {name: asyncio.Event() for name in self.asked}
        for name in self._closing:
            self._under_way[name].set()
        await asyncio.gather(*(self._errand(verbs, asked) for asked in self.asked.values()))

    async def _errand(self, verbs: Verbs, asked: Asked) -> None:
        while asked.steps_done < len(asked.errand.steps):
            step = asked.errand.steps[asked.steps_done]
            if step.during_exit:
                await self._under_way[asked.errand.name].wait()
            if step.at is not None:
                await self._sleep(max(step.at - self.exchange.now, 0 * SECOND))
            await self._sleep(step.pause)
            for tries in range(1, TRIES + 1):
                if await self._try(verbs, asked, step):
                    break
                await self._sleep(tries * ASKS_AGAIN_AFTER)
            asked.steps_done += 1

    async def _sleep(self, pause: dt.timedelta) -> None:
        await self.clock.sleep(pause.total_seconds())

    async def _try(self, verbs: Verbs, asked: Asked, step: Step) -> bool:
        """Ask once. Whether there is nothing more to do: it is on record, was accepted, or nothing is held."""
        if not all(self.account.qty_of(symbol) for symbol in asked.errand.symbols):
            return True
        try:
            if step.parts:
                return self._close_parts(verbs, asked, step)
            return await self._set(verbs, asked, step.changes)
        except SellctlError:  # refused, with a sentence for the person; or passed on, and not on record
            return bool(asked.parts)
        except Exception as error:  # noqa: BLE001  whatever a surface would fail with is a finding
            text = f"what a person asked for failed: {type(error).__name__}: {error}"
            self.findings.add("R7", self.exchange.now, text)
            return True

    # --- setting ------------------------------------------------------------------------------------------------------

    async def _set(self, verbs: Verbs, asked: Asked, changes: Sequence[tuple[str, OverrideChange]]) -> bool:
        """Make all changes at once, and wait until they are on record; False when they aren't within a minute."""
        name = asked.errand.name
        before = asked.is_certain
        requests: list[CommandRequest] = []
        with patched(verbs_module, "uuid", _Ids(self._rng)):
            for by, change in changes:
                try:
                    proposed = verbs.propose_set(name, change, by)
                except SellctlError:
                    if requests:  # what somebody else asked before stands alone now, and may close it
                        self.checker.must_stay -= asked.errand.symbols
                    raise
                self._may_leave(asked)
                asked.is_certain = False
                requests += verbs.set(proposed, change, by)
                self.done.append((self.exchange.now, f"{by} set {change.text} for {name}"))
        looks = int(ON_RECORD_WITHIN / LOOKS_EVERY)
        for _ in range(looks):
            await self._sleep(LOOKS_EVERY)
            found = verbs.was_set(requests)
            if None not in found:
                asked.is_certain = before or not any(found)
                if not any(found):
                    self._is_on_record(asked, changes)
                return True
        return False

    def _is_on_record(self, asked: Asked, changes: Sequence[tuple[str, OverrideChange]]) -> None:
        for by, change in changes:
            asked.override = change.applied_to(asked.override, by, self.exchange.now)
        asked.is_certain, asked.was_set, asked.since = True, True, self.exchange.now
        self.done.append((self.exchange.now, f"on record: {asked.errand.name}"))

    # --- closing a part -----------------------------------------------------------------------------------------------

    def _close_parts(self, verbs: Verbs, asked: Asked, step: Step) -> bool:
        """Ask to close parts at once; of several, the last one counts."""
        for by, part in step.parts:
            proposed = verbs.propose_close(
                asked.errand.name, qty=_qty(part), limit=self._limit(asked.errand, part), patience=part.patience
            )
            with patched(verbs_module, "uuid", _Ids(self._rng)):
                self._accepts(asked, proposed, part, by)
                verbs.close(proposed, by)
        return True

    def _accepts(self, asked: Asked, proposed: Sequence[ProposedExit], part: Part, by: str) -> None:
        """Note it before it is passed on: an order may follow even when its note in the journal fails."""
        terms = proposed[0].terms
        if any(each.is_possible for each in proposed):
            self._may_leave(asked)
            asked.parts = dict(terms.of(asked.errand.name).parts)
            asked.closed_before = {symbol: self.closed_by_request(asked, symbol) for symbol in asked.parts}
            asked.accepted_at, asked.process, asked.has_limit = self.exchange.now, self.processes, bool(terms.limit)
            self.done.append((self.exchange.now, f"{by} asked to close {terms.qty} of {asked.errand.name} {part}"))

    def _may_leave(self, asked: Asked) -> None:
        """From now on it need not stay any more, if that is what is asked for."""
        if asked.errand.effect in {Effect.FIRES, Effect.PART}:
            self.checker.must_stay -= asked.errand.symbols

    def _limit(self, errand: Errand, part: Part) -> Decimal | None:
        """The limit by the price at this instant. Structures are closed without one."""
        quote = self.exchange.quote(errand.name) if len(errand.symbols) == 1 else None
        if part.limit_factor is None or quote is None:
            return None
        return max((quote.mid * part.limit_factor).quantize(TICK), TICK)

    # --- what follows from it, for the checks of the day --------------------------------------------------------------

    def set_on(self, name: str) -> Override | None:
        """What is set for sure, if it is set; None also while that isn't certain."""
        asked = self.asked.get(name)
        return asked.override if asked and asked.is_certain and not asked.gone else None

    def may_keep(self, name: str, grace: dt.timedelta) -> bool:
        """Whether what a person set may keep it from being closed, or ended less than `grace` ago."""
        asked = self.asked.get(name)
        if asked is None or asked.errand.effect is not Effect.REPLACED or not (asked.was_set or not asked.is_certain):
            return False
        until = asked.override.until if asked.override else None
        if not asked.is_certain or (asked.override and until is None):
            return True
        ended = until or asked.since
        return ended is not None and self.exchange.now < ended + grace

    def asked_of(self, symbol: str) -> list[Asked]:
        """What was asked for the position in a symbol, or for a structure with it."""
        return [asked for asked in self.asked.values() if symbol in asked.errand.symbols]


def _qty(part: Part) -> QtyOrShare:
    return QtyOrShare(share=part.share) if part.share is not None else QtyOrShare(qty=Decimal(1))


class _Ids:
    """Stands in for the module uuid, so that the same seed ends with the same journal."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def uuid4(self) -> uuid.UUID:
        """An identifier from the day's random stream."""
        return uuid.UUID(int=self._rng.getrandbits(128))
