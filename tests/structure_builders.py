"""Short names for the options and positions of which structures consist."""

from builders import a_position, a_stock

from sellctl.core.model.instrument import an_option
from sellctl.core.model.position import Position
from sellctl.core.structures.kinds import Leg

DECEMBER, JANUARY = "261218", "270115"


def call(strike: int, expires: str = DECEMBER, root: str = "AAPL") -> str:
    return f"{root}{expires}C{strike * 1000:08d}"


def put(strike: int, expires: str = DECEMBER, root: str = "AAPL") -> str:
    return f"{root}{expires}P{strike * 1000:08d}"


def positions(contracts: dict[str, int]) -> list[Position]:
    """Positions of so many contracts or shares; negative: short."""
    return [a_position(symbol, str(abs(qty)), short=qty < 0) for symbol, qty in contracts.items() if qty]


def legs(contracts: dict[str, int]) -> list[Leg]:
    """Legs of so many contracts, or hundreds of shares, per unit."""
    return [Leg(an_option(symbol) or a_stock(symbol), ratio) for symbol, ratio in contracts.items()]


CONDOR = {put(170): 1, put(180): -1, call(210): -1, call(220): 1}
