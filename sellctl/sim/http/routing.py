"""A request as the handlers see it, their answers, and the table that finds the handler of a path. No sockets here."""

import datetime as dt
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from sellctl.sim.numbers import decimal_of
from sellctl.sim.rejections import bad_request, unprocessable
from sellctl.sim.venue.accounts import SimAccount
from sellctl.sim.venue.exchange import Exchange

TRUE = frozenset({"true", "True", "1", "t"})


@dataclass(frozen=True, slots=True)
class Call:
    """One authenticated request. `args` are the parts of the path that the route left open."""

    exchange: Exchange
    account: SimAccount
    method: str
    path: str
    query: Mapping[str, str]
    raw_body: bytes = b""
    args: tuple[str, ...] = ()

    def json(self) -> Any:
        """The body as JSON with exact numbers; RefusedError 422 when it is none."""
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
        """A query parameter as a flag, in Python's case too."""
        return self.query.get(key, "") in TRUE

    def whole(self, key: str, default: int, low: int, high: int) -> int:
        """A query parameter as a whole number within bounds; RefusedError 422 outside."""
        try:
            value = int(self.query.get(key, default))
        except ValueError:
            raise unprocessable(f"invalid {key}") from None
        if not low <= value <= high:
            raise unprocessable(f"{key} must be between {low} and {high}")
        return value

    def amount(self, key: str) -> Decimal | None:
        """A query parameter as an exact number; RefusedError 422 otherwise."""
        try:
            return decimal_of(self.query.get(key))
        except ValueError:
            raise unprocessable(f"invalid {key}") from None

    def date(self, key: str, default: dt.date) -> dt.date:
        """A query parameter as a date; RefusedError 400 otherwise."""
        value = self.query.get(key)
        if not value:
            return default
        try:
            return dt.date.fromisoformat(value[:10])
        except ValueError:
            raise bad_request(f"invalid {key}") from None

    def instant(self, key: str) -> dt.datetime | None:
        """A query parameter as an instant, UTC; RefusedError 422 otherwise."""
        value = self.query.get(key)
        if not value:
            return None
        try:
            at = dt.datetime.fromisoformat(value.replace(" ", "+"))
        except ValueError:
            raise unprocessable(f"invalid {key}") from None
        return at if at.tzinfo else at.replace(tzinfo=dt.UTC)


@dataclass(slots=True)
class Reply:
    """An answer: a JSON value, or nothing at all for 204."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)

    def encoded(self) -> bytes:
        """The body's bytes; nothing for no body."""
        if self.status == 204:  # noqa: PLR2004  no content
            return b""
        return b"" if self.body is NOTHING else json.dumps(self.body, separators=(",", ":")).encode()


NOTHING = object()
Handler = Callable[[Call], Reply]


class Routes:
    """Finds the handler of a method and path: whole paths first, then patterns whose `{}` takes one part."""

    def __init__(self) -> None:
        self._whole: dict[tuple[str, str], Handler] = {}
        self._patterns: list[tuple[str, re.Pattern[str], Handler]] = []
        self._paths: set[str] = set()

    def add(self, method: str, path: str, handler: Handler) -> None:
        """Serve a path."""
        if "{}" in path:
            pattern = re.compile(re.escape(path).replace(r"\{\}", "([^/]+)"))
            self._patterns.append((method, pattern, handler))
        else:
            self._whole[method, path] = handler

    def find(self, method: str, path: str) -> tuple[Handler, tuple[str, ...]] | None:
        """The handler and what the path leaves open, or None."""
        if handler := self._whole.get((method, path)):
            return handler, ()
        for wanted, pattern, handler in self._patterns:
            if wanted == method and (match := pattern.fullmatch(path)):
                return handler, match.groups()
        return None
