"""Zero-day: closes an option on its last day, by three deadlines before the close; later ones for broad ETFs."""

import datetime as dt
from dataclasses import dataclass

from sellctl.core.config.schema import BroadEtfsConfig, ZeroDayConfig
from sellctl.core.model.holding_time import is_last_day
from sellctl.core.model.market import NEW_YORK, Market
from sellctl.core.model.plan import ExitSignal, Reason, Urgency
from sellctl.core.model.position import Holding


@dataclass(frozen=True, slots=True)
class ZeroDay:
    """Close an option on its last day: non-urgent from `start`, protective from `eager`, at any price from `final`."""

    config: ZeroDayConfig

    def evaluate(self, holding: Holding, market: Market) -> ExitSignal | None:
        """The exit, with the urgency for the time left; None on any other day or before `start`."""
        left = market.until_close
        if not is_last_day(holding, market) or left is None:
            return None
        urgency = self._urgency(self._deadlines(holding), left)
        if urgency is None:
            return None
        detail = f"{why_last_day(holding)}: {_until(left, market)} ({_STAGE[urgency]})"
        return ExitSignal(holding, holding.position.qty, Reason.ZERO_DAY, detail, urgency)

    def starts_at(self, holding: Holding, market: Market) -> dt.datetime | None:
        """When it begins to close an option on its last day; None from the open on, or while the close is unknown."""
        start = self._deadlines(holding).start
        return None if start is None or market.closes_at is None else market.closes_at - start

    def _deadlines(self, holding: Holding) -> ZeroDayConfig | BroadEtfsConfig:
        broad = self.config.broad_etfs
        return broad if holding.position.instrument.underlying in broad.symbols else self.config

    @staticmethod
    def _urgency(deadlines: ZeroDayConfig | BroadEtfsConfig, left: dt.timedelta) -> Urgency | None:
        if left <= deadlines.final:
            return Urgency.FORCED
        if left <= deadlines.eager:
            return Urgency.PROTECTIVE
        return Urgency.TIME if deadlines.start is None or left <= deadlines.start else None


_STAGE = {Urgency.TIME: "closing begins", Urgency.PROTECTIVE: "urgent", Urgency.FORCED: "at any price"}


def why_last_day(holding: Holding) -> str:
    """What makes today the last day of an option that can't be traded after today."""
    option = holding.position.instrument.option
    if option and option.is_am_settled:
        return f"trades for the last time today (it settles on the morning of {option.expires})"
    return "expires today"


def _until(left: dt.timedelta, market: Market) -> str:
    closes = f"the close at {market.closes_at.astimezone(NEW_YORK):%H:%M} ET" if market.closes_at else "the close"
    if left <= dt.timedelta(0):
        return f"{closes} is past"
    minutes, seconds = divmod(int(left.total_seconds()), 60)
    return f"{minutes} min to {closes}" if minutes else f"{seconds} s to {closes}"
