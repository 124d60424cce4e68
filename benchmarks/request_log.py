"""The requests that an exchange received: counted by kind, per key and minute, and as a chain.

It also notes when each option that is due had its first order.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from time import perf_counter

MINUTE = 60.0
_OF_MARKET_DATA = ("/v1beta1/", "/v1/", "/v2/stocks/")


@dataclass(slots=True)
class Reply:
    """An answer: its status, and when it was written (seconds of the host's monotonic clock); 0 before."""

    status: int = 0
    written: float = 0.0


@dataclass(slots=True)
class Request:
    """One request: when it arrived (seconds of the host's monotonic clock), what it was, and its answer."""

    arrived: float
    method: str
    path: str
    query: Mapping[str, Sequence[str]]
    key: str
    reply: Reply
    symbol: str = ""  # of an order

    @property
    def is_order(self) -> bool:
        """Whether it submits an order."""
        return (self.method, self.path) == ("POST", "/v2/orders")

    @property
    def kind(self) -> str:
        """Method and path, without what differs from one symbol or order to the next; a refusal with its status."""
        path = self.path
        if self.method == "DELETE" or path.startswith("/v2/options/contracts/"):
            path = f"{path.rpartition('/')[0]}/..."
        named = [f"{name}={self.query[name][0]}" for name in ("status", "feed") if name in self.query]
        refusal = f" ({self.reply.status})" if self.reply.status >= HTTPStatus.BAD_REQUEST else ""
        return f"{self.method} {path}{'?' if named else ''}{'&'.join(named)}{refusal}"

    @property
    def budget(self) -> tuple[str, bool]:
        """The key, and whether the request counts against its budget of market data."""
        return self.key, self.path.startswith(_OF_MARKET_DATA)


@dataclass
class RequestLog:
    """All requests in the order of their arrival since options last became due, and the first order of each."""

    requests: list[Request] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)  # refused orders and why
    _due: dict[str, float] = field(default_factory=dict)  # by symbol, when its first order came; 0.0 before
    _moved: float = 0.0

    def expect(self, symbols: Iterable[str]) -> None:
        """Begin anew: these become due now."""
        self.requests, self.refused, self._due = [], [], dict.fromkeys(symbols, 0.0)
        self._moved = perf_counter()

    def note_order(self, request: Request, symbol: str) -> None:
        """Note an order once it is answered. One that is refused, as what is offered twice is, doesn't count."""
        request.symbol = symbol
        if self._due.get(symbol) == 0.0 and request.reply.status < HTTPStatus.BAD_REQUEST:
            self._due[symbol] = request.arrived

    @property
    def arrived(self) -> int:
        """How many of those that are due had an order."""
        return sum(1 for at in self._due.values() if at)

    def report(self, *, from_move: bool) -> dict[str, object]:
        """Times and requests; seconds since the first request, or since options became due."""
        first_request = self.requests[0].arrived if self.requests else 0.0
        began = self._moved if from_move else first_request
        first_orders = sorted(at - began for at in self._due.values() if at)
        return {
            "first_orders": first_orders,
            "refused": self.refused,
            "until": self._counted(began + first_orders[-1]) if first_orders else {},
            "whole": self._counted(),
            "busiest": self._busiest_minute(),
            "chain": [
                ((each.arrived - began) * 1000, (each.reply.written - began) * 1000, each.key, each.kind, each.symbol)
                for each in self.requests
            ],
        }

    def _counted(self, until: float | None = None) -> dict[str, int]:
        """How many there were of each kind, until then."""
        return dict(Counter(each.kind for each in self.requests if until is None or each.arrived <= until))

    def _busiest_minute(self) -> int:
        """The most requests against one budget in any minute."""
        recent: dict[tuple[str, bool], deque[float]] = defaultdict(deque)
        most = 0
        for each in self.requests:
            times = recent[each.budget]
            times.append(each.arrived)
            while each.arrived - times[0] >= MINUTE:
                times.popleft()
            most = max(most, len(times))
        return most


def as_table(counts: Mapping[str, Mapping[str, int]]) -> Iterable[str]:
    """Lines of a table: the kinds of requests, and how many of them each column has."""
    kinds = sorted({kind for column in counts.values() for kind in column})
    width = max(map(len, kinds), default=0)
    yield f"{'':{width}} {' '.join(f'{name:>10}' for name in counts)}"
    for kind in kinds:
        yield f"{kind:{width}} {' '.join(f'{column.get(kind, 0):>10}' for column in counts.values())}"
    yield f"{'in all':{width}} {' '.join(f'{sum(column.values()):>10}' for column in counts.values())}"
