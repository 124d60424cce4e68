"""A structure's exit is read back from the journal as one exit, whichever way its legs have left."""

import asyncio
import csv
import datetime as dt
import io
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
import typer
from builders import a_holding, a_policy, a_snapshot, at, replace
from journal_builders import Ticking, a_body
from structure_builders import call, put
from typer.testing import CliRunner

from sellctl.commands.report import report
from sellctl.core.config.schema import (
    MatchConfig,
    RulesConfig,
    SellModuleConfig,
    StrategyConfig,
    StrategyOneConfig,
)
from sellctl.core.decision.engine import decide
from sellctl.core.model.exit_record import Exit
from sellctl.core.model.instrument import StructureKind
from sellctl.core.model.intent import IntendedOrder
from sellctl.core.model.plan import PositionDecision, SubmitOrder
from sellctl.core.model.position import Holding
from sellctl.core.model.snapshot import AccountFacts
from sellctl.journal.exits import exits
from sellctl.journal.queries import Filters
from sellctl.journal.schema import FILE_NAME
from sellctl.journal.store import SqliteJournal
from sellctl.service.options import Options

app = typer.Typer()
app.command()(report)

LONG, SHORT, TOP = call(200), call(210), call(220)
VERTICAL = "AAPL-vertical-261218-200-210C"
BUTTERFLY = "AAPL-butterfly-261218-200-210-220C"
COVERED_CALL = "AAPL-covered_call-261218-210C"
KINDS = (StructureKind.VERTICAL, StructureKind.BUTTERFLY, StructureKind.COVERED_CALL)
AT_ELEVEN = StrategyConfig("mine", match=MatchConfig(structure=KINDS), rules=RulesConfig(exit_at=dt.time(11)))
POLICY = a_policy(SellModuleConfig(strategy_one=StrategyOneConfig(enabled=False), strategies=(AT_ELEVEN,)))
BY_LEGS, AS_ONE = 2, 3  # options levels


class Records:
    """A journal that is written as the program does: orders, then the plan that decided on them, then fills."""

    def __init__(self, folder: Path) -> None:
        self.clock = Ticking(at("12:00"))
        self.folder = folder
        self.orders = 0
        self.journal = SqliteJournal(folder / FILE_NAME, self.clock)

    def decide(self, *holdings: Holding, level: int = AS_ONE, **more: object) -> dict[str, SubmitOrder]:
        """Decide on these holdings, and record what is sent. The orders by symbol or by the structure's name."""
        account = AccountFacts("main", "PA1", options_level=level)
        snapshot = replace(a_snapshot(*holdings, account=account), **more)
        plan = decide(snapshot, POLICY)
        plan = replace(plan, decisions=tuple(self._numbered(each) for each in plan.decisions))
        sent = [
            IntendedOrder(each.submit, a_body(each.submit), each.signal, 1)
            for each in plan.submits
            if each.submit and each.signal
        ]
        asyncio.run(self.journal.intend("main", sent, ()))
        asyncio.run(self.journal.plan_made(snapshot, plan))
        return {order.request.symbol: order.request for order in sent}

    def _numbered(self, decision: PositionDecision) -> PositionDecision:
        """The decision whose order has an id of its own, though no snapshot has the orders of today."""
        if decision.submit is None:
            return decision
        self.orders += 1
        return replace(decision, submit=replace(decision.submit, client_order_id=f"sellctl-{self.orders}"))

    def fill(self, order: SubmitOrder, total: str, average: str | None) -> None:
        words = {
            "order_id": f"id-{order.client_order_id}",
            "symbol": order.symbol,
            "filled_qty": total,
            "filled_avg_price": average or "",
            "legs": {leg.symbol: str(leg.ratio) for leg in order.legs},
        }
        self.journal.record_fill("main", order.client_order_id, words)

    def exits(self, **filters: str) -> tuple[Exit, ...]:
        return exits(self.folder / FILE_NAME, Filters(**filters))

    def report(self, *words: str) -> str:
        options = Options(None, self.folder, live=False, debug=False, log_file=None)
        result = CliRunner().invoke(app, list(words), obj=options)
        assert result.exit_code == 0, result.exception
        return result.stdout


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    found = Records(tmp_path)
    yield found
    found.journal.close()


def a_leg(symbol: str, qty: int, entry: str | None, bid: str, ask: str) -> Holding:
    return a_holding(symbol, str(abs(qty)), entry, bid=bid, ask=ask, short=qty < 0)


def following(leg: Holding, structure: str) -> Holding:
    """A leg that is to follow the short ones of its structure, which are closed."""
    return replace(leg, state=replace(leg.state, exit_after=f"{structure}/0 vertical: exit at 11:00"))


# Paid for with 2.00 per unit; now worth from 3.90 to 4.02.
DEBIT = (a_leg(LONG, 2, "5.00", "6.00", "6.10"), a_leg(SHORT, -2, "3.00", "2.08", "2.10"))
# The same sold for 2.00, so that it costs from 3.90 to 4.02.
CREDIT = (a_leg(LONG, -2, "5.00", "6.00", "6.10"), a_leg(SHORT, 2, "3.00", "2.08", "2.10"))


def test_one_order_in_two_fills_is_one_exit_measured_by_net_prices(records: Records) -> None:
    order = records.decide(*DEBIT)[VERTICAL]
    records.fill(order, "1", "3.95")
    records.fill(order, "2", "3.94")
    (one,) = records.exits()
    assert (one.symbol, one.reason, one.strategy, one.way) == (VERTICAL, "exit_at", "mine", "as one order")
    assert (one.qty, one.price, one.entry) == (2, Decimal("3.94"), Decimal("2.00"))
    assert (one.against_mid, one.against_bid) == (Decimal("0.02"), Decimal("-0.04"))
    assert one.pnl == Decimal("1.94") * 2 * 100
    assert [(point.bid, point.ask) for point in one.path] == [(Decimal("3.90"), Decimal("4.02"))]


def test_of_one_that_was_sold_the_price_is_its_cost_and_a_dearer_fill_is_worse(records: Records) -> None:
    order = records.decide(*CREDIT)[VERTICAL]
    records.fill(order, "2", "4.00")
    (one,) = records.exits()
    assert (one.price, one.bid, one.mid) == (Decimal("4.00"), Decimal("4.02"), Decimal("3.96"))
    assert (one.against_mid, one.against_bid) == (Decimal("0.04"), Decimal("-0.02"))
    assert one.pnl == -Decimal("2.00") * 2 * 100


def test_a_fill_without_a_price_leaves_price_and_profit_unknown(records: Records) -> None:
    records.fill(records.decide(*DEBIT)[VERTICAL], "2", None)
    (one,) = records.exits()
    assert (one.qty, one.price, one.pnl, one.against_mid) == (2, None, None, None)


def closed_by_legs(records: Records, held: tuple[Holding, Holding], short: str, bought: str, sold: str) -> None:
    """A vertical whose short leg was bought back before its long leg was sold."""
    long = next(leg for leg in held if leg.position.is_long)
    sent = records.decide(*held, level=BY_LEGS)
    assert sent.keys() == {short}
    records.fill(sent[short], "2", bought)
    records.clock.at += dt.timedelta(minutes=5)  # cron may take its time
    sent = records.decide(following(long, VERTICAL), level=BY_LEGS)
    records.fill(sent[long.symbol], "2", sold)


def test_legs_that_leave_one_after_the_other_are_one_exit_of_their_structure(records: Records) -> None:
    closed_by_legs(records, DEBIT, SHORT, "2.10", "6.02")
    (one,) = records.exits()
    assert (one.symbol, one.reason, one.strategy, one.way) == (VERTICAL, "exit_at", "mine", "by legs")
    assert (one.asked, one.qty, one.price, one.steps) == (2, 2, Decimal("3.92"), 2)
    assert (one.entry, one.bid, one.mid) == (Decimal("2.00"), Decimal("3.90"), Decimal("3.96"))
    assert (one.against_mid, one.against_bid) == (Decimal("0.04"), Decimal("-0.02"))
    assert one.pnl == Decimal("1.92") * 2 * 100
    assert one.seconds is not None
    assert one.seconds > 300


def test_so_are_those_of_one_that_was_sold(records: Records) -> None:
    closed_by_legs(records, CREDIT, LONG, "6.10", "2.08")
    (one,) = records.exits()
    assert (one.symbol, one.price, one.qty) == (VERTICAL, Decimal("4.02"), 2)
    assert (one.against_mid, one.against_bid) == (Decimal("0.06"), 0)
    assert one.pnl == -Decimal("2.02") * 2 * 100


def test_what_one_order_left_open_and_legs_closed_is_part_of_the_same_exit(records: Records) -> None:
    records.fill(records.decide(*DEBIT)[VERTICAL], "1", "3.95")
    long, short = (replace(leg, position=replace(leg.position, qty=Decimal(1))) for leg in DEBIT)
    sent = records.decide(long, short, level=BY_LEGS)
    records.fill(sent[SHORT], "1", "2.10")
    sent = records.decide(following(long, VERTICAL), level=BY_LEGS)
    records.fill(sent[LONG], "1", "6.01")
    (one,) = records.exits()
    assert (one.way, one.qty, one.price) == ("as one order and by legs", 2, Decimal("3.93"))
    assert one.pnl == (Decimal("1.95") + Decimal("1.91")) * 100
    assert (one.against_mid, one.against_bid) == (Decimal("0.03"), Decimal("-0.03"))


def test_units_count_by_the_ratios_of_the_legs(records: Records) -> None:
    held = (a_leg(LONG, 2, "8.00", "9.00", "9.10"), a_leg(SHORT, -4, "4.00", "4.00", "4.05"),
            a_leg(TOP, 2, "2.00", "2.00", "2.05"))  # fmt: skip
    sent = records.decide(*held, level=BY_LEGS)
    records.fill(sent[SHORT], "1", "4.05")
    records.fill(sent[SHORT], "4", "4.05")
    sent = records.decide(following(held[0], BUTTERFLY), following(held[2], BUTTERFLY), level=BY_LEGS)
    records.fill(sent[LONG], "2", "9.00")
    assert records.exits()[0].qty == 0
    records.fill(sent[TOP], "1", "2.00")
    assert records.exits()[0].qty == 1
    records.fill(sent[TOP], "2", "1.98")
    (one,) = records.exits()
    assert (one.symbol, one.asked, one.qty) == (BUTTERFLY, 2, 2)
    assert one.price == Decimal("9.00") - 2 * Decimal("4.05") + Decimal("1.98")
    assert one.pnl == ((9 - 8) * 2 - Decimal("0.05") * 4 - Decimal("0.02") * 2) * 100


def test_shares_count_by_the_hundred(records: Records) -> None:
    held = (a_leg("AAPL", 100, "190.00", "200.00", "200.02"), a_leg(SHORT, -1, "4.00", "3.00", "3.05"))
    sent = records.decide(*held)  # no multi-leg order trades shares
    records.fill(sent[SHORT], "1", "3.05")
    sent = records.decide(following(held[0], COVERED_CALL))
    records.fill(sent["AAPL"], "100", "200.00")
    (one,) = records.exits()
    assert (one.symbol, one.asked, one.qty, one.price) == (COVERED_CALL, 1, 1, Decimal("196.95"))
    assert (one.entry, one.pnl) == (Decimal("186.00"), Decimal("10.95") * 100)


def test_while_a_leg_is_open_no_unit_is_closed_and_what_the_others_made_counts(records: Records) -> None:
    records.fill(records.decide(*DEBIT, level=BY_LEGS)[SHORT], "2", "2.10")
    (one,) = records.exits()
    assert (one.symbol, one.qty, one.price, one.seconds) == (VERTICAL, 0, None, None)
    assert one.pnl == Decimal("0.90") * 2 * 100
    (row,) = csv.DictReader(io.StringIO(records.report("--format", "csv")))
    assert (row["exits"], row["filled"], row["P&L"]) == ("1", "1", "180")


def test_a_panic_by_legs_is_one_exit_too_although_the_long_leg_is_alone_when_it_follows(records: Records) -> None:
    panic = {"panic": frozenset({LONG, SHORT})}
    sent = records.decide(*DEBIT, level=BY_LEGS, **panic)
    assert sent.keys() == {SHORT}  # the long one covers it
    records.fill(sent[SHORT], "2", "2.20")
    records.fill(records.decide(DEBIT[0], **panic)[LONG], "2", "6.00")
    (one,) = records.exits()
    assert (one.symbol, one.reason, one.way) == (VERTICAL, "panic", "by legs")
    assert (one.qty, one.price, one.against_bid) == (2, Decimal("3.80"), Decimal("0.10"))


def test_a_contract_beyond_the_structure_that_leaves_by_itself_is_an_exit_of_its_own(records: Records) -> None:
    records.fill(records.decide(*DEBIT)[VERTICAL], "2", "3.94")
    panic = {"panic": frozenset({LONG})}
    records.fill(records.decide(a_leg(LONG, 1, "5.00", "6.00", "6.10"), **panic)[LONG], "1", "6.00")
    assert [(one.symbol, one.reason, one.qty) for one in records.exits()] == [
        (VERTICAL, "exit_at", 2),
        (LONG, "panic", 1),
    ]


def test_a_second_structure_of_the_same_legs_later_that_day_is_a_second_exit(records: Records) -> None:
    closed_by_legs(records, DEBIT, SHORT, "2.10", "6.02")
    records.clock.at += dt.timedelta(hours=1)
    closed_by_legs(records, DEBIT, SHORT, "2.08", "6.02")
    assert [(one.qty, one.price) for one in records.exits()] == [(2, Decimal("3.92")), (2, Decimal("3.94"))]


def test_an_unknown_entry_of_a_leg_makes_the_profit_of_the_whole_unknown(records: Records) -> None:
    long, short = DEBIT
    long = replace(long, position=replace(long.position, entry_price=None))
    closed_by_legs(records, (long, short), SHORT, "2.10", "6.02")
    (one,) = records.exits()
    assert (one.qty, one.price, one.pnl) == (2, Decimal("3.92"), None)


def test_a_leg_for_whose_structure_nothing_else_left_today_is_an_exit_of_its_own(records: Records) -> None:
    records.decide(following(DEBIT[0], VERTICAL))
    sent = records.decide(following(DEBIT[0], VERTICAL))
    records.fill(sent[LONG], "2", "6.00")
    (one,) = records.exits()
    assert (one.symbol, one.reason, one.qty, one.pnl, one.way, one.steps) == (LONG, "structure", 2, 200, "", 2)


@pytest.mark.parametrize("symbol", [VERTICAL, LONG, SHORT])
@pytest.mark.parametrize("level", [AS_ONE, BY_LEGS])
def test_a_structures_exit_is_found_by_its_name_and_by_each_of_its_legs(
    records: Records, level: int, symbol: str
) -> None:
    records.decide(*DEBIT, level=level)
    assert [one.symbol for one in records.exits(symbol=symbol)] == [VERTICAL]
    assert records.exits(symbol=put(200)) == ()


@pytest.mark.parametrize("name", [VERTICAL, VERTICAL.upper(), VERTICAL.lower(), SHORT.lower()])
def test_the_report_takes_a_name_in_capitals_or_not(records: Records, name: str) -> None:
    records.decide(*DEBIT)
    (row,) = csv.DictReader(io.StringIO(records.report(name, "--each", "--format", "csv")))
    assert row["symbol"] == VERTICAL


def test_the_document_has_net_prices_and_the_fills_of_legs(records: Records) -> None:
    closed_by_legs(records, DEBIT, SHORT, "2.10", "6.02")
    document = json.loads(records.report("--format", "json"))
    (one,) = document["exits"]
    assert (document["version"], one["symbol"], one["way"], one["filled"]) == (2, VERTICAL, "by legs", "2")
    assert (one["price"], one["against_mid"], one["against_bid"], one["pnl"]) == ("3.92", "0.04", "-0.02", "384.00")
    assert [(fill["qty"], fill["price"]) for fill in one["fills"]] == [("2", "3.92")]
    assert [(fill["symbol"], fill["qty"], fill["price"]) for fill in one["fills_of_legs"]] == [
        (SHORT, "2", "2.10"),
        (LONG, "2", "6.02"),
    ]


def test_the_page_draws_it_by_its_name(records: Records, tmp_path: Path) -> None:
    pytest.importorskip("sellctl.ui.exit_chart")
    closed_by_legs(records, DEBIT, SHORT, "2.10", "6.02")
    target = tmp_path / "report.html"
    records.report("--html", str(target))
    text = target.read_text(encoding="utf-8")
    assert "AAPL vertical 18 Dec 26 200/210" in text
    assert "closed 2 at $3.92, by legs" in text
    assert "filled 2 AAPL 18 Dec 26 200 C at $6.02" in text
