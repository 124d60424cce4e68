"""Snapshots and plans come back from their text as they were."""

import datetime as dt
import types
import typing
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from typing import Any

import msgspec
import pytest
from builders import replace
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from journal_builders import a_holding, a_plan, a_snapshot, denied, held, leaving

from sellctl.core.errors import JournalError
from sellctl.core.model.plan import Plan
from sellctl.core.model.snapshot import Snapshot
from sellctl.journal.codec import pack, unpack

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
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        hints = typing.get_type_hints(kind)
        return st.builds(kind, **{name: st.deferred(lambda hint=hint: any_of(hint)) for name, hint in hints.items()})
    return SCALARS[kind] if kind in SCALARS else st.from_type(kind)


@FEW
@given(any_of(Snapshot), any_of(Plan))
def test_any_snapshot_and_plan_come_back_equal(snapshot: Snapshot, plan: Plan) -> None:
    back = unpack(pack(snapshot, plan))
    assert back == (snapshot, plan)
    assert in_full(back) == in_full((snapshot, plan))  # to the last digit of every Decimal


def in_full(value: Any) -> str:
    """A value in full; equal sets and mappings give equal texts, whatever their order."""
    if isinstance(value, frozenset):
        return f"{{{' '.join(sorted(map(in_full, value)))}}}"
    if isinstance(value, Mapping):
        return f"{{{' '.join(sorted(f'{key!r}: {in_full(each)}' for key, each in value.items()))}}}"
    if isinstance(value, tuple):
        return f"({' '.join(map(in_full, value))})"
    if isinstance(value, msgspec.Struct):
        fields = (in_full(getattr(value, each)) for each in value.__struct_fields__)
        return f"{type(value).__name__}({' '.join(fields)})"
    return repr(value)


@pytest.mark.parametrize("text", ["0", "0.00", "-0.0", "1E+3", "1.10", "12345678901234567890.123456789012345"])
def test_a_decimal_keeps_its_text(text: str) -> None:
    holding = a_holding()
    holding = replace(holding, position=replace(holding.position, current_price=Decimal(text)))
    back, _ = unpack(pack(a_snapshot(holding), a_plan()))
    assert str(back.holdings[0].position.current_price) == text


@pytest.mark.parametrize("span", [dt.timedelta(microseconds=1), -dt.timedelta(seconds=1.5), dt.timedelta(days=400)])
def test_a_duration_keeps_its_microseconds(span: dt.timedelta) -> None:
    holding = a_holding()
    holding = replace(holding, state=replace(holding.state, wide_for=span))
    back, _ = unpack(pack(a_snapshot(holding), a_plan()))
    assert back.holdings[0].state.wide_for == span


def test_equal_plans_have_equal_texts_whatever_the_order_of_their_sets() -> None:
    symbols = [f"S{number}" for number in range(50)]
    one, other = (pack(replace(a_snapshot(), exempt=frozenset(each)), a_plan()) for each in (symbols, symbols[::-1]))
    assert one == other


def test_a_plan_of_twenty_holdings_takes_less_than_three_kilobytes() -> None:
    holdings = [a_holding(f"SPY250829C00{strike}000") for strike in range(500, 520)]
    decisions = (leaving(holdings[0]), denied(holdings[1], "spread 0.40 above 0.25"), *map(held, holdings[2:]))
    assert len(pack(a_snapshot(*holdings), a_plan(*decisions))) < 3000


def test_a_plan_of_a_newer_format_is_refused() -> None:
    with pytest.raises(JournalError, match="newer sellctl"):
        unpack(f"9{pack(a_snapshot(), a_plan())[1:]}")
