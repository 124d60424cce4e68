"""Strategies of the configuration: which positions they manage, and the rule for each key of `rules`."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from sellctl.core.config.schema import MatchConfig, PriceBasisConfig, RulesConfig
from sellctl.core.model.gain import Basis
from sellctl.core.model.market import Market
from sellctl.core.model.plan import ExitSignal, Trigger
from sellctl.core.model.position import Holding
from sellctl.core.rules.breakeven import Breakeven
from sellctl.core.rules.days_to_expiry import DaysToExpiry
from sellctl.core.rules.max_hold import MaxHold
from sellctl.core.rules.profit_lock import ProfitLock
from sellctl.core.rules.roi_table import RoiTable
from sellctl.core.rules.scale_out import ScaleOut
from sellctl.core.rules.stop_loss import StopLoss
from sellctl.core.rules.take_profit import TakeProfit
from sellctl.core.rules.time_of_day import BeforeClose, ExitAt
from sellctl.core.rules.trailing_stop import TrailingStop
from sellctl.core.rules.underlying import InTheMoney, UnderlyingTouch
from sellctl.core.sell_strategies.base_strategy import BaseStrategy, Rule
from sellctl.core.sell_strategies.matching import fits
from sellctl.core.structures.pairs import PAIRS

EVERYTHING = MatchConfig()


@dataclass(frozen=True)
class Declared(BaseStrategy):
    """A strategy of the configuration."""

    match: MatchConfig = EVERYTHING
    compiled: tuple[Rule, ...] = ()

    @property
    def evaluates_pairs(self) -> bool:
        """Whether its match includes a kind of pair."""
        return not PAIRS.isdisjoint(self.match.structure)

    def accepts(self, holding: Holding, market: Market) -> bool:
        """Whether its match fits the position."""
        return fits(self.match, holding, market)

    def rules(self) -> tuple[Rule, ...]:
        """The rules of its configuration keys."""
        return self.compiled


@dataclass(frozen=True)
class Narrowed(BaseStrategy):
    """A user-defined strategy, limited to the positions that the match of its entry fits."""

    match: MatchConfig = EVERYTHING
    inner: BaseStrategy = field(default_factory=BaseStrategy)

    def accepts(self, holding: Holding, market: Market) -> bool:
        """Whether the match fits and the user-defined strategy accepts the position."""
        return fits(self.match, holding, market) and self.inner.accepts(holding, market)

    def rules(self) -> tuple[Rule, ...]:
        """The rules of the user-defined strategy."""
        return self.inner.rules()

    def rule_texts(self) -> tuple[str, ...]:
        """The settings of each rule of the user-defined strategy."""
        return self.inner.rule_texts()

    def signals(self, holding: Holding, market: Market) -> tuple[ExitSignal, ...]:
        """The signals of the user-defined strategy."""
        return self.inner.signals(holding, market)

    def triggers(self, holding: Holding, market: Market) -> tuple[Trigger, ...]:
        """The triggers of the user-defined strategy."""
        return self.inner.triggers(holding, market)


def rules_of(rules: RulesConfig, basis: PriceBasisConfig) -> tuple[Rule, ...]:
    """The rules of a strategy's configuration keys."""
    return (*_stops(rules, basis.loss), *_time_rules(rules, basis.profit), *_targets(rules, basis.profit))


def _stops(rules: RulesConfig, basis: Basis) -> Iterator[Rule]:
    if rules.stop_loss:
        yield StopLoss(rules.stop_loss, basis)
    if trail := rules.trailing_stop:
        yield TrailingStop(trail.trail, trail.activation, trail.floor, trail.max_pullback, basis)
    if rules.breakeven:
        yield Breakeven(rules.breakeven.activation, rules.breakeven.keep, basis)
    if rules.profit_lock:
        yield ProfitLock(rules.profit_lock, basis)
    if rules.underlying:
        yield UnderlyingTouch(rules.underlying)
    if rules.in_the_money is not None:
        yield InTheMoney(rules.in_the_money)


def _time_rules(rules: RulesConfig, basis: Basis) -> Iterator[Rule]:
    if rules.before_close is not None:
        yield BeforeClose(rules.before_close)
    if rules.exit_at is not None:
        yield ExitAt(rules.exit_at)
    if rules.max_hold is not None:
        yield MaxHold(rules.max_hold)
    if rules.days_to_expiry is not None:
        yield DaysToExpiry(rules.days_to_expiry)
    if combined := rules.days_to_expiry_with_gain:
        yield DaysToExpiry(combined.days, combined.gain, basis)


def _targets(rules: RulesConfig, basis: Basis) -> Iterator[Rule]:
    if rules.take_profit:
        yield TakeProfit(rules.take_profit, basis)
    if rules.roi_table:
        yield RoiTable(tuple(sorted(rules.roi_table, key=lambda step: step.after)), rules.roi_hours, basis)
    if rules.scale_out:
        yield ScaleOut(tuple(sorted(rules.scale_out, key=lambda step: step.at)), basis)
