"""Max hold: closes a position after a holding time, nights and weekends included."""

import datetime as dt
from dataclasses import dataclass
from typing import ClassVar

from sellctl.core.model.holding_time import time_held
from sellctl.core.model.market import Market
from sellctl.core.model.plan import ExitSignal, Reason
from sellctl.core.model.position import Holding
from sellctl.core.rules.base import UnpricedRule
from sellctl.core.text import as_time_span


@dataclass(frozen=True, slots=True)
class MaxHold(UnpricedRule):
    """Close when held for `limit`."""

    reason: ClassVar[Reason] = Reason.MAX_HOLD
    limit: dt.timedelta

    def evaluate(self, holding: Holding, market: Market) -> ExitSignal | None:
        """The exit; None before that, or when the time held is unknown."""
        held = time_held(holding, market)
        if held is None or held < self.limit:
            return None
        seen = "" if holding.state.opened_at else " (since first seen)"
        return self.exit_signal(holding, f"held {as_time_span(held)}{seen}, limit {as_time_span(self.limit)}")

    def label(self, _holding: Holding, _market: Market) -> str:
        """For example, "close after 2 d"."""
        return f"close after {as_time_span(self.limit)}"
