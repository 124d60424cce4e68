"""Mutants: each introduces one bug into sellctl, and the bench searches for a violation that reveals it."""

# ruff: noqa: SLF001  a mutant replaces private functions deliberately
# ruff: noqa: E501  one mutant per row

import datetime as dt
import itertools
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from faults.hosts.mutants import HOST_MUTANTS
from faults.mutant_searches import (
    Mutant,
    by_adapter,
    by_adapter_draw,
    by_crash,
    by_day,
    by_draw,
    by_fault_of_adapter,
    by_pair,
    by_pressure,
    by_watch,
)
from faults.order_mutants import ORDER_MUTANTS
from faults.patching import patched
from faults.people_mutants import PEOPLE_MUTANTS
from faults.structure_mutants import STRUCTURE_MUTANTS
from sellctl.alpaca import broker as alpaca_broker
from sellctl.alpaca import rest
from sellctl.alpaca.errors import EXTERNAL_ERRORS, Operation, map_error
from sellctl.alpaca.quotes import AlpacaQuotes
from sellctl.core import position_manager
from sellctl.core.config.schema import CancelScope
from sellctl.core.decision import engine, exits, pricing, quote_checks, risk_checks, sizing, strategy_results
from sellctl.core.decision.context import DecisionContext
from sellctl.core.decision.multi_leg import sizing as multi_leg_sizing
from sellctl.core.decision.multi_leg import steps as multi_leg_steps
from sellctl.core.errors import BrokerAnswer, BrokerError, JournalError, RequestRejectedError, UnknownOutcomeError
from sellctl.core.market_clock import MarketClock
from sellctl.core.model.market import NEW_YORK, Market
from sellctl.core.model.order import STATE_OF_STATUS, Order, OrderState
from sellctl.core.model.plan import CancelOrder, Reason
from sellctl.core.order_manager import OrderManager
from sellctl.core.orders import transitions
from sellctl.core.orders.managed_order import ManagedState
from sellctl.core.orders.order_book import OrderBook
from sellctl.core.orders.order_events import Ended
from sellctl.core.orders.stale_orders import stale_orders
from sellctl.core.rules import account_guard
from sellctl.core.rules.base import PeakRule
from sellctl.core.rules.zero_day import ZeroDay
from sellctl.core.scheduler import AccountScheduler
from sellctl.core.tracking import episodes, quote_history
from sellctl.core.tracking.fill_ledger import Ledger
from sellctl.core.tracking.remembered_facts import RememberedFacts
from sellctl.core.watching import due_accounts
from sellctl.core.watching.account_observer import AccountObserver
from sellctl.journal.audit_log import AuditLog, Entry
from sellctl.journal.chain import START, ChainLink
from sellctl.journal.derived import FILL
from sellctl.journal.store import SqliteJournal
from sellctl.service import logs
from sellctl.service.state_folder import StateFolder
from sellctl.user_strategies import isolated
from sellctl.user_strategies.loading import load

MAX_SEEDS = 500


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The seed that reveals a mutant (0: none), how many seeds were tried, and the violation."""

    name: str
    seed: int
    tried: int
    violation: str


@contextmanager
def mutated(mutant: Mutant) -> Iterator[None]:
    """Run the program with this mutant within the block."""
    with ExitStack() as stack:
        for patch in mutant.patches:
            stack.enter_context(patched(*patch))
        yield


def search_for(mutant: Mutant, most: int = MAX_SEEDS) -> SearchResult:
    """Try seeds one after the other until one reveals the mutant."""
    with mutated(mutant):
        for seed in range(1, most + 1):
            violations = mutant.search(seed)
            if violations:
                return SearchResult(mutant.name, seed, seed, violations[0])
    return SearchResult(mutant.name, 0, most, "")


def run_mutated(name: str) -> None:
    """Run the program with the mutant of a name, in a process of its own."""
    from sellctl.app import main  # noqa: PLC0415  only the mutant's own process needs it

    with mutated(next(mutant for mutant in MUTANTS if mutant.name == name)):
        main()


# --- the mutants ------------------------------------------------------------------------------------------------------

_NUMBERS = itertools.count(1)


def _random_id(*_facts: object) -> str:
    return f"sellctl-{next(_NUMBERS) * 7919:032x}"


async def _retry(self: OrderManager, order: Any, _error: BrokerError) -> None:
    await self._send(order, "again")


_cancel = OrderManager._cancel


async def _call_it_canceled(self: OrderManager, cancel: CancelOrder, at: float) -> bool:
    requested = await _cancel(self, cancel, at)
    if requested:
        self._update(replace(cancel.order, status="canceled"))
    return requested


def _as_terminal(self: Order) -> OrderState:
    return STATE_OF_STATUS.get(self.status, OrderState.TERMINAL)


def _held_is_done(self: Order) -> OrderState:
    unknown = self.status in {"held", "suspended", "stopped", "calculated", "done_for_day", "pending_cancel"}
    return OrderState.TERMINAL if unknown else STATE_OF_STATUS.get(self.status, OrderState.UNKNOWN)


def _floats(qty: Decimal, *_rest: Any) -> Decimal:
    return max(Decimal(float(qty) * 1.1 - float(qty) * 0.1), Decimal(0))


_INTEND, _ACCEPTED, _FOLD = SqliteJournal.intend, SqliteJournal.accepted, SqliteJournal.record_fill
_LATE: list[tuple[Any, ...]] = []


async def _intend_later(self: SqliteJournal, *args: Any, **_kwargs: Any) -> None:
    _LATE.append((self, *args))


async def _accepted_after_intent(self: SqliteJournal, *args: Any) -> None:
    while _LATE:
        await _INTEND(*_LATE.pop(0))
    await _ACCEPTED(self, *args)


async def _intend_if_possible(self: SqliteJournal, *args: Any, **kwargs: Any) -> None:
    try:
        await _INTEND(self, *args, **kwargs)
    except JournalError:
        return


def _fold_each_time(self: SqliteJournal, account: str, name: str, detail: Mapping[str, object]) -> Decimal:
    total = Decimal(str(detail["filled_qty"]))
    self.append(Entry(account, FILL, {**detail, "new": total}, str(detail["symbol"]), "", name))
    return total


_ROW = AuditLog._row


def _unchained_row(self: AuditLog, entry: Entry, at: dt.datetime, before: ChainLink) -> Any:
    return _ROW(self, entry, at, ChainLink(before.seq, START.hash))


def _zero_too(price: Decimal | None) -> Decimal | None:
    return Decimal(0) if price is None else price


def _any_age(_quote: Any, _asset: Any, _market: Any) -> str:
    return ""


_MARKET_NOW = MarketClock.now


def _closes_at_four(self: MarketClock) -> Market:
    market = _MARKET_NOW(self)
    four = dt.datetime.combine(market.today, dt.time(16), NEW_YORK).astimezone(dt.UTC)
    return replace(market, closes_at=four if market.is_open else None)


def _by_the_host(self: MarketClock) -> Market:
    return replace(_MARKET_NOW(self), now=self._clock.now())


def _always_open(self: MarketClock) -> Market:
    market = _MARKET_NOW(self)
    return replace(market, is_open=True, closes_at=market.closes_at or market.now + dt.timedelta(hours=1))


def _nothing(*_args: Any, **_kwargs: Any) -> tuple[()]:
    return ()


def _no_quantities(*_args: Any) -> dict[str, Decimal]:
    return {}


def _none(*_args: Any, **_kwargs: Any) -> None:
    return None


def _empty(*_args: Any, **_kwargs: Any) -> str:
    return ""


def _zero(*_args: Any, **_kwargs: Any) -> Decimal:
    return Decimal(0)


_STALE = stale_orders


def _all_stale(snapshot: Any, _scope: Any, after: dt.timedelta, spared: Any) -> Any:
    return _STALE(snapshot, CancelScope.ALL, after, spared)


_WRITE = OrderManager._write


def _forget_then_write(self: OrderManager, kind: str, client_order_id: str, detail: dict[str, object]) -> None:
    if STATE_OF_STATUS.get(kind) is OrderState.TERMINAL:
        self.book.record(client_order_id, Ended(ManagedState(kind), Decimal(0), self.clock.monotonic()))
    _WRITE(self, kind, client_order_id, detail)


async def _read_account_once(self: AccountObserver, **_anew: bool) -> None:
    if self.facts is None:
        facts = await self.broker.account()
        self.admit(facts)
        self.facts = facts


def _in_memory(self: StateFolder) -> str:
    return _HALTS.get(id(self), "")


_HALTS: dict[int, str] = {}


async def _first_page(fetch: Any, status: str, *_rest: Any) -> list[Any]:
    return list(await fetch({"status": status, "limit": "1", "nested": "true"}))


_SEND = rest.RestClient._send


async def _send_again(self: rest.RestClient, request: Any) -> Any:
    try:
        return await _SEND(self, request)
    except EXTERNAL_ERRORS:
        return await _SEND(self, request)


_MAP_ERROR = map_error


def _unknown_is_rejected(error: Exception, context: Any) -> BrokerError:
    ours = _MAP_ERROR(error, context)
    if context.operation is Operation.SUBMIT and isinstance(ours, UnknownOutcomeError):
        return RequestRejectedError(str(ours), answer=BrokerAnswer(500, None, ""))
    return ours


async def _cancel_everything(self: alpaca_broker.AlpacaBroker, _order_id: str) -> None:
    request = rest.ApiRequest("cancelling", "/orders", operation=Operation.CANCEL)
    await self._client.request(request, alpaca_broker._ignore)


_IS_PAUSED = strategy_results._is_paused


def _stops_paused(signal: Any, context: DecisionContext) -> bool:
    return signal.reason is Reason.STOP_LOSS or _IS_PAUSED(signal, context)


def _targets_paused(signal: Any, context: DecisionContext) -> bool:
    return signal.reason is Reason.TAKE_PROFIT or _IS_PAUSED(signal, context)


_AVAILABLE = sizing.free


def _all_of_it(holding: Any) -> Decimal:
    return Decimal(holding.position.qty)


def _without(left_out: Any) -> tuple[Any, ...]:
    return tuple(check for check in risk_checks.RISK_CHECKS if check is not left_out)


_NEXT_STEP = exits.next_step


def _next_step_as_if_resolved(signal: Any, context: DecisionContext) -> Any:
    state = replace(signal.holding.state, unresolved=Decimal(0))
    return _NEXT_STEP(replace(signal, holding=replace(signal.holding, state=state)), context)


def _with_transfers(facts: Any) -> Decimal | None:
    return None if facts.equity is None or facts.last_equity is None else Decimal(facts.equity - facts.last_equity)


def _has_a_plus(name: str) -> bool:
    return "+" in name


def _has_a_qty(position: Any) -> bool:
    return bool(position.qty.is_finite() and position.qty > 0)


_MARK_REJECTED = OrderManager._mark_rejected


def _mark_rejected_uncounted(
    self: OrderManager, request: Any, detail: Any, *rest: Any, counted: bool, **options: Any
) -> None:
    _MARK_REJECTED(self, request, detail, *rest, counted=counted and detail.get("refusal") != "key", **options)


async def _read_or_discard(self: AccountScheduler, *, ordinary: bool) -> Market | None:
    try:
        self._market = await self.market_clock.read() if ordinary else self.market_clock.now()
    except BrokerError:
        return None
    return self._market


def _unpaced(*_args: Any) -> float:
    return 0.25


def _false(*_args: Any) -> bool:
    return False


def _of_any_day(self: RememberedFacts, underlying: str, _today: dt.date) -> bool | None:
    fact = self._facts.penny.get(underlying)
    return None if fact is None else fact.is_penny


async def _never(*_args: Any) -> None:
    return None


def _in_this_process(entries: Any) -> tuple[Any, ...]:
    return tuple(load(entry, locations) for entry, locations in entries)


MUTANTS: tuple[Mutant, ...] = (
    Mutant("random ids", "client order ids are random", ((exits, "client_order_id", _random_id),), by_day),
    Mutant("one attempt", "every attempt of a day has the same id", ((exits, "attempt_number", lambda _orders, _symbols: 1),), by_day),
    Mutant("retry", "after a timeout the order is sent again", ((OrderManager, "_look_up_unknown", _retry),), by_day),
    Mutant("204 is canceled", "a 204 response to a cancel counts as the order's end",
        ((OrderManager, "_cancel", _call_it_canceled),), by_day),
    Mutant("available ignored", "qty is used instead of qty_available",
        (
            (sizing, "free", _all_of_it), (exits, "free", _all_of_it), (sizing, "claims_on", _nothing),
            (multi_leg_steps, "free", _all_of_it), (multi_leg_sizing, "claims_on", _nothing),
        ), by_day),
    Mutant("floats", "quantities are converted to floats", ((sizing, "_floored", _floats),), by_day),
    Mutant("unknown is done", "an unknown status counts as terminal", ((Order, "state", property(_as_terminal)),),
        by_fault_of_adapter("H12", 0.3, method="POST", path="/v2/orders", change="unknown_enum")),
    Mutant("held is done", "unusual statuses count as terminal", ((Order, "state", property(_held_is_done)),), by_day),
    Mutant("intent after", "the intent is committed after sending",
        ((SqliteJournal, "intend", _intend_later), (SqliteJournal, "accepted", _accepted_after_intent)), by_day),
    Mutant("intent if possible", "the order is sent although its intent could not be written",
        ((SqliteJournal, "intend", _intend_if_possible),), by_day),
    Mutant("fill twice", "a fill is applied each time it is reported", ((SqliteJournal, "record_fill", _fold_each_time),), by_day),
    Mutant("unchained", "audit rows do not carry the hash of the one before", ((AuditLog, "_row", _unchained_row),), by_day),
    Mutant("bid 0", "a bid or ask of 0 counts as a price", tuple((place, "believable", _zero_too)
        for place in (quote_checks, quote_history, pricing, exits)), by_day),
    Mutant("any age", "old and future quotes are accepted", ((quote_checks, "_stamp_problem", _any_age),), by_day),
    Mutant("16:00", "the close is always at 16:00", ((MarketClock, "now", _closes_at_four),), by_day),
    Mutant("naive now", "the host's clock is used instead of the broker's", ((MarketClock, "now", _by_the_host),), by_day),
    Mutant("always open", "the market always counts as open", ((MarketClock, "now", _always_open),), by_day),
    Mutant("own orders ignored", "the next order is sent before the previous one has ended",
        (
            (DecisionContext, "ours_on", _nothing), (sizing, "claims_on", _nothing), (exits, "free", _all_of_it),
            (multi_leg_steps, "free", _all_of_it), (multi_leg_sizing, "claims_on", _nothing),
            (risk_checks, "RISK_CHECKS", _without(risk_checks._no_order_of_ours_is_working)),
        ), by_day),
    Mutant("legs alone", "a long that covers a short is sold alone",
        ((sizing, "_reserves", _nothing), (risk_checks, "RISK_CHECKS", _without(risk_checks._covering_legs))), by_day),
    Mutant("shorts forgotten", "uncovered shorts are not bought back", ((engine, "qty_to_buy_back", _zero),), by_day),
    Mutant("zero day forgotten", "options that expire today are not closed", ((ZeroDay, "evaluate", _none),), by_day),
    Mutant("stops never fire", "a stop is always paused", ((strategy_results, "_is_paused", _stops_paused),), by_day),
    Mutant("addition disarms", "an addition to a position disarms its trailing stop", ((PeakRule, "_armed_before", _nothing),), by_draw("O16")),
    Mutant("targets never fire", "a target is always paused", ((strategy_results, "_is_paused", _targets_paused),), by_day),
    Mutant("buys cancelled", "stale orders include the user's buys", ((engine, "stale_orders", _all_stale),), by_day),
    Mutant("intents forgotten", "a restart ignores the intents in the journal", ((SqliteJournal, "open_intents", _nothing),), by_crash),
    Mutant("never adopted", "a restart does not adopt its own orders",
        ((OrderManager, "_adopt", _none), (SqliteJournal, "open_intents", _nothing)), by_crash),
    Mutant("one not found", "one 'not found' answer allows a repeat", ((transitions, "NOT_FOUND_NEEDED", 1),), by_day),
    Mutant("not found twice at once", "the two 'not found' answers need not be apart", ((transitions, "NOT_FOUND_MIN_INTERVAL_SECONDS", 0.0),), by_day),
    Mutant("end lost", "an order's end is lost when it cannot be written", ((OrderManager, "_write", _forget_then_write),), by_day),
    Mutant("hidden ignored", "an order that was accepted and is not listed yet is ignored",
        (
            (OrderBook, "mark_unseen_except", _none),
            (risk_checks, "RISK_CHECKS", _without(risk_checks._no_order_of_ours_is_working)),
        ), by_day),
    Mutant("blocked for ever", "an account blocked at the start stays blocked", ((AccountObserver, "_read_account", _read_account_once),), by_day),
    Mutant("no ledger", "our own fills are not counted while positions lag", ((Ledger, "left", _none), (exits, "why_settling", _empty)), by_day),
    Mutant("unresolved ignored", "an order with an unknown outcome does not reserve its quantity",
        ((OrderBook, "unresolved", _no_quantities), (engine, "next_step", _next_step_as_if_resolved)), by_day),
    Mutant("halt in memory", "a halt is not durable", ((StateFolder, "halted", _in_memory),), by_day),
    Mutant("no lock", "two processes may use one account", ((StateFolder, "lock", _none),), by_pair),
    Mutant("first page", "only the first page of a list is read", ((alpaca_broker, "all_orders", _first_page),), by_adapter),
    Mutant("hidden retry", "the HTTP client repeats a failed request", ((rest.RestClient, "_send", _send_again),), by_adapter),
    Mutant("unknown is rejected", "a timeout counts as a rejection", ((rest, "map_error", _unknown_is_rejected),), by_adapter),
    Mutant("cancel all", "all orders are cancelled (DELETE /orders) instead of one", ((alpaca_broker.AlpacaBroker, "cancel", _cancel_everything),), by_adapter),
    Mutant("transfer is a result", "a transfer counts as the day's profit or loss", ((account_guard, "result_of_day", _with_transfers),), by_draw("A07")),
    Mutant("plus is a structure", "a symbol with a plus in it counts as the name of a structure",
        ((position_manager, "_may_have_an_episode", _has_a_qty), (position_manager, "is_structure_name", _has_a_plus), (episodes, "is_structure_name", _has_a_plus)), by_draw("A11")),
    Mutant("increment of yesterday", "a price increment of an earlier day is used", ((RememberedFacts, "is_penny", _of_any_day),), by_draw("O17")),
    Mutant("account unnoticed", "what is remembered of another account is applied", ((SqliteJournal, "set_account_number", _empty),), by_draw("A12")),
    Mutant("feed for ever", "a feed that was refused once is never tried again", ((AlpacaQuotes, "try_better_feeds", _never),), by_adapter_draw("H22")),
    Mutant("refused key uncounted", "an order refused for its key doesn't count as refused", ((OrderManager, "_mark_rejected", _mark_rejected_uncounted),), by_draw("H21")),
    Mutant("retried at once", "after three refusals in a row an order is sent again at once", ((risk_checks, "RETRY_AFTER_REJECTS", dt.timedelta(0)),), by_draw("H21")),
    Mutant("no poll without a clock", "a poll is discarded when the broker's clock can't be read", ((AccountScheduler, "_read_market", _read_or_discard),), by_draw("T11")),
    Mutant("unpaced reads", "the reads of exits under way are not paced", ((due_accounts, "read_gap", _unpaced), (due_accounts, "FOLLOW_UP_SECONDS", 0.1)), by_pressure),
    Mutant("log waits", "the log waits for its reader", ((logs, "may_stall", _false),), by_watch("log waits", "log")),
    Mutant("strategy inside", "a user's strategy runs in the watcher's own process", ((isolated, "start_isolated", _in_this_process),), by_watch("strategy inside", "sleep")),
    *STRUCTURE_MUTANTS,
    *ORDER_MUTANTS,
    *PEOPLE_MUTANTS,
    *HOST_MUTANTS,
)  # fmt: skip
