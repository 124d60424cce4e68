"""Friday flush: close every position on Fridays from a time of day on, so that nothing is held over the weekend."""

import datetime as dt
from dataclasses import dataclass

from sellctl.core.config.schema import TimeOfDay
from sellctl.core.model.market import NEW_YORK, Market
from sellctl.core.model.plan import ExitSignal
from sellctl.core.model.position import Holding
from sellctl.core.sell_strategies.base_strategy import BaseStrategy

FRIDAY = 4


@dataclass(frozen=True)
class FridayFlush(BaseStrategy):
    after: TimeOfDay = dt.time(15, 30)

    def evaluate(self, holding: Holding, market: Market) -> ExitSignal | None:
        now = market.now.astimezone(NEW_YORK)
        if now.weekday() != FRIDAY or now.time() < self.after:
            return None
        return self.close(holding, f"it is Friday {now:%H:%M}")
