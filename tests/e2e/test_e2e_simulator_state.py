"""The simulator's journal, halt and exempt symbols are apart from the real ones, whatever names the state folder."""

import secrets
from pathlib import Path

import pytest
from simulator_process import a_simulator
from stage import CommandResult
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
        assert sellctl("positions", "--format", "json").document["accounts"][0]["mode"] == "simulated"
    assert "take_profit" in sellctl("report").out
    assert " SIMULATED " in sellctl("history").out
    assert "simulated" in sellctl("config", "check").out
    assert [path.name for path in sorted(real.path.iterdir())] == ["halted", "simulator"]


def test_in_a_state_folder_that_is_given_with_the_command_the_simulator_has_its_own_too(
    real: StateFolder, tmp_path: Path
) -> None:
    given = StateFolder(tmp_path / "given")
    given.make()
    given.halt("earnings", by="me")
    result = sellctl("--state-dir", str(given.path), "halt", "--reason", "practice")
    assert result.err.splitlines()[0] == f"Simulator: state in {given.path}/simulator"
    assert (given.halted(), StateFolder(given.path / "simulator").halted()) == ("earnings", "practice")
    assert not real.path.exists()


def test_the_simulators_own_folder_can_be_given_and_is_refused_to_real_accounts(real: StateFolder) -> None:
    folder = StateFolder(real.path / "simulator")
    assert sellctl("--state-dir", str(folder.path), "halt", "--reason", "practice").status == 0
    assert folder.halted() == "practice"
    Path("sellctl-sim.yml").write_text("accounts: {main: {api_key: '${KEY}', secret_key: '${SECRET}'}}\n")
    refused = sellctl("--state-dir", str(folder.path), "resume", "--reason", "over")
    assert refused.status == 2
    assert "holds the state of simulated accounts" in refused.err
    assert folder.halted() == "practice"


def test_a_link_to_the_simulators_folder_is_refused_to_real_accounts_too(real: StateFolder, tmp_path: Path) -> None:
    folder = StateFolder(real.path / "simulator")
    assert sellctl("halt", "--reason", "practice").status == 0
    (tmp_path / "mine").symlink_to(folder.path)
    Path("sellctl-sim.yml").write_text("accounts: {main: {api_key: '${KEY}', secret_key: '${SECRET}'}}\n")
    assert sellctl("--state-dir", str(tmp_path / "mine"), "resume", "--reason", "over").status == 2
    assert folder.halted() == "practice"


@pytest.mark.parametrize("command", ["positions", "doctor", "history", "report"])
def test_the_first_line_of_a_command_says_where_the_state_of_simulated_accounts_is(
    real: StateFolder, command: str
) -> None:
    result = sellctl(command)
    assert result.err.splitlines()[0] == f"Simulator: state in {real.path}/simulator"
    assert "Simulator" not in result.out


def test_a_configuration_that_is_broken_still_halts_the_real_accounts(real: StateFolder) -> None:
    Path("sellctl-sim.yml").write_text("simulator: [true\n")
    result = sellctl("halt", "--reason", "fed day")
    assert result.status == 0
    assert "real accounts are halted" in result.err
    assert real.halted() == "fed day"


@pytest.mark.parametrize("command", [["resume", "--reason", "over"], ["exempt", "--not-held", "TSLA"]])
@pytest.mark.parametrize("text", ["simulator: [true\n", None])
def test_a_configuration_that_is_broken_or_missing_lifts_no_real_halt_and_exempts_nothing_real(
    real: StateFolder, command: list[str], text: str | None
) -> None:
    real.make()
    real.halt("earnings", by="me")
    Path("sellctl-sim.yml").unlink()
    if text:
        Path("sellctl-sim.yml").write_text(text)
    assert sellctl(*command).status == 2
    assert (real.halted(), real.exempt()) == ("earnings", frozenset())


@pytest.mark.parametrize("line", ["simulator: yes", "simulator: [true]", '"simul\\x61tor": yes'])
def test_what_is_meant_to_be_simulated_and_is_not_written_so_lifts_no_real_halt(real: StateFolder, line: str) -> None:
    Path("odd.yml").write_text(f"{line}\n", encoding="utf-8")
    real.halt("by hand", "somebody")
    lifted = sellctl("--config", "odd.yml", "resume", "--reason", "over")
    assert lifted.status == 2
    assert "simulator is neither true nor false" in lifted.err
    assert real.halted() == "by hand"


def test_real_accounts_cannot_be_declared_simulated(real: StateFolder) -> None:  # noqa: ARG001  a clean environment
    path = Path("sellctl-sim.yml")
    path.write_text("simulator: true\naccounts: {main: {api_key: PKTESTTESTTESTTESTTE, secret_key: abcdefgh}}\n")
    path.chmod(0o600)
    result = sellctl("config", "check")
    assert result.status == 2
    assert "simulator is true, but account main has no endpoints.trading on this machine" in result.err


def test_a_simulated_account_has_no_real_money(real: StateFolder) -> None:  # noqa: ARG001  a clean environment
    path = Path("sellctl-sim.yml")
    path.write_text(path.read_text().replace("paper: true", "paper: false"))
    result = sellctl("config", "check")
    assert result.status == 2
    assert "simulator is true, but account main has paper: false" in result.err


def test_each_start_has_account_numbers_and_order_ids_of_its_own(tmp_path: Path) -> None:
    scenario = tmp_path / "one-order.yml"
    scenario.write_text(f"{DUE}events: [{{at: start, order: {{account: main, symbol: {CALL}, side: sell, qty: 1}}}}]\n")
    assert ids_of_a_start(tmp_path, scenario).isdisjoint(ids_of_a_start(tmp_path, scenario))


def ids_of_a_start(folder: Path, scenario: Path) -> set[str]:
    """The ids of the account, its order and its fill of a simulator that is started and ended."""
    with a_simulator(folder, "--scenario", str(scenario)) as simulator:
        account, (order,) = simulator.get("/v2/account"), simulator.get("/v2/orders?status=all")
        (fill,) = simulator.get("/v2/account/activities/FILL")
    ids = {account["account_number"], order["id"], order["client_order_id"], fill["id"]}
    assert len(ids) == 4
    return ids


def test_a_new_number_of_a_simulated_account_is_no_alert(real: StateFolder, tmp_path: Path) -> None:
    for _ in range(2):
        scenario = parse_scenario(DUE)
        scenario.accounts[0].number = f"PASIM{secrets.token_hex(4)}"
        with SimServer(scenario, speed=0) as server:
            write_config(tmp_path / "sellctl-sim.yml", config_text(scenario.accounts, server.url, server.stream_url))
            assert sellctl("run-once").status == 0
    assert "belongs to" not in sellctl("history", "--format", "csv").out
    assert not real.journal.exists()
