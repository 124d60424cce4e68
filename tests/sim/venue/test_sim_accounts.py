"""Whatever orders, cancels, prices and faults come, in any order: positions, orders and cash of an account add up."""

import contextlib
from decimal import Decimal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from sim_builders import CALL, STOCK, a_body, a_venue, later

from sellctl.sim.rejections import RejectionError
from sellctl.sim.venue.coverage import uncovered_contracts
from sellctl.sim.venue.orders import TERMINAL

SYMBOLS = st.sampled_from([CALL, STOCK, "NVDA261218C00210000"])
PRICES = st.sampled_from(["0.50", "1.00", "2.00", "2.50", "12.00"])
FAULTS = st.sampled_from(["O01", "O02", "O03", "O04", "O05", "O08", "O09", "O10", "O11", "H19"])


class Books(RuleBasedStateMachine):
    """One account under random orders."""

    def __init__(self) -> None:
        super().__init__()
        self.venue = a_venue(
            (CALL, "4", "1.50"), (STOCK, "100", "11"), quotes={"NVDA261218C00210000": ("1.00", "1.10")}, cash="10000"
        )
        self.account = self.venue.accounts["main"]
        self.start = {symbol: position.qty for symbol, position in self.account.positions.items()}

    @rule(symbol=SYMBOLS, side=st.sampled_from(["buy", "sell"]), qty=st.integers(1, 6), price=st.none() | PRICES)
    def send(self, symbol: str, side: str, qty: int, price: str | None) -> None:
        fields = {} if price is None else {"limit_price": price}
        with contextlib.suppress(RejectionError):
            self.venue.submit(self.account, a_body(symbol, side, str(qty), **fields))

    @rule(place=st.integers(0, 20))
    def cancel(self, place: int) -> None:
        orders = list(self.account.orders.values())
        with contextlib.suppress(RejectionError):
            if orders:
                self.venue.cancel(self.account, orders[place % len(orders)].id)

    @rule(symbol=SYMBOLS, bid=PRICES, wide=st.booleans())
    def move(self, symbol: str, bid: str, wide: bool) -> None:
        self.venue.set_quote(symbol, Decimal(bid), Decimal(bid) + (Decimal(1) if wide else Decimal("0.05")))

    @rule(seconds=st.integers(1, 40))
    def wait(self, seconds: int) -> None:
        later(self.venue, seconds)

    @rule(name=FAULTS)
    def inject(self, name: str) -> None:
        self.venue.inject(name, **({"seconds": 5} if name == "H19" else {}))

    @invariant()
    def positions_are_what_was_held_and_what_was_filled(self) -> None:
        expected = dict(self.start)
        for order in self.account.orders.values():
            signed = order.filled_qty if order.is_buy else -order.filled_qty
            if order.replaced_by is None:  # a successor's fills are its predecessor's and its own
                expected[order.symbol] = expected.get(order.symbol, Decimal(0)) + signed
        held = {symbol: position.qty for symbol, position in self.account.positions.items()}
        assert held == {symbol: qty for symbol, qty in expected.items() if qty}

    @invariant()
    def no_order_holds_more_than_there_is(self) -> None:
        for symbol, position in self.account.positions.items():
            assert self.account.held_for_orders(symbol) <= abs(position.qty) or self.meddled

    @property
    def meddled(self) -> bool:
        """Whether the broker itself or a human took from under an order, which sellers of ours can't prevent."""
        return bool({"O10", "O11"} & set(self.venue.faults.fired))

    @invariant()
    def nothing_is_filled_beyond_its_quantity_and_open_orders_are_not_done(self) -> None:
        for order in self.account.orders.values():
            assert order.qty is None or order.filled_qty <= order.qty
            assert (order.id in self.account.open_orders) == (order.status not in TERMINAL)

    @invariant()
    def no_short_option_is_uncovered(self) -> None:
        holdings = {symbol: position.qty for symbol, position in self.account.positions.items()}
        assert uncovered_contracts(holdings, self.account.cash) == 0 or self.meddled


Books.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestTheBooks = Books.TestCase
