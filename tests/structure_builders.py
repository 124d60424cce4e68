"""Short names for the options and positions of which structures consist."""

from decimal import Decimal

from builders import a_position, a_stock, an_order, at, replace
from hypothesis import strategies as st

from sellctl.core.model.instrument import an_option
from sellctl.core.model.order import Order, PositionIntent, Side
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


_STRIKES = (190, 200, 210, 220)
_SYMBOLS = [make(strike, date) for make in (call, put) for strike in _STRIKES for date in (DECEMBER, JANUARY)]
# What may be held on one underlying: contracts by symbol, and shares in hundreds; negative: short.
BOOKS = st.dictionaries(st.sampled_from([*_SYMBOLS, "AAPL"]), st.integers(-4, 4), max_size=9).map(
    lambda contracts: {symbol: 100 * qty if symbol == "AAPL" else qty for symbol, qty in contracts.items()}
)

CONDOR = {put(170): 1, put(180): -1, call(210): -1, call(220): 1}


def a_multi_leg_order(
    contracts: dict[str, int],
    units: str = "1",
    *,
    status: str = "new",
    limit: str | None = "1.00",
    filled: str = "0",
    client_order_id: str = "by-hand",
    shows_legs: bool = True,
    **more: object,
) -> Order:
    """A multi-leg order that closes so many contracts per unit of each leg; negative: the leg is held short."""
    parent = replace(
        an_order("", "sell", units, limit=limit, status=status, client_order_id=client_order_id, **more),
        side=None,
        position_intent=None,
        order_class="mleg",
        filled_qty=Decimal(filled),
    )
    legs = tuple(
        an_order(
            symbol,
            "sell" if ratio > 0 else "buy",
            str(Decimal(units) * abs(ratio)),
            limit=None,
            status=status,
            client_order_id=f"{client_order_id}-{symbol}",
            filled_qty=Decimal(filled) * abs(ratio),
            filled_at=parent.filled_at,
            order_class="mleg",
        )
        for symbol, ratio in contracts.items()
    )
    return replace(parent, legs=legs if shows_legs else ())


def an_opening_order(
    contracts: dict[str, int], units: str = "1", *, status: str = "filled", filled: str | None = None, **more: object
) -> Order:
    """A multi-leg order that has opened so many contracts per unit of each leg; negative: the leg was sold."""
    order = a_multi_leg_order(
        contracts, units, status=status, filled=units if filled is None else filled, **{"filled_at": at("11:59")} | more
    )
    sides = {symbol: Side.BUY if ratio > 0 else Side.SELL for symbol, ratio in contracts.items()}
    legs = tuple(
        replace(leg, side=sides[leg.symbol], position_intent=PositionIntent(f"{sides[leg.symbol]}_to_open"))
        for leg in order.legs
    )
    return replace(order, legs=legs)
