"""Rules on the time of day: a time span before the market closes, or from a fixed time in New York."""

import datetime as dt
from dataclasses import dataclass
from typing import ClassVar

from sellctl.core.model.market import NEW_YORK, Market
from sellctl.core.model.plan import ExitSignal, Reason
from sellctl.core.model.position import Holding
from sellctl.core.rules.base import UnpricedRule
from sellctl.core.text import as_time_span


@dataclass(frozen=True, slots=True)
class BeforeClose(UnpricedRule):
    """Close `before` the end of each session."""

    reason: ClassVar[Reason] = Reason.BEFORE_CLOSE
    before: dt.timedelta

    def evaluate(self, holding: Holding, market: Market) -> ExitSignal | None:
        """The exit; None earlier in the day, or when the market is closed."""
        left = market.until_close
        if left is None or left > self.before:
            return None
        detail = f"{as_time_span(left)} to the close, closing {as_time_span(self.before)} before it"
        return self.exit_signal(holding, detail)

    def label(self, _holding: Holding, _market: Market) -> str:
        """For example, "close 10 min before the market closes"."""
        return f"close {as_time_span(self.before)} before the market closes"


@dataclass(frozen=True, slots=True)
class ExitAt(UnpricedRule):
    """Close from a time of day in New York."""

    reason: ClassVar[Reason] = Reason.EXIT_AT
    at: dt.time

    def evaluate(self, holding: Holding, market: Market) -> ExitSignal | None:
        """The exit; None earlier in the day."""
        now = market.now.astimezone(NEW_YORK)
        if now.time() < self.at:
            return None
        return self.exit_signal(holding, f"{now:%H:%M} ET, closing from {self.at:%H:%M} ET")

    def label(self, _holding: Holding, _market: Market) -> str:
        """For example, "close from 15:30 ET"."""
        return f"close from {self.at:%H:%M} ET"
