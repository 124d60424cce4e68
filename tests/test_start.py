"""A quick start: help, completion and `config show` load no package that they don't need."""

import pytest

from benchmarks.start import HEAVY, QUICK, heavy_modules, loaded_by


@pytest.mark.parametrize("name", QUICK)
def test_a_quick_command_loads_no_heavy_package(name: str) -> None:
    assert heavy_modules(*QUICK[name]) == []


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
