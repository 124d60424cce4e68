"""Lotto guard: once the price is a multiple of the entry, sell as much of the position as recovers its cost."""

from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

from sellctl.core.model.market import Market
from sellctl.core.model.plan import ExitSignal, Urgency
from sellctl.core.model.position import Holding
from sellctl.core.sell_strategies.base_strategy import BaseStrategy


@dataclass(frozen=True)
class LottoGuard(BaseStrategy):
    times: Decimal = Decimal(4)  # price / entry

    def evaluate(self, holding: Holding, _market: Market) -> ExitSignal | None:
        gain, held = holding.gain, holding.position.qty
        left = held if holding.state.qty_left is None else min(held, holding.state.qty_left)
        whole = holding.state.original_qty or held
        keep = whole - (whole / self.times).to_integral_value(ROUND_CEILING)
        if gain is None or gain + 1 < self.times or left <= keep:
            return None
        return self.close(holding, f"{gain + 1:.1f} x entry", qty=left - keep, urgency=Urgency.PROFIT)
