from dataclasses import dataclass
from decimal import Decimal

import pytest
from builders import (
    CALL,
    TODAYS_CALL,
    a_config,
    a_holding,
    a_market,
    a_policy,
    a_snapshot,
    our_order,
    replace,
    the_decision,
)

from sellctl.core.config.schema import (
    AccountConfig,
    AssetKind,
    ExcludeConfig,
    ManageConfig,
    SellModuleConfig,
    StrategyOneConfig,
)
from sellctl.core.decision.engine import decide
from sellctl.core.decision.policy import Policy, compile_policy
from sellctl.core.model.instrument import instrument_of
from sellctl.core.model.market import Market
from sellctl.core.model.plan import DecisionState, ExitSignal, Reason, Urgency
from sellctl.core.model.position import Holding
from sellctl.core.model.snapshot import AccountFacts, InvalidRow, Snapshot
from sellctl.core.sell_strategies.base_strategy import BaseStrategy

TARGET = {"bid": "1.20", "ask": "1.22"}


# --- what can't be judged spoils only itself --------------------------------------------------------------------------


@dataclass(frozen=True)
class Raising(BaseStrategy):
    def evaluate(self, holding: Holding, market: Market) -> ExitSignal | None:
        msg = f"no idea about {holding.symbol} at {market.today}"
        raise LookupError(msg)


@dataclass(frozen=True)
class Claiming(BaseStrategy):
    """A strategy that answers for another holding and asks for a strange quantity."""

    qty: Decimal = Decimal(99)

    def evaluate(self, _holding: Holding, _market: Market) -> ExitSignal | None:
        return ExitSignal(a_holding("MSFT"), self.qty, Reason.STOP_LOSS, "odd", Urgency.PROTECTIVE)


def with_strategy(strategy: BaseStrategy) -> Policy:
    return replace(a_policy(), strategies=(strategy,))


def test_a_strategy_that_raises_is_a_fault_of_that_holding_with_the_errors_name() -> None:
    plan = decide(a_snapshot(a_holding(), a_holding("BTC", short=True)), with_strategy(Raising()))
    states = {decision.holding.symbol: decision.state for decision in plan.decisions}
    assert states == {CALL: DecisionState.FAULT, "BTC": DecisionState.WATCHING}
    fault = next(decision for decision in plan.decisions if decision.state is DecisionState.FAULT)
    assert fault.sentence == f"it could not be evaluated: LookupError: no idea about {CALL} at 2026-11-24"
    assert fault.alert


def test_a_strategy_that_raises_does_not_keep_an_option_past_its_last_day() -> None:
    snapshot = a_snapshot(a_holding(TODAYS_CALL), market=a_market("15:30"))
    decision = the_decision(snapshot, with_strategy(Raising()))
    assert decision.submit is not None
    assert decision.alert
    assert "also, it could not be evaluated: LookupError" in decision.sentence


def test_a_fault_still_shows_the_order_of_ours_that_works() -> None:
    decision = the_decision(a_snapshot(a_holding(), orders=(our_order(),)), with_strategy(Raising()))
    assert decision.state is DecisionState.FAULT
    assert "sell 1 limit $1.50 is working (new)" in decision.sentence


def test_a_strategy_can_not_speak_for_another_holding_or_sell_more_than_is_held() -> None:
    decision = the_decision(a_snapshot(a_holding(qty="5")), with_strategy(Claiming()))
    assert decision.holding.symbol == CALL
    assert decision.submit is not None
    assert (decision.submit.symbol, decision.submit.qty) == (CALL, 5)


@pytest.mark.parametrize("qty", ["NaN", "0", "-3", "-Infinity"])
def test_a_strategy_that_asks_for_no_quantity_sends_nothing(qty: str) -> None:
    assert the_decision(a_snapshot(a_holding(qty="5")), with_strategy(Claiming(qty=Decimal(qty)))).submit is None


@pytest.mark.parametrize("qty", ["0", "-1", "NaN", "sNaN", "Infinity"])
def test_a_position_without_a_quantity_is_a_fault(qty: str) -> None:
    plan = decide(a_snapshot(a_holding(qty=qty), a_holding("AAPL", "5")), a_policy())
    assert [decision.state for decision in plan.decisions] == [DecisionState.WATCHING, DecisionState.FAULT]
    assert plan.decisions[1].sentence == f"it could not be evaluated: its quantity is {qty}"


def test_a_position_listed_twice_is_a_fault_and_sends_nothing() -> None:
    twice = (a_holding(qty="5", **TARGET), a_holding(qty="5", **TARGET))  # type: ignore[arg-type]
    plan = decide(a_snapshot(*twice), a_policy())
    assert plan.submits == ()
    assert [v.sentence for v in plan.decisions] == ["it could not be evaluated: the broker lists it 2 times"] * 2


def test_a_row_that_could_not_be_read_is_a_fault_of_the_plan() -> None:
    snapshot = replace(
        a_snapshot(a_holding(**TARGET)),  # type: ignore[arg-type]
        invalid=(InvalidRow("MSFT", "qty is 'x'"), InvalidRow("", "not a mapping")),
    )
    plan = decide(snapshot, a_policy())
    assert plan.faults == ("MSFT could not be read: qty is 'x'", "a row could not be read: not a mapping")
    assert len(plan.submits) == 1


# --- what a panic and the account guard close -------------------------------------------------------------------------

STOCK = a_holding("AAPL", "200", "150", bid="150", ask="150.02")


def closed(snapshot: Snapshot, policy: Policy) -> dict[str, Reason | None]:
    """The reason by symbol; None for what stays."""
    return {d.holding.symbol: d.signal and d.signal.reason for d in decide(snapshot, policy).decisions}


def in_panic(*holdings: Holding) -> Snapshot:
    return replace(a_snapshot(*holdings), panic=frozenset(holding.symbol for holding in holdings))


def test_a_panic_leaves_stock_that_is_shown_as_not_managed() -> None:
    assert closed(in_panic(a_holding(), STOCK), a_policy()) == {CALL: Reason.PANIC, "AAPL": None}
    assert the_decision(in_panic(STOCK)).state is DecisionState.NOT_MANAGED


def test_a_panic_closes_stock_that_a_strategy_takes() -> None:
    both = SellModuleConfig(strategy_one=StrategyOneConfig(applies_to=(AssetKind.OPTION, AssetKind.STOCK)))
    assert closed(in_panic(STOCK), a_policy(both)) == {"AAPL": Reason.PANIC}


def test_a_panic_closes_stock_whose_strategy_fails() -> None:
    assert closed(in_panic(STOCK), with_strategy(Raising())) == {"AAPL": Reason.PANIC}


def test_a_panic_closes_an_option_without_a_strategy_as_its_sentence_says() -> None:
    off = a_policy(SellModuleConfig(strategy_one=StrategyOneConfig(enabled=False)))
    assert closed(in_panic(a_holding()), off) == {CALL: Reason.PANIC}
    sentence = the_decision(a_snapshot(a_holding()), off).sentence
    assert sentence.endswith("; only its last day and a panic close it")


def test_a_tripped_account_guard_leaves_stock_that_is_shown_as_not_managed() -> None:
    snapshot = replace(a_snapshot(a_holding(), STOCK), tripped_limit="the loss of today is $600")
    assert closed(snapshot, a_policy()) == {CALL: Reason.ACCOUNT_GUARD, "AAPL": None}


def test_a_manual_close_closes_stock_that_is_not_managed() -> None:
    snapshot = replace(a_snapshot(STOCK), manual_closes=frozenset({"AAPL"}))
    assert closed(snapshot, a_policy()) == {"AAPL": Reason.CLOSED_MANUALLY}


# --- what is never touched --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("symbol", "broker_class", "words"),
    [
        ("BTCUSD", "crypto", "NOT MANAGED: rules cover options and stocks only, this is crypto; no setting adds it"),
        (
            "BTC-PERP",
            "crypto_perp",
            "NOT MANAGED: rules cover options and stocks only, this is crypto; no setting adds it",
        ),
        ("XYZ", "us_bond", "NOT MANAGED: rules cover options and stocks only, this is other; no setting adds it"),
        ("garbled", "us_option", "NOT MANAGED: rules cover options and stocks only, this is other; no setting adds it"),
    ],
)
def test_assets_that_no_rule_knows_are_only_shown(symbol: str, broker_class: str, words: str) -> None:
    holding = a_holding(bid="0.10", ask="0.11")
    odd = replace(holding, position=replace(holding.position, instrument=instrument_of(symbol, broker_class)))
    decision = the_decision(replace(a_snapshot(odd), manual_closes=frozenset({symbol})))
    assert (decision.state, decision.submit, decision.sentence) == (DecisionState.NOT_MANAGED, None, words)


@pytest.mark.parametrize(
    ("entry", "excluded"),
    [
        (ExcludeConfig(symbol=(CALL,)), True),
        (ExcludeConfig(symbol=("AAPL",)), False),
        (ExcludeConfig(underlying=("AAPL",)), True),
        (ExcludeConfig(underlying=("MSFT", "AAPL")), True),
        (ExcludeConfig(account=("main",)), True),
        (ExcludeConfig(account=("other",)), False),
        (ExcludeConfig(underlying=("AAPL",), account=("other",)), False),
        (ExcludeConfig(underlying=("AAPL",), account=("main",)), True),
        (ExcludeConfig(), False),
    ],
)
def test_an_entry_excludes_what_every_key_of_it_fits(entry: ExcludeConfig, *, excluded: bool) -> None:
    policy = a_policy(SellModuleConfig(manage=ManageConfig(exclude=(entry,))))
    decision = the_decision(a_snapshot(a_holding(**TARGET)), policy)  # type: ignore[arg-type]
    assert (decision.submit is None) is excluded
    if excluded:
        assert (decision.state, decision.sentence) == (DecisionState.EXEMPT, "exempt (manage.exclude)")


def test_what_is_excluded_covers_all_the_same() -> None:
    shares = a_policy(SellModuleConfig(manage=ManageConfig(exclude=(ExcludeConfig(symbol=("AAPL",)),))))
    snapshot = a_snapshot(a_holding(short=True), a_holding("AAPL", "100"))
    decision = the_decision(snapshot, shares, CALL)
    assert decision.submit is None
    assert "covered by AAPL" in decision.sentence


# --- what forbids every order -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("account", "words"),
    [
        (AccountFacts("main", "PA2"), "the key belongs to account PA2, the configuration has PA1"),
        (AccountFacts("other", "PA1"), "the snapshot is of other, the policy of main"),
        (AccountFacts("main", "PA1", paper=False), "the account is live, the configuration says paper"),
        (AccountFacts("main", "PA1", blocked="trading_blocked"), "trading is blocked by the broker"),
    ],
)
def test_only_the_exact_account_is_acted_on(account: AccountFacts, words: str) -> None:
    config = a_config()
    config.accounts["main"] = AccountConfig("key", "secret", account_number="PA1")
    decision = the_decision(a_snapshot(a_holding(**TARGET), account=account), compile_policy(config, "main"))  # type: ignore[arg-type]
    assert (decision.state, decision.submit) == (DecisionState.DENIED, None)
    assert f"not sent: {words}" in decision.sentence


@pytest.mark.parametrize(("seconds", "fresh"), [(0, True), (15, True), (15.1, False)])
def test_no_order_follows_from_an_old_view_of_the_position(seconds: float, *, fresh: bool) -> None:
    snapshot = a_snapshot(a_holding(**TARGET))  # type: ignore[arg-type]
    aged = replace(snapshot, positions_at=snapshot.market.now - type(a_policy().stale_after)(seconds=seconds))
    decision = the_decision(aged)
    assert (decision.submit is not None) is fresh
    if not fresh:
        assert "positions were read 15 s ago, 15 s allowed" in decision.sentence


def test_a_long_interval_allows_an_older_view() -> None:
    interval = type(a_policy().stale_after)(seconds=20)
    assert a_policy(SellModuleConfig(check_interval=interval)).max_position_age.total_seconds() == 40


# --- by hand ----------------------------------------------------------------------------------------------------------


def test_what_is_closed_manually_is_a_protective_exit() -> None:
    decision = the_decision(replace(a_snapshot(a_holding("AAPL", "5")), manual_closes=frozenset({"AAPL"})))
    assert decision.signal is not None
    assert (decision.signal.reason, decision.signal.urgency) == (Reason.CLOSED_MANUALLY, Urgency.PROTECTIVE)
    assert decision.submit is not None
    assert decision.sentence.startswith("closed manually; sell 5 limit $1.00")


def test_a_target_that_is_met_gives_a_manual_exit_no_floor() -> None:
    snapshot = a_snapshot(a_holding(entry="1.00", bid="1.10", ask="1.12"))
    decision = the_decision(replace(snapshot, manual_closes=frozenset({CALL})))
    assert decision.signal is not None
    assert decision.signal.worst_price is None
    assert "target +10%" in decision.sentence


def test_a_position_whose_row_contradicts_itself_keeps_open_and_alerts_with_the_contradiction() -> None:
    held = a_holding(CALL, entry=None, bid="5.10", ask="5.12")
    position = replace(held.position, contradiction="its cost basis says otherwise")
    decision = the_decision(a_snapshot(replace(held, position=position)))
    assert decision.submit is None
    assert decision.alert
    assert "entry price unknown (its cost basis says otherwise)" in decision.sentence
