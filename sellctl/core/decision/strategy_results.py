"""What the strategies say: which of their rules are true of a position or a structure, and whether that is confirmed.

Pure. An error that a strategy raises is a part of the result, so that it stops no other decision.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from sellctl.core.config.schema import Style
from sellctl.core.decision.confirmation import SECOND_QUOTE, Confirmation, confirmed
from sellctl.core.decision.context import DecisionContext
from sellctl.core.decision.quote_checks import price_exits_paused, stops_paused
from sellctl.core.model.plan import ENGINE_REASONS, PRICE_REASONS, REASONS, STOPS, ExitSignal
from sellctl.core.model.position import Holding
from sellctl.core.sell_strategies.base_strategy import BaseStrategy, StrategyDisabledError, StrategyError, merged
from sellctl.core.structures.held import HeldStructure

NOT_MANAGED = "NOT MANAGED"  # begins the sentence on a position that no strategy manages


class StrategyResult(Struct, frozen=True):
    """The result of the strategy that manages a position; `taken` says whether one does.

    `signals` are confirmed. `unconfirmed` is a signal that isn't confirmed yet, and `waits_for` says what is missing.
    `peak_unconfirmed` means that a rule follows the best price, and a second quote is needed to establish it. `failure`
    is the error that the strategy raised; "" when it raised none. `not_managed` says why the strategy is stopped for
    the day; "" when it isn't. `is_alone` means that the signals are not those of a structure, so that no leg waits.
    """

    signals: tuple[ExitSignal, ...] = ()
    taken: bool = False
    unconfirmed: ExitSignal | None = None
    waits_for: str = ""
    peak_unconfirmed: bool = False
    failure: str = ""
    not_managed: str = ""
    is_alone: bool = False

    @property
    def needs_another_poll(self) -> bool:
        """Whether a second quote decides: on a signal, or on a peak."""
        return self.peak_unconfirmed or self.waits_for == SECOND_QUOTE


# The results of the structures as one position, by name.
Wholes = Mapping[str, StrategyResult]


def results_of_wholes(context: DecisionContext) -> Wholes:
    """The result of each structure: its rules are evaluated once for all of its legs."""
    return {name: _result_of_whole(structure, context) for name, structure in context.structures_by_name.items()}


def _result_of_whole(structure: HeldStructure, context: DecisionContext) -> StrategyResult:
    try:
        strategy = context.strategy_of(structure)
    except Exception as error:  # noqa: BLE001  a strategy of the user's own may raise anything
        return StrategyResult(failure=error_text(error))
    return _result_of(strategy, structure.whole, structure.holdings.values(), context)


def strategy_result(holding: Holding, wholes: Wholes, context: DecisionContext) -> StrategyResult:
    """The result of a position: of its structure, or of itself; with what exceeds its structure, of both."""
    try:
        strategy, subject = context.strategy_and_subject(holding)
        rest = context.rest_of(holding) if subject is not holding else None
    except Exception as error:  # noqa: BLE001  a strategy of the user's own may raise anything
        return StrategyResult(failure=error_text(error))
    if subject is holding:
        return replace(_result_of(strategy, holding, (holding,), context), is_alone=True)
    result = _for_this_leg(wholes[subject.symbol], holding, context)
    if rest is None:
        return result
    of_rest = _for_this_leg(_result_of(*rest, (holding,), context), holding, context)
    return _with_rest(result, of_rest, waits=bool(closing_first(holding, context)))


def _for_this_leg(result: StrategyResult, holding: Holding, context: DecisionContext) -> StrategyResult:
    """What the result of a structure, or of what exceeds it, means for the position."""
    if holding.state.suspended:
        return StrategyResult(taken=True)
    return replace(
        result,
        signals=tuple(_for_leg(signal, holding, context) for signal in result.signals),
        unconfirmed=_for_leg(result.unconfirmed, holding, context) if result.unconfirmed else None,
        peak_unconfirmed=result.peak_unconfirmed and _has_one_quote(holding),
    )


def _with_rest(result: StrategyResult, rest: StrategyResult, *, waits: bool) -> StrategyResult:
    """Both results in one: the quantities add up, and while the structure's part `waits`, only the rest is closed."""
    of_structure, of_rest = merged(result.signals), merged(rest.signals)
    signals = tuple(signal for signal in (of_structure, of_rest) if signal)
    if of_structure and of_rest:
        total = of_structure.qty + of_rest.qty
        signals = (of_rest,) if waits else tuple(replace(signal, qty=total) for signal in signals)
    waiting = result if result.unconfirmed else rest
    return StrategyResult(
        signals,
        taken=result.taken or rest.taken,
        unconfirmed=waiting.unconfirmed,
        waits_for=waiting.waits_for,
        peak_unconfirmed=result.peak_unconfirmed or rest.peak_unconfirmed,
        failure="; ".join(dict.fromkeys(each for each in (result.failure, rest.failure) if each)),
        not_managed=result.not_managed or rest.not_managed,
        is_alone=of_rest is not None and (waits or not of_structure),
    )


def _result_of(
    strategy: BaseStrategy | None, subject: Holding, quoted: Iterable[Holding], context: DecisionContext
) -> StrategyResult:
    """The result of a position or a structure. `quoted` are the holdings whose quotes its price is made of."""
    try:
        return _evaluate_strategy(strategy, subject, quoted, context)
    except StrategyDisabledError as error:
        return StrategyResult(taken=True, not_managed=f"{NOT_MANAGED}: {error}")
    except Exception as error:  # noqa: BLE001  a strategy of the user's own may raise anything
        return StrategyResult(failure=error_text(error))


def _evaluate_strategy(
    strategy: BaseStrategy | None, subject: Holding, quoted: Iterable[Holding], context: DecisionContext
) -> StrategyResult:
    if strategy is None:
        return StrategyResult()
    market = context.snapshot.market
    if subject.state.suspended or not market.is_open:
        return StrategyResult(taken=True)
    found = [
        _confirm(_checked(signal, subject), strategy, context)
        for signal in strategy.signals(subject, market)
        if not _is_paused(signal, context)
    ]
    signals = tuple(replace(each.signal, strategy=strategy.name) for each in found if each.signal)
    for each in found:
        if each.unconfirmed:
            return StrategyResult(signals, taken=True, unconfirmed=each.unconfirmed, waits_for=each.waits_for)
    peak_unconfirmed = strategy.needs_peak and any(map(_has_one_quote, quoted))
    return StrategyResult(signals, taken=True, peak_unconfirmed=peak_unconfirmed)


def _has_one_quote(holding: Holding) -> bool:
    """Whether there is a quote, and none before it: no peak can be established."""
    return holding.state.window is None and holding.quote is not None


class SignalError(ValueError):
    """A strategy's signal has a reason, urgency, quantity or price that isn't allowed."""


def _checked(signal: ExitSignal, subject: Holding) -> ExitSignal:
    """A strategy's signal, with `subject` as its holding.

    Raises SignalError when its reason, urgency, quantity or price isn't allowed.
    """
    reason, qty, worst_price = signal.reason, signal.qty, signal.worst_price
    if reason in ENGINE_REASONS or signal.urgency not in REASONS[reason].classes:
        raise SignalError(f"a strategy can't close for {reason} with urgency {signal.urgency}")
    if not (qty.is_finite() and qty > 0):
        raise SignalError(f"a strategy can't close a quantity of {qty}")
    if worst_price is not None and not worst_price.is_finite():
        raise SignalError(f"a strategy can't close at a price of {worst_price} or better")
    return replace(signal, holding=subject)


def _confirm(signal: ExitSignal, strategy: BaseStrategy, context: DecisionContext) -> Confirmation:
    """Whether a signal is confirmed: a stop needs a second quote, and so does a target without a limit price."""
    market = context.snapshot.market

    def same_rule(at_another_price: Holding) -> ExitSignal | None:
        others = strategy.signals(at_another_price, market)
        return next((other for other in others if other.reason is signal.reason), None)

    unprotected = context.policy.style is Style.MARKET
    return confirmed(signal, same_rule, context.at_the_best, context.at_the_worst if unprotected else None)


def _for_leg(signal: ExitSignal, holding: Holding, context: DecisionContext) -> ExitSignal:
    """The signal applied to this position. Of a structure, the short legs are closed first and the long ones follow."""
    if signal.holding is holding:
        return signal
    structure = context.structures.get(holding.symbol)
    if structure is None or signal.holding is not structure.whole:
        return replace(signal, holding=holding, qty=min(signal.qty, signal.holding.position.qty))
    waits = bool(closing_first(holding, context))
    return replace(
        signal,
        holding=holding,
        qty=structure.qty_of(holding.symbol, min(signal.qty, Decimal(structure.units))),
        detail=f"{structure.kind}: {signal.detail}",
        worst_price=None,
        then_close=() if waits else structure.others(holding.symbol),
        structure=structure.name,
    )


def _is_paused(signal: ExitSignal, context: DecisionContext) -> bool:
    """Whether a signal is ignored at this time of the session."""
    if signal.reason not in PRICE_REASONS:
        return False
    market = context.snapshot.market
    return bool(price_exits_paused(market) or (signal.reason in STOPS and stops_paused(market)))


def closing_first(holding: Holding, context: DecisionContext) -> tuple[str, ...]:
    """The short legs of its structure, for a long leg."""
    structure = context.structures.get(holding.symbol) or context.parts.get(holding.symbol)
    return structure.shorts if structure and holding.position.is_long else ()


def error_text(error: Exception) -> str:
    """An error's type and message; of a user-defined strategy's, the message has both."""
    return str(error) if isinstance(error, StrategyError) else f"{type(error).__name__}: {error}"
