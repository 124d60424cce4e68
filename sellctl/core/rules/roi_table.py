"""ROI table: a target gain that shrinks with the time held."""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from sellctl.core.config.schema import RoiStep, TimeCounting
from sellctl.core.model.gain import Basis, price_at_gain
from sellctl.core.model.holding_time import session_time_held, time_held
from sellctl.core.model.market import Market
from sellctl.core.model.plan import Reason
from sellctl.core.model.position import Holding
from sellctl.core.rules.base import ProfitRule
from sellctl.core.text import as_percent, as_time_span


@dataclass(frozen=True, slots=True)
class RoiTable(ProfitRule):
    """Close when the gain reaches that of the latest step whose holding time has passed; never before the first."""

    reason: ClassVar[Reason] = Reason.ROI_TABLE
    steps: tuple[RoiStep, ...]  # by time, ascending
    hours: TimeCounting = TimeCounting.WALL
    basis: Basis = Basis.EXIT_SIDE

    def threshold(self, holding: Holding, market: Market) -> Decimal | None:
        """The price at which the gain of the current step is reached; None before the first step."""
        step = self._step(holding, market)
        return None if step is None else price_at_gain(holding.position, step.gain)

    def label(self, holding: Holding, market: Market) -> str:
        """For example, "+50% after 60 min held"."""
        step = self._step(holding, market)
        unknown = self.hours is TimeCounting.SESSION and market.calendar is None
        why = " (the exchange's calendar is unknown: time held counts as zero)" if unknown else ""
        return f"{as_percent(step.gain)} after {as_time_span(step.after)} held{why}" if step else f"ROI table{why}"

    def _step(self, holding: Holding, market: Market) -> RoiStep | None:
        held = self._held(holding, market)
        reached = [step for step in self.steps if held is not None and step.after <= held]
        return max(reached, key=lambda step: step.after, default=None)

    def _held(self, holding: Holding, market: Market) -> dt.timedelta | None:
        return time_held(holding, market) if self.hours is TimeCounting.WALL else session_time_held(holding, market)
