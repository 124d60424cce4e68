"""Strategy one: a profit and a stop ratio on the entry price, for the longs of the assets it applies to."""

from dataclasses import dataclass
from decimal import Decimal

from sellctl.core.model.config import AssetKind, Basis
from sellctl.core.model.instrument import AssetClass
from sellctl.core.model.position import Holding
from sellctl.core.rules.price import StopLoss, TakeProfit
from sellctl.core.sell_strategies.base_strategy import BaseStrategy, PriceRule

_CLASS_OF = {AssetKind.OPTION: AssetClass.OPTION, AssetKind.STOCK: AssetClass.STOCK}


@dataclass(frozen=True)
class StrategyOne(BaseStrategy):
    """Sell at price / entry >= `profit_rate`, measured on the bid, or <= `stop_loss_rate`, measured on the mid."""

    name: str = "strategy_one"
    profit_rate: Decimal = Decimal("1.1")
    stop_loss_rate: Decimal = Decimal("0.8")
    applies_to: tuple[AssetKind, ...] = (AssetKind.OPTION,)
    profit_basis: Basis = Basis.BID
    loss_basis: Basis = Basis.MID

    def takes(self, holding: Holding) -> bool:
        """Longs of the assets it applies to."""
        classes = {_CLASS_OF[kind] for kind in self.applies_to}
        return holding.position.is_long and holding.position.instrument.asset_class in classes

    def rules(self) -> tuple[PriceRule, ...]:
        """The stop and the target."""
        return (StopLoss(self.stop_loss_rate, self.loss_basis), TakeProfit(self.profit_rate, self.profit_basis))
