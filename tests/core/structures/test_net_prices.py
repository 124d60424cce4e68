"""Net prices of a structure: the natural and the opposite side, unknown with one unknown leg; the gain on them."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structure_builders import CONDOR, call, legs

from sellctl.core.model.position import Prices
from sellctl.core.structures.net_prices import gain_at, net_entry, net_prices

D = Decimal
DEBIT, CREDIT = {call(200): 1, call(210): -1}, {call(200): -1, call(210): 1}
QUOTES = {
    call(200): Prices(bid=D("6.00"), ask=D("6.20"), problem=""),
    call(210): Prices(bid=D("2.00"), ask=D("2.10"), problem=""),
}


def test_a_debit_is_worth_its_long_leg_at_the_bid_less_its_short_leg_at_the_ask() -> None:
    net = net_prices(legs(DEBIT), QUOTES)
    assert (net.bid, net.ask, net.mid) == (D("3.90"), D("4.20"), D("4.05"))


def test_a_credit_is_worth_less_than_nothing_and_natural_is_what_it_costs_at_most() -> None:
    net = net_prices(legs(CREDIT), QUOTES)
    assert (net.bid, net.ask) == (D("-4.20"), D("-3.90"))


def test_more_contracts_of_a_leg_count_so_often() -> None:
    assert net_prices(legs({call(200): 1, call(210): -2}), QUOTES).bid == D("1.80")


@pytest.mark.parametrize("missing", [None, Prices(), Prices(bid=D(2), ask=None, problem="")])
def test_one_leg_without_a_usable_price_makes_the_net_unknown_and_is_named(missing: Prices | None) -> None:
    quotes = {call(200): QUOTES[call(200)]} | ({} if missing is None else {call(210): missing})
    net = net_prices(legs(DEBIT), quotes)
    assert (net.bid, net.ask, net.mid) == (None, None, None)
    assert net.problem.startswith(f"{call(210)}: ")


def test_a_wide_leg_makes_the_net_wide_until_each_wide_leg_has_settled() -> None:
    wide = Prices(bid=D(2), ask=D(4), problem="", wide=True)
    settled = Prices(bid=D(2), ask=D(4), problem="", wide=True, wide_settled=True)
    both = [net_prices(legs(DEBIT), QUOTES | {call(210): each}) for each in (wide, settled)]
    assert [(net.wide, net.wide_settled) for net in both] == [(True, False), (True, True)]


def test_the_net_entry_is_a_debit_or_below_zero_a_credit_and_unknown_with_one_leg() -> None:
    entries: dict[str, Decimal | None] = {call(200): D(5), call(210): D(2)}
    assert net_entry(legs(DEBIT), entries) == D(3)
    assert net_entry(legs(CREDIT), entries) == D(-3)
    assert net_entry(legs(DEBIT), entries | {call(210): None}) is None
    assert net_entry(legs(CONDOR), entries) is None


@pytest.mark.parametrize(
    ("price", "entry", "gain"),
    [
        ("4.5", "3", "0.5"),
        ("-1", "-2", "0.5"),
        ("-6", "-2", "-2"),
        ("0", "-2", "1"),
        (None, "3", None),
        ("1", "0", None),
    ],
)
def test_the_gain_is_a_share_of_the_debit_or_of_the_credit(price: str | None, entry: str, gain: str | None) -> None:
    found = gain_at(None if price is None else D(price), D(entry))
    assert found == (None if gain is None else D(gain))


SIDES = st.tuples(st.decimals(0, 10, places=2), st.decimals(0, 3, places=2))


@given(SIDES, SIDES, st.sampled_from([DEBIT, CREDIT, {call(200): 1, call(210): -3}]))
def test_natural_is_never_better_than_the_opposite_side(
    low: tuple[Decimal, Decimal], high: tuple[Decimal, Decimal], held: dict[str, int]
) -> None:
    prices = {
        symbol: Prices(bid=bid, ask=bid + spread, problem="")
        for symbol, (bid, spread) in zip((call(200), call(210)), (low, high), strict=True)
    }
    net = net_prices(legs(held), prices)
    assert net.bid is not None
    assert net.ask is not None
    assert net.bid <= net.ask
