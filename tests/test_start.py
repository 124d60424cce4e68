"""A quick start: help, completion and `config show` load no package that they don't need."""

import pytest

from benchmarks.start import HEAVY, QUICK, heavy_modules, loaded_by


@pytest.mark.parametrize("name", QUICK)
def test_a_quick_command_loads_no_heavy_package(name: str) -> None:
    assert heavy_modules(*QUICK[name]) == []


def test_completing_a_symbol_reads_the_journal_without_the_network() -> None:
    loaded = loaded_by(*QUICK["completion of a symbol"])
    assert {"sellctl.journal.names", "sqlite3"} <= loaded
    assert {"aiohttp", "loguru", "sellctl.bootstrap", "sellctl.ui.render", *HEAVY} & loaded == set()


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
