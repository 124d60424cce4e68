"""Whatever orders, cancels, replacements, prices and faults come, in any order: the legs of an order stay together."""

import contextlib
from decimal import Decimal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from sim_builders import CALL, HIGHER, PUT, a_body, a_leg, a_spread, a_venue, later

from sellctl.sim.rejections import RejectionError
from sellctl.sim.venue.coverage import uncovered_contracts
from sellctl.sim.venue.orders import TERMINAL

LOWER = "NVDA261218P00170000"
SYMBOLS = st.sampled_from([CALL, HIGHER, PUT, LOWER])
INTENTS = st.sampled_from(["buy_to_open", "sell_to_open", "buy_to_close", "sell_to_close"])
LIMITS = st.sampled_from(["-2.00", "-0.94", "-0.50", "0", "0.50", "1.10", "2.00"])
FAULTS = st.sampled_from(["O01", "O02", "O03", "O04", "O05", "O06", "O08", "O09", "O13", "O14", "O15", "O18", "H19"])
PRICES = st.sampled_from(["0.50", "1.00", "2.00", "2.50"])


class SpreadBooks(RuleBasedStateMachine):
    """One account that holds a condor, under random orders."""

    def __init__(self) -> None:
        super().__init__()
        held = ((CALL, "-3", "3"), (HIGHER, "3", "2"), (PUT, "-3", "2"), (LOWER, "3", "1"))
        self.venue = a_venue(*held, cash="3000", inside_fill=Decimal("0.2"), partial_fills=Decimal("0.5"))
        self.account = self.venue.accounts["main"]
        self.start = {symbol: position.qty for symbol, position in self.account.positions.items()}

    @rule(
        symbols=st.lists(SYMBOLS, min_size=2, max_size=4, unique=True),
        ratios=st.lists(st.integers(1, 2), min_size=4, max_size=4),
        intents=st.none() | st.lists(INTENTS, min_size=4, max_size=4),
        limit=st.none() | LIMITS,
        qty=st.integers(1, 3),
    )
    def send_spread(
        self, symbols: list[str], ratios: list[int], intents: list[str] | None, limit: str | None, qty: int
    ) -> None:
        """Without `intents` it closes what is held."""
        closes = ["buy_to_close" if self.account.qty_of(symbol) < 0 else "sell_to_close" for symbol in symbols]
        parts = zip(symbols, intents or closes, ratios, strict=False)
        legs = [a_leg(symbol, intent, str(ratio)) for symbol, intent, ratio in parts]
        with contextlib.suppress(RejectionError):
            self.venue.submit(self.account, a_spread(limit, legs=legs, qty=str(qty)))

    @rule(symbol=SYMBOLS, side=st.sampled_from(["buy", "sell"]), qty=st.integers(1, 3), price=st.none() | PRICES)
    def send(self, symbol: str, side: str, qty: int, price: str | None) -> None:
        fields = {} if price is None else {"limit_price": price}
        with contextlib.suppress(RejectionError):
            self.venue.submit(self.account, a_body(symbol, side, str(qty), **fields))

    @rule(index=st.integers(0, 30))
    def cancel(self, index: int) -> None:
        orders = list(self.account.orders)
        with contextlib.suppress(RejectionError):
            if orders:
                self.venue.cancel(self.account, orders[index % len(orders)])

    @rule(index=st.integers(0, 30), limit=LIMITS)
    def replace(self, index: int, limit: str) -> None:
        orders = list(self.account.orders)
        with contextlib.suppress(RejectionError):
            if orders:
                self.venue.replace(self.account, orders[index % len(orders)], {"limit_price": limit})

    @rule(symbol=SYMBOLS, bid=PRICES, wide=st.booleans())
    def move(self, symbol: str, bid: str, wide: bool) -> None:
        self.venue.set_quote(symbol, Decimal(bid), Decimal(bid) + (Decimal(1) if wide else Decimal("0.05")))

    @rule(seconds=st.integers(1, 40))
    def wait(self, seconds: int) -> None:
        later(self.venue, seconds)

    @rule(name=FAULTS, symbol=st.just("") | SYMBOLS)
    def inject(self, name: str, symbol: str) -> None:
        self.venue.inject(name, symbol=symbol, **({"seconds": 5} if name == "H19" else {}))

    @property
    def meddled(self) -> bool:
        """Whether an assignment took a position from under the others."""
        return bool(self.venue.faults.fired["O15"])

    @invariant()
    def legs_have_the_status_of_their_parent_and_their_ratio_of_its_fills(self) -> None:
        for order in self.account.orders.values():
            for leg in order.legs:
                assert leg.status == order.status
                assert leg.filled_qty == order.filled_qty * leg.ratio_qty
                assert leg.qty == order.qty * leg.ratio_qty

    @invariant()
    def positions_are_what_was_held_and_what_the_legs_and_single_orders_filled(self) -> None:
        expected = dict(self.start)
        for order in self.account.orders.values():
            if order.replaced_by is None and not order.is_multi_leg:
                signed = order.filled_qty if order.is_buy else -order.filled_qty
                expected[order.symbol] = expected.get(order.symbol, Decimal(0)) + signed
        held = {symbol: position.qty for symbol, position in self.account.positions.items()}
        assert held == {symbol: qty for symbol, qty in expected.items() if qty} or self.meddled
        assert "" not in held

    @invariant()
    def no_order_holds_more_than_there_is_and_open_orders_are_not_done(self) -> None:
        for symbol, position in self.account.positions.items():
            assert self.account.held_for_orders(symbol) <= abs(position.qty)
        for order in self.account.orders.values():
            assert (order.id in self.account.open_orders) == (order.status not in TERMINAL)

    @invariant()
    def no_short_option_is_uncovered(self) -> None:
        holdings = {symbol: position.qty for symbol, position in self.account.positions.items()}
        assert uncovered_contracts(holdings, self.account.cash) == 0 or self.meddled


SpreadBooks.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestTheSpreadBooks = SpreadBooks.TestCase
