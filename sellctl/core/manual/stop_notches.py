"""Moving the stop of one position by a notch, towards the price or away from it. Pure."""

from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal

from sellctl.core.decision.context import DecisionContext
from sellctl.core.decision.policy import Policy
from sellctl.core.decision.pricing import CENT, tick_of
from sellctl.core.errors import ConfigError, SafetyRefusalError
from sellctl.core.manual.proposed_overrides import ProposedOverride, nearest_stop, proposed_override, subject_of
from sellctl.core.model.instrument import contract_text
from sellctl.core.model.plan import Reason, Trigger
from sellctl.core.model.position import Holding, OverrideChange
from sellctl.core.model.snapshot import Snapshot
from sellctl.core.text import as_dollars

NOTCH = Decimal("0.05")  # of the entry price


def proposed_notch(snapshot: Snapshot, policy: Policy, name: str, by: str, *, towards_price: bool) -> ProposedOverride:
    """What moving the stop of the position or structure of this name by a notch would do. It becomes one at a price.

    ConfigError when its nearest stop isn't one at a fixed price, when the new one would not be above zero, or when
    nothing can be set for it. SafetyRefusalError when the new one would be reached at once, or when that is unknown.
    """
    holding, strategy = subject_of(snapshot, policy, name)
    triggers = strategy.triggers(holding, snapshot.market) if strategy else ()
    by_hand = _by_hand(policy, name, "25%")
    title, stop = contract_text(name), _fixed_stop(holding, triggers, by_hand)
    increment = _increment(snapshot, policy, name, holding)
    notch = notch_of(holding, increment)
    if notch is None:
        by_price = _by_hand(policy, name, '"price 1.20"')
        raise ConfigError(f"The entry price of {title} is unknown, and a notch is a part of it.", hint=by_price)
    is_upwards = towards_price is holding.position.is_long
    price = _rounded(stop.price + (notch if is_upwards else -notch), increment)
    if price <= 0:
        at, less = as_dollars(stop.price), as_dollars(notch)
        raise ConfigError(f"The stop of {title} stays at {at}: {less} less leaves no price above zero.", hint=by_hand)
    proposed = proposed_override(snapshot, policy, name, OverrideChange(f"price {price:f}"), by)
    if towards_price:
        _refuse_if_reached(proposed, price, title)
    return proposed


def notch_of(holding: Holding, increment: Decimal) -> Decimal | None:
    """A notch in dollars per share: 5% of the entry in whole increments, at least $0.01; None when that is unknown."""
    entry = holding.position.entry_price
    return None if entry is None or not entry.is_finite() else max(_rounded(entry * NOTCH, increment), increment, CENT)


def _by_hand(policy: Policy, name: str, stop: str) -> str:
    return f"`{policy.program} set {name} --stop {stop}` sets one."


def _fixed_stop(holding: Holding, triggers: Iterable[Trigger], by_hand: str) -> Trigger:
    """The nearest stop. ConfigError when there is none, or when it is one that moves by itself or isn't a price."""
    title, every = contract_text(holding.symbol), tuple(triggers)
    nearest = nearest_stop(every, is_long=holding.position.is_long)
    stops = [each for each in every if each.price == nearest and not each.is_target]
    if not stops:
        raise ConfigError(f"{title} has no stop at a price that could be moved.", hint=by_hand)
    other = next((each for each in stops if each.reason is not Reason.STOP_LOSS), None)
    if other:
        rule, at = other.reason.value.replace("_", " "), as_dollars(other.price)
        raise ConfigError(f"The nearest stop of {title} is its {rule} at {at}, which no notch moves.", hint=by_hand)
    return stops[0]


def _increment(snapshot: Snapshot, policy: Policy, name: str, holding: Holding) -> Decimal:
    """The price increment at the entry price; of a structure the smallest one of its legs."""
    structure = DecisionContext.of(snapshot, policy).structures_by_name.get(name)
    holdings = structure.holdings.values() if structure else (holding,)
    return min(tick_of(each, holding.position.entry_price or CENT) for each in holdings)


def _rounded(price: Decimal, increment: Decimal) -> Decimal:
    return (price / increment).to_integral_value(ROUND_HALF_UP) * increment


def _refuse_if_reached(proposed: ProposedOverride, price: Decimal, title: str) -> None:
    """SafetyRefusalError when the price is at or beyond the stop that is proposed, or is unknown."""
    stop = next((each for each in proposed.triggers if each.reason is Reason.STOP_LOSS and each.price == price), None)
    if stop is None or stop.distance is None:
        sentence = f"The stop of {title} was not moved: the price is unknown, and it might close at once."
        raise SafetyRefusalError(sentence, hint="Try again once there is a usable quote.")
    if stop.is_reached(proposed.holding.position):
        sentence = f"The stop of {title} was not moved: at {as_dollars(price)} it would close at once."
        raise SafetyRefusalError(sentence, hint="Close it, if that is what you want.")
