"""Time stop: close a position that has not gained enough some time after it was opened."""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal

from sellctl.core.config.schema import Gain, Minutes
from sellctl.core.model.holding_time import time_held
from sellctl.core.model.market import Market
from sellctl.core.model.plan import ExitSignal
from sellctl.core.model.position import Holding
from sellctl.core.sell_strategies.base_strategy import BaseStrategy


@dataclass(frozen=True)
class TimeStop(BaseStrategy):
    after: Minutes = dt.timedelta(hours=2)
    needs: Gain = Decimal("0.1")

    def evaluate(self, holding: Holding, market: Market) -> ExitSignal | None:
        held, gain = time_held(holding, market), holding.gain
        if held is None or gain is None or held < self.after or gain >= self.needs:
            return None
        return self.close(holding, f"gained {gain:.0%} in {held}, {self.needs:.0%} needed")
