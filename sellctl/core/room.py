"""Everything that judging one holding may look at: the snapshot with its quotes judged, who covers whom, the policy."""

from dataclasses import dataclass, replace

from sellctl.core.guards import judge_quote
from sellctl.core.model.order import Order
from sellctl.core.model.position import Holding
from sellctl.core.model.snapshot import Snapshot
from sellctl.core.policy import Policy
from sellctl.core.rules.cover import Cover, cover_of


@dataclass(frozen=True, slots=True)
class Room:
    """A snapshot made ready for judging."""

    snapshot: Snapshot
    policy: Policy
    holdings: tuple[Holding, ...]
    cover: Cover

    @classmethod
    def of(cls, snapshot: Snapshot, policy: Policy) -> "Room":
        """The room for one decision."""
        market = snapshot.market
        holdings = tuple(
            replace(
                h,
                prices=judge_quote(h.quote, h.position.instrument.asset_class, market, h.track.wide_for),
            )
            for h in snapshot.holdings
        )
        return cls(snapshot, policy, holdings, cover_of(holdings))

    def orders_on(self, symbol: str) -> tuple[Order, ...]:
        """Open orders that name the symbol, alone or as a leg."""
        return tuple(
            order
            for order in self.snapshot.orders
            if not order.is_terminal and (order.symbol == symbol or any(leg.symbol == symbol for leg in order.legs))
        )

    def ours_on(self, symbol: str) -> tuple[Order, ...]:
        """Our own open orders on the symbol."""
        return tuple(order for order in self.orders_on(symbol) if order.is_ours)
