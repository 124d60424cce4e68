"""`exempt` and `manage` act on symbols that are held; anything else is an error with the symbol that was meant."""

import pytest
from stage import CALL, Play, Stage, three_calls

from sellctl.service.state_folder import StateFolder

UNREACHABLE = "accounts: {main: {api_key: k, secret_key: s, endpoints: {trading: 'http://127.0.0.1:9'}}}\n"


def exempt(stage: Stage) -> frozenset[str]:
    return StateFolder(stage.state).exempt()


@pytest.mark.parametrize("word", ["exempt", "manage"])
@pytest.mark.parametrize(
    ("symbol", "sentence"),
    [
        ("APLA", "APLA is not held in any account. Did you mean AAPL?"),
        (CALL.replace("200000", "200001"), f"Did you mean {CALL}?"),
        ("", "The symbol is empty."),
        ("   ", "The symbol is empty."),
        ("TSLA\n", "TSLA is not held in any account."),
        ("A B", "A B can't be a symbol."),
        ("A" * 4096, "can't be a symbol."),
        ("\x1b[2J", "\\x1b[2J can't be a symbol."),
    ],
)
def test_a_symbol_that_is_not_held_is_an_error_with_the_one_that_was_meant(
    play: Play, word: str, symbol: str, sentence: str
) -> None:
    stage = play(three_calls())
    result = stage.run(word, symbol)
    assert result.status == 2
    assert sentence in result.err
    assert len(result.err) < 400
    assert not stage.state.exists()


@pytest.mark.parametrize("symbol", [CALL, "aapl"])
def test_a_held_symbol_and_its_underlying_are_exempted(play: Play, symbol: str) -> None:
    stage = play(three_calls())
    assert stage.run("exempt", symbol).status == 0
    assert exempt(stage) == {symbol.upper()}
    assert "exempt already" in stage.run("exempt", symbol).err


def test_what_is_to_come_is_exempted_with_an_option(play: Play) -> None:
    stage = play(three_calls())
    assert "--not-held" in stage.run("exempt", "TSLA").err
    assert stage.run("exempt", "TSLA", "--not-held").status == 0
    assert exempt(stage) == {"TSLA"}
    assert stage.run("exempt", "", "--not-held").status == 2


def test_what_is_exempt_is_managed_again_also_when_it_is_no_longer_held(play: Play) -> None:
    stage = play(three_calls())
    stage.run("exempt", "TSLA", "--not-held")
    missed = stage.run("manage", "TLSA")
    assert missed.status == 2
    assert "Did you mean TSLA? `sellctl positions` lists all positions. Exempt are: TSLA." in missed.err
    assert stage.run("manage", "TSLA").status == 0
    assert exempt(stage) == frozenset()


def test_without_the_broker_a_symbol_is_exempted_only_unchecked(play: Play) -> None:
    stage = play(three_calls())
    stage.write(UNREACHABLE)
    result = stage.run("exempt", CALL)
    assert result.status == 1
    assert f"whether it holds {CALL} is unknown. Add --not-held" in result.err
    assert exempt(stage) == frozenset()
    assert stage.run("exempt", CALL, "--not-held").status == 0
    assert exempt(stage) == {CALL}
