"""The commands of `sellctl config`, run from the command line."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from sellctl.app import main
from sellctl.commands.config import config_app
from sellctl.core.errors import ConfigError
from sellctl.core.exit_codes import ExitCode
from sellctl.service.options import Options

Write = Callable[..., Path]

CANARIES = ("PKCANARYCANARYCANARY", "canary-Zx81-secret", "canary-of-a-disabled-account")
TEXT = f"""\
accounts:
  main: {{api_key: {CANARIES[0]}, secret_key: {CANARIES[1]}}}
  off: {{enabled: false, api_key: brief, secret_key: {CANARIES[2]}}}
"""


def run(*arguments: str, config: Path | None = None) -> Result:
    options = Options(config, None, live=False, debug=False, log_file=None)
    return CliRunner().invoke(config_app, arguments, obj=options)


@pytest.mark.parametrize("form", [None, "table", "plain", "json", "csv", "markdown"])
def test_show_prints_no_secret_in_any_format(write: Write, form: str | None) -> None:
    write(TEXT)
    result = run("show", *(["--format", form] if form else []))
    assert result.exit_code == ExitCode.OK
    assert "check_interval" in result.output
    assert not [canary for canary in CANARIES if canary in result.output]
    assert "brief" not in result.output


def test_show_as_json_holds_every_value_with_its_origin(write: Write) -> None:
    path = write(TEXT)
    document = json.loads(run("show", "--format", "json", config=path).stdout)
    rows = {row["key"]: row for row in document["values"]}
    assert document["file"] == str(path)
    assert rows["accounts.main.api_key"] == {
        "key": "accounts.main.api_key",
        "value": "PKCA****",
        "origin": f"{path}:2",
    }
    assert rows["accounts.main.secret_key"]["value"] == "****"
    assert rows["execution.style"] == {"key": "execution.style", "value": "smart", "origin": "default"}


def test_example_writes_a_private_file_that_check_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = run("example")
    path = tmp_path / "config.yml"
    assert "sellctl config check" in result.output
    assert path.stat().st_mode & 0o777 == 0o600
    monkeypatch.setenv("ALPACA_API_KEY", "PKTESTTESTTESTTESTTE")
    monkeypatch.setenv("ALPACA_SECRET_KEY", "secret")
    assert run("check").output.splitlines() == [
        "ok: config.yml",
        "accounts: main (paper)",
        "check interval: 5s",
        "strategy one: target +10%, stop -20%; option",
        "zero-day options: closed from 65m before the close, at any price from 50m before the close",
        "execution: smart",
    ]


def test_example_makes_the_folder_and_overwrites_nothing(write: Write, tmp_path: Path) -> None:
    assert run("example", "new/folder/mine.yml").exit_code == ExitCode.OK
    assert (tmp_path / "new" / "folder").stat().st_mode & 0o777 == 0o700
    path = write("# mine\n")
    result = run("example")
    assert isinstance(result.exception, ConfigError)
    assert str(result.exception) == "config.yml already exists. Choose another path, or delete the file first."
    assert path.read_text(encoding="utf-8") == "# mine\n"


def test_the_former_name_of_example_still_works_and_is_not_listed(tmp_path: Path) -> None:
    assert run("init").exit_code == ExitCode.OK
    assert (tmp_path / "config.yml").is_file()
    assert " init " not in run("--help").output


def test_check_names_warnings_and_goes_on(write: Write) -> None:
    write(TEXT + "sell_module: {strategy_one: {stop_loss_rate: 0.2}}\n")
    result = run("check")
    assert result.exit_code == ExitCode.OK
    assert "warning: config.yml:4:30: stop_loss_rate: 0.2 doesn't stop a loss before -80%." in result.output


def test_check_ends_with_the_mistakes_and_the_usage_status(write: Write) -> None:
    write(TEXT + "sell_module: {strategy_one: {profit_rate: 10%}}\n")
    error = run("check").exception
    assert isinstance(error, ConfigError)
    assert error.exit_code == ExitCode.USAGE
    assert str(error).startswith("config.yml:4:43: profit_rate: '10%' is a percentage")


def test_schema_is_json() -> None:
    assert json.loads(run("schema").stdout)["$schema"].endswith("2020-12/schema")


@pytest.mark.parametrize("command", ["show", "example", "check", "schema"])
def test_help_reads_well(command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == ExitCode.OK
    assert "Usage" in result.output


def test_reading_the_configuration_imports_no_heavy_library(write: Write) -> None:
    write(TEXT)
    program = (
        "import sys; from sellctl.core.config_manager import ConfigManager; ConfigManager().load().show(); "
        "import sellctl.commands.config; "
        "print({'alpaca', 'pandas', 'sqlalchemy', 'loguru', 'pydantic', 'keyring'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603  ours
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["config", "check"], "There is no configuration and no key in the environment. Try it without keys"),
        (["--config", "gone.yml", "config", "show"], "There is no file gone.yml. Write one: sellctl init"),
        (["--config", "bad.yml", "config", "show"], "bad.yml:1:1: 'acounts' isn't a key. Did you mean accounts?"),
    ],
)
def test_the_program_ends_with_the_sentence_and_the_usage_status(
    write: Write,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    sentence: str,
) -> None:
    write(f"acounts: {{}}\n{TEXT}", name="bad.yml")
    monkeypatch.setattr(sys, "argv", ["sellctl", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    streams = capsys.readouterr()
    assert caught.value.code == ExitCode.USAGE
    assert streams.err.startswith(f"sellctl: {sentence}")
    assert streams.out == ""
    assert "Traceback" not in streams.err


STRATEGIES = """\
    - name: tesla
      match: {underlying: TSLA}
      rules: {take_profit: 60%, stop_loss: 45%}
    - name: long options
      match: {asset: option, side: long}
      rules:
        take_profit: $300/position
        trailing_stop: {trail: 15pt, activation: 25%}
        days_to_expiry: 5
    - name: by the clock
      match: {side: short}
      rules: {stop_loss: price 1.50, before_close: 10m, max_hold: 2d}
"""


def test_check_names_each_strategy_with_its_target_its_stop_and_its_trailing_stop(
    write: Write, main_account: str
) -> None:
    write(f"{main_account}sell_module:\n  strategies:\n{STRATEGIES}")
    lines = run("check").output.splitlines()
    assert lines[3:7] == [
        "strategy tesla: target +60%, stop -45%",
        "strategy long options: target +$300/position, trailing 15pt from +25%, 1 other rule",
        "strategy by the clock: stop at 1.50, 2 other rules",
        "strategy one: target +10%, stop -20%; option",
    ]


def test_check_names_what_else_is_set_without_an_address(write: Write, main_account: str) -> None:
    beat = "https://example.com/ping/your-id"
    write(f"{main_account}watch: {{heartbeat: {beat}}}\nexecution: {{backstop: {{stop: 40%, assets: [option]}}}}\n")
    result = run("check")
    assert result.output.splitlines()[-2:] == ["backstop: stop -40%; option", "heartbeat: set"]
    assert beat not in result.output


def test_check_counts_the_recipients_of_notifications(write: Write, main_account: str) -> None:
    pytest.importorskip("apprise")
    write(f"{main_account}notify: [{{url: 'json://127.0.0.1:1/'}}, {{url: 'json://127.0.0.1:2/'}}]\n")
    assert "notify: 2 recipients" in run("check").output.splitlines()


@pytest.mark.parametrize("missing", [True, False], ids=["extra not installed", "address not supported"])
def test_check_refuses_notifications_that_a_run_could_not_send(
    write: Write, main_account: str, monkeypatch: pytest.MonkeyPatch, *, missing: bool
) -> None:
    if missing:
        monkeypatch.setitem(sys.modules, "apprise", None)
    else:
        pytest.importorskip("apprise")
    write(f"{main_account}notify: [{{url: '{'json' if missing else 'unheard-of'}://127.0.0.1:1/'}}]\n")
    error = run("check").exception
    assert isinstance(error, ConfigError)
    assert error.exit_code == ExitCode.USAGE
    assert ("needs the extra notify" if missing else "isn't an address that Apprise supports") in str(error)
