"""Global options are accepted anywhere on the command line."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from sellctl.app import app
from sellctl.service.options import Options, global_options_first


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("positions --config a.yml", "--config a.yml positions"),
        ("run-once --dry-run -c a.yml --live", "-c a.yml --live run-once --dry-run"),
        ("watch --state-dir=x --format json --debug", "--state-dir=x --debug watch --format json"),
        ("sim --config-out a.yml", "sim --config-out a.yml"),
        ("close -- --live", "close -- --live"),
        ("positions --config", "--config positions"),
        ("", ""),
    ],
)
def test_global_options_go_before_the_command(line: str, meant: str) -> None:
    assert global_options_first(line.split()) == meant.split()


def test_a_global_option_behind_the_command_counts(tmp_path: object) -> None:
    missing = f"{tmp_path}/missing.yml"
    said = CliRunner().invoke(app, ["config", "check", "--config", missing])
    assert missing in str(said.exception)


def test_a_command_to_type_has_the_configuration_and_the_state_folder_that_were_given() -> None:
    given = Options(Path("my sim.yml"), Path("/srv/state"), live=False, debug=False, log_file=None)
    assert given.command("manage", "TSLA") == "sellctl --config 'my sim.yml' --state-dir /srv/state manage TSLA"
    none = Options(None, None, live=True, debug=True, log_file=None)
    assert none.command("manage", "TSLA") == "sellctl manage TSLA"
