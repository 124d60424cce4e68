"""Evidence of any shape has one text."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from journal_builders import NOON, an_order

from sellctl.core.model.plan import Urgency
from sellctl.journal.chain import ChainLink, canonical


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": Decimal("0.00"), "a": None}, '{"a":null,"b":"0.00"}'),
        ([NOON, NOON.date()], '["2025-08-26T16:00:00+00:00","2025-08-26"]'),
        ({"urgency": Urgency.FORCED, "side": an_order().side}, '{"side":"sell","urgency":0}'),
        (ChainLink(3, "ff"), '{"hash":"ff","seq":3}'),
        (frozenset({"b", "a"}), '["a","b"]'),
        (float("nan"), '"nan"'),
        ("\ud83d é", '"\\ud83d \\u00e9"'),
    ],
)
def test_a_value_has_one_text(value: object, text: str) -> None:
    assert canonical(value) == text


@given(st.recursive(st.none() | st.floats() | st.text() | st.sets(st.integers()), lambda x: st.lists(x) | st.tuples(x)))
def test_anything_can_be_written_down(value: object) -> None:
    json.loads(canonical({"detail": value, "error": ValueError("x"), 3: b"raw", "kind": object}))
