"""Exits as JSON documents, and their sums per day, strategy and reason."""

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from itertools import groupby
from statistics import median

from sellctl.core.model.exit_record import Exit, LegFill, Part, SentOrder
from sellctl.ui.render import JSON_VERSION

GROUP_KEYS = ("day", "strategy", "reason", "exits", "filled", "pl", "to_mid", "to_bid", "seconds", "steps")
_EVERY_HOLDING = "(every holding)"  # exits without a strategy: the last day, a manual close, panic


def exits_document(found: Sequence[Exit], mode_at: Callable[[str, int], str]) -> dict[str, object]:
    """All exits and their sums. `mode_at` is the mode of an account at a row of the journal."""
    return {"version": JSON_VERSION, "exits": exit_documents(found, mode_at), "groups": _groups(found)}


def exit_documents(found: Iterable[Exit], mode_at: Callable[[str, int], str]) -> list[dict[str, object]]:
    """One document per exit."""
    return [{**_document(one), "mode": mode_at(one.account, one.row)} for one in found]


def _key(one: Exit) -> tuple[str, str, str]:
    return one.day, one.strategy or _EVERY_HOLDING, one.reason


def summary(found: Sequence[Exit]) -> list[tuple[object, ...]]:
    """One row per day, strategy and reason, under SUMMARY."""
    grouped = groupby(sorted(found, key=_key), key=_key)
    return [(*key, *_figures(list(group))) for key, group in grouped]


def _figures(group: Sequence[Exit]) -> tuple[object, ...]:
    filled = [one for one in group if one.is_filled]
    seconds = [one.seconds for one in filled if one.seconds is not None]
    gains = [one.pnl for one in filled if one.pnl is not None]
    return (
        len(group),
        len(filled),
        round(sum(gains, Decimal(0)), 2) if gains else None,
        mean([(one.against_mid, one.qty) for one in filled]),
        mean([(one.against_bid, one.qty) for one in filled]),
        tenths(median(seconds) if seconds else None),
        tenths(sum(one.steps for one in group) / len(group)),
    )


def mean(parts: Sequence[tuple[Decimal | None, Decimal]]) -> Decimal | None:
    """The mean of values, each with its weight, to four decimals; None when none is known."""
    known = [(value, qty) for value, qty in parts if value is not None]
    weight = sum((qty for _, qty in known), Decimal(0))
    return round(sum((value * qty for value, qty in known), Decimal(0)) / weight, 4) if weight else None


def tenths(value: float | None) -> Decimal | None:
    """The value to one decimal."""
    return None if value is None else round(Decimal(value), 1)


def _document(one: Exit) -> dict[str, object]:
    prices = {
        "entry": one.entry,
        "stop": one.stop,
        "target": one.target,
        "bid": one.bid,
        "mid": one.mid,
        "price": one.price,
        "pnl": one.pnl,
    }
    slippage = {"against_mid": one.against_mid, "against_bid": one.against_bid}
    return {
        "account": one.account,
        "symbol": one.symbol,
        "way": one.way,
        "strategy": one.strategy,
        "reason": one.reason,
        "what": one.kind.value,
        "why": one.why,
        "day": one.day,
        "began": one.began.isoformat(),
        "asked": f"{one.asked:f}",
        "filled": f"{one.qty:f}",
        **{name: _plain(value) for name, value in (prices | slippage).items()},
        "seconds": one.seconds,
        "steps": one.steps,
        "orders": [_order(order) for order in one.orders],
        "fills": [_fill(part) for part in one.parts],
        "fills_of_legs": [{"symbol": fill.symbol, **_fill(fill)} for fill in one.fills_of_legs],
    }


def _order(order: SentOrder) -> dict[str, object]:
    """An order; `ended` is None while it works or its outcome is unknown."""
    return {
        "at": order.at.isoformat(),
        "symbol": order.symbol,
        "qty": _plain(order.qty),
        "price": _plain(order.price),
        "ended": order.ended or None,
    }


def _fill(fill: Part | LegFill) -> dict[str, object]:
    return {"at": fill.at.isoformat(), "qty": _plain(fill.qty), "price": _plain(fill.price)}


def _groups(found: Sequence[Exit]) -> list[dict[str, object]]:
    return [dict(zip(GROUP_KEYS, map(_plain, row), strict=True)) for row in summary(found)]


def _plain(value: object) -> object:
    return f"{value:f}" if isinstance(value, Decimal) else value
