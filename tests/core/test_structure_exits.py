"""Whatever is held and however little of each order fills: no short loses its cover, and the whole structure leaves."""

import asyncio
import datetime as dt
import random
from collections.abc import Collection, Sequence
from decimal import Decimal

import pytest
from builders import a_market, a_policy, a_position, a_quote, a_snapshot, replace
from hypothesis import given, settings
from hypothesis import strategies as st
from order_fakes import FakeClock, FakeEpisodeStore, NoQuotes
from structure_builders import JANUARY, call, put

from sellctl.core.config.schema import (
    MatchConfig,
    RulesConfig,
    SellModuleConfig,
    ShortAction,
    ShortPositionsConfig,
    StrategyConfig,
    StrategyOneConfig,
)
from sellctl.core.decision.context import DecisionContext
from sellctl.core.decision.engine import decide
from sellctl.core.decision.policy import Policy
from sellctl.core.model.instrument import StructureKind
from sellctl.core.model.plan import PositionDecision
from sellctl.core.model.position import Holding
from sellctl.core.model.snapshot import AccountFacts, Snapshot
from sellctl.core.orders.order_book import OrderBook
from sellctl.core.position_manager import PositionManager
from sellctl.core.price_tracker import PriceTracker
from sellctl.core.structures.coverage import cover_of
from sellctl.core.structures.recognition import KINDS
from sellctl.core.tracking.episodes import Episodes
from sellctl.core.watching.shown_structures import shown_structures

CLOSING = a_policy(
    SellModuleConfig(
        strategy_one=StrategyOneConfig(enabled=False),
        short_positions=ShortPositionsConfig(action=ShortAction.IGNORE),
        strategies=(StrategyConfig("all", match=MatchConfig(structure=KINDS), rules=RulesConfig(exit_at=dt.time(11))),),
    )
)
WITHOUT_RULES = a_policy(
    SellModuleConfig(
        strategy_one=StrategyOneConfig(enabled=False),
        short_positions=ShortPositionsConfig(action=ShortAction.IGNORE),
    )
)
ROUNDS = 80
BOTH_WAYS, AS_ONE, BY_LEGS = (3, 3, 2), (3,), (2,)  # options levels


class Account:
    """An account whose orders fill in part at once; what is left of them is cancelled."""

    def __init__(self, held: dict[str, int], kinds: Collection[StructureKind] = KINDS) -> None:
        self.held = held
        clock = FakeClock()
        self.clock = clock
        self.positions = PositionManager(
            PriceTracker(NoQuotes(), clock), clock, Episodes("main", FakeEpisodeStore()), OrderBook(), kinds=kinds
        )

    def poll(self, level: int, asked: str = "", *, panic: bool = False) -> Snapshot:
        """The account as it is now; `asked` is a structure that is asked to close, and a `panic` closes everything."""
        self.clock.seconds += 1
        rows = [a_position(symbol, str(abs(qty)), short=qty < 0) for symbol, qty in self.held.items() if qty]
        holdings = self.positions.holdings(rows, a_market(), first=[asked] if asked else [])
        asyncio.run(self.positions.save())
        quoted = (replace(each, quote=a_quote(each.symbol, "1.00", "1.02")) for each in holdings)
        facts = AccountFacts("main", "PA1", options_level=level)
        snapshot = replace(a_snapshot(*quoted, account=facts), structures=self.positions.structures)
        everything = frozenset(row.symbol for row in rows) if panic else frozenset[str]()
        return replace(snapshot, manual_closes=frozenset({asked} - {""}), panic=everything)

    def fill(self, decision: PositionDecision, share: float) -> None:
        assert decision.signal
        assert decision.submit
        self.positions.sending(decision.submit, decision.signal, self.clock.now())
        order = decision.submit
        units = max(int(int(order.qty) * share), 1)
        for symbol in order.symbols:
            qty, held = units * int(order.qty_of(symbol) / order.qty), self.held[symbol]
            assert 0 < qty <= abs(held)
            self.held[symbol] -= qty if held > 0 else -qty

    @property
    def naked(self) -> Decimal:
        rows = [a_position(symbol, str(abs(qty)), short=qty < 0) for symbol, qty in self.held.items() if qty]
        return sum(cover_of(Holding(row) for row in rows).uncovered.values(), Decimal(0))


SYMBOLS = [
    make(strike, expires) for make in (call, put) for strike in (190, 200, 210) for expires in ("261218", JANUARY)
]
HELD = st.dictionaries(
    st.sampled_from([*SYMBOLS, "AAPL"]), st.integers(-4, 4).filter(bool), min_size=2, max_size=7
).map(lambda held: {symbol: 130 * abs(qty) if symbol == "AAPL" else qty for symbol, qty in held.items()})


def work(
    account: Account,
    chance: random.Random,
    levels: Sequence[int] = BOTH_WAYS,
    policy: Policy = CLOSING,
    asked: str = "",
    *,
    panic: bool = False,
) -> None:
    """Poll until nothing is due; each order of a poll fills in part, in any order, and none uncovers a short.

    From poll to poll a structure may leave as one order, or by legs when the options level is too low. What is `asked`
    to close is asked for until the first order has filled; then it is marked.
    """
    naked = account.naked
    for round_ in range(ROUNDS):
        is_asked = round_ == 0 or asked in account.positions.structures
        snapshot = account.poll(chance.choice(levels), asked if is_asked else "", panic=panic)
        due = [decision for decision in decide(snapshot, policy).decisions if decision.submit]
        chance.shuffle(due)
        for decision in due:
            account.fill(decision, chance.random())
            assert account.naked <= naked
            naked = account.naked
        if not due:
            return


@given(HELD, st.randoms(use_true_random=False), st.sampled_from([BOTH_WAYS, AS_ONE, BY_LEGS]))
@settings(max_examples=100, deadline=None)
def test_structures_leave_whole_and_uncover_nothing_at_any_fill(
    held: dict[str, int], chance: random.Random, levels: Sequence[int]
) -> None:
    account = Account(dict(held))
    first = DecisionContext.of(account.poll(3), CLOSING)
    beyond = {
        symbol: first.structures[symbol].holdings[symbol].position.qty - first.structures[symbol].qty_of(symbol)
        for symbol in first.structures
    }
    work(account, chance, levels)
    last = DecisionContext.of(account.poll(3), CLOSING)
    for symbol, rest in beyond.items():
        reserved = last.cover.reserved.get(symbol, Decimal(0))
        assert abs(account.held[symbol]) <= max(rest, reserved), (held, account.held)


@pytest.mark.parametrize("levels", [BOTH_WAYS, AS_ONE, BY_LEGS], ids=["both ways", "as one order", "by legs"])
@given(held=HELD, chance=st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_a_structure_that_is_asked_to_close_leaves_whole_and_uncovers_nothing_at_any_fill(
    held: dict[str, int], chance: random.Random, levels: Sequence[int]
) -> None:
    account = Account(dict(held), kinds=())
    snapshot = account.poll(chance.choice(levels))
    shown = shown_structures(decide(snapshot, WITHOUT_RULES), snapshot, WITHOUT_RULES)
    if not shown:
        return
    structure = chance.choice(shown)
    work(account, chance, levels, WITHOUT_RULES, structure.name)
    last = DecisionContext.of(account.poll(chance.choice(levels)), WITHOUT_RULES)
    for symbol, qty in held.items():
        rest = abs(qty) - structure.quantities.get(symbol, Decimal(0))
        reserved = last.cover.reserved.get(symbol, Decimal(0))
        assert rest <= abs(account.held[symbol]) <= max(rest, reserved), (structure.name, held, account.held)


@pytest.mark.parametrize("levels", [BOTH_WAYS, AS_ONE, BY_LEGS], ids=["both ways", "as one order", "by legs"])
@given(held=HELD, chance=st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_in_a_panic_every_option_leaves_and_nothing_is_uncovered_at_any_fill_without_any_match(
    held: dict[str, int], chance: random.Random, levels: Sequence[int]
) -> None:
    account = Account(dict(held), kinds=())
    work(account, chance, levels, WITHOUT_RULES, panic=True)
    assert {symbol for symbol, qty in account.held.items() if qty} <= {"AAPL"}


@pytest.mark.parametrize(
    ("held", "left"),
    [
        ({call(200): 7, call(210): -2}, {call(200): 5, call(210): 0}),
        ({call(190): 2, call(200): -4, call(210): 6}, {call(190): 0, call(200): 0, call(210): 4}),
        ({"AAPL": 1000, call(210): -3}, {"AAPL": 700, call(210): 0}),
        ({"AAPL": 250, call(210): -2, put(190): 2}, {"AAPL": 50, call(210): 0, put(190): 0}),
        ({call(200): 3, put(200): 4}, {call(200): 0, put(200): 1}),
    ],
)
def test_what_exceeds_a_structure_stays(held: dict[str, int], left: dict[str, int]) -> None:
    for seed in range(5):
        account = Account(dict(held))
        work(account, random.Random(seed))  # noqa: S311  not a secret
        assert account.held == left


@pytest.mark.parametrize(("levels", "left"), [(AS_ONE, 0), (BY_LEGS, 1)])
def test_the_cover_of_naked_shorts_leaves_with_one_of_them_and_by_legs_stays(levels: Sequence[int], left: int) -> None:
    account = Account({call(200): 1, call(210): -5})
    work(account, random.Random(1), levels)  # noqa: S311  not a secret
    assert account.held == {call(200): left, call(210): -4}
