"""What stands between a wish and an order: which quotes may be believed, which orders may go out. Pure, no history."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from sellctl.core.decision.policy import Policy
from sellctl.core.decision.pricing import CENT, believable, reference_price
from sellctl.core.model.instrument import AssetClass
from sellctl.core.model.market import Market, Quote
from sellctl.core.model.order import Order, OrderType
from sellctl.core.model.plan import HALTED, ExitSignal, Reason, SubmitOrder, Urgency
from sellctl.core.model.position import NO_PRICES, Holding, Prices
from sellctl.core.model.snapshot import Snapshot
from sellctl.core.structures.coverage import Cover

# Quotes (design, section 6). Ages are by the broker's clock; widths are dollars a share and a share of the mid.
MAX_AGE = {AssetClass.STOCK: dt.timedelta(seconds=60), AssetClass.OPTION: dt.timedelta(minutes=15)}
MAX_AHEAD = dt.timedelta(seconds=5)
_AT_ONCE, _AHEAD = dt.timedelta(0), -MAX_AHEAD
WIDE_DOLLARS = Decimal("0.05")
WIDE_SHARE = {AssetClass.STOCK: Decimal("0.01"), AssetClass.OPTION: Decimal("0.25")}
WIDE_SETTLES = dt.timedelta(seconds=60)
# The edges of the day.
NO_STOPS_AFTER_OPEN = dt.timedelta(seconds=60)
NO_PRICE_EXITS_BEFORE_CLOSE = dt.timedelta(seconds=5)
# An order's limit may be this far through the side it trades against, and never further.
COLLAR = Decimal("0.15")
# Orders a minute: for a symbol, for an account.
MOST_A_MINUTE_PATIENT = (6, 30)
MOST_A_MINUTE = (20, 120)
REJECTS_IN_A_ROW = 3
RETRY_AFTER_REJECTS = dt.timedelta(seconds=60)


def judge_quote(quote: Quote | None, asset: AssetClass, market: Market, wide_for: dt.timedelta) -> Prices:
    """What of a quote is usable: nothing when it is missing, old, from the future, before today's open or crossed.

    A side that is not a price (0, NaN, infinite, absurd) counts as missing (invariant D1).
    """
    if quote is None:
        return NO_PRICES
    bid, ask = believable(quote.bid), believable(quote.ask)
    problem = _problem(quote, asset, market) or _crossed(bid, ask)
    if problem:
        return Prices(problem=problem)
    if bid is None or ask is None:
        missing = " and ".join(side for side, price in (("bid", bid), ("ask", ask)) if price is None)
        return Prices(bid, ask, f"no {missing}")
    wide = _is_wide(bid, ask, asset)
    return Prices(bid, ask, "", wide, wide and wide_for >= WIDE_SETTLES)


def is_wide(quote: Quote, asset: AssetClass) -> bool:
    """Whether the spread is so large that the mid means little."""
    bid, ask = believable(quote.bid), believable(quote.ask)
    return bid is not None and ask is not None and _is_wide(bid, ask, asset)


def _is_wide(bid: Decimal, ask: Decimal, asset: AssetClass) -> bool:
    spread = ask - bid
    return spread > WIDE_DOLLARS and asset in WIDE_SHARE and spread > WIDE_SHARE[asset] * (bid + ask) / 2


def _problem(quote: Quote, asset: AssetClass, market: Market) -> str:
    age = market.now - quote.at
    if age > MAX_AGE.get(asset, _AT_ONCE):
        return f"quote is {int(age.total_seconds())} s old"
    if age < _AHEAD:
        return "quote is stamped in the future"
    if market.opened_at is not None and quote.at < market.opened_at:
        return "quote is from before today's open"
    return ""


def _crossed(bid: Decimal | None, ask: Decimal | None) -> str:
    return (
        f"quote is crossed: bid {bid:f} over ask {ask:f}" if bid is not None and ask is not None and bid > ask else ""
    )


def price_rules_rest(market: Market) -> str:
    """Why no price rule may fire at this instant; "" when it may."""
    left = market.until_close
    if not market.confirmed:
        return "clock and calendar disagree: price exits are frozen"
    if left is not None and left <= NO_PRICE_EXITS_BEFORE_CLOSE:
        return "the last seconds of the day: no new price exit"
    return ""


def stops_rest(market: Market) -> str:
    """Why no stop may fire at this instant; "" when it may."""
    since = market.since_open
    return "the first minute of the day: no stop yet" if since is not None and since < NO_STOPS_AFTER_OPEN else ""


def standing_violations(snapshot: Snapshot, policy: Policy) -> tuple[str, ...]:
    """What forbids every order of an account right now, whichever it is."""
    found = (guard(snapshot, policy) for guard in STANDING_GUARDS)
    return tuple(violation for violation in found if violation)


def wrong_account(snapshot: Snapshot, policy: Policy) -> str | None:
    """Whether the snapshot is of another account than the policy: then nothing at all may be touched (invariant S4)."""
    facts = snapshot.account
    if policy.account_number is not None and facts.number != policy.account_number:
        return f"the key belongs to account {facts.number}, the configuration names {policy.account_number}"
    if facts.name != policy.account:
        return f"the snapshot is of {facts.name}, the policy of {policy.account}"
    if facts.paper != policy.paper:
        kinds = ("paper" if facts.paper else "live", "paper" if policy.paper else "live")
        return f"the account is {kinds[0]}, the configuration says {kinds[1]}"
    return None


def _market_is_open(snapshot: Snapshot, _policy: Policy) -> str | None:
    return None if snapshot.market.is_open else "the market is closed"


def _broker_lets_it_trade(snapshot: Snapshot, _policy: Policy) -> str | None:
    blocked = snapshot.account.blocked
    return f"the broker does not let this account trade: {blocked}" if blocked else None


def _positions_are_fresh(snapshot: Snapshot, policy: Policy) -> str | None:
    age = snapshot.market.now - snapshot.positions_at
    if age <= policy.max_position_age:
        return None
    allowed = policy.max_position_age.total_seconds()
    return f"positions were read {age.total_seconds():.0f} s ago, {allowed:.0f} s allowed"


STANDING_GUARDS: tuple[Callable[[Snapshot, Policy], str | None], ...] = (
    _market_is_open,
    wrong_account,
    _broker_lets_it_trade,
    _positions_are_fresh,
)


@dataclass(frozen=True, slots=True)
class Case:
    """What a guard sees besides the order: why it is wanted, and everything it is decided from."""

    signal: ExitSignal
    snapshot: Snapshot
    policy: Policy
    cover: Cover
    standing: tuple[str, ...]  # what forbids every order of the account
    open_orders: tuple[Order, ...]  # those that name the order's symbol

    @property
    def holding(self) -> Holding:
        """The holding that the order closes."""
        return self.signal.holding


Guard = Callable[[SubmitOrder, Case], str | None]


def violations(order: SubmitOrder, case: Case) -> tuple[str, ...]:
    """Every guard's refusal of an order, with its numbers; empty when none objects."""
    found = (guard(order, case) for guard in ORDER_GUARDS)
    own = tuple(violation for violation in found if violation)
    return (*case.standing, *own)


def _nothing_of_ours_works(order: SubmitOrder, case: Case) -> str | None:
    """By the open orders, and by today's orders, which may know of one that the list of open ones doesn't show yet."""
    seen = (*case.open_orders, *case.snapshot.history.get(order.symbol, ()))
    ours = [o for o in seen if o.is_ours and not o.is_terminal]
    return f"an order of ours is still working ({ours[0].status})" if ours else None


def _price_collar(order: SubmitOrder, case: Case) -> str | None:
    """A limit may not be absurdly far through the market; at any price means any price."""
    side = reference_price(case.signal)
    if order.type is not OrderType.LIMIT or order.limit_price is None or case.signal.urgency is Urgency.FORCED:
        return None
    if side is None:
        return "no price to compare the limit with"
    context = max(side * COLLAR, 5 * CENT)
    through = side - order.limit_price if case.holding.position.is_long else order.limit_price - side
    return f"limit {order.limit_price} is over {context:f} through {side}" if through > context else None


def _covering_legs(order: SubmitOrder, case: Case) -> str | None:
    """A long that covers a short never leaves alone (invariant S7)."""
    if not case.holding.position.is_long or case.policy.allow_legging_out:
        return None
    reserved = case.cover.reserved.get(order.symbol)
    over = reserved and order.qty > left_of(case.holding) - reserved
    return covering_sentence(order.symbol, case.cover) if over else None


def left_of(holding: Holding) -> Decimal:
    """What is held, less what our own fills have taken that the position doesn't show yet."""
    left = holding.state.qty_left
    return holding.position.qty if left is None else min(holding.position.qty, left)


def covering_sentence(symbol: str, cover: Cover) -> str:
    """Why a long may not leave, or not all of it."""
    return f"{cover.reserved[symbol]:f} of it cover {', '.join(cover.leaning[symbol])}, which closes first"


def _not_halted(_order: SubmitOrder, case: Case) -> str | None:
    """A halt stops every new order but a panic's."""
    halted = case.snapshot.halted
    return f"{HALTED}{halted}" if halted and case.signal.reason is not Reason.PANIC else None


def _orders_a_minute(_order: SubmitOrder, case: Case) -> str | None:
    """At most so many orders a minute for a symbol and for an account (invariant K2)."""
    return throttled(case.signal, case.snapshot)


def throttled(signal: ExitSignal, snapshot: Snapshot) -> str | None:
    """Why an exit may send no order this minute; None when it may."""
    patient = signal.urgency >= Urgency.TIME
    caps = MOST_A_MINUTE_PATIENT if patient else MOST_A_MINUTE
    for what, sent, most in zip(("symbol", "account"), (signal.holding.state.sent, snapshot.sent), caps, strict=True):
        count = sent.patient if patient else sent.all
        if count >= most:
            return f"{count} orders for this {what} in a minute, {most} allowed"
    return None


def _not_rejected_again(_order: SubmitOrder, case: Case) -> str | None:
    """Three rejects in a row halt the symbol; a protective or forced exit is tried again every 60 s (K4)."""
    state = case.holding.state
    if state.rejects < REJECTS_IN_A_ROW:
        return None
    if case.signal.urgency <= Urgency.PROTECTIVE and state.rejected_for >= RETRY_AFTER_REJECTS:
        return None
    return f"the broker rejected {state.rejects} orders for it in a row"


def _is_explained(_order: SubmitOrder, case: Case) -> str | None:
    """A position that our ledger can't explain is left alone until it can (invariant S5)."""
    return case.holding.state.quarantine or None


ORDER_GUARDS: tuple[Guard, ...] = (
    _not_halted,
    _is_explained,
    _nothing_of_ours_works,
    _price_collar,
    _orders_a_minute,
    _not_rejected_again,
    _covering_legs,
)
