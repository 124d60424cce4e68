"""Batches of symbols, and lists of orders read page by page.

A list that can't be read to its end is an error, never a shorter list.
"""

import datetime as dt
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from sellctl.alpaca.convert import UnreadableError, instant_of

Page = list[object]
Fetch = Callable[[Mapping[str, str]], Awaitable[Page]]

PAGE_LIMIT: Final = 500  # Alpaca's maximum
BATCH = 100  # symbols per request; Alpaca's maximum for option quotes
_DEFAULT_LIMIT = 50  # rows per page of a server that ignores `limit`
_MAX_PAGES = 50
_OVERLAP = dt.timedelta(microseconds=1)  # `after` is exclusive, so this much earlier means "at or after"


def batches_of(symbols: Sequence[str]) -> list[tuple[str, ...]]:
    """The symbols in batches that one request can carry."""
    return [tuple(symbols[start : start + BATCH]) for start in range(0, len(symbols), BATCH)]


async def all_orders(fetch: Fetch, status: str, start: dt.datetime | None = None, symbols: str = "") -> Page:
    """Every order row of a status (open, closed, all), oldest first, submitted at or after `start`.

    Pages overlap by a microsecond and rows are identified by order id, so that no order is lost that was submitted
    in the same instant as the last one of a page.
    """
    query = {"status": status, "nested": "true", "direction": "asc", "limit": str(PAGE_LIMIT)}
    if symbols:
        query["symbols"] = symbols
    rows: dict[str, object] = {}
    for _ in range(_MAX_PAGES):
        page = await fetch(query if start is None else {**query, "after": _stamp(start - _OVERLAP)})
        known = len(rows)
        rows |= {_identity(row): row for row in page}
        if not _is_full(page) or (len(rows) == known and _ignores_after(page, start)):
            return list(rows.values())
        start = _newest(page)
        if len(rows) == known:
            break
    raise UnreadableError("the list of orders has no end")


def _stamp(instant: dt.datetime) -> str:
    return instant.astimezone(dt.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _is_full(page: Page) -> bool:
    """Whether there may be more rows. Servers differ in whether legs count as rows, so either count may be full."""
    counts = (len(page), sum(1 + _legs(row) for row in page))
    return any(count >= PAGE_LIMIT or count == _DEFAULT_LIMIT for count in counts)


def _ignores_after(page: Page, start: dt.datetime | None) -> bool:
    """Whether a page holds older orders than requested: a server that ignores `after` sends every order each time."""
    return start is not None and any((at := _submitted(row)) is not None and at < start - _OVERLAP for row in page)


def _legs(row: object) -> int:
    legs = row.get("legs") if isinstance(row, dict) else None
    return len(legs) if isinstance(legs, list) else 0


def _identity(row: object) -> str:
    own = row.get("id") if isinstance(row, dict) else None
    return own if isinstance(own, str) else repr(row)


def _newest(page: Page) -> dt.datetime:
    """The latest submission time of a page, without rows whose time is unreadable."""
    stamps = [stamp for row in page if (stamp := _submitted(row)) is not None]
    if not stamps:
        raise UnreadableError("a full page of orders has no readable submission time")
    return max(stamps)


def _submitted(row: object) -> dt.datetime | None:
    value = (row.get("submitted_at") or row.get("created_at")) if isinstance(row, dict) else None
    try:
        return instant_of(value, "submitted_at")
    except UnreadableError:
        return None
