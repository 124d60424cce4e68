"""What is left open until somebody reads it: the same whenever that is; and the short cut says what the rules say."""

from decimal import Decimal

import pytest
from builders import a_holding, a_market, a_policy, a_snapshot, replace
from hypothesis import given
from hypothesis import strategies as st

from sellctl.core.config.schema import Basis
from sellctl.core.decision.engine import decide
from sellctl.core.model.plan import PositionDecision, State, Trigger
from sellctl.core.model.position import Holding, Prices
from sellctl.core.sell_strategies.base_strategy import BaseStrategy
from sellctl.core.sell_strategies.strategy_one import StrategyOne
from sellctl.journal.codec import pack, unpack

CENTS = st.integers(1, 300).map(lambda cents: Decimal(cents) / 100)
RATES = st.sampled_from(["0.5", "0.8", "0.999", "1.001", "1.1", "2"]).map(Decimal)
STRATEGIES = st.builds(
    StrategyOne,
    profit_rate=RATES,
    stop_loss_rate=RATES,
    profit_basis=st.sampled_from(Basis),
    loss_basis=st.sampled_from(Basis),
)


class CountingWords:
    """Words that count how often they are asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def sentence(self, _holding: Holding) -> str:
        self.asked.append("sentence")
        return "it stays"

    def triggers(self, _holding: Holding) -> tuple[Trigger, ...]:
        self.asked.append("triggers")
        return ()


def test_words_are_worked_out_once_and_only_when_somebody_reads_them() -> None:
    words = CountingWords()
    decision = PositionDecision.held(a_holding(), words, alert=False, unconfirmed=False)
    assert (decision.state, decision.signal, decision.cancel_first) == (State.HELD, None, ())
    assert words.asked == []
    assert (decision.sentence, decision.sentence, decision.triggers, decision.triggers) == (
        "it stays",
        "it stays",
        (),
        (),
    )
    assert words.asked == ["sentence", "triggers"]


def test_a_verdict_whose_words_were_left_open_equals_one_that_was_given_them() -> None:
    holding = a_holding()
    later = PositionDecision.held(holding, CountingWords(), alert=False, unconfirmed=False)
    given_at_once = PositionDecision(holding, State.HELD, "it stays", gain=holding.gain)
    assert later == given_at_once
    assert hash(later) == hash(given_at_once)
    assert repr(later) == repr(given_at_once)


def test_what_no_field_is_called_is_still_an_error() -> None:
    with pytest.raises(AttributeError, match="sentense"):
        _ = PositionDecision.held(a_holding(), CountingWords(), alert=False, unconfirmed=False).sentense  # type: ignore[attr-defined]


def test_a_plan_that_nobody_read_comes_back_from_the_journal_with_all_its_words() -> None:
    snapshot = a_snapshot(a_holding(bid="1.00", ask="1.02"), a_holding("AAPL261218C00210000", bid="1.20", ask="1.22"))
    policy = a_policy()
    _, back = unpack(pack(snapshot, decide(snapshot, policy)))
    assert back == decide(snapshot, policy)
    assert [bool(decision.triggers) for decision in back.decisions] == [True, True]
    assert all(decision.sentence for decision in back.decisions)


@given(strategy=STRATEGIES, entry=CENTS.map(str), sides=st.tuples(CENTS, CENTS).map(sorted), wide=st.booleans())
def test_strategy_one_says_what_its_two_rules_say(
    *, strategy: StrategyOne, entry: str, sides: list[Decimal], wide: bool
) -> None:
    holding, market = replace(a_holding(entry=entry), prices=Prices(*sides, "", wide)), a_market()
    assert strategy.signals(holding, market) == BaseStrategy.signals(strategy, holding, market)
