"""Market value and open P&L in dollars: of a position, of a structure, and in total, where some are unknown."""

from decimal import Decimal

from builders import CALL, PUT, a_holding, a_policy, a_snapshot, replace
from structure_builders import call

from sellctl.core.config.schema import MatchConfig, RulesConfig, SellModuleConfig, StrategyConfig
from sellctl.core.decision.engine import decide
from sellctl.core.decision.explain import explained
from sellctl.core.model.gain import Amount, Total, market_value, open_pnl
from sellctl.core.model.instrument import StructureKind
from sellctl.core.model.position import Holding, Prices
from sellctl.core.model.view import Totals, totals_of
from sellctl.core.watching.shown_structures import shown_structures

D = Decimal


def priced(bid: str | None, ask: str | None, *more: str, **facts: object) -> Holding:
    prices = Prices(D(bid) if bid else None, D(ask) if ask else None, "")
    return replace(a_holding(*more, **facts), prices=prices)  # type: ignore[arg-type]


def totals(*holdings: Holding, structure: StructureKind | None = None) -> Totals:
    rules = RulesConfig(take_profit=Amount(D("0.5")))
    entry = StrategyConfig("mine", match=MatchConfig(structure=(structure,) if structure else ()), rules=rules)
    policy = a_policy(SellModuleConfig(strategies=(entry,) if structure else ()))
    snapshot = a_snapshot(*holdings)
    plan = explained(decide(snapshot, policy), snapshot, policy)
    return totals_of([(plan, shown_structures(plan, snapshot, policy))])


def test_a_contract_stands_for_a_hundred_shares_and_is_valued_at_the_bid() -> None:
    held = priced("1.20", "1.30", CALL, "3", "1.00")
    assert (market_value(held), open_pnl(held)) == (D("360"), D("60"))


def test_a_short_costs_what_the_ask_is() -> None:
    held = priced("0.40", "0.50", CALL, "2", "0.80", short=True)
    assert (market_value(held), open_pnl(held)) == (D("-100"), D("60"))


def test_a_share_stands_for_itself_and_a_part_of_one_too() -> None:
    held = priced("410", "411", "MSFT", "1.5", "400")
    assert (market_value(held), open_pnl(held)) == (D("615"), D("15"))


def test_what_has_no_price_has_no_value_and_what_has_no_entry_no_profit() -> None:
    unpriced, without_entry = priced(None, "1.30"), priced("1.20", "1.30", entry=None)
    assert (market_value(unpriced), open_pnl(unpriced)) == (None, None)
    assert (market_value(without_entry), open_pnl(without_entry)) == (D("120"), None)


def test_an_adjusted_contract_has_no_dollars_because_its_multiplier_is_unknown() -> None:
    for short in (False, True):
        held = priced("1.20", "1.30", "AAPL1261218C00200000", "2", "1.00", short=short)
        assert (market_value(held), open_pnl(held)) == (None, None)


def test_a_total_counts_how_many_of_its_positions_are_known() -> None:
    found = totals(a_holding(CALL, "1", "1.00", bid="1.20", ask="1.22"), a_holding(PUT, bid=None, ask=None))
    assert found.market_value == Total(D("120"), known=1, count=2)
    assert found.open_pnl == Total(D("20"), known=1, count=2)
    assert not found.open_pnl.is_complete


def test_a_total_of_nothing_known_is_unknown_and_never_zero() -> None:
    assert totals(a_holding(bid=None, ask=None)).market_value == Total(None, known=0, count=1)


def test_positions_that_nothing_protects_and_exempt_ones_are_counted() -> None:
    snapshot = replace(a_snapshot(a_holding(), a_holding("AAPL"), a_holding("MSFT")), exempt=frozenset({"MSFT"}))
    plan = explained(decide(snapshot, a_policy()), snapshot, a_policy())
    found = totals_of([(plan, ())])
    assert (found.positions, found.not_managed, found.exempt) == (3, 1, 1)


def test_a_structure_counts_net_and_as_many_positions_as_it_has_legs() -> None:
    bought = a_holding(call(200), "2", "3.00", bid="4.00", ask="4.04")
    sold = a_holding(call(210), "2", "1.00", bid="1.50", ask="1.54", short=True)
    found = totals(bought, sold, structure=StructureKind.VERTICAL)
    assert found.market_value == Total(D("492"), known=2, count=2)
    assert found.open_pnl == Total(D("92"), known=2, count=2)


def test_a_worthless_leg_without_a_bid_does_not_make_the_total_of_its_structure_unknown() -> None:
    bought = a_holding(call(200), "1", "1.00", bid=None, ask="0.03")
    sold = a_holding(call(190), "1", "3.00", bid="0.50", ask="0.52", short=True)
    found = totals(bought, sold, structure=StructureKind.VERTICAL)
    assert found.open_pnl == Total(D("148"), known=2, count=2)


def test_what_exceeds_a_structure_is_counted_too() -> None:
    bought = a_holding(call(200), "3", "3.00", bid="4.00", ask="4.04")
    sold = a_holding(call(210), "2", "1.00", bid="1.50", ask="1.54", short=True)
    found = totals(bought, sold, structure=StructureKind.VERTICAL)
    assert found.market_value == Total(D("892"), known=2, count=2)
