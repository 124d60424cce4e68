"""Which orders may be sent: the checks of an account and of one order, each refusal with its numbers. Pure."""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from sellctl.core.decision.policy import Policy
from sellctl.core.decision.pricing import CENT, NICKEL, reference_price
from sellctl.core.model.instrument import Right
from sellctl.core.model.order import ZERO, Order, OrderType
from sellctl.core.model.plan import ExitSignal, Reason, SubmitOrder, Urgency, halt_violation
from sellctl.core.model.position import Holding
from sellctl.core.model.snapshot import Snapshot
from sellctl.core.structures.coverage import Cover, cover_of
from sellctl.core.text import as_dollars, as_limit, as_net

# An order's limit may be through the side it trades against by at most this fraction of it, or five cents if more.
COLLAR = Decimal("0.15")
# Orders per minute: per symbol, per account.
MAX_NON_URGENT_ORDERS_PER_MINUTE = (6, 30)
MAX_ORDERS_PER_MINUTE = (20, 120)
# After this many refusals in a row, an order for the symbol is tried once in this time.
REJECTS_IN_A_ROW = 3
RETRY_AFTER_REJECTS = dt.timedelta(seconds=60)
# Where something was in the way, the last try before that comes when orders and positions at the broker agree again.
RETRY_AFTER_OBSTACLES = dt.timedelta(seconds=10)


def account_violations(snapshot: Snapshot, policy: Policy) -> tuple[str, ...]:
    """Why no order of this account may be sent right now; empty when orders may be sent."""
    found = (check(snapshot, policy) for check in ACCOUNT_CHECKS)
    return tuple(violation for violation in found if violation)


def wrong_account(snapshot: Snapshot, policy: Policy) -> str | None:
    """Why the snapshot isn't of the policy's account, so that no order may be sent or cancelled (S4); None if it is."""
    facts = snapshot.account
    if policy.account_number is not None and facts.number != policy.account_number:
        return f"the key belongs to account {facts.number}, the configuration has {policy.account_number}"
    if facts.name != policy.account:
        return f"the snapshot is of {facts.name}, the policy of {policy.account}"
    if facts.paper != policy.paper:
        kinds = ("paper" if facts.paper else "live", "paper" if policy.paper else "live")
        return f"the account is {kinds[0]}, the configuration says {kinds[1]}"
    return None


def _market_is_open(snapshot: Snapshot, _policy: Policy) -> str | None:
    return None if snapshot.market.is_open else "the market is closed"


def _trading_is_not_blocked(snapshot: Snapshot, _policy: Policy) -> str | None:
    blocked = snapshot.account.blocked
    return f"trading is blocked by the broker: {blocked}" if blocked else None


def _positions_are_fresh(snapshot: Snapshot, policy: Policy) -> str | None:
    age = snapshot.market.now - snapshot.positions_at
    if age <= policy.max_position_age:
        return None
    allowed = policy.max_position_age.total_seconds()
    return f"positions were read {age.total_seconds():.0f} s ago, {allowed:.0f} s allowed"


ACCOUNT_CHECKS: tuple[Callable[[Snapshot, Policy], str | None], ...] = (
    _market_is_open,
    wrong_account,
    _trading_is_not_blocked,
    _positions_are_fresh,
)


class RiskContext(Struct, frozen=True):
    """What a check uses besides the order: the exit that the order is for, and the inputs of its decision.

    `account_violations` forbid every order of the account; `open_orders` are those for the order's symbols. `natural`
    is the net limit at which a multi-leg order would fill at once; None when that is unknown. `related` are the
    holdings on the underlying of one.
    """

    signal: ExitSignal
    snapshot: Snapshot
    policy: Policy
    cover: Cover
    account_violations: tuple[str, ...]
    open_orders: tuple[Order, ...]
    natural: Decimal | None = None
    related: tuple[Holding, ...] = ()

    @property
    def holding(self) -> Holding:
        """The holding that the order closes."""
        return self.signal.holding


RiskCheck = Callable[[SubmitOrder, RiskContext], str | None]


def violations(order: SubmitOrder, risk: RiskContext) -> tuple[str, ...]:
    """Why an order may not be sent, each with its numbers; empty when it may."""
    found = (check(order, risk) for check in RISK_CHECKS)
    own = tuple(violation for violation in found if violation)
    return (*risk.account_violations, *own)


def _no_order_of_ours_is_working(order: SubmitOrder, risk: RiskContext) -> str | None:
    """Checks the open orders and today's orders, since an order may be missing in the list of open ones for a while."""
    todays = (each for symbol in order.symbols for each in risk.snapshot.history.get(symbol, ()))
    seen = (*risk.open_orders, *todays)
    ours = [o for o in seen if o.is_ours and not o.is_terminal]
    return f"an order of ours is still working ({ours[0].status})" if ours else None


def _price_collar(order: SubmitOrder, risk: RiskContext) -> str | None:
    """A limit may be through the market by COLLAR at most; a forced exit is sent at any price."""
    if order.type is not OrderType.LIMIT or order.limit_price is None or risk.signal.urgency is Urgency.FORCED:
        return None
    if order.legs:
        return _net_collar(order.limit_price, risk.natural)
    side = reference_price(risk.signal)
    if side is None:
        return "no price to compare the limit with"
    allowed = max(side * COLLAR, 5 * CENT)
    through = side - order.limit_price if risk.holding.position.is_long else order.limit_price - side
    return f"limit {order.limit_price} is over {allowed:f} through {side}" if through > allowed else None


def _net_collar(limit: Decimal, natural: Decimal | None) -> str | None:
    """The same for a net price, which is off the price increment more often: by a nickel more."""
    if natural is None:
        return "no price to compare the limit with"
    allowed = max(abs(natural) * COLLAR, 5 * CENT) + NICKEL
    if limit - natural <= allowed:
        return None
    return f"{as_limit(limit, is_net=True)} is over {as_dollars(allowed)} through {as_net(natural)}"


def _covering_legs(order: SubmitOrder, risk: RiskContext) -> str | None:
    """A long that covers a short is never closed alone (S7)."""
    if order.legs:
        return _uncovers(order, risk)
    if not risk.holding.position.is_long or risk.policy.allow_legging_out:
        return None
    reserved = risk.cover.reserved.get(order.symbol)
    over = reserved and order.qty > remaining_qty(risk.holding) - reserved
    return covering_violation(order.symbol, risk.cover) if over else None


def _uncovers(order: SubmitOrder, risk: RiskContext) -> str | None:
    naked = newly_naked({symbol: order.qty_of(symbol) for symbol in order.symbols}, risk.related)
    return f"{naked:f} more short contracts would be naked after it" if naked > 0 else None


def newly_naked(closed: Mapping[str, Decimal], related: Iterable[Holding]) -> Decimal:
    """How many more short contracts are naked once so much of each leg of a structure is closed.

    `related` is all that is held on its underlying. No part of the order leaves more of them naked than the greater of
    now and then: each unit takes the same from every leg. Fewer naked calls make up for no naked put, nor the reverse.
    """
    now = [_with_qty(each, remaining_qty(each)) for each in related if _is_some(each)]
    then = [_with_qty(each, each.position.qty - closed.get(each.symbol, ZERO)) for each in now]
    before, after = _naked_by_right(now), _naked_by_right(then)
    return sum((max(qty - before[right], ZERO) for right, qty in after.items()), ZERO)


def _naked_by_right(held: Iterable[Holding]) -> dict[Right | None, Decimal]:
    """The naked short contracts among calls and among puts."""
    some = [each for each in held if _is_some(each)]
    rights = {each.symbol: each.position.instrument.option for each in some}
    found: dict[Right | None, Decimal] = {None: ZERO, Right.CALL: ZERO, Right.PUT: ZERO}
    for symbol, qty in cover_of(some).uncovered.items():
        option = rights[symbol]
        found[option.right if option else None] += qty
    return found


def without(taken: Mapping[str, Decimal], held: Iterable[Holding]) -> tuple[Holding, ...]:
    """What is held once so much of it was taken, by symbol."""
    some = filter(_is_some, held)
    return tuple(_with_qty(each, max(each.position.qty - taken.get(each.symbol, ZERO), ZERO)) for each in some)


def _with_qty(holding: Holding, qty: Decimal) -> Holding:
    return replace(holding, position=replace(holding.position, qty=qty))


def _is_some(holding: Holding) -> bool:
    return holding.position.qty.is_finite() and holding.position.qty > 0


def remaining_qty(holding: Holding) -> Decimal:
    """The quantity held, less our own fills that the position doesn't show yet."""
    left = holding.state.qty_left
    return holding.position.qty if left is None else min(holding.position.qty, left)


def covering_violation(symbol: str, cover: Cover) -> str:
    """Why a long that covers a short may not be closed, or not all of it."""
    return f"{cover.reserved[symbol]:f} of it cover {', '.join(cover.shorts_by_long[symbol])}, which closes first"


def _not_halted(_order: SubmitOrder, risk: RiskContext) -> str | None:
    """A halt stops every new order except a panic's."""
    halted = risk.snapshot.halted
    return halt_violation(halted) if halted and risk.signal.reason is not Reason.PANIC else None


def _order_rate(_order: SubmitOrder, risk: RiskContext) -> str | None:
    """Orders per minute are limited per symbol and per account (K2)."""
    return rate_violation(risk.signal, risk.snapshot)


def rate_violation(signal: ExitSignal, snapshot: Snapshot) -> str | None:
    """Why an exit may send no order this minute; None when it may."""
    non_urgent = signal.urgency >= Urgency.TIME
    limits = MAX_NON_URGENT_ORDERS_PER_MINUTE if non_urgent else MAX_ORDERS_PER_MINUTE
    counts = signal.holding.state.order_count, snapshot.order_count
    for scope, sent, limit in zip(("symbol", "account"), counts, limits, strict=True):
        count = sent.non_urgent if non_urgent else sent.all
        if count >= limit:
            return f"{count} orders for this {scope} within a minute, {limit} allowed"
    return None


def _not_rejected_again(_order: SubmitOrder, risk: RiskContext) -> str | None:
    """After three refusals in a row, whatever their shape, an order for the symbol is tried once per minute (K4)."""
    state = risk.holding.state
    pause = dt.timedelta(0)
    if state.rejects >= REJECTS_IN_A_ROW:
        pause = RETRY_AFTER_REJECTS
    elif state.rejects == REJECTS_IN_A_ROW - 1 and state.recoverable:
        pause = RETRY_AFTER_OBSTACLES
    if state.rejected_for >= pause:
        return None
    after = f"the next one is tried {pause.total_seconds():.0f} s after the last"
    return f"the broker refused {state.rejects} orders for it in a row; {after}"


def _is_explained(_order: SubmitOrder, risk: RiskContext) -> str | None:
    """No order for a position that differs from the ledger (S5)."""
    return risk.holding.state.quarantine or None


RISK_CHECKS: tuple[RiskCheck, ...] = (
    _not_halted,
    _is_explained,
    _no_order_of_ours_is_working,
    _price_collar,
    _order_rate,
    _not_rejected_again,
    _covering_legs,
)
