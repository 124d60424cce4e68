"""The control endpoint, the served scenario, and the command that serves it."""

import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import typer
import yaml
from sim_clients import CALL, Rest
from typer.testing import CliRunner

from sellctl.commands.sim import sim
from sellctl.core.errors import ConfigError
from sellctl.sim.config_file import MARK, config_text, write_config
from sellctl.sim.server import SimServer


def test_it_sets_quotes(client: Rest) -> None:
    client.ask("POST", "/sim/quotes", {CALL: {"bid": 2.5, "ask": "2.6", "bid_size": 3}, "F": {"bid": 0, "ask": 12}})
    option = client.get("/v1beta1/options/quotes/latest", symbols=CALL)["quotes"][CALL]
    assert (option["bp"], option["bs"]) == (2.5, 3)
    assert client.get("/v2/stocks/quotes/latest", symbols="F")["quotes"]["F"]["bp"] == 0


@pytest.mark.parametrize(
    ("move", "now"),
    [
        ({"by": 90}, "2026-11-25T11:01:30-05:00"),
        ({"to": "2026-11-25 14:30"}, "2026-11-25T14:30:00-05:00"),
        ({"to": "2026-11-25T20:00:00Z"}, "2026-11-25T15:00:00-05:00"),
    ],
)
def test_it_moves_the_clock(client: Rest, move: dict[str, object], now: str) -> None:
    assert client.ask("POST", "/sim/clock", move).json()["new_york"] == now
    assert client.get("/v2/clock")["timestamp"] == now


def test_it_sets_the_speed(client: Rest) -> None:
    assert client.ask("POST", "/sim/clock", {"speed": 1000}).json()["speed"] == 1000
    first = client.get("/v2/clock")["timestamp"]
    while client.get("/v2/clock")["timestamp"] == first:
        pass


def test_it_injects_and_clears_faults_and_shows_how_often_each_triggered(client: Rest) -> None:
    assert client.ask("POST", "/sim/misbehave", {"name": "H06", "times": 1}).json() == {"ok": True}
    assert client.ask("GET", "/v2/account").status_code == 429
    state = client.get("/sim/state")
    assert (state["fired"], state["misbehaviours"]) == ({"H06": 1}, [])
    client.ask("POST", "/sim/misbehave", {"name": "H07"})
    client.ask("POST", "/sim/behave", {"name": "H07"})
    assert client.ask("GET", "/v2/account").status_code == 200
    assert "no answer" in client.get("/sim/misbehaviours")["H01"]["text"]


@pytest.mark.parametrize("body", [{"name": "H99"}, {"name": "H05", "stats": 1}, {}])
def test_an_unknown_fault_is_rejected(client: Rest, body: dict[str, object]) -> None:
    assert client.ask("POST", "/sim/misbehave", body).status_code == 422


def test_it_halts_and_resumes(client: Rest, server: SimServer) -> None:
    client.ask("POST", "/sim/halt", {"symbol": CALL})
    order = client.sell(limit_price="2.00").json()["id"]
    assert client.get(f"/v2/orders/{order}")["status"] == "pending_new"
    client.ask("POST", "/sim/halt", {"symbol": CALL, "halted": False})
    server.advance(1)
    assert client.get(f"/v2/orders/{order}")["status"] == "filled"


def test_it_returns_the_log_of_requests_orders_and_fills(client: Rest) -> None:
    client.sell(limit_price="2.00")
    client.get("/v2/clock")
    [post, clock] = client.get("/sim/requests")
    assert (post["method"], post["account"], post["status"]) == ("POST", "main", 200)
    assert '"qty": "1"' in post["body"]
    assert clock["path"] == "/v2/clock"
    [fill] = client.get("/sim/fills")
    assert (fill["kind"], fill["detail"]["price"]) == ("fill", "2")
    assert [event["kind"] for event in client.get("/sim/events")] == ["pending_new", "new", "fill"]
    assert client.get("/sim/events", after=str(fill["seq"])) == []
    assert [order["status"] for order in client.get("/sim/orders")["main"]] == ["filled"]
    assert client.get("/sim/positions")["main"] == {CALL: "3", "F": "100"}


def test_an_unknown_control_is_404(client: Rest) -> None:
    assert client.ask("GET", "/sim/nothing").status_code == 404


def test_it_listens_on_loopback_only(server: SimServer) -> None:
    assert server.url.startswith("http://127.0.0.1:")


def test_the_configuration_points_at_it_and_is_its_owners_only(server: SimServer, tmp_path: Path) -> None:
    path = tmp_path / "sellctl-sim.yml"
    write_config(path, config_text(server.scenario.accounts, server.url, server.stream_url))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    accounts = yaml.safe_load(path.read_text())["accounts"]
    assert list(accounts) == ["main", "second"]
    assert accounts["main"] == {
        "api_key": "sim-main",
        "secret_key": "sim-secret",
        "paper": True,
        "endpoints": {
            "trading": server.url,
            "data": server.url,
            "trading_stream": f"{server.stream_url}/stream",
            "stock_stream": f"{server.stream_url}/v2/iex",
            "option_stream": f"{server.stream_url}/v1beta1/indicative",
        },
    }
    write_config(path, MARK + "newer\n")
    assert path.read_text() == MARK + "newer\n"


def test_a_file_that_it_did_not_write_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "config.yml"
    path.write_text("accounts: {}\n")
    with pytest.raises(ConfigError, match="is not overwritten"):
        write_config(path, MARK)
    assert path.read_text() == "accounts: {}\n"


@pytest.fixture
def app() -> typer.Typer:
    made = typer.Typer()
    made.command()(sim)
    return made


def test_the_command_checks_a_scenario_without_serving_it(app: typer.Typer, tmp_path: Path) -> None:
    good = CliRunner().invoke(app, ["--scenario", "demo", "--check"])
    assert (good.exit_code, good.output.startswith("demo: ok.")) == (0, True)
    bad = tmp_path / "bad.yml"
    bad.write_text('start: "2026-11-25 11:00"\nprice: {}\n')
    with pytest.raises(ConfigError, match=r"bad\.yml:2: unknown key 'price'\. Did you mean prices"):
        CliRunner().invoke(app, ["--scenario", str(bad), "--check"], catch_exceptions=False)


def test_a_taken_port_is_said_so(app: typer.Typer, server: SimServer) -> None:
    with pytest.raises(ConfigError, match=f"127.0.0.1:{server.port} can't be used"):
        CliRunner().invoke(app, ["--port", str(server.port)], catch_exceptions=False)


def test_the_served_command_answers_and_ends_well_on_sigterm(tmp_path: Path) -> None:
    config = tmp_path / "made.yml"
    command = [sys.executable, "-c", "from sellctl.app import main; main()", "sim", "--port", "0"]
    with subprocess.Popen([*command, "--config-out", str(config)], stderr=subprocess.PIPE, text=True) as process:  # noqa: S603  ourselves
        try:
            assert process.stderr is not None
            assert process.stderr.readline().startswith("Simulator: state in ")
            url = process.stderr.readline().split()[5].rstrip(":")
            client = Rest(url)
            assert client.get("/v2/account")["account_number"].startswith("PASIM0001")
            client.session.close()
            assert yaml.safe_load(config.read_text())["accounts"]["main"]["endpoints"]["trading"] == url
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
        finally:
            process.kill()
