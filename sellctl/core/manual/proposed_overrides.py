"""What setting rules for one position by hand would change: its stops and targets, and what has to be confirmed. Pure.

Every surface that sets rules shows a ProposedOverride before it asks.
"""

import datetime as dt
from collections.abc import Iterable, Iterator
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from sellctl.core.config.units import UnitError, read_amount, read_pullback
from sellctl.core.decision.context import DecisionContext
from sellctl.core.decision.policy import Policy
from sellctl.core.errors import ConfigError
from sellctl.core.model.gain import AmountUnit, shares_per_unit
from sellctl.core.model.market import Market, until_text
from sellctl.core.model.plan import Trigger
from sellctl.core.model.position import Direction, Holding, Override, OverrideChange
from sellctl.core.model.snapshot import Snapshot
from sellctl.core.rules.trailing_stop import TrailingStop
from sellctl.core.sell_strategies.base_strategy import BaseStrategy
from sellctl.core.sell_strategies.overridden import Overridden, amount_of_stop
from sellctl.core.structures.names import is_structure_name
from sellctl.core.text import as_amount, as_dollars

_GIVE = "Give a stop, a target, a trailing stop (trail) or breakeven"


class ProposedOverride(Struct, frozen=True):
    """One position, or structure, and what a change of the rules that are set for it would do.

    `triggers` are the prices at which its rules become true after the change, and `triggers_before` those of now.
    `at_once` are the exits that it makes due now, and `loosened` says which stop moves away; `notes` are other
    consequences.
    """

    account: str
    name: str
    holding: Holding
    before: Override | None
    after: Override | None
    triggers_before: tuple[Trigger, ...]
    triggers: tuple[Trigger, ...]
    at_once: tuple[str, ...] = ()
    loosened: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    change: OverrideChange = OverrideChange()

    @property
    def warnings(self) -> tuple[str, ...]:
        """The consequences that have to be confirmed."""
        return (*self.at_once, *self.loosened)


class ShownOverride(Struct, frozen=True):
    """What a confirmation is bound to: the position, what was set for it, and how many warnings there were of a kind.

    `since` is when the position was first seen, which another process may not know: None there.
    """

    account: str
    name: str
    direction: Direction
    qty: Decimal
    entry_price: Decimal | None
    before: Override | None
    at_once: int
    loosened: int
    since: dt.datetime | None = None


def shown_of(proposed: Iterable[ProposedOverride], *, elsewhere: bool = False) -> tuple[ShownOverride, ...]:
    """What was shown of a change. It must be the same when the change is proposed again at its confirmation.

    `elsewhere`: another process may confirm it.
    """
    return tuple(
        ShownOverride(
            each.account,
            each.name,
            each.holding.position.direction,
            each.holding.position.qty,
            each.holding.position.entry_price,
            each.before,
            len(each.at_once),
            len(each.loosened),
            None if elsewhere else each.holding.state.first_seen,
        )
        for each in sorted(proposed, key=lambda each: each.account)
    )


def check_change(change: OverrideChange) -> None:
    """ConfigError when nothing is to be changed, or an amount can't be read."""
    if change.clear:
        if (change.stop, change.target, change.trail, change.until) != ("", "", "", None):
            raise ConfigError("Clearing leaves nothing to set.", hint="Clear it alone.")
        return
    if not (change.stop or change.target or change.trail or change.until):
        raise ConfigError("Nothing is to be set.", hint=f"{_GIVE}, or clear what is set.")
    for name, text, read in (
        ("stop", change.stop, amount_of_stop),
        ("target", change.target, read_amount),
        ("trail", change.trail, read_pullback),
    ):
        try:
            if text:
                read(text)
        except UnitError as error:
            raise ConfigError(f"{name}: {error.sentence}", hint=error.hint) from None


def proposed_override(
    snapshot: Snapshot, policy: Policy, name: str, change: OverrideChange, by: str
) -> ProposedOverride:
    """What a change would do to the position or structure of this name, which `snapshot` shows as held.

    ConfigError when nothing of the kind can be set for it.
    """
    check_change(change)
    now = snapshot.market.now
    if change.until is not None and change.until <= now:
        raise ConfigError(f"{until_text(change.until)} has passed: it is {until_text(now)} now.")
    holding, strategy = subject_of(snapshot, policy, name)
    before = holding.state.override
    after = change.applied_to(before, by, now)
    if after is not None and not (after.stop or after.target or after.trail):
        raise ConfigError(f"Nothing is set for {name}.", hint=f"{_GIVE} with it.")
    if change.clear and before is None:
        raise ConfigError(f"Nothing is set for {name}.", hint="Its rules are those of the configuration.")
    changed = _with_override(snapshot, name, after)
    holding_after, strategy_after = subject_of(changed, policy, name)
    _refuse_without_entry(holding, after, name)
    triggers_before = strategy.triggers(holding, snapshot.market) if strategy else ()
    _refuse_out_of_reach(holding_after, strategy_after, snapshot.market, name)
    triggers = strategy_after.triggers(holding_after, snapshot.market) if strategy_after else ()
    return ProposedOverride(
        policy.account,
        name,
        holding,
        before,
        after,
        triggers_before,
        triggers,
        tuple(_fires_at_once(holding_after, strategy, strategy_after, snapshot.market)),
        tuple(_moves_away(holding, triggers_before, triggers)),
        tuple(_notes(holding, snapshot)),
        change,
    )


def subject_of(snapshot: Snapshot, policy: Policy, name: str) -> tuple[Holding, BaseStrategy | None]:
    """What the rules of a name are set for, and the strategy that judges it; ConfigError when they can't be set."""
    context = DecisionContext.of(snapshot, policy)
    structure = context.structures_by_name.get(name)
    if structure is not None:
        strategy = context.strategy_of(structure)
        if strategy is None:
            legs = ", ".join(sorted(structure.holdings))
            raise ConfigError(f"The legs of {name} are judged alone.", hint=f"Set the rules of a leg: {legs}.")
        return structure.whole, strategy
    holding = next((each for each in context.holdings if each.symbol == name), None)
    if holding is None:
        hint = "Only a structure whose kind a strategy's `match` names has rules as one position."
        raise ConfigError(f"{name} is not judged as one position.", hint=hint)
    strategy, subject = context.strategy_and_subject(holding)
    if subject is not holding:
        raise ConfigError(f"{name} is judged as a leg of {subject.symbol}.", hint=f"Set the rules of {subject.symbol}.")
    return holding, strategy


def _with_override(snapshot: Snapshot, name: str, override: Override | None) -> Snapshot:
    holdings = tuple(
        replace(each, state=replace(each.state, override=override)) if each.symbol == name else each
        for each in snapshot.holdings
    )
    structures = {
        known: replace(state, override=override) if known == name else state
        for known, state in snapshot.structures.items()
    }
    return replace(snapshot, holdings=holdings, structures=structures)


def _refuse_without_entry(holding: Holding, override: Override | None, name: str) -> None:
    if override is None or holding.position.entry_price is not None:
        return
    amounts = [amount_of_stop(override.stop)] if override.stop else []
    amounts += [read_amount(override.target)] if override.target else []
    if override.trail or any(amount.unit is not AmountUnit.PRICE for amount in amounts):
        hint = "Give a stop or a target as a price, such as price 1.20."
        raise ConfigError(f"The entry price of {name} is unknown, so that no gain can be measured.", hint=hint)


def _refuse_out_of_reach(holding: Holding, strategy: BaseStrategy | None, market: Market, name: str) -> None:
    """Refuse what would never close it, as a stop of 150% on a long. The net price of a structure may be negative."""
    if is_structure_name(name) or not isinstance(strategy, Overridden):
        return
    for rule in strategy.set_rules:
        if isinstance(rule, TrailingStop):  # one in points follows the best price, and may be below zero at first
            if rule.trail.of_price and rule.trail.value >= 1 and holding.position.is_long:
                raise ConfigError(f"A trailing stop of 100% or more never closes {name}.", hint="Give less than 100%.")
            continue
        trigger = rule.trigger(holding, market)
        if trigger and trigger.price <= 0:
            word = "target" if trigger.is_target else "stop"
            sentence = f"This {word} would be at {as_dollars(trigger.price)}, which the price of {name} never reaches."
            raise ConfigError(sentence, hint="Give less than 100%, or a price as 'price 2.40'.")


def _fires_at_once(
    holding: Holding, before: BaseStrategy | None, after: BaseStrategy | None, market: Market
) -> Iterator[str]:
    """The exits that the change makes due now."""
    if not isinstance(after, Overridden):
        due = after.signals(holding, market) if after else ()
    else:
        due = tuple(signal for rule in after.set_rules if (signal := rule.evaluate(holding, market)))
    known = {signal.reason for signal in before.signals(holding, market)} if before and due else set()
    for signal in due:
        if signal.reason not in known:
            yield f"It is closed at once: {signal.detail}."


def _moves_away(holding: Holding, before: Iterable[Trigger], after: Iterable[Trigger]) -> Iterator[str]:
    """That the nearest stop of now is given up for one that is farther away, or for none."""
    is_long = holding.position.is_long
    nearest, then = nearest_stop(before, is_long=is_long), nearest_stop(after, is_long=is_long)
    if nearest is None or (then is not None and (then >= nearest if is_long else then <= nearest)):
        return
    if then is None:
        yield f"Its stop at {as_dollars(nearest)} ends, and no other takes its place."
        return
    option = holding.position.instrument.option
    is_known = option is None or not option.is_adjusted
    dollars = abs(nearest - then) * holding.position.qty * shares_per_unit(holding.position)
    more = f": {as_amount(dollars)} more can be lost" if is_known else ""
    yield f"Its stop moves away from the price, from {as_dollars(nearest)} to {as_dollars(then)}{more}."


def nearest_stop(triggers: Iterable[Trigger], *, is_long: bool) -> Decimal | None:
    """The price of the stop that a falling price of a long reaches first, a rising one of a short; None without one."""
    prices = [trigger.price for trigger in triggers if not trigger.is_target and trigger.is_finite]
    return (max(prices) if is_long else min(prices)) if prices else None


def _notes(holding: Holding, snapshot: Snapshot) -> Iterator[str]:
    instrument = holding.position.instrument
    if not snapshot.exempt.isdisjoint({holding.symbol, instrument.underlying}):
        yield "It is exempt: no rule closes it until that has ended."
    if holding.state.suspended:
        yield f"Its rules are suspended: {holding.state.suspended}."
