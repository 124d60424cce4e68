"""How long after its last read an account is read again, or re-evaluated. Pure. All durations are in seconds.

A read requests an account's positions and its open orders. A re-evaluation requests no more than newer quotes, and
decides on them with the positions and orders of the last read. An ordinary poll reads every account.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Sequence

from msgspec import Struct

from sellctl.core.errors import AuthError, RateLimitedError, SellctlError, UnknownOutcomeError
from sellctl.core.model.account_state import AccountState
from sellctl.core.model.instrument import AssetClass, Instrument
from sellctl.core.model.market import Market

FOLLOW_UP_SECONDS = 1.0  # least time between two reads of an account, however many of its exits are under way
# From a read to the one that an exit waits for to see the end of a cancel, by how many showed it as pending before.
AWAITED_SECONDS = (FOLLOW_UP_SECONDS, 0.25, *4 * (FOLLOW_UP_SECONDS,))
EXPEDITED_SECONDS = 1.5  # between reads of an account with an order working
STREAMED_SECONDS = 3.0  # the same while its order stream lives, whose events ask for reads of their own
SLOWEST_SECONDS = 5.0  # the same while its request budget is almost used up
SLOWEST_URGENT_SECONDS = 2.5  # the same where an order waits for the read, or a protective exit is soon repriced
EASY_LOAD = 0.5  # share of the budget from which on reads slow down
BUSY_LOAD = 0.6  # share from which on those reads slow down too that an order waits for
FULL_LOAD = 0.75  # share from which on all reads are slowest: the rest of the budget is kept for orders
REEVALUATION_SECONDS = 0.5  # between re-evaluations while an exit is under way, per request that the quotes take
RUN_ONCE_SECONDS_PER_STEP = 1.55  # the same in run-once: prices step after 3 or 6 s, a stop is confirmed after 1.5 s
FOLLOWED_SECONDS = 3.0  # in run-once, until an account's working orders are followed with one request
RARER = 3  # each time they have been followed, it takes so many times as long until the next time
SYMBOLS_PER_REQUEST = 100
AT_ONCE_SECONDS = 0.25  # before run-once polls again an account that has not answered yet
SHORTEST_SECONDS = 0.05  # between two rounds of the scheduler
CLOCK_SECONDS = (4.0, 30.0)  # the broker's clock isn't read again earlier; the second while a budget isn't easy
CLOSED_SECONDS = 60.0  # between reads of the clock while the market is closed
BUDGET_SECONDS = 3.0  # before an account whose request budget is used up is polled again
TRANSIENT_SECONDS = (1.0, 2.0, 5.0)  # between polls of an account that fails, by failures in a row
REFUSED_SECONDS = (1.0, 5.0, 15.0, 60.0)  # the same when its key is refused
TRIES = 2  # attempts of run-once after failures that may be temporary


class PollConditions(Struct, frozen=True):
    """What the time of an account's next poll depends on, besides its state.

    `load` is the share of its request budget that the last minute has used.
    """

    interval: float  # between ordinary polls
    confirmation_delay: float  # after which a second quote can confirm a stop or a jump
    has_jump: bool = False  # whether a price of the account has jumped without a second quote yet
    load: float = 0.0
    orders_streamed: bool = False
    is_requested: bool = False  # whether news about its orders, or a tick, asked for a read
    may_reevaluate: bool = True
    single_run: bool = False


def read_gap(state: AccountState, conditions: PollConditions) -> float:
    """Seconds from one read of an account's positions and orders to the next.

    Every exit of the account shares these reads. Those that an order waits for come soonest. All others are spread the
    further the more of the request budget is used, so that no account is ever without reads for the rest of a minute.
    """
    if state.awaits_read:
        load = 0.0 if state.is_pressing else conditions.load
        least = AWAITED_SECONDS[state.reads_in_vain]
        return slowed(least, load, easy=BUSY_LOAD, slowest=SLOWEST_URGENT_SECONDS)
    if not conditions.may_reevaluate and (conditions.has_jump or state.is_unconfirmed):
        return conditions.confirmation_delay
    if conditions.single_run and conditions.may_reevaluate:
        return _single_run_gap(state)
    return _watched_gap(state, conditions)


def _watched_gap(state: AccountState, conditions: PollConditions) -> float:
    """The same where nothing waits for the read in particular."""
    if state.is_pressing and (state.acted or state.is_following):
        return slowed(EXPEDITED_SECONDS, conditions.load, slowest=SLOWEST_URGENT_SECONDS)
    if conditions.is_requested:
        return slowed(FOLLOW_UP_SECONDS, conditions.load)
    if state.is_confirming_a_short:
        return min(conditions.interval, slowed(STREAMED_SECONDS, conditions.load))
    if state.acted or state.is_following:
        return slowed(STREAMED_SECONDS if conditions.orders_streamed else EXPEDITED_SECONDS, conditions.load)
    return max(conditions.interval, slowed(FOLLOW_UP_SECONDS, conditions.load))


def _single_run_gap(state: AccountState) -> float:
    """The same in run-once, where `follow_gap` follows working orders, and a read those with an unknown outcome."""
    if state.is_settling or state.unknown_orders:
        return EXPEDITED_SECONDS
    if state.pending_symbols and not state.is_confirming_a_short:
        return float("inf")
    return STREAMED_SECONDS if state.is_unconfirmed else EXPEDITED_SECONDS


def follow_gap(state: AccountState, conditions: PollConditions, followed: int) -> float:
    """Seconds until run-once asks what became of an account's working orders, which it has asked so often before."""
    if not (conditions.single_run and conditions.may_reevaluate and state.pending_symbols) or state.is_settling:
        return float("inf")
    return FOLLOWED_SECONDS * float(RARER**followed)


def reevaluation_gap(state: AccountState, conditions: PollConditions, requests: int) -> float | None:
    """Seconds from one re-evaluation to the next, whose quotes take so many requests; None when none is needed."""
    if not conditions.may_reevaluate:
        return None
    if conditions.single_run and state.is_expedited:
        return max(RUN_ONCE_SECONDS_PER_STEP, conditions.confirmation_delay if state.is_unconfirmed else 0.0)
    if state.is_following or state.is_pressing:
        return REEVALUATION_SECONDS * requests
    return conditions.confirmation_delay if conditions.has_jump or state.is_unconfirmed else None


def quote_requests(instruments: Iterable[Instrument]) -> int:
    """How many requests the quotes of these instruments take, at least one."""
    symbols: defaultdict[AssetClass, set[str]] = defaultdict(set)
    for instrument in instruments:
        symbols[instrument.asset_class].add(instrument.symbol)
    return max(sum(-(-len(each) // SYMBOLS_PER_REQUEST) for each in symbols.values()), 1)


def slowed(least: float, load: float, *, easy: float = EASY_LOAD, slowest: float = SLOWEST_SECONDS) -> float:
    """Seconds between two reads: `least` while the load is easy, then more, up to `slowest`."""
    share = min(max((load - easy) / (FULL_LOAD - easy), 0.0), 1.0)
    return least + (slowest - least) * share


def back_off(state: AccountState) -> float:
    """Seconds after a poll before the account is polled again: the more failures in a row, the longer."""
    if isinstance(state.problem, RateLimitedError):
        return BUDGET_SECONDS
    if not state.failures:
        return 0.0
    seconds = REFUSED_SECONDS if isinstance(state.problem, AuthError) else TRANSIENT_SECONDS
    return seconds[min(state.failures, len(seconds)) - 1]


def rest_while_closed(market: Market | None, next_open: dt.datetime | None) -> float | None:
    """Seconds to rest while the market is closed, at most until it opens; None while it is open or unknown."""
    if market is None or market.is_open:
        return None
    if next_open is None:
        return CLOSED_SECONDS
    return min(CLOSED_SECONDS, max((next_open - market.now).total_seconds(), 1.0))


def may_recover(problems: Sequence[tuple[SellctlError | None, int]]) -> bool:
    """Whether run-once should try again. Each pair is a problem and how often it occurred in a row."""
    return any(isinstance(problem, UnknownOutcomeError) and failures < TRIES for problem, failures in problems)
