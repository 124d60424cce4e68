"""The cases of real watchers: each has a configuration that loads, and its output blocks whoever writes to it."""

import os
import select
from pathlib import Path

import pytest

from faults.real_watch import BEHAVIOURS, CASES, SCENARIO, configure, full_pipe
from sellctl.core.config_manager import ConfigManager
from sellctl.sim.scenario.reader import parse_scenario
from sellctl.sim.server import SimServer
from sellctl.user_strategies.entries import own_strategies


@pytest.mark.parametrize("case", CASES)
def test_the_configuration_of_each_case_loads_with_its_strategy(case: str, tmp_path: Path) -> None:
    with SimServer(parse_scenario(SCENARIO.format(falls_at=4, fallen_at=5)), speed=0) as server:
        configure(tmp_path, server, case)
    strategies = own_strategies(ConfigManager(tmp_path / "config.yml").load())
    assert len(strategies) == (case in BEHAVIOURS)


def test_a_full_pipe_takes_nothing_more() -> None:
    with full_pipe() as writer:
        assert select.select([], [writer], [], 0) == ([], [], [])
        assert os.get_blocking(writer)
