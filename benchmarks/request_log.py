"""The requests that an exchange received: counted by kind, per key and minute, and printed as a chain."""

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from benchmarks.canned import Reply

MINUTE = 60.0
_OF_MARKET_DATA = ("/v1beta1/", "/v1/", "/v2/stocks/")


@dataclass(frozen=True, slots=True)
class Request:
    """One request: when it arrived (seconds of the host's monotonic clock), what it was, and its reply."""

    arrived: float
    method: str
    path: str
    query: Mapping[str, list[str]]
    key: str
    reply: Reply
    subject: str = ""  # an order's symbol

    @property
    def kind(self) -> str:
        """Method and path, without what differs from one symbol or order to the next; a refusal with its status."""
        path = self.path
        if self.method == "DELETE" or path.startswith("/v2/options/contracts/"):
            path = f"{path.rpartition('/')[0]}/..."
        named = [f"{name}={self.query[name][0]}" for name in ("status", "feed") if name in self.query]
        status = self.reply.status.partition(" ")[0]
        refusal = "" if status.startswith("2") else f" ({status})"
        return f"{self.method} {path}{'?' if named else ''}{'&'.join(named)}{refusal}"

    @property
    def budget(self) -> tuple[str, bool]:
        """The key, and whether the request counts against its budget of market data."""
        return self.key, self.path.startswith(_OF_MARKET_DATA)


@dataclass
class RequestLog:
    """All requests in the order of their arrival."""

    requests: list[Request] = field(default_factory=list)

    @property
    def began(self) -> float:
        """When the first one arrived."""
        return self.requests[0].arrived if self.requests else 0.0

    def counted(self, until: float | None = None) -> dict[str, int]:
        """How many there were of each kind, until then."""
        return dict(Counter(each.kind for each in self.requests if until is None or each.arrived <= until))

    def busiest_minute(self) -> int:
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

    def chain(self, began: float) -> list[tuple[float, float, str, str, str]]:
        """When each came and was answered, in milliseconds since then, with its key, kind and symbol."""
        return [
            (
                (each.arrived - began) * 1000,
                (each.reply.written - began) * 1000 if each.reply.written else float("nan"),
                each.key,
                each.kind,
                each.subject,
            )
            for each in self.requests
        ]


def as_table(counts: Mapping[str, Mapping[str, int]]) -> Iterable[str]:
    """Lines of a table: the kinds of requests, and how many of them each column has."""
    kinds = sorted({kind for column in counts.values() for kind in column})
    width = max(map(len, kinds), default=0)
    yield f"{'':{width}} {' '.join(f'{name:>10}' for name in counts)}"
    for kind in kinds:
        yield f"{kind:{width}} {' '.join(f'{column.get(kind, 0):>10}' for column in counts.values())}"
    yield f"{'in all':{width}} {' '.join(f'{sum(column.values()):>10}' for column in counts.values())}"
