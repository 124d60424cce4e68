"""The name of a structure: typeable, unique in one book, and told from any other symbol."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structure_builders import CONDOR, JANUARY, call, legs, positions, put

from sellctl.core.model.instrument import StructureKind
from sellctl.core.structures.kinds import kind_of_legs
from sellctl.core.structures.names import (
    canonical_name,
    is_structure_name,
    kind_named,
    legs_named,
    legs_of,
    name_since,
    structure_name,
    underlying_named,
)
from sellctl.core.structures.recognition import shape_of, structures_of

NAMES = {
    "AAPL-vertical-261218-200-210C": {call(200): 1, call(210): -1},
    "AAPL-vertical-261218-190-200P": {put(190): 1, put(200): -1},
    "AAPL-iron_condor-261218-170-180-210-220": CONDOR,
    "AAPL-iron_butterfly-261218-190-200-210": {put(190): 1, put(200): -1, call(200): -1, call(210): 1},
    "AAPL-butterfly-261218-190-200-210C": {call(190): 1, call(200): -2, call(210): 1},
    "AAPL-straddle-261218-200": {put(200): 1, call(200): 1},
    "AAPL-strangle-261218-190P-210C": {put(190): 1, call(210): 1},
    "AAPL-strangle-261218-190C-210P": {put(210): 1, call(190): 1},
    "AAPL-calendar-261218-270115-200C": {call(200): -1, call(200, JANUARY): 1},
    "AAPL-diagonal-261218-210-270115-200C": {call(210): -1, call(200, JANUARY): 1},
    "AAPL-ratio-261218-200-210x2C": {call(200): 1, call(210): -2},
    "AAPL-ratio-261218-200x3-210P": {put(200): 3, put(210): -1},
    "AAPL-covered_call-261218-210C": {"AAPL": 1, call(210): -1},
    "AAPL-collar-261218-190P-210C": {"AAPL": 1, put(190): 1, call(210): -1},
    "SPX-calendar-SPXW261218-270115-5000P": {put(5000, root="SPXW"): -1, put(5000, JANUARY, root="SPX"): 1},
    "SPX-vertical-SPXW261218-4990-5000P": {put(4990, root="SPXW"): 1, put(5000, root="SPXW"): -1},
    "BRK.B-vertical-BRKB261218-490-500C": {call(490, root="BRKB"): 1, call(500, root="BRKB"): -1},
    "AAPL1-vertical-261218-200-210C": {call(200, root="AAPL1"): 1, call(210, root="AAPL1"): -1},
}


@pytest.mark.parametrize("name", [*NAMES, "AAPL-custom-sharesx2-261218-200x2C"])
def test_a_name_is_known_however_its_letters_are_written(name: str) -> None:
    assert canonical_name(name) == canonical_name(name.upper()) == canonical_name(name.lower()) == name
    assert canonical_name(f"{name}-1") == canonical_name("AAPL") == canonical_name("AAPL-condor") == ""


@pytest.mark.parametrize("name", NAMES)
def test_a_name_says_underlying_kind_expirations_and_strikes_and_the_legs_follow_from_it(name: str) -> None:
    shape = shape_of(legs(NAMES[name]))
    kind = kind_of_legs(shape)
    assert kind is not None
    assert structure_name(kind, shape) == structure_name(kind, tuple(reversed(shape))) == name
    assert kind_named(name) is kind
    assert {leg.symbol: leg.ratio for leg in legs_named(name)} == {leg.symbol: abs(leg.ratio) for leg in shape}


def test_a_structure_without_a_known_kind_has_a_name_too() -> None:
    shape = shape_of(legs({"AAPL": 2, call(200): 1, put(190, JANUARY): -3}))
    name = structure_name(StructureKind.CUSTOM, shape)
    assert name == "AAPL-custom-sharesx2-261218-200C-270115-190x3P"
    assert set(legs_of(name)) == {leg.symbol for leg in shape}


@pytest.mark.parametrize(
    "text",
    [
        "", "-", "AAPL", call(200), f"{call(210)}+{call(200)}", "AAPL-vertical", "AAPL-vertical-261218",
        "AAPL-vertical-261218-200C", "AAPL-vertical-261218-210-200C", "AAPL-vertical-261218-200-210",
        "AAPL-vertical-261399-200-210C", "AAPL-vertical-261218-200-210C-", "AAPL-vertical-261218-200.0-210C",
        "AAPL-vertical-261218-200-210X", "AAPL-single-261218-200C", "AAPL-iron_condor-261218-180-190-210",
        "aapl-vertical-261218-200-210C", "AAPL-vertical-MSFT261218-200-210C", "AAPL-spread-261218-200-210C",
        "AAPL-custom-shares", "AAPL-custom-hello-261218-200C", "-vertical-261218-200-210C",
        "AAPL-ratio-261218-200-210x0C", "AAPL-VERTICAL-261218-200-210C", "AAPL-vertical-261218-٢00-210C",
    ],
)  # fmt: skip
def test_a_text_that_only_looks_like_a_name_is_none(text: str) -> None:
    assert not is_structure_name(text)
    assert legs_of(text) == ()


@given(st.text(max_size=40) | st.text("AAPL-vertical0123456789CPx.+", max_size=40))
def test_any_text_can_be_asked(text: str) -> None:
    assert is_structure_name(text) == bool(legs_of(text))


ROOTS = ("SPX", "SPXW")
BOOK = st.dictionaries(
    st.sampled_from([
        *(make(strike, expires, root) for make in (call, put) for strike in (190, 200, 210) for expires in
          ("261218", JANUARY) for root in ROOTS), "SPX",
    ]),
    st.integers(-5, 5), max_size=9,
).map(lambda book: {symbol: 100 * qty if symbol == "SPX" else qty for symbol, qty in book.items()})  # fmt: skip


@given(BOOK)
@settings(max_examples=200, deadline=None)
def test_two_structures_of_one_book_never_share_a_name(book: dict[str, int]) -> None:
    found = structures_of(positions(book))
    names = [structure_name(one.kind, one.legs) for one in found]
    assert len(set(names)) == len(names)
    for one, name in zip(found, names, strict=True):
        assert {leg.symbol: leg.ratio for leg in legs_named(name)} == {leg.symbol: abs(leg.ratio) for leg in one.legs}


@pytest.mark.parametrize(
    ("stored", "name"),
    [
        (f"{call(210)}+{call(200)}", "AAPL-vertical-261218-200-210C"),
        (f"{call(200)}+{call(200, JANUARY)}", "AAPL-calendar-261218-270115-200C"),
        (f"{call(210)}+{call(200, JANUARY)}", "AAPL-diagonal-261218-210-270115-200C"),
        (call(210), call(210)),
        ("XYZ+", "XYZ+"),
        (f"{call(210)}+MSFT", f"{call(210)}+MSFT"),
        (f"{call(210)}+{put(200)}", f"{call(210)}+{put(200)}"),
        (f"{call(210)}+{call(200, root='MSFT')}", f"{call(210)}+{call(200, root='MSFT')}"),
    ],
)
def test_the_name_of_a_pair_of_an_earlier_version_has_a_successor(stored: str, name: str) -> None:
    assert name_since(stored) == name


def test_the_underlying_of_a_name_is_that_of_its_legs_and_of_a_contract_its_own() -> None:
    names = ("AAPL-vertical-261218-200-210C", "SPXW261218C05000000", "AAPL261218C00200000", "AAPL", "A-B")
    assert [underlying_named(name) for name in names] == ["AAPL", "SPX", "AAPL", "AAPL", "A-B"]
