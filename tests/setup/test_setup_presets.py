"""Every preset is a configuration without a mistake."""

from pathlib import Path

import pytest

from sellctl.core.config_manager import ConfigManager
from sellctl.setup.config_file import Account, accounts_text, config_text, simulator_endpoints
from sellctl.setup.presets import PRESET_NAMES, PRESETS, Preset

ACCOUNT = Account("main", ("api_key: ${KEY}", "secret_key: ${SECRET}"), number="PA1")
ENVIRON = {"KEY": "PKTESTTESTTESTTESTTE", "SECRET": "s"}
CONFIG = Path("config.yml")


@pytest.mark.parametrize("preset", PRESETS, ids=PRESET_NAMES)
def test_a_preset_loads_and_warns_of_nothing_but_the_trailing_stop(preset: Preset) -> None:
    loaded = ConfigManager(environ=ENVIRON).load_text(config_text(ACCOUNT, preset), CONFIG)
    assert [strategy.name for strategy in loaded.config.sell_module.strategies]
    assert all("trailing_stop uses only the prices" in warning for warning in loaded.warnings)


@pytest.mark.parametrize("preset", PRESETS, ids=PRESET_NAMES)
def test_its_lines_fit_an_editor(preset: Preset) -> None:
    assert max(map(len, config_text(ACCOUNT, preset).splitlines())) <= 120
    assert len(f"1  {preset.name:<14}  {preset.summary}") <= 80


def test_an_account_alone_has_the_default_rules() -> None:
    loaded = ConfigManager(environ=ENVIRON).load_text(accounts_text(ACCOUNT), CONFIG)
    assert loaded.config.sell_module.strategies == ()
    assert loaded.config.accounts["main"].account_number == "PA1"
    assert not loaded.config.simulator


def test_a_simulator_is_one_with_all_its_endpoints() -> None:
    simulated = Account("main", ACCOUNT.key_lines, endpoints=simulator_endpoints("127.0.0.1:9001/"))
    config = ConfigManager(environ=ENVIRON).load_text(accounts_text(simulated), CONFIG).config
    assert config.simulator
    assert config.accounts["main"].endpoints.trading == "http://127.0.0.1:9001"
    assert config.accounts["main"].endpoints.option_stream == "ws://127.0.0.1:9001/v1beta1/indicative"
