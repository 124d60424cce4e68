"""Keys from what a terminal sends: what a person typed, and nothing of what was pasted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sellctl.ui.keys import BURST, PAUSE_SECONDS, KeyDecoder


def names(*reads: bytes, apart: float = 1.0) -> list[str]:
    """The names of the keys in reads that are so many seconds apart."""
    decoder = KeyDecoder()
    return [key.name for index, data in enumerate(reads) for key in decoder.keys(data, 100 + index * apart)]


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"c", "c"),
        (b"H", "H"),
        (b"+", "+"),
        ("é".encode(), "é"),
        ("€".encode(), "€"),
        (b"\r", "enter"),
        (b"\x7f", "backspace"),
        (b"\x1b", "escape"),
        (b"\x1b[A", "up"),
        (b"\x1bOB", "down"),
        (b"\x1b[5~", "page up"),
        (b"\x1b[6~", "page down"),
        (b"\x1b[H", "home"),
        (b"\x1b[4~", "end"),
    ],
)
def test_a_key_has_one_name(data: bytes, name: str) -> None:
    assert names(data) == [name]


@pytest.mark.parametrize(
    "data",
    [
        b"\x1b[15~",  # F5
        b"\x1b[1;5A",  # Ctrl and an arrow
        b"\x1bOP",  # F1
        b"\x1bc",  # Alt and a key
        b"\x1b[Mcyx",  # a mouse button: its coordinates are no keys
        b"\x1b[<0;12;3M",
        b"\x1b[24;80R",  # an answer to a question about the cursor
        b"\x1b]0;close\x07",
        b"\x1bP1$r0m\x1b\\",
        b"\x00",
        b"\x01",
        b"\t",
        b"\x9b",
        b"\xff\xfe",
        b"\xc3",  # half a character
    ],
)
def test_what_has_no_meaning_here_is_no_key(data: bytes) -> None:
    assert names(data) == []


def test_a_bracketed_paste_is_ignored_in_whatever_reads_it_comes() -> None:
    paste = b"\x1b[200~close everything\ny\x1b[201~"
    assert names(paste) == []
    for at in range(1, len(paste)):
        assert names(paste[:at], paste[at:], apart=0.01) in ([], ["escape"])


def test_a_paste_without_brackets_is_ignored_with_the_end_that_comes_in_a_read_of_its_own() -> None:
    assert names(b"closely", b"c", b"y", apart=PAUSE_SECONDS / 2) == []


def test_keys_count_again_after_a_pause() -> None:
    assert names(b"x" * (BURST + 1), b"c") == ["c"]
    assert names(b"\x1b[200~x\x1b[201~", b"c") == ["c"]


def test_a_paste_whose_end_never_comes_ends_by_itself() -> None:
    assert names(b"\x1b[200~x", b"c", apart=1.0) == []
    assert names(b"\x1b[200~x", b"c", apart=3.0) == ["c"]


def test_an_arrow_that_is_held_moves_on_however_many_of_it_come_at_once() -> None:
    assert names(b"\x1b[B" * 20) == ["down"] * 20


def test_only_a_key_without_company_is_alone() -> None:
    decoder = KeyDecoder()
    assert [(key.name, key.alone) for key in decoder.keys(b"jc", 1.0)] == [("j", False), ("c", False)]
    assert [(key.name, key.alone) for key in decoder.keys(b"c", 2.0)] == [("c", True)]
    assert [(key.name, key.alone) for key in decoder.keys(b"\x1b[15~c", 3.0)] == [("c", False)]


@pytest.mark.parametrize("sequence", [b"\x1b[A", b"\x1bOA", b"\x1b[5~", b"\x1bOH"])
def test_an_escape_sequence_in_two_reads_is_one_key(sequence: bytes) -> None:
    whole = names(sequence)
    for at in range(1, len(sequence)):
        parts = names(sequence[:at], sequence[at:], apart=0.1)
        assert [name for name in parts if name != "escape"] == whole


def test_an_escape_that_was_left_alone_doesnt_swallow_the_key_after_it() -> None:
    assert names(b"\x1b", b"c", apart=0.1) == ["escape", "c"]
    assert names(b"\x1b[", b"c", apart=2.0) == ["c"]


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=40), st.floats(0, 3)), max_size=12))
def test_no_input_breaks_it_and_only_printable_characters_become_keys(reads: list[tuple[bytes, float]]) -> None:
    decoder, at = KeyDecoder(), 0.0
    for data, later in reads:
        at += later
        for key in decoder.keys(data, at):
            assert len(key.name) > 1 or key.name.isprintable()
