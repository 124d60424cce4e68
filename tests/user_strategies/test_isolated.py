"""User-defined strategies in their own processes: whatever their code does, it stays there."""

import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from builders import (
    CALL,
    HALF_DAY,
    PUT,
    TODAYS_CALL,
    a_config,
    a_holding,
    a_market,
    a_policy,
    a_snapshot,
    replace,
    the_decision,
)

from sellctl.core.config.schema import SellModuleConfig, StrategyConfig
from sellctl.core.decision.context import DecisionContext
from sellctl.core.decision.explain import explain
from sellctl.core.decision.policy import Policy, compile_policy
from sellctl.core.errors import ConfigError
from sellctl.core.model.market import Market
from sellctl.core.model.plan import DecisionState
from sellctl.core.model.position import Holding
from sellctl.core.sell_strategies.base_strategy import StrategyDisabledError, StrategyError
from sellctl.core.watching.trigger_prices import FARTHEST, distances, stops
from sellctl.user_strategies.isolated import BUDGET_SECONDS, IsolatedStrategy, start_isolated
from sellctl.user_strategies.loading import SourceLocations

EXAMPLES = Path(__file__).parents[2] / "examples"
CODE = """
    import asyncio, os, re, signal, sys, threading, time
    from dataclasses import dataclass
    from decimal import Decimal
    from sellctl.core.model.plan import ExitSignal, Reason, Urgency
    from sellctl.core.sell_strategies.base_strategy import BaseStrategy

    {at_import}

    class Unprintable(Exception):
        def __str__(self):
            raise SystemExit(1)

    @dataclass(frozen=True)
    class Mine(BaseStrategy):
        def evaluate(self, holding, market):
            if holding.symbol == "{symbol}":
                {does}
            return self.close(holding, "mine")
"""
Write = Callable[..., StrategyConfig]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a strategy that does something when it evaluates CALL, and closes every other position."""

    def write(does: str = "pass", at_import: str = "") -> StrategyConfig:
        code = textwrap.dedent(CODE).format(does=does, at_import=at_import, symbol=CALL)
        (tmp_path / "mine.py").write_text(code, encoding="utf-8")
        return StrategyConfig(name="mine", use=f"{tmp_path}/mine.py:Mine")

    return write


def started(entry: StrategyConfig) -> IsolatedStrategy:
    (strategy,) = start_isolated([(entry, SourceLocations(".", "config.yml", {"use": "config.yml:3"}))])
    return strategy


def policy_with(entry: StrategyConfig) -> Policy:
    return compile_policy(a_config(SellModuleConfig(strategies=(entry,))), "main", {0: started(entry)})


def held(symbol: str = CALL) -> Holding:
    return a_snapshot(a_holding(symbol)).holdings[0]


def details(strategy: IsolatedStrategy, symbol: str = PUT, market: Market | None = None) -> list[str]:
    return [signal.detail for signal in strategy.signals(held(symbol), market or a_market())]


def test_a_strategy_is_asked_in_its_process_for_everything_that_a_decision_needs() -> None:
    parameters = (("target", "40%"),)
    strategy = started(
        StrategyConfig(name="half", use=f"{EXAMPLES}/half_then_trail.py:HalfThenTrail", parameters=parameters)
    )
    (holding,) = DecisionContext.of(a_snapshot(a_holding(qty="4", bid="1.50", ask="1.52")), a_policy()).holdings
    (found,) = strategy.signals(holding, a_market())
    assert (found.holding, found.qty, found.worst_price) == (holding, 2, Decimal("1.40"))
    assert [trigger.price for trigger in strategy.triggers(holding, a_market())] == [Decimal("1.40")]
    assert next(rule.label(holding, a_market()) for rule in strategy.rules()) == "slice of 50% at +40%"
    assert (strategy.needs_peak, strategy.needs_underlying) == (True, False)


@pytest.mark.parametrize("does", ["while True: pass", "time.sleep(10)", "re.match('(a+)+$', 'a' * 60 + 'b')"])
def test_a_strategy_that_hangs_is_abandoned_and_out_for_the_day(write: Write, does: str) -> None:
    strategy, began = started(write(does)), time.monotonic()
    assert details(strategy) == ["mine: mine"]
    for symbol in (CALL, CALL, PUT):
        with pytest.raises(StrategyDisabledError, match=r"^strategy mine is disabled for today: it takes too long"):
            details(strategy, symbol)
    assert time.monotonic() - began < 4 * BUDGET_SECONDS


@pytest.mark.parametrize("does", ["os._exit(0)", "os.closerange(0, 99)", "os.kill(os.getpid(), signal.SIGKILL)"])
def test_a_strategy_whose_process_ends_is_out_for_the_day(write: Write, does: str) -> None:
    strategy = started(write(does))
    for symbol in (CALL, PUT):
        with pytest.raises(StrategyDisabledError, match="its process ended"):
            details(strategy, symbol)


def test_a_strategy_that_is_always_slow_is_out_for_the_day(write: Write) -> None:
    strategy = started(write("time.sleep(BUDGET_SECONDS / 4)", f"BUDGET_SECONDS = {BUDGET_SECONDS}"))
    assert [details(strategy, CALL) for _ in range(2)] == [["mine: mine"]] * 2
    with pytest.raises(StrategyDisabledError, match="a quarter of the time"):
        [details(strategy, CALL) for _ in range(4)]


@pytest.mark.parametrize(
    ("does", "text"),
    [
        ("sys.exit(3)", "SystemExit: 3"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt: "),
        ("raise asyncio.CancelledError", "CancelledError: "),
        ("raise GeneratorExit", "GeneratorExit: "),
        ("raise Unprintable", "Unprintable"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("return self.evaluate(holding, market)", "RecursionError"),
        ("return 'sell'", "AttributeError"),
        ("return ExitSignal(holding, 'all', Reason.OWN_RULE, 'x', Urgency.TIME)", "an invalid value"),
        ("return ExitSignal(holding, Decimal(1), 'luck', 'x', Urgency.TIME)", "an invalid value"),
        ("return ExitSignal(holding, Decimal(1), Reason.OWN_RULE, None, Urgency.TIME)", "an invalid value"),
    ],
)
def test_whatever_a_strategy_raises_or_returns_is_an_error_of_that_position(write: Write, does: str, text: str) -> None:
    strategy = started(write(does))
    with pytest.raises(StrategyError) as raised:
        details(strategy, CALL)
    assert text in str(raised.value)
    assert details(strategy) == ["mine: mine"]


def test_what_a_strategy_prints_and_which_signals_it_handles_stay_in_its_process(
    write: Write, capfd: pytest.CaptureFixture[str]
) -> None:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    noise = "print('noise'); print('noise', file=sys.stderr); os.write(1, b'noise'); os.write(2, b'noise')"
    handle = "signal.signal(signal.SIGTERM, signal.SIG_DFL); signal.signal(signal.SIGINT, signal.SIG_DFL)"
    strategy = started(write(noise, f"{noise}; {handle}"))
    assert details(strategy, CALL) == ["mine: mine"]
    assert capfd.readouterr() == ("", "")
    assert handlers == {number: signal.getsignal(number) for number in handlers}


@pytest.mark.parametrize("at_import", ["sys.exit(3)", "raise KeyboardInterrupt", "os._exit(1)", "raise Mine"])
def test_a_strategy_that_can_not_be_loaded_is_an_error_with_its_place(write: Write, at_import: str) -> None:
    with pytest.raises(ConfigError, match=r"^config.yml:3: .*can't be loaded: "):
        started(write(at_import=at_import))


def test_a_strategy_with_the_old_name_of_accepts_is_an_error_because_it_would_manage_every_position(
    write: Write,
) -> None:
    entry = write(at_import="BaseStrategy.takes = lambda *_: False")
    with pytest.raises(ConfigError, match=r"Mine defines `takes`\. Rename it to `accepts`"):
        started(entry)


def test_a_strategy_that_was_disabled_is_started_again_on_the_next_day(write: Write) -> None:
    strategy, tomorrow = started(write("os._exit(0)")), a_market(day=HALF_DAY)
    with pytest.raises(StrategyDisabledError):
        details(strategy, CALL)
    ends_at = time.monotonic() + 10
    while time.monotonic() < ends_at:
        try:
            assert details(strategy, market=tomorrow) == ["mine: mine"]
        except StrategyDisabledError:
            raise
        except StrategyError as error:
            assert str(error) == "strategy mine is being loaded again"  # noqa: PT017  once or many times
        else:
            return
    pytest.fail("it was not loaded again")


def test_positions_of_a_strategy_that_is_out_are_shown_as_not_managed_with_an_alert(write: Write) -> None:
    policy = policy_with(write("while True: pass"))
    for _ in range(2):
        snapshot = a_snapshot(a_holding(bid="1.20", ask="1.22"), a_holding(PUT))
        decision = the_decision(snapshot, policy, CALL)
        assert (decision.state, decision.alert, decision.signal) == (DecisionState.NOT_MANAGED, True, None)
        assert decision.sentence.startswith("NOT MANAGED: strategy mine is disabled for today: it takes too long")
        assert decision.gain == Decimal("0.2")
    explanation = explain(snapshot, policy, CALL)
    assert explanation is not None
    assert (explanation.sentence, explanation.strategy) == (decision.sentence, None)


def test_what_the_engine_closes_is_closed_also_while_the_strategy_is_out(write: Write) -> None:
    policy = policy_with(write("while True: pass"))
    the_decision(a_snapshot(a_holding()), policy)
    decision = the_decision(a_snapshot(a_holding(TODAYS_CALL), market=a_market("15:30")), policy)
    assert decision.submit is not None


def test_positions_that_a_strategy_does_not_take_keep_their_own_while_it_is_out(write: Write) -> None:
    entry = write("while True: pass", f"BaseStrategy.accepts = lambda self, holding, market: holding.symbol != '{PUT}'")
    policy = policy_with(entry)
    both = a_snapshot(a_holding(PUT, bid="0.70", ask="0.72"), a_holding(CALL))
    assert the_decision(both, policy, PUT).submit is not None
    assert the_decision(both, policy, CALL).sentence.startswith("NOT MANAGED")
    assert the_decision(both, policy, PUT).submit is not None


def test_the_process_of_a_strategy_ends_with_its_strategy_and_with_its_parent(write: Write) -> None:
    entry = write("pass", "open('pid', 'w').write(str(os.getpid()))")
    script = f"""
from sellctl.core.config.schema import StrategyConfig
from sellctl.user_strategies.isolated import start_isolated
from sellctl.user_strategies.loading import SourceLocations
kept = start_isolated([(StrategyConfig(name="mine", use={entry.use!r}), SourceLocations(".", "config.yml", {{}}))])
print("ready", flush=True)
input()
"""
    folder = Path(str(entry.use)).parent
    parent = subprocess.Popen(  # noqa: S603  our own interpreter
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=folder, text=True
    )
    assert parent.stdout is not None
    assert parent.stdout.readline() == "ready\n"
    parent.kill()
    parent.communicate()
    assert is_gone(int((folder / "pid").read_text()))


def is_gone(pid: int) -> bool:
    ends_at = time.monotonic() + 10
    while time.monotonic() < ends_at:
        try:
            state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
    return False


@pytest.mark.parametrize(
    ("price", "distance"), [("NaN", "NaN"), ("sNaN", "0.1"), ("Infinity", "Infinity"), ("1.10", "NaN")]
)
def test_a_trigger_that_is_no_number_is_left_out_and_spoils_no_other_position(
    write: Write, price: str, distance: str
) -> None:
    trigger = f"Trigger(Reason.OWN_RULE, Decimal('{price}'), Decimal('{distance}'))"
    strange = f"from sellctl.core.model.plan import Trigger; BaseStrategy.triggers = lambda *_: ({trigger},)"
    policy = policy_with(write("return None", strange))
    snapshot = a_snapshot(a_holding(CALL))
    assert dict(distances(snapshot, policy)) == {CALL: FARTHEST}
    assert dict(stops(snapshot, policy)) == {}
    assert the_decision(snapshot, policy, CALL).state is DecisionState.WATCHING


@pytest.mark.parametrize("worst", ["NaN", "sNaN", "Infinity"])
def test_a_signal_with_a_worst_price_that_is_no_price_spoils_no_panic(write: Write, worst: str) -> None:
    price = f"Decimal('{worst}')"
    policy = policy_with(
        write(f"return ExitSignal(holding, Decimal(1), Reason.TAKE_PROFIT, 'x', Urgency.PROFIT, worst_price={price})")
    )
    quiet = the_decision(a_snapshot(a_holding(CALL)), policy, CALL)
    assert (quiet.state, quiet.submit) == (DecisionState.FAULT, None)
    panic = replace(a_snapshot(a_holding(CALL)), panic=frozenset({CALL}))
    assert the_decision(panic, policy, CALL).submit is not None
