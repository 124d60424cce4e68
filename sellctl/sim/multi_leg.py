"""Multi-leg orders: all legs fill together at a net price, or none does."""

from typing import TYPE_CHECKING

from sellctl.sim.orders import SimOrder

if TYPE_CHECKING:
    from sellctl.sim.accounts import SimAccount
    from sellctl.sim.exchange import Exchange


def try_multi_leg(_exchange: "Exchange", _account: "SimAccount", _order: SimOrder) -> None:
    """Trade every leg at once when the net price allows."""
