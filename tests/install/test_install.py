"""The wheel in fresh environments, as a user gets it: installed by pip, uv and pipx, run, and completed by an extra.

These tests need the package index, so that `make test` deselects them; `make test-install` runs them, for each Python
that is on the path.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from dist_files import ROOT, build
from stage import clean_environment

from sellctl import __version__

pytestmark = pytest.mark.install

PYTHONS = ("python3.11", "python3.12", "python3.13", "python3.14")
RUN_SECONDS = 120
DEMO_SECONDS = 180
INSTALL_SECONDS = 600


def ran(
    words: Sequence[str | Path], folder: Path, seconds: float, **variables: str
) -> "subprocess.CompletedProcess[str]":
    """A program that has ended, run without the environment of these tests and with a home of its own."""
    environment = {**clean_environment(folder), "COLUMNS": "80", **variables}
    for name in ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME"):
        environment.pop(name, None)
    return subprocess.run(  # noqa: S603  the installers and our own program
        [str(word) for word in words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
    )


def install(words: Sequence[str | Path], folder: Path, **variables: str) -> None:
    """Run an installer, which keeps the user's own settings of its index."""
    home = {name: value for name in ("HOME", "XDG_CONFIG_HOME") if (value := os.environ.get(name))}
    ended = ran(words, folder, INSTALL_SECONDS, **{**home, **variables})
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("dist"))[0]


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of uv and pipx, in the newest versions."""
    folder = tmp_path_factory.mktemp("tools")
    install([sys.executable, "-m", "venv", folder], folder)
    install([folder / "bin" / "pip", "install", "--quiet", "uv", "pipx"], folder)
    return folder / "bin"


@pytest.fixture(params=PYTHONS)
def python(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A Python on the path that can make environments."""
    found = shutil.which(request.param)
    if found is None or ran([found, "-c", "import ensurepip, venv"], tmp_path, RUN_SECONDS).returncode:
        pytest.skip(f"no working {request.param} on the path")
    return found


def check(program: Path, folder: Path, add: Callable[[str], None]) -> None:
    """What a fresh reader does first; `add` runs the line that a missing extra names."""
    assert ran([program, "--version"], folder, RUN_SECONDS).stdout == f"sellctl {__version__}\n"
    demo = ran([program, "demo"], folder, DEMO_SECONDS)
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert re.search(r"(\d+) of \1 expectations met", demo.stderr), demo.stderr
    assert ran([program, "config", "init", "mine.yml"], folder, RUN_SECONDS).returncode == 0
    assert (folder / "mine.yml").read_text() == (ROOT / "config.example.yml").read_text()
    without = ran([program, "token", "secret"], folder, RUN_SECONDS)
    assert without.returncode == 2
    [line] = re.findall(r"^sellctl: The control API needs the extra api, .* Run: (.*)$", without.stderr, re.MULTILINE)
    add(line)
    assert len(ran([program, "token", "secret"], folder, RUN_SECONDS).stdout) > 32


def test_pip_installs_it_into_a_virtual_environment(python: str, wheel: Path, tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    install([python, "-m", "venv", environment], tmp_path)
    install([environment / "bin" / "pip", "install", "--quiet", wheel], tmp_path)
    check(environment / "bin" / "sellctl", tmp_path, lambda line: install(shlex.split(line), tmp_path))


def test_uv_installs_it_as_a_tool(python: str, wheel: Path, tools: Path, tmp_path: Path) -> None:
    places = {"UV_TOOL_DIR": str(tmp_path / "tools"), "UV_TOOL_BIN_DIR": str(tmp_path / "bin")}
    install([tools / "uv", "tool", "install", "--quiet", "--python", python, wheel], tmp_path, **places)
    places["PATH"] = f"{tools}{os.pathsep}{os.environ['PATH']}"
    check(tmp_path / "bin" / "sellctl", tmp_path, lambda line: install(shlex.split(line), tmp_path, **places))


def test_pipx_installs_it(python: str, wheel: Path, tools: Path, tmp_path: Path) -> None:
    places = {"PIPX_HOME": str(tmp_path / "pipx"), "PIPX_BIN_DIR": str(tmp_path / "bin")}
    install([tools / "pipx", "install", "--quiet", "--python", python, wheel], tmp_path, **places)
    places["PATH"] = f"{tools}{os.pathsep}{os.environ['PATH']}"
    check(tmp_path / "bin" / "sellctl", tmp_path, lambda line: install(shlex.split(line), tmp_path, **places))


def test_the_sdist_installs_too(python: str, tmp_path: Path) -> None:
    _, sdist = build(tmp_path / "dist")
    environment = tmp_path / "environment"
    install([python, "-m", "venv", environment], tmp_path)
    install([environment / "bin" / "pip", "install", "--quiet", sdist], tmp_path)
    assert ran([environment / "bin" / "sellctl", "sim", "--check"], tmp_path, RUN_SECONDS).returncode == 0
