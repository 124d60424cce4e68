"""User-defined strategies, each in a process of its own that can be killed (docs/adr/0010-strategy-processes.md).

A strategy that takes too long, or whose process ends, is disabled for the rest of that day. All calls wait for the
process: at most 0.5 s at once and 25% of the time on average.
"""

import datetime as dt
import os
import selectors
import subprocess
import sys
import time
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import IO, TypeVar, cast

import msgspec

from sellctl.core.config.schema import StrategyConfig
from sellctl.core.errors import ConfigError
from sellctl.core.model.market import Market
from sellctl.core.model.plan import ExitSignal, Trigger
from sellctl.core.model.position import Holding
from sellctl.core.sell_strategies.base_strategy import BaseStrategy, Rule, StrategyDisabledError, StrategyError
from sellctl.user_strategies.loading import SourceLocations, name_of
from sellctl.user_strategies.worker import (
    LENGTH_PREFIX,
    EvaluateRequest,
    LoadedStrategy,
    LoadRequest,
    Reply,
    Result,
    RuleMetadata,
    RuleResult,
    message_of,
)

BUDGET_SECONDS = 0.5  # the most that a strategy's code may take at once, for all positions together
REFILL_RATE = 0.25  # seconds added to the budget per second
LOAD_SECONDS = 10.0  # until a strategy must have been loaded
_LONGEST_REPLY = 1_000_000  # bytes
_TOO_LONG = f"it takes too long (more than {BUDGET_SECONDS} s at a time, or a quarter of the time)"
_ENDED = "its process ended"

T = TypeVar("T")


class StrategyProcess:
    """One strategy's process. It ends at the latest when this object is garbage-collected."""

    def __init__(self, request: LoadRequest) -> None:
        """Start it, and request that it loads the strategy."""
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", "from sellctl.user_strategies.worker import main; main()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            bufsize=0,
            start_new_session=True,  # so that Ctrl-C in the terminal doesn't reach it
        )
        self._requests, self._replies = cast("IO[bytes]", process.stdin), cast("IO[bytes]", process.stdout)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._replies, selectors.EVENT_READ)
        self.end = weakref.finalize(self, _end, process, self._selector)
        self._received = b""
        self.send(request)

    def send(self, request: LoadRequest | EvaluateRequest) -> None:
        """Send a request. EOFError when the process has ended."""
        try:
            self._requests.write(message_of(request))
        except OSError:
            raise EOFError from None

    def receive(self, seconds: float) -> Reply | None:
        """The reply to the last request; None when it hasn't come in time. EOFError when the process has ended."""
        deadline = time.monotonic() + seconds
        while (message := self._next_message()) is None:
            if not self._selector.select(max(deadline - time.monotonic(), 0)):
                return None
            received = os.read(self._replies.fileno(), 65536)
            if not received or len(self._received) > _LONGEST_REPLY:
                raise EOFError
            self._received += received
        return _decoded(message, Reply)

    def _next_message(self) -> bytes | None:
        """The next message, once all of it has been received."""
        if len(self._received) < LENGTH_PREFIX.size:
            return None
        end = LENGTH_PREFIX.size + LENGTH_PREFIX.unpack_from(self._received)[0]
        if len(self._received) < end:
            return None
        message, self._received = self._received[LENGTH_PREFIX.size : end], self._received[end:]
        return message


def _end(process: "subprocess.Popen[bytes]", selector: selectors.BaseSelector) -> None:
    selector.close()
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream:
            stream.close()


def _decoded(message: bytes, kind: type[T]) -> T:
    try:
        return msgspec.msgpack.decode(message, type=kind)
    except msgspec.MsgspecError as error:
        raise StrategyError(f"it returned an invalid value: {error}") from None


@dataclass(slots=True)
class StrategyHost:
    """Sends requests to the process of one strategy, and disables it for the day when it takes too long or ends."""

    name: str
    request: LoadRequest
    _process: StrategyProcess = field(init=False)
    _disabled: tuple[dt.date, str] | None = None  # the day for which it is disabled, and why
    _loading_since: float | None = None  # while it is started again on another day
    _budget: float = BUDGET_SECONDS
    _evaluated_at: float = field(default_factory=time.monotonic)
    _accepted: dict[str, bool] = field(default_factory=dict)  # by symbol: whether it accepted the position last time
    _last: tuple[EvaluateRequest, Result | list[RuleResult]] | None = None

    def __post_init__(self) -> None:
        self._process = StrategyProcess(self.request)

    def loaded(self, where: str) -> LoadedStrategy:
        """Wait until the strategy is loaded. `where` is its place in the configuration, for the ConfigError."""
        try:
            reply = self._process.receive(LOAD_SECONDS)
        except EOFError:
            raise ConfigError(f"{where}{self.name} can't be loaded: {_ENDED}.") from None
        if reply is None:
            self._process.end()
            raise ConfigError(f"{where}{self.name} wasn't loaded within {LOAD_SECONDS:.0f} s.")
        if reply.error:
            raise ConfigError(reply.error, hint=reply.hint)
        return _decoded(reply.body, LoadedStrategy)

    def accepts(self, holding: Holding, market: Market) -> bool:
        """Whether the strategy accepts a position; while disabled, whether it last did, and true if that is unknown.

        Returning False would hand the position to the next strategy.
        """
        try:
            accepted = self.result(holding, market).accepts
        except StrategyDisabledError:
            return self._accepted.get(holding.symbol, True)
        self._accepted[holding.symbol] = accepted
        return accepted

    def result(self, holding: Holding, market: Market) -> Result:
        """The strategy's signals and triggers. StrategyError when it raises, StrategyDisabledError while disabled."""
        return self._evaluate(EvaluateRequest(holding, market), Result)

    def results_by_rule(self, holding: Holding, market: Market) -> list[RuleResult]:
        """One result per rule. Raises as `result` does."""
        return self._evaluate(EvaluateRequest(holding, market, by_rule=True), list[RuleResult])

    def _evaluate(self, request: EvaluateRequest, kind: type[T]) -> T:
        if self._last and _is_same(self._last[0], request):
            return self._last[1]  # type: ignore[return-value]  # the same kind of request
        self._require_running(request.market.today)
        now = time.monotonic()
        self._budget = min(BUDGET_SECONDS, self._budget + (now - self._evaluated_at) * REFILL_RATE)
        self._evaluated_at = now
        reply = self._reply(request)
        self._budget -= reply.seconds
        if self._budget <= 0:
            raise self._disable(request.market.today, _TOO_LONG)
        if reply.error:
            raise StrategyError(reply.error)
        result = _decoded(reply.body, kind)
        self._last = (request, result)  # type: ignore[assignment]
        return result

    def _reply(self, request: EvaluateRequest) -> Reply:
        try:
            self._process.send(request)
            reply = self._process.receive(self._budget)
        except EOFError:
            raise self._disable(request.market.today, _ENDED) from None
        if reply is None:
            raise self._disable(request.market.today, _TOO_LONG)
        return reply

    def _require_running(self, today: dt.date) -> None:
        """Raise while it is disabled or being loaded again. On the next day, start it again."""
        if self._disabled and self._disabled[0] == today:
            raise StrategyDisabledError(self._disabled[1])
        if self._disabled:
            self._disabled, self._budget, self._loading_since = None, BUDGET_SECONDS, time.monotonic()
            self._process = StrategyProcess(self.request)
        if self._loading_since is None:
            return
        try:
            reply = self._process.receive(0)
        except EOFError:
            raise self._disable(today, _ENDED) from None
        if reply is None and time.monotonic() - self._loading_since > LOAD_SECONDS:
            raise self._disable(today, _TOO_LONG)
        if reply is None:
            raise StrategyError(f"strategy {self.name} is being loaded again")
        if reply.error:
            raise self._disable(today, reply.error)
        self._loading_since = None

    def _disable(self, today: dt.date, why: str) -> StrategyDisabledError:
        """End the process for the rest of the day. Return the error to raise."""
        self._process.end()
        self._last = self._loading_since = None
        self._disabled = (today, f"strategy {self.name} is disabled for today: {why}")
        return StrategyDisabledError(self._disabled[1])


def _is_same(one: EvaluateRequest, other: EvaluateRequest) -> bool:
    """Whether both are about the same objects: one decision evaluates the same pair several times."""
    return one.holding is other.holding and one.market is other.market and one.by_rule is other.by_rule


@dataclass(frozen=True)
class IsolatedStrategy(BaseStrategy):
    """A user-defined strategy: its process evaluates everything."""

    host: StrategyHost = field(kw_only=True, compare=False, repr=False)
    rule_metadata: tuple[RuleMetadata, ...] = ()

    @cached_property
    def _rules(self) -> tuple[Rule, ...]:
        return tuple(IsolatedRule(self.host, index, metadata) for index, metadata in enumerate(self.rule_metadata))

    def accepts(self, holding: Holding, market: Market) -> bool:
        """Whether the strategy accepts the position."""
        return self.host.accepts(holding, market)

    def rules(self) -> tuple[Rule, ...]:
        """Its rules, which are evaluated in its process."""
        return self._rules

    def rule_texts(self) -> tuple[str, ...]:
        """The settings of each rule."""
        return tuple(metadata.text for metadata in self.rule_metadata)

    def signals(self, holding: Holding, market: Market) -> tuple[ExitSignal, ...]:
        """Every exit that is due now."""
        return tuple(signal.on(holding) for signal in self.host.result(holding, market).signals)

    def triggers(self, holding: Holding, market: Market) -> tuple[Trigger, ...]:
        """The prices at which its rules would fire."""
        return self.host.result(holding, market).triggers


@dataclass(frozen=True, slots=True)
class IsolatedRule:
    """A rule of a user-defined strategy."""

    host: StrategyHost
    index: int
    metadata: RuleMetadata

    @property
    def needs_underlying(self) -> bool:
        """Whether it uses the underlying's price."""
        return self.metadata.needs_underlying

    @property
    def needs_peak(self) -> bool:
        """Whether it uses the best price since entry."""
        return self.metadata.needs_peak

    def evaluate(self, holding: Holding, market: Market) -> ExitSignal | None:
        """The exit when the rule fires."""
        signal = self._result(holding, market).signal
        return None if signal is None else signal.on(holding)

    def trigger(self, holding: Holding, market: Market) -> Trigger | None:
        """The price at which it fires."""
        return self._result(holding, market).trigger

    def label(self, holding: Holding, market: Market) -> str:
        """A short text of the rule, with its numbers."""
        return self._result(holding, market).label

    def _result(self, holding: Holding, market: Market) -> RuleResult:
        return self.host.results_by_rule(holding, market)[self.index]


def start_isolated(entries: Sequence[tuple[StrategyConfig, SourceLocations]]) -> tuple[IsolatedStrategy, ...]:
    """The strategies of these entries. Their processes start at the same time. ConfigError has file, line and hint."""
    hosts = [StrategyHost(name_of(entry), LoadRequest(entry, locations)) for entry, locations in entries]
    return tuple(
        IsolatedStrategy(name=host.name, host=host, rule_metadata=host.loaded(host.request.locations.of("use")).rules)
        for host in hosts
    )
