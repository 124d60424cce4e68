"""Which accounts are due: to be read, to be re-evaluated on newer quotes, or to have their quotes requested.

It knows what was requested and when each account was last read; how long to wait between reads is in poll_schedule.py.
Times are in monotonic seconds.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from msgspec import Struct

from sellctl.core.errors import RateLimitedError
from sellctl.core.model.account_state import AccountState
from sellctl.core.model.instrument import Instrument
from sellctl.core.ports import Broker
from sellctl.core.price_tracker import PriceTracker
from sellctl.core.watching.poll_schedule import (
    FOLLOW_UP_SECONDS,
    REEVALUATION_SECONDS,
    SLOWEST_SECONDS,
    SLOWEST_URGENT_SECONDS,
    PollConditions,
    back_off,
    follow_gap,
    quote_requests,
    read_gap,
    reevaluation_gap,
    slowed,
)

_LONG_AGO = float("-inf")
_NEVER = float("inf")


class ScheduledAccount(Protocol):
    """What the times of an account depend on: SellWatcher, as far as it is needed here."""

    @property
    def name(self) -> str:
        """The account's name."""

    @property
    def broker(self) -> Broker:
        """Its broker, whose request budget slows down reads."""

    @property
    def state(self) -> AccountState:
        """Its current state."""

    @property
    def is_executing(self) -> bool:
        """Whether a plan is being carried out."""

    @property
    def may_reevaluate(self) -> bool:
        """Whether newer quotes may act on its last read."""


class Due(Struct, frozen=True):
    """The names of the accounts that one round reads, re-evaluates without a read, and requests quotes for.

    `follows` are those whose working orders it asks for without a read.
    """

    reads: frozenset[str]
    reevaluations: frozenset[str]
    quotes: frozenset[str]
    follows: frozenset[str] = frozenset()


@dataclass(slots=True)
class DueAccounts:
    """When each account was read and got quotes, what was requested since, and so which of them are due.

    `interval` is the time between ordinary polls, in seconds. `streams_orders_of` returns whether an account's order
    stream is connected. A single run takes fewer requests than `watch`: its orders are followed more rarely.
    """

    accounts: Sequence[ScheduledAccount]
    prices: PriceTracker
    interval: float
    streams_orders_of: Callable[[str], bool]
    single_run: bool = True
    _instruments: dict[str, dict[str, Instrument]] = field(default_factory=dict)  # by account and symbol
    _reading: set[str] = field(default_factory=set)  # accounts whose read has begun and isn't used yet
    _read_at: dict[str, float] = field(default_factory=dict)  # by account: when its last read began
    _read_before: dict[str, float] = field(default_factory=dict)  # by account: when the read before that began
    _read_ended_at: dict[str, float] = field(default_factory=dict)
    _quoted_at: dict[str, float] = field(default_factory=dict)  # by account: when it last got newer quotes
    _arrived_at: dict[str, float] = field(default_factory=dict)  # the same, with the quotes that a read lacked
    _followed_at: dict[str, float] = field(default_factory=dict)  # by account: when its orders were last asked for
    _followed: Counter[str] = field(default_factory=Counter)  # by account: how often they were
    _last_ordinary: float = _LONG_AGO  # when the last ordinary poll began
    _jumped: frozenset[str] = frozenset()  # symbols whose price has jumped without a second quote yet
    _confirmation_delay: float = 0.0
    _ordinary_requested: bool = False
    _read_requested: set[str] = field(default_factory=set)  # accounts to be read early, at their pace
    _reevaluation_requested: set[str] = field(default_factory=set)  # accounts to decide again on the quotes there are
    _at_once: set[str] = field(default_factory=set)  # accounts to be read by the next poll in any case

    # --- what is due --------------------------------------------------------------------------------------------------

    def due(self, now: float, *, ordinary: bool) -> Due:
        """The accounts that are due now; `ordinary` when this is an ordinary poll."""
        self._note_jumps()
        if ordinary:
            self.ordinary_began(now)
        reads = frozenset(each.name for each in self.accounts if self._is_due(each, now, ordinary=ordinary))
        quotes = self._quotes_due(now)
        wanted = (quotes | self._reevaluation_requested) - (reads - self._confirming())
        able = frozenset(each.name for each in self.accounts if each.name in wanted and each.may_reevaluate)
        follows = (each.name for each in self.accounts if each.name not in reads and self._follow_due_at(each) <= now)
        return Due(reads, able, quotes | (reads - self.quoted_lately(now)), frozenset(follows))

    def next_at(self, *, ordinary: bool) -> float:
        """When the next account is due; with `ordinary`, at the latest when the next ordinary poll is."""
        self._note_jumps()
        times = [self._read_due_at(account) for account in self.accounts]
        times += [due_at for _, due_at in self._reevaluations()]
        times += [self._follow_due_at(account) for account in self.accounts]
        soonest = min(times, default=_NEVER)
        return min(soonest, self._next_ordinary) if ordinary or soonest == _NEVER else soonest

    def is_ordinary_due(self, now: float) -> bool:
        """Whether an ordinary poll was requested, or the last one began an interval ago."""
        return self._ordinary_requested or now >= self._next_ordinary

    @property
    def any_at_once(self) -> bool:
        """Whether an account is to be read by the next poll in any case."""
        return bool(self._at_once)

    @property
    def _next_ordinary(self) -> float:
        return self._last_ordinary + self.interval

    def _is_due(self, account: ScheduledAccount, now: float, *, ordinary: bool) -> bool:
        """Whether to read an account now: not while it is being read, backs off, or was read a moment ago."""
        name = account.name
        if name in self._reading:
            return False
        if name in self._at_once:
            return True
        read_at = self._read_at.get(name, _LONG_AGO)
        if now < read_at + (SLOWEST_URGENT_SECONDS if account.is_executing else 0.0):
            return False
        if ordinary:
            rested = read_at + slowed(FOLLOW_UP_SECONDS, account.broker.load)
            return now >= max(min(rested, self._read_due_at(account)), self._backs_off_until(account))
        return now >= self._read_due_at(account)

    def _read_due_at(self, account: ScheduledAccount) -> float:
        """When the account is read unless an ordinary poll comes first; infinite while it is being read."""
        if account.name in self._reading:
            return _NEVER
        if account.name in self._at_once:
            return _LONG_AGO
        if account.state.failures:
            return self._backs_off_until(account)
        gap = SLOWEST_URGENT_SECONDS if account.is_executing else read_gap(account.state, self._conditions(account))
        since = self._read_at.get(account.name, _LONG_AGO)
        if not account.may_reevaluate:  # its next quotes come with the read, and they have to confirm the last ones
            since = max(since, self._arrived_at.get(account.name, _LONG_AGO))
        due_at = max(since + gap, self._backs_off_until(account))
        if account.state.is_pressing:
            return due_at
        return max(due_at, self._read_before.get(account.name, _LONG_AGO) + 2 * FOLLOW_UP_SECONDS)

    def _follow_due_at(self, account: ScheduledAccount) -> float:
        """When its working orders are asked for without a read; infinite where reads show them."""
        name = account.name
        if name in self._reading or account.is_executing:
            return _NEVER
        asked_at = max(self._read_at.get(name, _LONG_AGO), self._followed_at.get(name, _LONG_AGO))
        gap = follow_gap(account.state, self._conditions(account), self._followed[name])
        return max(asked_at + gap, self._backs_off_until(account))

    def _backs_off_until(self, account: ScheduledAccount) -> float:
        state, ended_at = account.state, self._read_ended_at.get(account.name, _LONG_AGO)
        rest = back_off(state)
        if isinstance(state.problem, RateLimitedError) and state.problem.is_ours and state.polled_at is not None:
            overdue_in = state.polled_at + SLOWEST_SECONDS - ended_at  # it may then use what is kept for orders
            rest = min(rest, max(overdue_in, FOLLOW_UP_SECONDS))
        return ended_at + rest

    def _quotes_due(self, now: float) -> frozenset[str]:
        """The accounts that need newer quotes: all that want any once one is due, so that they share the requests."""
        times = self._reevaluations()
        return frozenset(name for name, _ in times) if any(due_at <= now for _, due_at in times) else frozenset()

    def _confirming(self) -> frozenset[str]:
        """The accounts on which a second quote decides: they act on it even while they are being read."""
        waiting = (each for each in self.accounts if each.state.is_unconfirmed or self._conditions(each).has_jump)
        return frozenset(each.name for each in waiting)

    def _reevaluations(self) -> list[tuple[str, float]]:
        """The accounts that are re-evaluated before their next read, and when each is."""
        expedited = {account.name for account in self.accounts if account.state.is_expedited}
        requests = quote_requests(self.instruments_of(expedited))
        times = []
        for account in self.accounts:
            gap = reevaluation_gap(account.state, self._conditions(account), requests)
            if gap is not None:
                times.append((account.name, self._quoted_at.get(account.name, _LONG_AGO) + gap))
        return times

    def _note_jumps(self) -> None:
        """Once per round, because it goes through every symbol of all accounts."""
        self._jumped, self._confirmation_delay = self.prices.jumped, self.prices.confirmation_delay

    def _conditions(self, account: ScheduledAccount) -> PollConditions:
        return PollConditions(
            interval=self.interval,
            confirmation_delay=self._confirmation_delay,
            has_jump=not self._jumped.isdisjoint(self._instruments.get(account.name, {})),
            load=account.broker.load,
            orders_streamed=self.streams_orders_of(account.name),
            is_requested=account.name in self._read_requested,
            may_reevaluate=account.may_reevaluate,
            single_run=self.single_run,
        )

    # --- settings -----------------------------------------------------------------------------------------------------

    def set_accounts(self, accounts: Sequence[ScheduledAccount]) -> None:
        """Set the accounts, when some come and go."""
        self.accounts = accounts

    def forget(self, account: str) -> None:
        """Forget everything about an account that has left: when it comes back, it is as at a start."""
        for known in (
            self._instruments, self._read_at, self._read_before, self._read_ended_at, self._quoted_at,
            self._arrived_at, self._followed_at, self._followed,
        ):  # fmt: skip
            known.pop(account, None)
        for names in (self._reading, self._read_requested, self._reevaluation_requested, self._at_once):
            names.discard(account)

    def set_interval(self, seconds: float) -> None:
        """Set the time between ordinary polls."""
        self.interval = seconds

    def set_single_run(self, *, single_run: bool) -> None:
        """Set whether this is a single run, which begins now, or `watch`."""
        self.single_run = single_run
        self._followed.clear()

    # --- what was requested -------------------------------------------------------------------------------------------

    def request_ordinary(self) -> None:
        """Make the next poll an ordinary one that reads the broker's clock."""
        self._ordinary_requested = True

    def take_ordinary_request(self) -> bool:
        """Whether an ordinary poll was requested since the last call."""
        requested, self._ordinary_requested = self._ordinary_requested, False
        return requested

    def request(self, accounts: Iterable[str]) -> None:
        """Read and re-evaluate these accounts early: at their pace, and not while they back off."""
        names = tuple(accounts)
        self._read_requested.update(names)
        self._reevaluation_requested.update(names)

    def request_at_once(self, accounts: Iterable[str]) -> None:
        """Read these accounts by the next poll, also those that back off."""
        self._at_once.update(accounts)

    # --- what was done ------------------------------------------------------------------------------------------------

    def ordinary_began(self, now: float) -> None:
        """An ordinary poll has begun."""
        self._last_ordinary = now

    def read_began(self, account: ScheduledAccount, now: float) -> bool:
        """A read has begun. Return whether it is urgent, so that it may use the budget that is kept for orders."""
        state, name = account.state, account.name
        is_overdue = state.polled_at is None or now - state.polled_at >= SLOWEST_SECONDS
        is_urgent = name in self._at_once or state.is_pressing or is_overdue
        self._read_requested.discard(name)
        self._at_once.discard(name)
        self._read_before[name] = self._read_at.get(name, _LONG_AGO)
        self._read_at[name] = now
        self._reading.add(name)
        return is_urgent

    def read_ended(self, account: str, now: float) -> None:
        """A read has ended, successfully or not. The account isn't read again until its answer was used."""
        self._read_ended_at[account] = now

    def read_used(self, account: str) -> None:
        """The answer of a read was used, or the read was abandoned."""
        self._reading.discard(account)

    def followed(self, accounts: Collection[str], now: float) -> None:
        """Their working orders were asked for without a read."""
        self._followed_at |= dict.fromkeys(accounts, now)
        self._followed.update(accounts)

    def quoted_lately(self, now: float) -> frozenset[str]:
        """The accounts whose quotes are so new that a read needs no newer ones."""
        return frozenset(name for name, at in self._quoted_at.items() if at > now - REEVALUATION_SECONDS)

    def quoted(self, due: Due, now: float) -> None:
        """The quotes of a round have come, and its accounts decide on them."""
        self._reevaluation_requested.difference_update(due.reads, due.reevaluations)
        self._quoted_at |= dict.fromkeys(due.quotes, now)
        self.quotes_arrived(due.quotes, now)

    def quotes_arrived(self, accounts: Iterable[str], now: float) -> None:
        """Newer quotes of these accounts have come, those of new positions too."""
        self._arrived_at |= dict.fromkeys(accounts, now)

    # --- what the accounts hold ---------------------------------------------------------------------------------------

    def holds(self, account: str, instruments: Iterable[Instrument]) -> None:
        """Store the instruments of an account's last read."""
        self._instruments[account] = {instrument.symbol: instrument for instrument in instruments}

    def instruments_of(self, accounts: Collection[str]) -> list[Instrument]:
        """The instruments of these accounts; one that several hold occurs several times."""
        held = (self._instruments.get(each.name, {}) for each in self.accounts if each.name in accounts)
        return [instrument for each in held for instrument in each.values()]

    def instruments_due(self, due: Due) -> list[Instrument]:
        """The instruments whose quotes a round requests: of a single run's re-evaluations, those with something due."""
        narrow = due.reevaluations if self.single_run else frozenset[str]()
        states = [account.state for account in self.accounts if account.name in narrow]
        notable = {each.holding.symbol for state in states if state.plan for each in state.plan.notable}
        wanted = notable.union(self._jumped, *(state.pending_symbols for state in states))
        of_some = self.instruments_of(narrow & due.quotes)
        wanted |= {each.underlying for each in of_some if each.symbol in wanted}
        return [*self.instruments_of(due.quotes - narrow), *(each for each in of_some if each.symbol in wanted)]

    @property
    def symbols(self) -> set[str]:
        """The symbols of all accounts."""
        return {symbol for held in self._instruments.values() for symbol in held}
