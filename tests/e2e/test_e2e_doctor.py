"""`doctor` checks everything that a trading day requires, sends nothing and writes nothing."""

from typing import Any

from stage import Play, Stage, three_calls

HELD = three_calls(more_prices="SPY: [{fixed: {bid: 600.00, ask: 600.02}}]")


def examined(stage: Stage, status: int) -> dict[str, Any]:
    result = stage.run("doctor", "--format", "json")
    assert result.status == status, result
    return {check["what"]: check for check in result.document["checks"]}


def test_doctor_checks_everything_and_changes_nothing(play: Play) -> None:
    stage = play(HELD)
    checks = examined(stage, 1)  # the simulator's clock is not this machine's
    states = {what: check["state"] for what, check in checks.items()}
    assert states == {
        "configuration": "ok",
        "time-zone data": "ok",
        "journal": "ok",
        "clock": "bad",
        "account main": "ok",
        "account main, options": "ok",
        "account main, shorting": "warning",
        "stock quotes": "warning",
        "option quotes": "warning",
        "streams": "ok",
    }
    assert "feed iex" in checks["stock quotes"]["found"]
    assert all(check["to do"] for check in checks.values() if check["state"] != "ok")
    assert stage.sent() == []
    assert not stage.state.exists()


def test_doctor_does_not_compare_a_simulated_clock_with_this_machine(play: Play) -> None:
    stage = play(HELD)
    stage.write(f"simulator: true\n{stage.config.read_text()}")
    clock = examined(stage, 0)["clock"]
    assert (clock["state"], clock["to do"]) == ("ok", "")
    assert clock["found"].startswith("simulated: ")


def test_doctor_names_a_key_that_is_refused(play: Play) -> None:
    stage = play(HELD)
    stage.write(stage.config.read_text().replace("secret_key: s", "secret_key: wrong"))
    result = stage.run("doctor", "--format", "json")
    checks = {check["what"]: check for check in result.document["checks"]}
    assert (result.status, checks["account main"]["state"]) == (4, "bad")
    assert "secret_key" in checks["account main"]["to do"]


def test_doctor_checks_the_login_at_the_streams(play: Play) -> None:
    stage = play(HELD)
    server = stage.server
    text = stage.config.read_text()
    streams = f"stock_stream: '{server.stream_url}/v2/iex', trading_stream: '{server.stream_url}/stream'"
    stage.write(text.replace(f"data: '{server.url}'", f"data: '{server.url}', {streams}"))
    stage.inject_fault("W09", code=406, path="/v2/iex")
    checks = examined(stage, 1)
    assert checks["stream, orders of main"]["found"] == "connected"
    assert "(406)" in checks["stream, stock quotes"]["found"]
