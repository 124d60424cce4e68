"""What stands between a wish and an order: which quotes may be believed, which orders may go out. Pure, no history."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from sellctl.core.model.instrument import AssetClass
from sellctl.core.model.market import Market, Quote
from sellctl.core.model.order import OrderType
from sellctl.core.model.plan import ExitSignal, Reason, SubmitOrder, Urgency
from sellctl.core.model.position import Holding, Prices
from sellctl.core.model.snapshot import Snapshot
from sellctl.core.policy import Policy
from sellctl.core.pricing import CENT, reference_price
from sellctl.core.rules.cover import Cover

# Quotes (design, section 6). Ages are by the broker's clock; widths are dollars a share and a share of the mid.
MAX_AGE = {AssetClass.STOCK: dt.timedelta(seconds=60), AssetClass.OPTION: dt.timedelta(minutes=15)}
MAX_AHEAD = dt.timedelta(seconds=5)
WIDE_DOLLARS = Decimal("0.05")
WIDE_SHARE = {AssetClass.STOCK: Decimal("0.01"), AssetClass.OPTION: Decimal("0.25")}
WIDE_SETTLES = dt.timedelta(seconds=60)
# The edges of the day.
NO_STOPS_AFTER_OPEN = dt.timedelta(seconds=60)
NO_PRICE_EXITS_BEFORE_CLOSE = dt.timedelta(seconds=5)
PRICE_REASONS = frozenset({Reason.STOP_LOSS, Reason.TAKE_PROFIT})
# An order's limit may be this far through the side it trades against, and never further.
COLLAR = Decimal("0.15")


def judge_quote(quote: Quote | None, asset: AssetClass, market: Market, wide_for: dt.timedelta) -> Prices:
    """What of a quote is usable: nothing when it is missing, old, from the future, before today's open or crossed."""
    problem = _problem(quote, asset, market)
    if quote is None or problem:
        return Prices(problem=problem)
    missing = " and ".join(side for side, price in (("bid", quote.bid), ("ask", quote.ask)) if price is None)
    wide = is_wide(quote, asset)
    return Prices(
        bid=quote.bid,
        ask=quote.ask,
        problem=f"no {missing}" if missing else "",
        wide=wide,
        wide_settled=wide and wide_for >= WIDE_SETTLES,
    )


def is_wide(quote: Quote, asset: AssetClass) -> bool:
    """Whether the spread is so large that the mid means little."""
    if quote.spread is None or quote.mid is None or asset not in WIDE_SHARE:
        return False
    return quote.spread > max(WIDE_DOLLARS, WIDE_SHARE[asset] * quote.mid)


def _problem(quote: Quote | None, asset: AssetClass, market: Market) -> str:
    if quote is None:
        return "no quote"
    age = market.now - quote.at
    if age > MAX_AGE.get(asset, dt.timedelta(0)):
        return f"quote is {int(age.total_seconds())} s old"
    if age < -MAX_AHEAD:
        return "quote is stamped in the future"
    if market.opened_at is not None and quote.at < market.opened_at:
        return "quote is from before today's open"
    if quote.spread is not None and quote.spread < 0:
        return "quote is crossed"
    return ""


def price_rules_rest(market: Market) -> str:
    """Why no price rule may fire at this instant; "" when it may."""
    left = market.until_close
    if not market.agreed:
        return "clock and calendar disagree: price exits are frozen"
    if left is not None and left <= NO_PRICE_EXITS_BEFORE_CLOSE:
        return "the last seconds of the day: no new price exit"
    return ""


def stops_rest(market: Market) -> str:
    """Why no stop may fire at this instant; "" when it may."""
    since = market.since_open
    return "the first minute of the day: no stop yet" if since is not None and since < NO_STOPS_AFTER_OPEN else ""


@dataclass(frozen=True, slots=True)
class Case:
    """What a guard sees besides the order: why it is wanted, and everything it is decided from."""

    signal: ExitSignal
    snapshot: Snapshot
    policy: Policy
    cover: Cover

    @property
    def holding(self) -> Holding:
        """The holding that the order closes."""
        return self.signal.holding


Guard = Callable[[SubmitOrder, Case], str | None]


def objections(order: SubmitOrder, case: Case) -> tuple[str, ...]:
    """Every guard's refusal of an order, with its numbers; empty when none objects."""
    found = (guard(order, case) for guard in ORDER_GUARDS)
    return tuple(objection for objection in found if objection)


def _market_is_open(_order: SubmitOrder, case: Case) -> str | None:
    return None if case.snapshot.market.is_open else "the market is closed"


def _exact_account(_order: SubmitOrder, case: Case) -> str | None:
    facts, policy = case.snapshot.account, case.policy
    if policy.account_number is not None and facts.number != policy.account_number:
        return f"the key belongs to account {facts.number}, the configuration names {policy.account_number}"
    if facts.name != policy.account:
        return f"the snapshot is of {facts.name}, the policy of {policy.account}"
    return None


def _trading_is_not_halted(_order: SubmitOrder, case: Case) -> str | None:
    blocked = case.snapshot.account.blocked
    return f"the broker lets this account not trade: {blocked}" if blocked else None


def _nothing_of_ours_works(order: SubmitOrder, case: Case) -> str | None:
    ours = [o for o in case.snapshot.orders if o.symbol == order.symbol and o.is_ours and not o.is_terminal]
    return f"an order of ours is still working ({ours[0].status})" if ours else None


def _position_is_fresh(_order: SubmitOrder, case: Case) -> str | None:
    age = case.snapshot.market.now - case.snapshot.positions_at
    if age <= case.policy.max_position_age:
        return None
    allowed = case.policy.max_position_age.total_seconds()
    return f"the position was seen {age.total_seconds():.0f} s ago, {allowed:.0f} s allowed"


def _price_collar(order: SubmitOrder, case: Case) -> str | None:
    """A limit may not be absurdly far through the market; at any price means any price."""
    side = reference_price(case.signal)
    if order.type is not OrderType.LIMIT or order.limit_price is None or case.signal.urgency is Urgency.FORCED:
        return None
    if side is None:
        return "no price to compare the limit with"
    room = max(side * COLLAR, 5 * CENT)
    through = side - order.limit_price if case.holding.position.is_long else order.limit_price - side
    return f"limit {order.limit_price} is over {room:f} through {side}" if through > room else None


def _covering_legs(order: SubmitOrder, case: Case) -> str | None:
    """A long that covers a short never leaves alone (invariant S7)."""
    reserved = case.cover.reserved.get(order.symbol)
    if not reserved or case.policy.allow_legging_out or not case.holding.position.is_long:
        return None
    free = case.holding.position.qty - reserved
    shorts = ", ".join(case.cover.leaning[order.symbol])
    return f"{reserved} of it cover {shorts}, which closes first" if order.qty > free else None


ORDER_GUARDS: tuple[Guard, ...] = (
    _market_is_open,
    _exact_account,
    _trading_is_not_halted,
    _position_is_fresh,
    _nothing_of_ours_works,
    _price_collar,
    _covering_legs,
)
