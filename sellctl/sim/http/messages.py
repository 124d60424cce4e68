"""Requests and responses of the endpoints' handlers, and the entries of the request log."""

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from sellctl.sim.numbers import decimal_of
from sellctl.sim.rejections import bad_request, unprocessable
from sellctl.sim.venue.accounts import SimAccount
from sellctl.sim.venue.exchange import Exchange

NO_BODY = object()
NO_CONTENT = 204
TRUE = frozenset({"true", "True", "1", "t"})


@dataclass(frozen=True, slots=True)
class SimRequest:
    """One request. `args` are the path segments that `{}` in the route matched.

    The methods read query parameters; they raise RejectionError for values that can't be read.
    """

    exchange: Exchange
    account: SimAccount
    method: str
    path: str
    query: Mapping[str, str]
    raw_body: bytes = b""
    args: tuple[str, ...] = ()

    def json(self) -> Any:
        """The body as JSON with exact numbers; RejectionError 422 when it isn't JSON."""
        try:
            return json.loads(self.raw_body or b"{}", parse_float=Decimal, parse_int=Decimal)
        except ValueError:
            raise unprocessable("request body format is invalid") from None

    def text(self, key: str, default: str = "") -> str:
        """A query parameter."""
        return self.query.get(key, default)

    def names(self, key: str) -> list[str]:
        """A comma-separated query parameter."""
        return [name for name in self.query.get(key, "").split(",") if name]

    def flag(self, key: str) -> bool:
        """A query parameter as a flag; also in Python's spelling, `True`."""
        return self.query.get(key, "") in TRUE

    def int_param(self, key: str, default: int, low: int, high: int) -> int:
        """A query parameter as a whole number within bounds; RejectionError 422 outside."""
        try:
            value = int(self.query.get(key, default))
        except ValueError:
            raise unprocessable(f"invalid {key}") from None
        if not low <= value <= high:
            raise unprocessable(f"{key} must be between {low} and {high}")
        return value

    def amount(self, key: str) -> Decimal | None:
        """A query parameter as an exact number; RejectionError 422 otherwise."""
        try:
            return decimal_of(self.query.get(key))
        except ValueError:
            raise unprocessable(f"invalid {key}") from None

    def date(self, key: str, default: dt.date) -> dt.date:
        """A query parameter as a date; RejectionError 400 otherwise."""
        value = self.query.get(key)
        if not value:
            return default
        try:
            return dt.date.fromisoformat(value[:10])
        except ValueError:
            raise bad_request(f"invalid {key}") from None

    def instant(self, key: str) -> dt.datetime | None:
        """A query parameter as an instant, UTC; RejectionError 422 otherwise."""
        value = self.query.get(key)
        if not value:
            return None
        try:
            at = dt.datetime.fromisoformat(value.replace(" ", "+"))
        except ValueError:
            raise unprocessable(f"invalid {key}") from None
        return at if at.tzinfo else at.replace(tzinfo=dt.UTC)


@dataclass(slots=True)
class SimResponse:
    """A response: a JSON value, or NO_BODY for an empty body."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)

    def encoded(self) -> bytes:
        """The bytes of the body."""
        if self.status == NO_CONTENT or self.body is NO_BODY:
            return b""
        return json.dumps(self.body, separators=(",", ":")).encode()


@dataclass(slots=True)
class LoggedRequest:
    """One entry of the log at /sim/requests. `took` is in seconds of the host; `fault` names the fault, or is ""."""

    seq: int
    at: str
    account: str
    method: str
    path: str
    query: str
    body: str
    status: int = 0
    fault: str = ""
    took: float = 0.0
