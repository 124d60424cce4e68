"""`explain`, and what `positions` shows under a name."""

import pytest
from e2e_scenes import a_day, at
from stage import CALL, Play, three_calls

NVDA = "NVDA261218C00500000"
PUT = "NVDA261218P00450000"
HELD = {CALL: (3, "1.00"), NVDA: (1, "5.00"), PUT: (2, "4.00"), "AAPL": (10, "200")}
PRICES = {
    CALL: at("1.00", "1.02"),
    NVDA: at("5.00", "5.10"),
    PUT: at("4.00", "4.10"),
    "AAPL": at("200.00", "200.02"),
}


def without_ages(text: str) -> list[str]:
    """The lines that don't tell how much real time has passed."""
    return [line for line in text.splitlines() if '"at"' not in line and " old" not in line]


@pytest.mark.parametrize("fmt", ["plain", "json", "table"])
def test_explain_shows_what_positions_shows_of_a_name(play: Play, fmt: str) -> None:
    stage = play(a_day(HELD, PRICES))
    explained, shown = (stage.run(word, CALL.lower(), "--format", fmt) for word in ("explain", "positions"))
    assert (explained.status, without_ages(explained.out)) == (0, without_ages(shown.out))
    assert "stop" in explained.out


@pytest.mark.parametrize("word", ["explain", "positions"])
def test_an_underlying_whose_contracts_are_held_lists_them(play: Play, word: str) -> None:
    stage = play(a_day(HELD, PRICES))
    result = stage.run(word, "nvda", "--format", "plain")
    assert result.status == 0
    assert (NVDA in result.out, PUT in result.out, CALL in result.out) == (True, True, False)
    assert "PAPER: 2 positions" in result.err
    document = stage.run(word, "NVDA", "--format", "json").document
    assert [each["symbol"] for each in document["accounts"][0]["holdings"]] == [NVDA, PUT]
    assert document["accounts"][0]["totals"]["positions"] == 2


@pytest.mark.parametrize("word", ["explain", "positions"])
def test_shares_that_are_held_are_explained_and_not_listed(play: Play, word: str) -> None:
    result = play(a_day(HELD, PRICES)).run(word, "AAPL", "--format", "json")
    assert [each["symbol"] for each in result.document["positions"]] == ["AAPL"]


@pytest.mark.parametrize("word", ["explain", "positions"])
def test_what_is_not_held_is_an_error_with_what_was_meant(play: Play, word: str) -> None:
    result = play(three_calls()).run(word, "APLA")
    assert result.status == 2
    assert "APLA is not held in any account. Did you mean AAPL?" in result.err
