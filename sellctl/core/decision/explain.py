"""A holding without a reason to leave, and the sentence why it stays. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from sellctl.core.config.schema import Basis, PutAction, ShortAction
from sellctl.core.decision.context import DecisionContext
from sellctl.core.decision.exits import cancellable, describe, why_astray
from sellctl.core.decision.guards import price_rules_rest, stops_rest
from sellctl.core.decision.pricing import REPRICE_AFTER
from sellctl.core.model.instrument import Right
from sellctl.core.model.order import Order
from sellctl.core.model.plan import PositionDecision, State, Trigger, Urgency
from sellctl.core.model.position import ExitProgress, Holding
from sellctl.core.rules.gain import as_dollars, as_percent, price_on, side_name


def go_on(holding: Holding, ours: tuple[Order, ...], context: DecisionContext) -> PositionDecision:
    """No rule is true any more and orders of ours work: the exit goes on unless it was a target's."""
    why = "" if context.standing else _why_end(holding, ours)
    if why:
        return PositionDecision(holding, State.LEAVING, why, cancel_first=cancellable(ours, why))
    reason = holding.state.exit.reason if holding.state.exit else "an exit from before"
    return PositionDecision(holding, State.LEAVING, f"leaving: {reason}; {describe(ours[0])}")


def is_kept_put(holding: Holding, context: DecisionContext) -> bool:
    """Whether it is a short put that the configuration keeps, as one that cash secures."""
    option = holding.position.instrument.option
    return option is not None and option.right is Right.PUT and context.policy.cash_secured_puts is PutAction.KEEP


def _why_end(holding: Holding, ours: Iterable[Order]) -> str:
    """Why a working order of ours should end though no rule asks for anything; "" when it should go on."""
    state = holding.state.exit
    return why_astray(holding, ours) or (
        "the target is no longer met" if state and _target_is_missed(holding, state) else ""
    )


def _target_is_missed(holding: Holding, state: ExitProgress) -> bool:
    """Whether the exit under way is a target's and the price, which is known, no longer meets it."""
    known = holding.exit_price is not None and not holding.prices.wide
    return state.urgency >= Urgency.PROFIT and known and state.age >= REPRICE_AFTER


@dataclass(frozen=True, slots=True)
class Told:
    """What is said of the holdings of one look, to whoever asks."""

    context: DecisionContext

    def sentence(self, holding: Holding) -> str:
        """Why a holding stays that no rule wants out."""
        return _why_held(holding, self.context)

    def triggers(self, holding: Holding) -> tuple[Trigger, ...]:
        """Where the rules of the strategy that takes a holding would become true."""
        strategy, subject = self.context.strategy_of(holding)
        if strategy is None or holding.state.frozen or subject.state.frozen:
            return ()
        return strategy.triggers(subject, self.context.snapshot.market)


def _why_held(holding: Holding, context: DecisionContext) -> str:
    if not context.snapshot.market.is_open:
        return "the market is closed"
    notes = (_cover_note(holding, context), _zero_day_note(holding, context), _price_note(holding, context))
    return "; ".join(note for note in notes if note) or "no rule applies to it"


def _cover_note(holding: Holding, context: DecisionContext) -> str:
    if holding.position.is_long or not holding.position.instrument.is_option:
        return ""
    covering = context.cover.covering.get(holding.symbol)
    if covering:
        return f"short, covered by {', '.join(covering)}"
    policy = context.policy
    if policy.short_action is ShortAction.IGNORE or holding.position.instrument.asset_class not in policy.short_classes:
        return "short, covered by nothing, and short options are ignored"
    return "short put kept: cash is taken to secure it" if is_kept_put(holding, context) else ""


def _zero_day_note(holding: Holding, context: DecisionContext) -> str:
    if not context.expires_today(holding):
        return ""
    if context.policy.zero_day is None:
        return "expires today, zero-day handling is off"
    applies = holding.position.is_long or context.policy.zero_day_shorts or holding.symbol in context.cover.by_options
    return "expires today, before its deadline" if applies else "expires today, left alone (zero_day.shorts is off)"


def _price_note(holding: Holding, context: DecisionContext) -> str:
    market = context.snapshot.market
    if holding.state.frozen:
        return f"its strategy's rules rest: {holding.state.frozen}; `sellctl manage {holding.symbol}` lets them go on"
    strategy, _ = context.strategy_of(holding)
    if strategy is None:
        return "no strategy takes it" if holding.position.is_long else ""
    if holding.position.entry_price is None:
        return "entry price unknown: no percentage rule can fire"
    rest = price_rules_rest(market) or stops_rest(market)
    if rest:
        return rest
    gains = " and ".join(_gain_on(holding, basis) for basis in Basis if price_on(holding, basis) is not None)
    if not gains:
        return f"{holding.prices.problem}: no price rule can fire"
    wide = " (wide spread: no target, and a stop only where both sides meet it)" if holding.prices.wide else ""
    problem = f" ({holding.prices.problem})" if holding.prices.problem else ""
    return f"{gains}: no rule is met{problem}{wide}"


def _gain_on(holding: Holding, basis: Basis) -> str:
    price = price_on(holding, basis)
    gain = holding.gain_at(price)
    if price is None or gain is None:
        return ""
    return f"{as_percent(gain)} at the {side_name(holding.position, basis)} of {as_dollars(price)}"
