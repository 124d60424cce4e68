"""Orders that belong together: brackets, OCO, OTO and multi-leg. What one's fill or end does to the others."""

from typing import TYPE_CHECKING

from sellctl.sim import refusals
from sellctl.sim.intake import OrderRequest, is_simple
from sellctl.sim.orders import SimOrder

if TYPE_CHECKING:
    from sellctl.sim.accounts import SimAccount
    from sellctl.sim.exchange import Exchange


def is_grouped(request: OrderRequest) -> bool:
    """Whether more than one order comes of it."""
    return not is_simple(request)


def submit_group(_exchange: "Exchange", _account: "SimAccount", _request: OrderRequest) -> SimOrder:
    """Take a group into the books."""
    raise refusals.unprocessable("complex orders not supported for options trading")


def after_fill(_exchange: "Exchange", _account: "SimAccount", _order: SimOrder) -> None:
    """Let a fill act on the rest of the group."""


def after_end(_exchange: "Exchange", _account: "SimAccount", _order: SimOrder) -> None:
    """Let an end act on the rest of the group."""
