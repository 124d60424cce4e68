"""A quick start: help, completion and `config show` load no package that they don't need."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.start import HEAVY, QUICK, heavy_modules, loaded_by


@pytest.mark.parametrize("name", QUICK)
def test_a_quick_command_loads_no_heavy_package(name: str) -> None:
    assert heavy_modules(*QUICK[name]) == []


@pytest.mark.parametrize("command", [("--help",), ("config", "show")], ids=" ".join)
def test_neither_driver_nor_telemetry_loads_where_the_configuration_names_both(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    config = tmp_path / "config.yml"
    config.write_text(
        "accounts: {main: {api_key: key, secret_key: secret}}\n"
        "journal: {url: postgresql+psycopg://sellctl:password@localhost/journal}\n"
        "telemetry: {endpoint: 'http://127.0.0.1:4318', prometheus: true}\n"
    )
    config.chmod(0o600)
    assert {"opentelemetry", "prometheus_client", "psycopg"} <= set(HEAVY)
    assert heavy_modules(("--config", str(config), *command), {}) == []


def test_completing_a_symbol_reads_the_journal_without_the_network() -> None:
    loaded = loaded_by(*QUICK["completion of a symbol"])
    assert {"sellctl.journal.names", "sqlite3"} <= loaded
    assert {"aiohttp", "loguru", "sellctl.bootstrap", "sellctl.ui.render", *HEAVY} & loaded == set()


def test_the_demo_has_loaded_the_watcher_when_its_clock_starts() -> None:
    """Modules that load later cost simulated minutes, in which exits are missed on a slow machine."""
    load = "import sellctl.app, sys; from sellctl.commands.demo import load_watcher"
    before = f"{load}; load_watcher(); print(*sys.modules)"
    after = "import sellctl.app as a; import sys\ntry: a.app(['demo', '--speed', '3000'])\nfinally: print(*sys.modules)"
    ready, played = (modules_printed_by(code) for code in (before, after))
    watcher = (
        "sellctl.core",
        "sellctl.alpaca",
        "sellctl.bootstrap",
        "sellctl.journal",
        "sellctl.service",
        "sellctl.ui",
    )
    assert {module for module in played - ready if module.startswith(watcher)} == set()


def modules_printed_by(code: str) -> set[str]:
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)  # noqa: S603  ours
    return set(ended.stdout.splitlines()[-1].split())


def test_help_loads_neither_the_core_nor_the_face() -> None:
    late = {
        "sellctl.core.model.plan",
        "sellctl.core.config.schema",
        "sellctl.bootstrap",
        "sellctl.ui.render",
        "asyncio",
        *HEAVY,
    }
    assert late & loaded_by(*QUICK["help"]) == set()


_MODULES_AT_THE_FIRST_LINE = """
import os, sys

class FirstLine:
    def write(self, text):
        if isinstance(text, bytes):
            raise TypeError("this is a stream of text")
        if not text:
            return
        print(text.strip(), *sorted(sys.modules), sep="\\n", file=sys.stdout, flush=True)
        os._exit(0)

    def flush(self):
        pass

sys.stderr = FirstLine()
sys.argv[0] = "sellctl"
from sellctl.app import main

main()
"""


def test_the_demo_prints_its_first_line_before_it_loads_anything_heavy() -> None:
    late = {"sellctl.sim.server", "sellctl.bootstrap", "uvicorn", "aiohttp", "rich", "yaml", "asyncio", *HEAVY}
    ended = subprocess.run(  # noqa: S603  our own interpreter
        [sys.executable, "-c", _MODULES_AT_THE_FIRST_LINE, "demo"], capture_output=True, text=True, check=True
    )
    line, *loaded = ended.stdout.splitlines()
    assert line.startswith("sellctl demo: the real watcher against a simulated Alpaca.")
    assert late & set(loaded) == set()
