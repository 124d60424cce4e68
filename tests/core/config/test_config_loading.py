"""Where the configuration is looked for, what a valid one becomes, and where each value came from."""

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from sellctl.core.config.schema import AssetKind, Config, StockFeed
from sellctl.core.config_manager import ConfigManager, LoadedConfig, state_dir
from sellctl.core.errors import ConfigError

Load = Callable[[str], LoadedConfig]
Write = Callable[..., Path]
Rules = Callable[[str], str]

RULES = """\
sell_module:
  enabled: true                # false: read commands work; watch and run-once say so and exit 0
  check_interval: 5            # seconds between checks
  order_cancel_minutes: 3      # cancel sell orders older than this
  zero_day_handling: true      # force-close options that expire today
  strategy_one:
    enabled: true
    profit_rate: 1.1           # price / entry: +10% take profit
    stop_loss_rate: 0.8        # price / entry: -20% stop loss
"""


def test_a_block_of_every_basic_rule_equals_the_defaults(load: Load, main_account: str) -> None:
    loaded = load(main_account + RULES)
    assert loaded.config == Config(accounts=loaded.config.accounts)
    assert loaded.warnings == ()


def test_every_value_says_where_it_came_from(load: Load, main_account: str) -> None:
    rows = {row.key: row for row in load(main_account + RULES).show()}
    assert rows["sell_module.strategy_one.profit_rate"].origin == "config.yml:12"
    assert rows["sell_module.strategy_one.applies_to"].origin == "default"
    assert rows["accounts.main.api_key"].origin == "config.yml:3, environment KEY"


def test_values_arrive_in_their_units(load: Load, main_account: str) -> None:
    rules = load(
        f"{main_account}sell_module:\n  check_interval: 1m30s\n  order_cancel_minutes: 2.5\n"
        "  zero_day:\n    start: open\n    eager: 1h\n    final: 55\n    broad_etfs: {symbols: []}\n"
        "  strategy_one: {applies_to: [stock, option]}\n"
        "  manage: {exclude: [{symbol: [tsla, NO], account: main}]}\n"
    ).config.sell_module
    assert rules.check_interval == dt.timedelta(seconds=90)
    assert rules.order_cancel_minutes == Decimal("2.5")
    assert rules.zero_day.start is None
    assert rules.zero_day.eager == dt.timedelta(hours=1)
    assert rules.zero_day.final == dt.timedelta(minutes=55)
    assert rules.zero_day.broad_etfs.symbols == ()
    assert rules.strategy_one.applies_to == (AssetKind.STOCK, AssetKind.OPTION)
    assert rules.manage.exclude[0].symbol == ("TSLA", "NO")
    assert rules.manage.exclude[0].account == ("main",)


def test_a_list_may_be_a_single_word(load: Load, rules: Rules) -> None:
    config = load(
        rules("strategy_one: {applies_to: stock}") + "market_data: {accounts: main, stock_feed: IEX}\n"
    ).config
    assert config.sell_module.strategy_one.applies_to == (AssetKind.STOCK,)
    assert config.market_data.accounts == ("main",)
    assert config.market_data.stock_feed is StockFeed.IEX


def test_auto_takes_every_account(load: Load, main_account: str) -> None:
    assert load(f"{main_account}market_data: {{accounts: auto}}\n").config.market_data.accounts is None


def test_a_section_with_every_key_commented_out_has_the_defaults(load: Load, main_account: str) -> None:
    loaded = load(f"{main_account}    endpoints:\nsell_module:\n  strategy_one:\n    # profit_rate: 1.2\n")
    assert loaded.config == Config(accounts=loaded.config.accounts)


@pytest.mark.parametrize(
    ("interval", "written", "age"),
    [("5", "15s", 15), ("10", "15s", 20), ("10", "60s", 60), ("20", "5s", 40)],
)
def test_a_position_may_be_two_checks_old(load: Load, rules: Rules, interval: str, written: str, age: int) -> None:
    loaded = load(rules(f"check_interval: {interval}\n  max_position_age: {written}"))
    assert loaded.config.sell_module.max_position_age == dt.timedelta(seconds=age)


def test_a_stretched_position_age_says_why(load: Load, rules: Rules) -> None:
    origins = {row.key: row.origin for row in load(rules("check_interval: 10")).show()}
    assert origins["sell_module.max_position_age"] == "2 x check_interval"


def test_an_account_named_no_is_not_false(load: Load) -> None:
    assert list(load("accounts:\n  NO: {api_key: k, secret_key: s}\n").config.accounts) == ["NO"]


def test_windows_line_ends_and_a_byte_order_mark_are_fine(load: Load, main_account: str) -> None:
    assert list(load("\ufeff" + main_account.replace("\n", "\r\n")).config.accounts) == ["main"]


def test_the_option_wins_over_the_variable_the_folder_and_the_users_file(
    write: Write, main_account: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = write(main_account, name="XDG_CONFIG_HOME/sellctl/config.yml")
    assert ConfigManager().load().path == users
    write(main_account)
    assert ConfigManager().load().path == Path("config.yml")
    monkeypatch.setenv("SELLCTL_CONFIG", str(write(main_account, name="variable.yml")))
    assert ConfigManager().load().path == tmp_path / "variable.yml"
    option = write(main_account, name="option.yml")
    assert ConfigManager(option).load().path == option


def test_a_named_file_that_is_missing_is_an_error_even_with_keys_at_hand(
    write: Write, main_account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(main_account)
    with pytest.raises(ConfigError, match=r"There is no file gone\.yml\. Write one: sellctl init --out gone\.yml"):
        ConfigManager(Path("gone.yml")).load()
    monkeypatch.setenv("SELLCTL_CONFIG", "away.yml")
    with pytest.raises(ConfigError, match=r"There is no file away\.yml\."):
        ConfigManager().load()


@pytest.mark.parametrize(
    ("key", "secret"), [("ALPACA_API_KEY", "ALPACA_SECRET_KEY"), ("APCA_API_KEY_ID", "APCA_API_SECRET_KEY")]
)
def test_a_key_pair_in_the_environment_makes_one_paper_account(
    monkeypatch: pytest.MonkeyPatch, key: str, secret: str
) -> None:
    monkeypatch.setenv(key, "PKFROMTHEENVIRONMENT")
    monkeypatch.setenv(secret, "secret-from-the-environment")
    loaded = ConfigManager().load()
    assert loaded.path is None
    assert list(loaded.config.accounts) == ["main"]
    assert loaded.config.accounts["main"].paper
    assert loaded.config.accounts["main"].secret_key == "secret-from-the-environment"  # noqa: S105  the test's own
    assert loaded.origins["accounts.main.api_key"] == f"environment {key}"


def test_a_file_with_rules_only_takes_the_key_pair_too(
    load: Load, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALPACA_API_KEY", "PKFROMTHEENVIRONMENT")
    monkeypatch.setenv("ALPACA_SECRET_KEY", "secret-from-the-environment")
    assert list(load(RULES).config.accounts) == ["main"]
    assert list(ConfigManager(write(RULES, mode=0o644)).load().config.accounts) == ["main"]


def test_half_a_key_pair_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALPACA_API_KEY", "PKFROMTHEENVIRONMENT")
    monkeypatch.setenv("ALPACA_SECRET_KEY", " ")
    with pytest.raises(ConfigError, match=r"ALPACA_API_KEY is set and ALPACA_SECRET_KEY isn't\. Run: export ALP"):
        ConfigManager().load()


def test_with_nothing_at_all_one_learns_three_ways_to_begin() -> None:
    with pytest.raises(ConfigError) as caught:
        ConfigManager().load()
    assert caught.value.sentence == "There is no configuration and no key in the environment."
    assert all(way in caught.value.hint for way in ("sellctl demo", "sellctl init", "export ALPACA_API_KEY"))


def test_state_lies_where_the_option_the_variable_or_the_system_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert state_dir() == tmp_path / "XDG_STATE_HOME" / "sellctl"
    monkeypatch.setenv("SELLCTL_STATE_DIR", "~/state")
    assert state_dir() == tmp_path / "HOME" / "state"
    assert state_dir(Path("here")) == tmp_path / "here"
    assert not any(tmp_path.iterdir())
