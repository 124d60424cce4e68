"""Sentences on a terminal are broken between words; commands in them stay in one piece, to be copied."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sellctl.ui.sentences import wrapped

SENTENCE = "sellctl: AAPLX is not held in any account. Did you mean AAPL? `sellctl positions` lists all positions."


@pytest.mark.parametrize(
    ("width", "lines"),
    [
        (120, [SENTENCE]),
        (
            80,
            [
                "sellctl: AAPLX is not held in any account. Did you mean AAPL?",
                "`sellctl positions` lists all positions.",
            ],
        ),
        (
            30,
            [
                "sellctl: AAPLX is not held in",
                "any account. Did you mean",
                "AAPL? `sellctl positions`",
                "lists all positions.",
            ],
        ),
    ],
)
def test_a_sentence_is_broken_between_words_and_never_within_a_command(width: int, lines: list[str]) -> None:
    assert wrapped(SENTENCE, width).split("\n") == lines


def test_a_command_that_is_wider_than_the_terminal_stays_in_one_line() -> None:
    text = "Try `sellctl --config /a/long/path/to/config.yml watch` again."
    assert wrapped(text, 20).split("\n") == ["Try", "`sellctl --config /a/long/path/to/config.yml watch`", "again."]


def test_lines_keep_their_indent() -> None:
    assert wrapped("wrong:\n  config.yml:3: no such key here", 20).split("\n") == [
        "wrong:",
        "  config.yml:3: no",
        "  such key here",
    ]


@given(st.text(alphabet="ab `.\n", max_size=80), st.integers(1, 40))
def test_no_word_is_lost_or_broken(text: str, width: int) -> None:
    assert "".join(wrapped(text, width).split()) == "".join(text.split())
