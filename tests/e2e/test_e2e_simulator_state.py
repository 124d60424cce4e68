"""The simulator's journal, halt and exempt symbols are apart from the real ones, whatever names the state folder."""

import json
import subprocess
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from stage import MAIN, CommandResult, clean_environment, end_of
from typer.testing import CliRunner

from sellctl.app import app
from sellctl.core.config_manager import state_dir
from sellctl.core.errors import SellctlError
from sellctl.service.state_folder import StateFolder
from sellctl.sim.config_file import config_text, write_config
from sellctl.sim.scenario.reader import parse_scenario
from sellctl.sim.server import SimServer

CALL = "AAPL261218C00200000"
DUE = f"""
start: "2026-11-24 12:00"
accounts:
  main: {{positions: [{{symbol: {CALL}, qty: 3, entry: 1.00}}]}}
prices:
  {CALL}: [{{fixed: {{bid: 1.20, ask: 1.22}}}}]
"""


@pytest.fixture(params=["SELLCTL_STATE_DIR", "XDG_STATE_HOME"])
def real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> StateFolder:
    """The real state folder, as the environment names it, beside the configuration of a simulator that isn't up."""
    for name in ("SELLCTL_STATE_DIR", "SELLCTL_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(request.param, str(tmp_path / "real"))
    accounts = parse_scenario(DUE).accounts
    write_config(Path("sellctl-sim.yml"), config_text(accounts, "http://127.0.0.1:1", "ws://127.0.0.1:1"))
    return StateFolder(state_dir())


def sellctl(*arguments: str) -> CommandResult:
    result = CliRunner().invoke(app, ["--config", "sellctl-sim.yml", *arguments])
    if isinstance(result.exception, SellctlError):
        return CommandResult(int(result.exception.exit_code), result.stdout, f"{result.stderr}{result.exception}")
    return CommandResult(result.exit_code, result.stdout, result.stderr)


def test_a_halt_and_an_exemption_in_the_simulator_leave_the_real_state_alone(real: StateFolder) -> None:
    assert sellctl("halt", "--reason", "practice").status == 0
    assert sellctl("exempt", "--not-held", "TSLA").status == 0
    assert (real.halted(), real.exempt()) == ("", frozenset())
    assert not real.journal.exists()
    simulated = StateFolder(real.path / "simulator")
    assert (simulated.halted(), simulated.exempt()) == ("practice", {"TSLA"})
    assert "practice" in sellctl("history", "--evidence").out


def test_a_real_halt_and_exemption_do_not_reach_the_simulator_and_are_not_lifted_by_it(
    real: StateFolder,
) -> None:
    real.make()
    real.halt("earnings", by="me")
    real.set_exempt("TSLA", wanted=True)
    assert "was not halted" in sellctl("resume", "--reason", "practice is over").err
    sellctl("manage", "TSLA")
    assert (real.halted(), real.exempt()) == ("earnings", {"TSLA"})


def test_a_run_in_the_simulator_writes_no_real_journal_and_the_report_is_its_own(
    real: StateFolder, tmp_path: Path
) -> None:
    real.make()
    real.halt("earnings", by="me")
    with SimServer(parse_scenario(DUE), speed=0) as server:
        write_config(tmp_path / "sellctl-sim.yml", config_text(server.scenario.accounts, server.url, server.stream_url))
        assert sellctl("run-once").status == 0
        assert server.exchange.accounts["main"].qty_of(CALL) == 0
    assert "take_profit" in sellctl("report").out
    assert [path.name for path in sorted(real.path.iterdir())] == ["halted", "simulator"]


def test_a_state_folder_that_is_given_with_the_command_is_used_as_it_is(real: StateFolder, tmp_path: Path) -> None:
    sellctl("--state-dir", str(tmp_path / "given"), "halt")
    assert StateFolder(tmp_path / "given").halted()
    assert not real.path.exists()


def test_a_configuration_that_is_broken_still_halts_the_real_accounts(real: StateFolder) -> None:
    Path("sellctl-sim.yml").write_text("simulator: [true\n")
    assert sellctl("halt", "--reason", "fed day").status == 0
    assert real.halted() == "fed day"


def test_real_accounts_cannot_be_declared_simulated(real: StateFolder) -> None:  # noqa: ARG001  a clean environment
    path = Path("sellctl-sim.yml")
    path.write_text("simulator: true\naccounts: {main: {api_key: PKTESTTESTTESTTESTTE, secret_key: abcdefgh}}\n")
    path.chmod(0o600)
    result = sellctl("config", "check")
    assert result.status == 2
    assert "simulator is true, but account main has no endpoints.trading on this machine" in result.err


def started(folder: Path) -> "tuple[str, str]":
    """Start the simulator and end it: its first line, and the number of its account."""
    process = subprocess.Popen(  # noqa: S603  our own interpreter
        [*MAIN, "sim", "--port", "0"],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=folder,
        env=clean_environment(folder),
    )
    assert process.stderr
    line = process.stderr.readline()
    url = line.split(": ")[0].rpartition(" ")[2]
    keys = {"APCA-API-KEY-ID": "sim-main", "APCA-API-SECRET-KEY": "sim-secret"}
    with urlopen(Request(f"{url}/v2/account", headers=keys)) as answer:  # noqa: S310  loopback
        number = json.load(answer)["account_number"]
    process.terminate()
    end_of(process)
    return line, number


def test_the_first_line_of_the_simulator_names_its_state_folder(tmp_path: Path) -> None:
    line, _ = started(tmp_path)
    assert line.startswith("A simulated Alpaca listens on http://127.0.0.1:")
    assert line.endswith(f": sellctl keeps journal and halt for it in {tmp_path}/xdg-state/sellctl/simulator\n")


def test_each_start_has_account_numbers_of_its_own_so_that_no_order_id_repeats(tmp_path: Path) -> None:
    (_, first), (_, second) = started(tmp_path), started(tmp_path)
    assert first != second
