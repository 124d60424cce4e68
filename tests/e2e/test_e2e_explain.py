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


def test_the_only_position_on_an_underlying_is_explained_rule_by_rule(play: Play) -> None:
    stage = play(
        a_day(HELD | {"MSFT261218C00430000": (1, "2.00")}, PRICES | {"MSFT261218C00430000": at("2.00", "2.04")})
    )
    by_underlying, by_contract = (
        stage.run("explain", name, "--format", "plain") for name in ("msft", "MSFT261218C00430000")
    )
    assert (by_underlying.status, without_ages(by_underlying.out)) == (0, without_ages(by_contract.out))
    assert "rule" in by_underlying.out
    assert "PAPER: 1 position" in stage.run("positions", "msft", "--format", "plain").err


@pytest.mark.parametrize("word", ["explain", "positions"])
@pytest.mark.parametrize(("name", "what"), [(CALL, "it"), ("AAPL", "AAPL 18 Dec 26 200 C")])
def test_what_was_closed_is_not_held_and_the_error_says_when_and_why_it_was_closed(
    play: Play, word: str, name: str, what: str
) -> None:
    stage = play(a_day({CALL: (3, "1.00")}, {CALL: at("0.55", "0.56")}))
    for _ in range(3):
        stage.run("run-once")
        stage.server.advance(15)
    assert stage.held(CALL) == 0
    result = stage.run(word, name)
    assert result.status == 2
    assert f"{name} is not held in any account. sellctl closed {what} last on 24 Nov at 12:0" in result.err
    assert " ET (stop, -45.0%). See `sellctl" in result.err
    assert f" history {name}`." in result.err
