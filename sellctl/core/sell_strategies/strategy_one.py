"""Strategy one: a profit and a stop ratio on the entry price, for the longs of the assets it applies to."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import ClassVar

from sellctl.core.config.schema import Amount, AssetKind, Basis
from sellctl.core.model.instrument import AssetClass
from sellctl.core.model.market import Market
from sellctl.core.model.plan import ExitSignal
from sellctl.core.model.position import Holding
from sellctl.core.rules.entry import StopLoss, TakeProfit
from sellctl.core.sell_strategies.base_strategy import BaseStrategy, Rule

CLASS_OF = {AssetKind.OPTION: AssetClass.OPTION, AssetKind.STOCK: AssetClass.STOCK}


@dataclass(frozen=True)
class StrategyOne(BaseStrategy):
    """Sell at price / entry >= `profit_rate`, measured on the bid, or <= `stop_loss_rate`, measured on the mid."""

    may_raise: ClassVar[bool] = False
    name: str = "strategy_one"
    profit_rate: Decimal = Decimal("1.1")
    stop_loss_rate: Decimal = Decimal("0.8")
    applies_to: tuple[AssetKind, ...] = (AssetKind.OPTION,)
    profit_basis: Basis = Basis.BID
    loss_basis: Basis = Basis.MID
    _rules: tuple[Rule, ...] = field(init=False, repr=False, compare=False, default=())
    _classes: frozenset[AssetClass] = field(init=False, repr=False, compare=False, default=frozenset())

    def __post_init__(self) -> None:
        rules = (
            StopLoss(Amount(1 - self.stop_loss_rate), self.loss_basis),
            TakeProfit(Amount(self.profit_rate - 1), self.profit_basis),
        )
        object.__setattr__(self, "_rules", rules)
        object.__setattr__(self, "_classes", frozenset(CLASS_OF[kind] for kind in self.applies_to))

    def takes(self, holding: Holding, _market: Market) -> bool:
        """Longs of the assets it applies to."""
        return holding.position.is_long and holding.position.instrument.asset_class in self._classes

    def rules(self) -> tuple[Rule, ...]:
        """The stop and the target."""
        return self._rules

    def signals(self, holding: Holding, market: Market) -> tuple[ExitSignal, ...]:
        """Every exit that is true now. Most looks end here: a quote between both prices meets neither rule."""
        return () if self._is_between(holding) else BaseStrategy.signals(self, holding, market)

    def _is_between(self, holding: Holding) -> bool:
        entry, prices = holding.position.entry_price, holding.prices
        if entry is None or prices.bid is None or prices.ask is None:
            return False
        return entry * self.stop_loss_rate < prices.bid and prices.ask < entry * self.profit_rate
