"""Strategy one: a target and a stop as ratios of the entry price, for longs of the assets in `applies_to`."""

from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property

from sellctl.core.config.schema import AssetKind
from sellctl.core.model.gain import Amount, Basis
from sellctl.core.model.instrument import AssetClass
from sellctl.core.model.market import Market
from sellctl.core.model.position import Holding
from sellctl.core.rules.stop_loss import StopLoss
from sellctl.core.rules.take_profit import TakeProfit
from sellctl.core.sell_strategies.base_strategy import BaseStrategy, Rule
from sellctl.core.sell_strategies.matching import ASSET_CLASSES


@dataclass(frozen=True)
class StrategyOne(BaseStrategy):
    """Sell at price / entry >= `profit_rate`, measured on the bid, or <= `stop_loss_rate`, measured on the mid."""

    name: str = "strategy_one"
    profit_rate: Decimal = Decimal("1.1")
    stop_loss_rate: Decimal = Decimal("0.8")
    applies_to: tuple[AssetKind, ...] = (AssetKind.OPTION,)
    profit_basis: Basis = Basis.EXIT_SIDE
    loss_basis: Basis = Basis.MID

    @cached_property
    def _stop_and_target(self) -> tuple[Rule, ...]:
        return (
            StopLoss(Amount(1 - self.stop_loss_rate), self.loss_basis),
            TakeProfit(Amount(self.profit_rate - 1), self.profit_basis),
        )

    @cached_property
    def _asset_classes(self) -> frozenset[AssetClass]:
        return frozenset(ASSET_CLASSES[kind] for kind in self.applies_to)

    def accepts(self, holding: Holding, _market: Market) -> bool:
        """Whether it is a long of an asset in `applies_to`."""
        position = holding.position
        return position.is_long and position.instrument.asset_class in self._asset_classes

    def rules(self) -> tuple[Rule, ...]:
        """The stop and the target."""
        return self._stop_and_target
