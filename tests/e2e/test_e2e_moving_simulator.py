"""`sellctl sim` without options: what it says, a price moved as it says, and three exits within its first minute."""

import shlex
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from simulator_process import Simulator, a_simulator
from stage import MAIN, CommandResult, clean_environment, end_of
from typer.testing import CliRunner

from sellctl.app import app
from sellctl.core.errors import ConfigError
from sellctl.sim.price_moves import example_of
from sellctl.sim.scenario.reader import parse_scenario

CALL = "AAPL261218C00230000"  # the first option that is held
SPEED = 3  # simulated seconds per second: its minute takes 20 s
EXITS = {
    "NVDA261218C00200000": "take_profit",
    "TSLA261218P00380000": "stop_loss",
    "MSFT261120C00430000": "zero_day",
}


def run_beside(simulator: Simulator, line: str) -> "subprocess.Popen[str]":
    """Start a command line that the simulator named, by the tests' own interpreter."""
    program, *arguments = shlex.split(line)
    assert program == "sellctl"
    return subprocess.Popen(  # noqa: S603  our own interpreter
        [*MAIN, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=clean_environment(simulator.folder),
    )


def outcome_beside(simulator: Simulator, line: str) -> CommandResult:
    return end_of(run_beside(simulator, line))


def fills_of(simulator: Simulator, count: int, seconds: float) -> list[dict[str, str]]:
    """The fills, once there are as many or the time is over."""
    end = time.monotonic() + seconds
    while len(fills := simulator.get("/sim/fills")) < count and time.monotonic() < end:
        time.sleep(0.2)
    return list(fills)


def test_beside_a_watcher_a_target_a_stop_and_a_zero_day_exit_happen_within_a_minute(tmp_path: Path) -> None:
    with a_simulator(tmp_path, "--speed", str(SPEED)) as simulator:
        watcher = run_beside(simulator, simulator.command("watch"))
        fills = fills_of(simulator, len(EXITS), seconds=60)
        watched = outcome_of_end(watcher)
        positions = simulator.get("/sim/positions")["main"]
        reported = outcome_beside(simulator, simulator.command("watch").removesuffix("watch") + "report --each")
    assert len(fills) == len(EXITS)
    assert set(positions) == {"AAPL261218C00230000", "AAPL"}
    assert all(reason in reported.out for reason in EXITS.values()), reported.out
    assert watched.status == 0
    assert watched.err.splitlines()[0] == f"Simulator: state in {tmp_path}/xdg-state/sellctl/simulator"


def outcome_of_end(watcher: "subprocess.Popen[str]") -> CommandResult:
    watcher.terminate()
    return end_of(watcher)


def test_its_first_line_names_its_state_folder_and_it_says_where_its_configuration_is(tmp_path: Path) -> None:
    with a_simulator(tmp_path) as simulator:
        assert simulator.lines[0] == f"Simulator: state in {tmp_path}/xdg-state/sellctl/simulator"
        assert f"Its configuration: {tmp_path}/sellctl-sim.yml" in simulator.lines
        listed = outcome_beside(simulator, simulator.command("positions"))
        would_do = outcome_beside(simulator, simulator.command("run-once --dry-run"))
    assert "NVDA261218C00200000" in listed.out
    assert would_do.status == 0


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_command_that_it_names_moves_a_price(tmp_path: Path) -> None:
    with a_simulator(tmp_path, "--still") as simulator:
        url = f"/v1beta1/options/quotes/latest?symbols={CALL}&feed=indicative"
        before = simulator.get(url)["quotes"][CALL]["bp"]
        subprocess.run(shlex.split(simulator.command("/sim/quotes")), check=True, capture_output=True)  # noqa: S603
        after = simulator.get(url)["quotes"][CALL]["bp"]
    assert after > 1.15 * before


def test_the_example_of_a_move_is_one_of_a_position_with_a_quote_in_its_increments() -> None:
    held = f"{{symbol: F, qty: 1, entry: 12}}, {{symbol: {CALL}, qty: -1, entry: 6.05}}"
    text = f"start: '2026-11-18 10:00'\naccounts: {{main: {{positions: [{held}]}}}}\n"
    quoted = parse_scenario(f"{text}prices: {{{CALL}: {{bid: 6.35, ask: 6.45}}}}").exchange()
    move = example_of(quoted)
    assert move is not None
    assert (move.symbol, str(move.bid), str(move.ask)) == (CALL, "7.60", "7.70")
    assert example_of(parse_scenario(text).exchange()) is None


def test_still_is_a_quiet_market_and_no_second_scenario() -> None:
    quiet = CliRunner().invoke(app, ["sim", "--check", "--still"])
    assert "an ordinary morning" in quiet.output
    both = CliRunner().invoke(app, ["sim", "--check", "--still", "--scenario", "demo"])
    assert isinstance(both.exception, ConfigError)
    assert "either --still or --scenario" in both.exception.hint
