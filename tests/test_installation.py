"""The line that adds an extra fits how sellctl was installed."""

import shutil
from pathlib import Path

import pytest

from sellctl.installation import install_line, missing_extra


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """The folder of a virtual environment that pip made."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").touch()
    (tmp_path / "lib" / "python3.13" / "site-packages" / "pip").mkdir(parents=True)
    (tmp_path / "pyvenv.cfg").write_text("home = /usr/bin\nversion = 3.13.0\n")
    return tmp_path


def test_pip_adds_it_with_the_python_of_the_environment(environment: Path) -> None:
    assert install_line("api", environment) == f"{environment}/bin/python -m pip install 'sellctl[api]'"


def test_a_path_with_a_blank_is_quoted(tmp_path: Path) -> None:
    python = tmp_path / "my tools" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    assert f"'{python}'" in install_line("api", tmp_path / "my tools")


def test_another_pip_serves_an_environment_without_one(environment: Path) -> None:
    shutil.rmtree(environment / "lib")
    line = f"python3 -m pip --python {environment}/bin/python install 'sellctl[api]'"
    assert install_line("api", environment) == line


def test_uv_serves_an_environment_that_it_made(environment: Path) -> None:
    shutil.rmtree(environment / "lib")
    (environment / "pyvenv.cfg").write_text("home = /usr/bin\nuv = 0.13.9\n")
    assert install_line("report", environment) == f"uv pip install --python {environment}/bin/python 'sellctl[report]'"


def test_pipx_injects_it(environment: Path) -> None:
    (environment / "pipx_metadata.json").write_text("{}")
    assert install_line("notify", environment) == "pipx inject sellctl 'sellctl[notify]'"


def test_a_tool_of_uv_is_installed_again_with_the_extras_that_it_has(environment: Path) -> None:
    receipt = environment / "uv-receipt.toml"
    receipt.write_text('[tool]\nrequirements = [{ name = "sellctl", extras = ["report", "api"] }, { name = "rich" }]\n')
    assert install_line("notify", environment) == "uv tool install 'sellctl[api,notify,report]'"


@pytest.mark.parametrize("receipt", ["", "[tool", "tool = 1", "[tool]\nrequirements = [1]", "[tool]\nrequirements = 1"])
def test_a_receipt_that_can_not_be_read_names_no_other_extras(environment: Path, receipt: str) -> None:
    (environment / "uv-receipt.toml").write_text(receipt)
    assert install_line("api", environment) == "uv tool install 'sellctl[api]'"


def test_what_is_missing_is_one_sentence() -> None:
    sentence, hint = missing_extra("The control API", "api")
    assert sentence == "The control API needs the extra api, which isn't installed."
    assert hint.startswith("Run: ")
    assert hint.endswith("'sellctl[api]'")
