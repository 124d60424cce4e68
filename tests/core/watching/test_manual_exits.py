"""What a manual exit would bring, and what became of it."""

from decimal import Decimal

import pytest
from builders import CALL, a_holding, a_policy, a_snapshot, our_order, replace

from sellctl.core.decision.engine import decide
from sellctl.core.decision.explain import explained
from sellctl.core.exit_codes import ExitCode
from sellctl.core.model.exit_record import ExitsSince
from sellctl.core.model.position import Holding
from sellctl.core.model.view import AccountListing, Mode
from sellctl.core.watching.manual_exits import (
    ExitOutcome,
    ProposedExit,
    Result,
    outcome_of,
    proposals,
    qty_or_share,
    status_of,
    terms_for,
    total,
)
from sellctl.core.watching.manual_requests import Patience


def listing(*holdings: Holding, **more: object) -> AccountListing:
    """The account after a request to close everything."""
    closing = frozenset(holding.symbol for holding in holdings)
    snapshot = replace(a_snapshot(*holdings, **more), manual_closes=closing)  # type: ignore[arg-type]
    return AccountListing("main", mode=Mode.PAPER, plan=explained(decide(snapshot, a_policy()), snapshot, a_policy()))


def proposed(holding: Holding | None = None) -> ProposedExit:
    return proposals([listing(holding or a_holding(CALL, "3", "1.00", bid="1.20", ask="1.22"))])[0]


def test_a_long_option_brings_its_bid_for_a_hundred_shares_a_contract() -> None:
    one = proposed()
    assert (one.qty, one.price, one.proceeds, one.pnl) == (3, Decimal("1.20"), Decimal("360.00"), Decimal("60.00"))


def test_a_short_option_costs_its_ask() -> None:
    one = proposed(a_holding(CALL, "1", "2.00", bid="1.50", ask="1.60", short=True))
    assert (one.proceeds, one.pnl) == (Decimal("-160.00"), Decimal("40.00"))


def test_stock_brings_its_bid_for_each_share() -> None:
    one = proposed(a_holding("AAPL", "10", "150", bid="155", ask="155.02"))
    assert (one.proceeds, one.pnl) == (Decimal(1550), Decimal(50))


@pytest.mark.parametrize(
    ("symbol", "held", "asked", "qty"),
    [(CALL, "3", "50%", "1"), (CALL, "3", "2.0", "2"), ("AAPL", "200", "50%", "100"), ("AAPL", "1.5", "50%", "0.75")],
)
def test_a_part_is_a_number_without_zeros_at_its_end(symbol: str, held: str, asked: str, qty: str) -> None:
    terms = terms_for(listing(a_holding(symbol, held)), symbol, qty_or_share(asked), None, Patience.PROFIT)
    assert str(terms.qty) == qty


def test_unknown_is_never_a_number() -> None:
    one = proposed(a_holding(bid=None, ask=None))
    assert (one.price, one.proceeds, one.pnl, one.is_possible) == (None, None, None, False)
    assert proposed(a_holding(entry=None, bid="1", ask="1.02")).pnl is None
    assert total([Decimal(1), None]) is None
    assert total([Decimal(1), Decimal(2)]) == 3


def test_only_the_symbol_that_was_named_is_proposed() -> None:
    account = listing(a_holding(), a_holding("AAPL", bid="155", ask="155.02"))
    assert [each.symbol for each in proposals([account], "AAPL")] == ["AAPL"]
    assert proposals([AccountListing("main", mode=Mode.PAPER, problem="unreachable")]) == []


GONE = listing()
UNREAD = AccountListing("main", mode=Mode.PAPER, problem="it can't be reached")
STAYS = listing(a_holding(CALL, "3", "1.00", bid=None, ask=None))
WORKS = listing(
    a_holding(CALL, "3", "1.00", bid="1.20", ask="1.22", available="0"),
    orders=(our_order(CALL, qty="3", limit="1.20"),),
)


@pytest.mark.parametrize(
    ("record", "afterwards", "result"),
    [
        (ExitsSince(Decimal(3), Decimal("1.20")), STAYS, Result.FILLED),  # the broker still lists the position
        (ExitsSince(Decimal(3), Decimal("1.20")), UNREAD, Result.FILLED),
        (ExitsSince(), GONE, Result.GONE),
        (ExitsSince(Decimal(1), Decimal("1.20"), sent=True), WORKS, Result.WORKING),
        (ExitsSince(), STAYS, Result.NOT_SENT),
        (ExitsSince(sent=True, refusal="no such luck"), WORKS, Result.REFUSED),
        (ExitsSince(), UNREAD, Result.UNKNOWN),
    ],
)
def test_what_became_of_an_exit(record: ExitsSince, afterwards: AccountListing, result: Result) -> None:
    end = outcome_of(proposed(), {CALL: record}, afterwards)
    assert (end.result, end.filled) == (result, record.filled)
    assert bool(end.why) is not end.is_done


@pytest.mark.parametrize(
    ("ends", "status"),
    [
        ([], ExitCode.OK),
        ([Result.FILLED, Result.GONE], ExitCode.OK),
        ([Result.NOT_SENT, Result.NOT_SENT], ExitCode.REFUSED),
        ([Result.FILLED, Result.NOT_SENT], ExitCode.PARTLY),
        ([Result.REFUSED], ExitCode.PARTLY),
        ([Result.NOT_SENT, Result.WORKING], ExitCode.PARTLY),
        ([Result.UNKNOWN], ExitCode.PARTLY),
    ],
)
def test_the_exit_status_is_0_only_when_everything_is_closed(ends: list[Result], status: ExitCode) -> None:
    assert status_of([ExitOutcome(proposed(), end) for end in ends]) is status
