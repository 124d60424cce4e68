"""Snapshots and plans come back from their text as they were."""

import dataclasses
import datetime as dt
import json
import types
import typing
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from journal_builders import a_holding, a_plan, a_snapshot, denied, held, leaving
from msgspec import Struct, structs

from sellctl.core.model.plan import Plan
from sellctl.core.model.snapshot import Snapshot
from sellctl.journal.codec import pack, plain, unpack

INSTANTS = st.datetimes(timezones=st.just(dt.UTC)).map(lambda at: at.replace(fold=0))
SCALARS = {
    Decimal: st.decimals(allow_nan=False, allow_infinity=False, places=4),
    dt.datetime: INSTANTS,
    str: st.text(max_size=4),
}
FEW = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


@cache
def any_of(kind: Any) -> Any:
    """Any value of a type, whatever fields the model has today; collections are short."""
    arguments = [each for each in typing.get_args(kind) if each not in {type(None), ...}]
    origin = typing.get_origin(kind)
    if origin in {tuple, frozenset}:
        return st.lists(st.deferred(lambda: any_of(arguments[0])), max_size=2).map(origin)
    if origin is Mapping:
        return st.dictionaries(st.text(max_size=4), any_of(arguments[1]), max_size=2)
    if origin in {types.UnionType, typing.Union}:
        return st.none() | any_of(arguments[0])
    if dataclasses.is_dataclass(kind) or (isinstance(kind, type) and issubclass(kind, Struct)):
        hints = typing.get_type_hints(kind)
        return st.builds(kind, **{name: st.deferred(lambda hint=hint: any_of(hint)) for name, hint in hints.items()})
    return SCALARS[kind] if kind in SCALARS else st.from_type(kind)


@FEW
@given(any_of(Snapshot), any_of(Plan))
def test_any_snapshot_and_plan_come_back_equal(snapshot: Snapshot, plan: Plan) -> None:
    back = unpack(pack(snapshot, plan))
    assert back == (snapshot, plan)
    assert _spelled(back) == _spelled((snapshot, plan))  # to the last digit of every Decimal


def _spelled(value: Any) -> str:
    """A value in full; equal sets and mappings are spelled alike, in whatever order they happen to stand."""
    if isinstance(value, frozenset):
        return f"{{{' '.join(sorted(map(_spelled, value)))}}}"
    if isinstance(value, Mapping):
        return f"{{{' '.join(sorted(f'{key!r}: {_spelled(each)}' for key, each in value.items()))}}}"
    if isinstance(value, tuple):
        return f"({' '.join(map(_spelled, value))})"
    if dataclasses.is_dataclass(value) or isinstance(value, Struct):
        of = structs.fields(value) if isinstance(value, Struct) else dataclasses.fields(value)
        fields = (_spelled(getattr(value, each.name)) for each in of)
        return f"{type(value).__name__}({' '.join(fields)})"
    return repr(value)


def test_a_holding_that_stands_in_many_places_is_written_once() -> None:
    holdings = [a_holding(f"SPY250829C00{strike}000") for strike in range(500, 520)]
    snapshot, plan = a_snapshot(*holdings), a_plan(*(leaving(holding) for holding in holdings))
    back_snapshot, back_plan = unpack(pack(snapshot, plan))
    assert (back_snapshot, back_plan) == (snapshot, plan)
    assert back_plan.decisions[3].holding is back_snapshot.holdings[3]


def test_a_plan_of_twenty_holdings_takes_less_than_three_kilobytes() -> None:
    holdings = [a_holding(f"SPY250829C00{strike}000") for strike in range(500, 520)]
    decisions = (leaving(holdings[0]), denied(holdings[1], "spread 0.40 above 0.25"), *map(held, holdings[2:]))
    assert len(pack(a_snapshot(*holdings), a_plan(*decisions))) < 3000


@given(st.recursive(st.none() | st.floats() | st.text() | st.sets(st.integers()), lambda x: st.lists(x) | st.tuples(x)))
def test_anything_can_be_written_down(value: object) -> None:
    json.dumps(plain({"detail": value, "error": ValueError("x"), 3: b"raw"}), allow_nan=False)
