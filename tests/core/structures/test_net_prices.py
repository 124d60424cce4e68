"""Net prices of a structure: the natural and the opposite side, unknown with one unknown leg; the gain on them."""

import datetime as dt
from collections.abc import Iterable
from decimal import Decimal

import pytest
from builders import at, replace
from hypothesis import given
from hypothesis import strategies as st
from structure_builders import CONDOR, call, legs

from sellctl.core.decision.quote_checks import is_wide
from sellctl.core.model.instrument import AssetClass
from sellctl.core.model.market import WIDE_SETTLES, Quote
from sellctl.core.model.position import Prices
from sellctl.core.structures.net_prices import gain_at, net_entry, net_prices

D = Decimal
NOTHING = D(0)
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


WORTHLESS = Prices(bid=None, ask=D("0.05"), problem="no bid")


@pytest.mark.parametrize(("held", "net"), [(DEBIT, ("5.95", "6.20")), (CREDIT, ("-6.20", "-5.95"))])
def test_an_option_that_nobody_bids_for_and_that_costs_next_to_nothing_is_worth_nothing(
    held: dict[str, int], net: tuple[str, str]
) -> None:
    found = net_prices(legs(held), QUOTES | {call(210): WORTHLESS})
    assert (found.bid, found.ask, found.problem) == (D(net[0]), D(net[1]), "")


@pytest.mark.parametrize("quote", [replace(WORTHLESS, ask=D("0.06")), Prices(problem="quote is 900 s old")])
def test_one_that_costs_more_without_a_bid_or_whose_quote_is_not_usable_makes_the_net_unknown(quote: Prices) -> None:
    assert net_prices(legs(DEBIT), QUOTES | {call(210): quote}).bid is None


def test_shares_without_a_bid_are_never_worth_nothing() -> None:
    assert net_prices(legs({"AAPL": 1, call(210): -1}), QUOTES | {"AAPL": WORTHLESS}).bid is None


def quoted(symbols: Iterable[str], *sides: tuple[str, str]) -> dict[str, Prices]:
    pairs = zip(symbols, sides, strict=True)
    return {symbol: Prices(bid=D(bid), ask=D(ask), problem="") for symbol, (bid, ask) in pairs}


NARROW_EACH = (("10.00", "10.20"), ("9.50", "9.70"))  # 2% of each leg, and 80% of the net


def test_legs_that_are_narrow_by_themselves_may_make_a_wide_net_which_settles_after_a_while() -> None:
    prices = quoted(DEBIT, *NARROW_EACH)
    spans = (dt.timedelta(0), dt.timedelta(seconds=59), WIDE_SETTLES)
    net = [net_prices(legs(DEBIT), prices, span) for span in spans]
    assert [(each.wide, each.wide_settled) for each in net] == [(True, False), (True, False), (True, True)]


def test_a_wide_leg_that_counts_for_little_makes_no_wide_net() -> None:
    wide_leg = (("5.00", "5.05"), ("0.01", "0.10"))
    assert not net_prices(legs(DEBIT), quoted(DEBIT, *wide_leg)).wide


def test_near_a_net_of_zero_what_is_narrow_on_each_leg_is_narrow() -> None:
    at_nothing = [("0.03", "0.07"), ("0.08", "0.12"), ("0.08", "0.12"), ("0.03", "0.07")]
    assert not net_prices(legs(CONDOR), quoted(sorted(CONDOR), *at_nothing)).wide
    assert net_prices(legs(DEBIT), quoted(DEBIT, ("0.50", "0.60"), ("0.50", "0.60"))).wide


def test_with_shares_it_is_judged_as_narrowly_as_that_of_shares() -> None:
    covered = {"AAPL": 1, call(210): -1}
    assert not net_prices(legs(covered), quoted(covered, ("195.00", "195.02"), ("4.00", "5.00"))).wide
    assert net_prices(legs(covered), quoted(covered, ("195.00", "195.02"), ("4.00", "6.00"))).wide


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


LEGS_HELD = st.sampled_from([DEBIT, CREDIT, CONDOR, {call(200): 1, call(210): -3}, {"AAPL": 1, call(210): -1}])
QUOTED_ASSET_CLASSES = st.lists(
    st.tuples(st.decimals("0.01", 20, places=2), st.decimals(0, 2, places=2)), min_size=4, max_size=4
)


def around(held: dict[str, int], sides: list[tuple[Decimal, Decimal]], more: Decimal = NOTHING) -> Prices:
    """The net of legs with these mids and spreads, each spread a bit wider."""
    prices = {
        symbol: Prices(bid=mid + 1 - spread / 2 - more, ask=mid + 1 + spread / 2 + more, problem="")
        for symbol, (mid, spread) in zip(held, sides, strict=False)
    }
    return net_prices(legs(held), prices)


@given(LEGS_HELD, QUOTED_ASSET_CLASSES)
def test_a_net_is_as_wide_as_that_of_the_same_legs_on_the_other_sides(
    held: dict[str, int], sides: list[tuple[Decimal, Decimal]]
) -> None:
    other = {symbol: -ratio for symbol, ratio in held.items()}
    assert around(held, sides).wide is around(other, sides).wide


@given(LEGS_HELD, QUOTED_ASSET_CLASSES, st.decimals(0, "0.2", places=2))
def test_wider_legs_with_the_same_mids_never_make_a_narrower_net(
    held: dict[str, int], sides: list[tuple[Decimal, Decimal]], more: Decimal
) -> None:
    assert not around(held, sides).wide or around(held, sides, more).wide


@given(LEGS_HELD, QUOTED_ASSET_CLASSES)
def test_legs_within_five_cents_each_are_never_wide(held: dict[str, int], sides: list[tuple[Decimal, Decimal]]) -> None:
    assert not around(held, [(mid, min(spread, D("0.05"))) for mid, spread in sides]).wide


@given(st.tuples(st.decimals("0.01", 20, places=2), st.decimals(0, 2, places=2)))
def test_one_leg_alone_is_as_wide_as_its_quote(side: tuple[Decimal, Decimal]) -> None:
    net = around({call(200): 1}, [side])
    assert net.wide is is_wide(Quote("", net.bid, net.ask, at("12:00")), AssetClass.OPTION)


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
