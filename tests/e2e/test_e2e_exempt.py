"""`exempt` and `manage` act on symbols that are held; anything else is an error with the symbol that was meant."""

import pytest
from builders import at
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


@pytest.mark.parametrize("name", ["[red]x[/]", "BRK.", "-x", "A,B", "A=B", "AAPL;MSFT", "../x", "$x"])
def test_what_nothing_can_be_called_is_not_exempted_for_what_is_to_come(play: Play, name: str) -> None:
    stage = play(three_calls())
    for more in ((), ("--until", "friday")):
        refused = stage.run("exempt", "--not-held", *more, "--", name)
        assert refused.status == 2
        assert f"{name.upper()} can't be a symbol or the name of a structure." in refused.err
    assert not stage.state.exists()


@pytest.mark.parametrize("name", ["BRK.B", "BTC/USD", CALL, "my_calls-2"])
def test_what_a_symbol_or_a_structure_can_be_called_is_exempted_for_what_is_to_come(play: Play, name: str) -> None:
    stage = play(three_calls())
    assert stage.run("exempt", "--not-held", name).status == 0
    assert exempt(stage) == {name.upper()}


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


NOW = "Tue 24 Nov 2026 12:00 ET"
TARGET = three_calls("1.20", "1.22")
NVDA = "NVDA261218C00500000"
TWO_UNDERLYINGS = three_calls(more_prices=f"{NVDA}: [{{fixed: {{bid: 5.00, ask: 5.10}}}}]").replace(
    "entry: 1.00}]", f"entry: 1.00}}, {{symbol: {NVDA}, qty: 1, entry: 5.00}}]"
)


def advance_to(stage: Stage, clock: str) -> None:
    with stage.server.hold() as exchange:
        exchange.advance_to(at(clock))


def test_an_exemption_until_a_time_says_when_it_ends_and_ends_then(play: Play) -> None:
    stage = play(TARGET)
    said = stage.run("exempt", CALL, "--until", "15:30")
    assert (said.status, said.out) == (0, "")
    assert "is exempt from the next check until Tue 24 Nov 2026 15:30 ET." in said.err
    for shown in (("positions",), ("positions", CALL), ("run-once", "--dry-run")):
        assert "exempt (by you, until Tue 24 Nov 2026 15:30 ET)" in stage.run(*shown, "--format", "plain").out
    advance_to(stage, "15:29")
    assert stage.run("run-once").status == 0
    assert stage.held(CALL) == 3
    advance_to(stage, "15:31")
    assert stage.run("run-once").status == 0
    assert stage.held(CALL) == 0
    assert StateFolder(stage.state).exempt() == {CALL}


@pytest.mark.parametrize(("until", "means"), [("friday", "Fri 27 Nov 2026 13:00"), ("today", "Tue 24 Nov 2026 16:00")])
def test_a_day_means_its_close_by_the_brokers_calendar(play: Play, until: str, means: str) -> None:
    assert f"until {means} ET." in play(TARGET).run("exempt", CALL, "--until", until).err


@pytest.mark.parametrize(
    ("until", "sentence"),
    [
        ("11:59", f"--until: Tue 24 Nov 2026 11:59 ET has passed: it is {NOW} now."),
        ("2026-11-23", f"has passed: it is {NOW} now."),
        ("whenever", "--until: whenever isn't a time. Write friday, today, 15:30"),
        ("", "--until: An empty text isn't a time."),
        ("2026-12-04T99:00", "isn't a time"),
    ],
)
def test_an_end_that_has_passed_or_is_none_exempts_nothing(play: Play, until: str, sentence: str) -> None:
    stage = play(TARGET)
    result = stage.run("exempt", CALL, "--until", until)
    assert result.status == 2
    assert sentence in result.err
    assert exempt(stage) == frozenset()


def test_without_the_brokers_clock_an_end_is_refused(play: Play) -> None:
    stage = play(TARGET)
    stage.write(UNREACHABLE)
    result = stage.run("exempt", CALL, "--until", "today", "--not-held")
    assert result.status == 1
    assert "The broker's clock could not be read, so the end is unknown. Try again, or leave --until out." in result.err
    assert exempt(stage) == frozenset()


def test_an_end_is_changed_and_removed(play: Play) -> None:
    stage = play(TARGET)
    assert "until Wed 25 Nov 2026 16:00 ET" in stage.run("exempt", "TSLA", "--not-held", "--until", "wed").err
    assert "until Wed 25 Nov 2026 10:00 ET" in stage.run("exempt", "TSLA", "--until", "2026-11-25T10:00").err
    assert "exempt already" not in stage.run("exempt", "TSLA", "--not-held").err
    assert StateFolder(stage.state).exemptions() == {"TSLA": None}


def test_managing_an_underlying_manages_its_contracts_and_structures_and_names_them(play: Play) -> None:
    stage = play(TWO_UNDERLYINGS)
    for name in (CALL, NVDA, "AAPL-vertical-261218-200-210C"):
        assert stage.run("exempt", name, "--not-held").status == 0
    result = stage.run("manage", "aapl")
    assert result.status == 0
    assert f"AAPL is managed again from the next check, with AAPL-vertical-261218-200-210C, {CALL}.\n" in result.err
    assert exempt(stage) == {NVDA}


def test_a_contract_stays_exempt_while_its_underlying_is_and_is_not_said_to_be_managed(play: Play) -> None:
    stage = play(TARGET)
    stage.run("exempt", "AAPL")
    refused = stage.run("manage", CALL)
    assert refused.status == 2
    assert f"{CALL} is exempt because AAPL is. Run: {stage.line('manage', 'AAPL')}" in refused.err
    stage.run("exempt", CALL)
    lifted = stage.run("manage", CALL)
    assert lifted.status == 0
    assert f"{CALL} is exempt because AAPL is. Run: {stage.line('manage', 'AAPL')}" in lifted.err
    assert exempt(stage) == {"AAPL"}
