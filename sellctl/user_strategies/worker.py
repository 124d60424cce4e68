"""The process in which one user-defined strategy runs.

It reads requests from its standard input and writes a reply to each. Before any code of the user's is loaded, standard
input, output and error are redirected, so that a print reaches nobody. Whatever the code raises becomes a reply.
"""

import os
import signal
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import IO, TypeVar

import msgspec

from sellctl.core.config.schema import StrategyConfig
from sellctl.core.errors import ConfigError
from sellctl.core.model.market import Market
from sellctl.core.model.plan import ExitSignal, Reason, Trigger, Urgency
from sellctl.core.model.position import Holding
from sellctl.core.sell_strategies.base_strategy import BaseStrategy
from sellctl.user_strategies.loading import SourceLocations, load

LENGTH_PREFIX = struct.Struct("!I")  # the length that precedes each message
ABANDONED_SECONDS = 60  # after which the system ends a process whose request still runs, also without its parent
_LONGEST_ERROR = 500  # characters

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """The first request: load this entry's strategy. The reply's body is a LoadedStrategy."""

    entry: StrategyConfig
    locations: SourceLocations


@dataclass(frozen=True, slots=True)
class EvaluateRequest:
    """Evaluate the strategy for a holding. The reply's body is a Result, or one RuleResult per rule with `by_rule`."""

    holding: Holding
    market: Market
    by_rule: bool = False


@dataclass(frozen=True, slots=True)
class RuleMetadata:
    """The metadata of a rule, which depends on no position."""

    text: str
    needs_underlying: bool
    needs_peak: bool


@dataclass(frozen=True, slots=True)
class LoadedStrategy:
    """The rules of a strategy that has been loaded."""

    rules: tuple[RuleMetadata, ...]


@dataclass(frozen=True, slots=True)
class Signal:
    """An ExitSignal without its holding."""

    qty: Decimal
    reason: Reason
    detail: str
    urgency: Urgency
    other_reasons: tuple[str, ...]
    worst_price: Decimal | None

    @classmethod
    def of(cls, signal: ExitSignal) -> "Signal":
        """The signal that the strategy returned."""
        return cls(signal.qty, signal.reason, signal.detail, signal.urgency, signal.other_reasons, signal.worst_price)

    def on(self, holding: Holding) -> ExitSignal:
        """The signal for this holding."""
        return ExitSignal(
            holding, self.qty, self.reason, self.detail, self.urgency, self.other_reasons, self.worst_price
        )


@dataclass(frozen=True, slots=True)
class Result:
    """Whether the strategy accepts a holding, and its signals and triggers."""

    accepts: bool
    signals: tuple[Signal, ...] = ()
    triggers: tuple[Trigger, ...] = ()


@dataclass(frozen=True, slots=True)
class RuleResult:
    """One rule for a holding."""

    label: str
    trigger: Trigger | None
    signal: Signal | None


@dataclass(frozen=True, slots=True)
class Reply:
    """The reply to a request: its `body`, or the error that the user's code raised, and the seconds that it took."""

    seconds: float
    body: bytes = b""
    error: str = ""
    hint: str = ""


def main() -> None:
    """Reply to requests until the other end is closed."""
    try:
        _serve()
    except EOFError:
        os._exit(0)  # also when threads of the user's code still run


def _serve() -> None:
    requests, replies = _private_streams()
    for number in (signal.SIGINT, signal.SIGTERM):  # these are meant for sellctl, which ends this process itself
        signal.signal(number, signal.SIG_IGN)
    first = _next(requests, LoadRequest)
    strategy: BaseStrategy | None = None

    def loaded() -> LoadedStrategy:
        nonlocal strategy
        strategy = _loaded(first)
        rules = zip(strategy.rules(), strategy.rule_texts(), strict=True)
        return LoadedStrategy(tuple(RuleMetadata(text, r.needs_underlying, r.needs_peak) for r, text in rules))

    _send(replies, _reply(loaded))
    while strategy is not None:
        request = _next(requests, EvaluateRequest)
        _send(replies, _reply(partial(_evaluate, strategy, request)))


def _loaded(request: LoadRequest) -> BaseStrategy:
    try:
        return load(request.entry, request.locations)
    except ConfigError:
        raise
    except BaseException as error:  # noqa: BLE001  as in _reply
        use = request.locations.of("use")
        raise ConfigError(f"{use}{request.entry.use} can't be loaded: {_text(error)}.") from None


def _evaluate(strategy: BaseStrategy, request: EvaluateRequest) -> Result | list[RuleResult]:
    holding, market = request.holding, request.market
    if request.by_rule:
        return [
            RuleResult(
                label=rule.label(holding, market),
                trigger=rule.trigger(holding, market),
                signal=None if (found := rule.evaluate(holding, market)) is None else Signal.of(found),
            )
            for rule in strategy.rules()
        ]
    if not strategy.accepts(holding, market):
        return Result(accepts=False)
    triggers = tuple(strategy.triggers(holding, market))
    signals = strategy.signals(holding, market) if market.is_open else ()
    return Result(accepts=True, signals=tuple(map(Signal.of, signals)), triggers=triggers)


def _reply(work: Callable[[], object]) -> Reply:
    """The reply with what `work` returns, or with the error that it raises, of whatever kind."""
    started = time.perf_counter()
    signal.alarm(ABANDONED_SECONDS)
    try:
        body = msgspec.msgpack.encode(work())
        return Reply(time.perf_counter() - started, body)
    except ConfigError as error:
        return Reply(time.perf_counter() - started, error=error.sentence, hint=error.hint)
    except BaseException as error:  # noqa: BLE001  sys.exit, KeyboardInterrupt and the like must not end the process
        return Reply(time.perf_counter() - started, error=_text(error))
    finally:
        signal.alarm(0)


def _text(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"[:_LONGEST_ERROR]
    except BaseException:  # noqa: BLE001  even its text may raise
        return type(error).__name__


def _private_streams() -> tuple[IO[bytes], IO[bytes]]:
    """The streams to the parent process, out of reach of print and input."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        os.dup2(nowhere, standard)
    return requests, replies


def _next(requests: IO[bytes], kind: type[T]) -> T:
    """The next request. EOFError when there will be none."""
    head = requests.read(LENGTH_PREFIX.size)
    if len(head) < LENGTH_PREFIX.size:
        raise EOFError
    return msgspec.msgpack.decode(requests.read(LENGTH_PREFIX.unpack(head)[0]), type=kind)


def _send(replies: IO[bytes], reply: Reply) -> None:
    replies.write(message_of(reply))
    replies.flush()


def message_of(value: LoadRequest | EvaluateRequest | Reply) -> bytes:
    """A request or a reply as bytes: its length, then its content as MessagePack."""
    content = msgspec.msgpack.encode(value)
    return LENGTH_PREFIX.pack(len(content)) + content
