"""Every mistake in a file is one sentence with its place and what to do about it."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sellctl.core.config.reader import ConfigReader
from sellctl.core.config.reference import example_text
from sellctl.core.config.yaml_nodes import Table, parse
from sellctl.core.config_manager import ConfigManager, LoadedConfig
from sellctl.core.errors import ConfigError
from sellctl.core.exit_codes import ExitCode

Refuse = Callable[[str], ConfigError]
Load = Callable[[str], LoadedConfig]
Rules = Callable[[str], str]

DAMAGE = ["", "x", "[]", "{}", "[[]]", "{a: b}", "[{a: b}]", "[~]", "1.1", "open", "auto", "{options: {a: b}}"]

RATIOS = [
    ("profit_rate: 10%", "'10%' is a percentage where a ratio is meant.", "+10% is 1.1"),
    ("profit_rate: 0.9", "0.9 isn't above 1", "+10% is 1.1"),
    ("profit_rate: 1", "1 isn't above 1", "+10% is 1.1"),
    ("profit_rate: NaN", "'NaN' isn't a number.", "plain number"),
    ("profit_rate: 1e3", "'1e3' isn't a number.", "plain number"),
    ("profit_rate: .inf", "'.inf' isn't a number.", "plain number"),
    ('profit_rate: "1,1"', "'1,1' isn't a number.", "decimal point"),
    ("profit_rate: [1.1]", "takes one value", "profit_rate: value"),
    ("profit_rate:", "profit_rate is empty.", "Give it a value"),
    ("stop_loss_rate: 20", "20 isn't between 0 and 1", "-20% is 0.8"),
    ("stop_loss_rate: -20", "-20 isn't between 0 and 1", "-20% is 0.8"),
    ("stop_loss_rate: 1.2", "1.2 isn't between 0 and 1", "-20% is 0.8"),
    ("stop_loss_rate: 0", "0 isn't between 0 and 1", "-20% is 0.8"),
    ("stop_loss_rate: -20%", "'-20%' is a percentage", "-20% is 0.8"),
    ("applies_to: []", "is an empty list", "Name at least one"),
    ("applies_to: bond", "'bond' isn't allowed.", "Use option or stock."),
    ("enabled: maybe", "'maybe' is neither true nor false.", "true or false"),
    ("enabled: NO", "'NO' is neither true nor false.", "Write false."),
]

VALUES = [
    ("check_interval: 1:30", "'1:30' isn't a duration.", "5m, 1h30m"),
    ("check_interval: 0", "0s isn't between 1s and 1h", "5s is usual"),
    ("check_interval: 2h", "2h isn't between 1s and 1h", "5s is usual"),
    ("check_interval: -5", "'-5' isn't a duration.", "15s"),
    ("check_interval: 5 minutes", "isn't a duration.", "15s"),
    ("max_position_age: 0s", "shorter than 1s", "15s is usual"),
    ("order_cancel_minutes: 0", "0 isn't above 0", "is in minutes"),
    ("order_cancel_minutes: 3m", "'3m' isn't a number.", "plain number"),
    ("order_cancel_scope: mine", "'mine' isn't allowed.", "Use sells, own or all."),
    ("zero_day: {eager: 70m}", "start (65m) comes after eager (70m)", "start >= eager >= final"),
    ("zero_day: {final: 60m}", "eager (58m) comes after final (1h)", "start >= eager >= final"),
    ("zero_day: {final: 40m}", "final: 40m is too late", "at least 46m"),
    ("check_interval: 10m", "10m is longer than the time from zero_day.final to Alpaca's cutoff", "at most 5m"),
    ("zero_day: {start: 9h}", "longer than a session", "start: open"),
    ("zero_day: {broad_etfs: {final: 30}}", "broad_etfs.final: 30m is too late", "at least 31m"),
    ("zero_day: {broad_etfs: {eager: 10}}", "eager (10m) comes after final (35m)", "start >= eager"),
    ("manage: {exclude: [TSLA]}", "exclude[0] has no keys", "symbol, underlying or account"),
    ("manage: {exclude: [{}]}", "exclude[0] has no keys", "symbol, underlying or account"),
    ("manage: {exclude: [~]}", "exclude[0] has no keys", "symbol, underlying or account"),
    ("strategies: [{options: a, rules: {max_hold: 1d}}]", "'options' isn't a key in", "name, use, match, rules"),
    ("manage: {exclude: [{symbol: []}]}", "is an empty list", "Name at least one"),
    ("manage: {exclude: [{symbol: 'a b'}]}", "'a b' isn't a symbol", "SPY"),
    ("manage: {exclude: [{account: other}]}", "names 'other', which isn't in accounts", "Known: main"),
    ("strategy_one: 1.1", "takes keys of its own, not a value", "profit_rate"),
    ("strategi: []", "'strategi' isn't a key in sell_module.", "strateg"),
    ("chekc_interval: 5", "'chekc_interval' isn't a key in sell_module.", "Did you mean check_interval?"),
    ("profit_rate: 1.1", "'profit_rate' isn't a key in sell_module.", "belongs under sell_module.strategy_one"),
    ("market_data: {}", "'market_data' isn't a key", "belongs at the top level"),
    ("zzz: 1", "'zzz' isn't a key", "Known here: enabled"),
]


@pytest.mark.parametrize(("line", "sentence", "hint"), RATIOS)
def test_a_wrong_ratio_is_one_sentence_and_the_right_way(
    refuse: Refuse, rules: Rules, line: str, sentence: str, hint: str
) -> None:
    error = refuse(rules(f"strategy_one:\n    {line}"))
    assert error.sentence.startswith("config.yml:7:")
    assert sentence in error.sentence
    assert hint in error.hint
    assert "\n" not in str(error)


@pytest.mark.parametrize(("line", "sentence", "hint"), VALUES)
def test_a_wrong_value_is_one_sentence_and_the_right_way(
    refuse: Refuse, rules: Rules, line: str, sentence: str, hint: str
) -> None:
    error = refuse(rules(line))
    assert error.sentence.startswith("config.yml:6:")
    assert sentence in error.sentence
    assert hint in error.hint
    assert error.exit_code is ExitCode.USAGE


WHOLES = [
    ("", "This file is empty.", "sellctl init"),
    ("# only a comment\n", "This file is empty.", "sellctl init"),
    ("- a\n- b\n", "This file has no keys.", "accounts:"),
    ("just words\n", "This file has no keys.", "accounts:"),
    ("sell_module:\n\tenabled: true\n", "A tab can't indent YAML.", "Use spaces."),
    ("sell_module: [1, 2\n", "This isn't valid YAML", "the one above it"),
    ("sell_module: {}\n---\nsell_module: {}\n", "A second document starts here.", "Delete the ---"),
    ("sell_module: \x07\n", "A character here isn't printable.", "UTF-8"),
    ("accounts: &a {}\nmarket_data: *a\n", "An alias (*name) isn't supported.", "Write the value out."),
    ("a: " + "[" * 200 + "]" * 200, "nested too deeply", "No key is that deep."),
    ("sell_module: {}\n", "There are no accounts.", "ALPACA_API_KEY"),
    ("accounts: {}\n", "accounts is empty.", "api_key and secret_key"),
    ("accounts:\n", "accounts is empty.", "api_key and secret_key"),
    ("accounts: main\n", "accounts takes a name and keys below it.", "main:"),
    ("accounts: {main: key}\n", "accounts.main takes keys of its own.", "api_key and secret_key"),
    ("accounts:\n  main:\n    api_key: ${KEY}\n", "accounts.main has no secret_key.", "${ALPACA_SECRET_KEY}"),
    ("accounts: {auto: {}}\n", "This can't be the name of an account.", "32 letters"),
]


@pytest.mark.parametrize(("text", "sentence", "hint"), WHOLES)
def test_a_file_that_is_wrong_as_a_whole_says_so_once(refuse: Refuse, text: str, sentence: str, hint: str) -> None:
    error = refuse(text)
    assert sentence in error.sentence
    assert hint in error.hint


def test_a_file_that_is_not_text_says_so(tmp_path: Path) -> None:
    path = tmp_path / "config.yml"
    path.write_bytes(b"\xff\xfe\x00a")
    with pytest.raises(ConfigError, match=r"config\.yml isn't UTF-8 text\. Save it as UTF-8\."):
        ConfigManager().load()


def test_a_folder_given_as_the_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't be read: Is a directory"):
        ConfigManager(tmp_path).load()


def test_a_key_that_stands_twice_names_both_lines(refuse: Refuse, main_account: str) -> None:
    error = refuse(f"{main_account}execution:\n  style: smart\n  style: market\n")
    assert error.sentence == "config.yml:7:3: 'style' is a duplicate; the first is on line 6."
    assert error.hint == "Keep one of them."


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.system ['true']", "!secret x", "!!binary aGk="])
def test_a_tag_never_makes_an_object(refuse: Refuse, main_account: str, tag: str) -> None:
    assert "A tag (!name) isn't supported." in str(refuse(f"{main_account}execution: {{style: {tag}}}\n"))


def test_all_mistakes_are_named_at_once_in_the_order_of_their_lines(refuse: Refuse) -> None:
    error = refuse(
        "acounts: {}\nsell_module:\n  check_interval: 1:30\n  strategy_one: {profit_rate: 10%, stop_loss_rate: -20}\n"
    )
    head, *lines = str(error).splitlines()
    assert head == "config.yml has 5 problems:"
    assert [line.split(":")[1] for line in lines[1:]] == ["1", "3", "4", "4"]
    assert "There are no accounts." in lines[0]
    assert "Did you mean accounts?" in lines[1]


def test_a_missing_key_hides_no_other_mistake(refuse: Refuse) -> None:
    error = refuse(
        "accounts:\n  main: {api_key: '${GONE}'}\n  off: {enabled: no}\n"
        "notify: [{kinds: filled}]\nmarket_data: {accounts: mian}\nsell_module: {strategy_one: {profit_rate: 0.9}}\n"
    )
    assert "The secret is empty" not in str(error)
    for sentence in (
        "2:9: accounts.main has no secret_key.",
        "GONE isn't set",
        "enabled: 'no' is neither true nor false.",
        "names 'mian', which isn't in accounts",
        "profit_rate: 0.9 isn't above 1",
    ):
        assert sentence in str(error)


def test_a_mistake_in_a_table_of_steps_has_the_line_of_its_step(refuse: Refuse, rules: Rules) -> None:
    table = "roi_table:\n            0: 100%\n            60m: 1.1\n            soon: 10%"
    error = refuse(rules(f"strategies:\n    - name: mine\n      rules:\n          {table}"))
    assert "config.yml:11:18: gain: '1.1' could be 1.1% or 110%." in str(error)
    assert "config.yml:12:13: after: 'soon' isn't a duration." in str(error)


def test_a_missing_key_of_a_rule_says_how_it_is_written(refuse: Refuse, rules: Rules) -> None:
    error = refuse(rules("strategies: [{rules: {trailing_stop: {activation: 30%}}}]"))
    assert "sell_module.strategies[0].rules.trailing_stop has no trail." in error.sentence
    assert error.hint == "Add it, 15pt or 10%."


def test_the_same_section_in_two_places_is_checked_in_both(refuse: Refuse, load: Load, main_account: str) -> None:
    error = refuse(f"{main_account}execution: {{walk: {{profit: 1, time: [2]}}}}\n")
    assert "walk.profit takes keys of its own" in str(error)
    assert "walk.time takes keys of its own" in str(error)
    walk = load(f"{main_account}execution:\n  walk:\n    profit:\n    time:\n").config.execution.walk
    assert walk.time == walk.profit


@given(st.lists(st.tuples(st.integers(0, 97), st.sampled_from(DAMAGE)), min_size=1, max_size=4))
def test_any_damage_ends_in_a_configuration_or_in_sentences(damage: list[tuple[int, str]]) -> None:
    lines = [*_every_key().splitlines()]
    for place, value in damage:
        index = place % len(lines)
        lines[index] = f"{lines[index].partition(':')[0]}: {value}"
    node, problems = parse("\n".join(lines))
    if not isinstance(node, Table):
        assert problems
        return
    reader = ConfigReader()
    reader.read(node)
    for problem in reader.problems:
        assert problem.location
        assert problem.hint
        assert re.fullmatch(r"\S.*[^ ]\.", problem.sentence)


def _every_key() -> str:
    _head, body = example_text().split("\n\n", 1)
    return "\n".join(
        line[: len(line) - len(line.lstrip())] + line.lstrip().removeprefix("# ") for line in body.splitlines()
    )


def test_hundreds_of_mistakes_fit_on_a_screen(refuse: Refuse) -> None:
    lines = str(refuse("".join(f"nonsense{index}: 1\n" for index in range(500)))).splitlines()
    assert len(lines) == 32
    assert lines[-1].strip() == "... and 471 more"


def test_an_unknown_account_for_quotes_is_named(refuse: Refuse, main_account: str) -> None:
    error = refuse(f"{main_account}market_data: {{accounts: [main, mian]}}\n")
    assert "market_data.accounts names 'mian', which isn't in accounts." in error.sentence
    assert error.hint == "Known: main."


def test_an_account_for_quotes_has_to_be_enabled(refuse: Refuse, main_account: str) -> None:
    off = "  off: {enabled: false, api_key: a, secret_key: b}\n"
    assert "off, which isn't enabled" in str(refuse(f"{main_account}{off}market_data: {{accounts: off}}\n"))


def test_without_an_enabled_account_there_is_nothing_to_do(refuse: Refuse, main_account: str) -> None:
    error = refuse(f"{main_account}    enabled: false\n")
    assert "No account is enabled." in error.sentence
    assert error.hint == "Set enabled: true on one."


def test_the_same_key_in_two_accounts_is_refused(refuse: Refuse, main_account: str) -> None:
    error = refuse(f"{main_account}  again: {{api_key: '${{KEY}}', secret_key: '${{SECRET}}'}}\n")
    assert "accounts.again has the same api_key as accounts.main." in error.sentence


ENDPOINTS = [
    ("trading: localhost:9001", "isn't a full address", "https://host:port"),
    ("trading: ws://localhost:9001", "isn't a full address", "https://host:port"),
    ("trading: http://localhost:port", "isn't a full address", "https://host:port"),
    ("trading: 'http://[::1]evil.com:9001'", "isn't a full address", "https://host:port"),
    ("trading: http://localhost:9001/v2", "a version, which sellctl adds itself", "Leave out the path."),
    ("data: http://user:mellon@localhost:9001", "more than an address", "Leave out user"),
    ("stock_stream: http://localhost:9001", "isn't a full address", "wss://host:port"),
]


@pytest.mark.parametrize(("line", "sentence", "hint"), ENDPOINTS)
def test_a_wrong_endpoint_is_one_sentence_and_the_right_way(
    refuse: Refuse, main_account: str, line: str, sentence: str, hint: str
) -> None:
    error = refuse(f"{main_account}    endpoints:\n      {line}\n")
    assert error.sentence.startswith("config.yml:6:7: ")
    assert sentence in error.sentence
    assert hint in error.hint
    assert "mellon" not in str(error)


WARNINGS = [
    ("strategy_one: {stop_loss_rate: 0.2}", "stop_loss_rate: 0.2 doesn't stop a loss before -80%."),
    ("strategy_one: {profit_rate: 110}", "profit_rate: 110 sells at +10900%."),
    ("strategy_one: {enabled: false}", "there is no profit or stop rule"),
    ("enabled: false", "watch and run-once do nothing"),
]


@pytest.mark.parametrize("url", ["https://api.alpaca.markets", "https://API.Alpaca.markets.:443/", "${LIVE}"])
def test_a_paper_account_can_not_have_the_address_for_real_money(
    refuse: Refuse, load: Load, main_account: str, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("LIVE", "https://api.alpaca.markets")
    endpoints = f"    endpoints: {{trading: '{url}'}}\n"
    error = refuse(f"{main_account}{endpoints}")
    assert "account main has paper: true, and its endpoints.trading is Alpaca's for real money." in error.sentence
    assert load(f"{main_account}{endpoints}    paper: false\n").config.accounts["main"].endpoints.trading


@pytest.mark.parametrize(("line", "sentence"), WARNINGS)
def test_an_odd_value_loads_with_a_warning(load: Load, rules: Rules, line: str, sentence: str) -> None:
    (warning,) = load(rules(line)).warnings
    assert warning.startswith("config.yml:6:")
    assert sentence in warning


def test_a_key_of_the_other_side_real_money_and_an_open_line_are_warned_of(
    load: Load, main_account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "looks like a paper key, and paper is false" in load(f"{main_account}    paper: false\n").warnings[0]
    assert "real money" in load(f"{main_account}    paper: false\n").warnings[1]
    monkeypatch.setenv("KEY", "AKTESTTESTTESTTESTTE")
    assert "looks like a live key, and paper is true" in load(main_account).warnings[0]
    open_line = f"{main_account}    endpoints: {{trading: 'http://example.com'}}\n"
    assert "keys and orders go to example.com unencrypted" in load(open_line).warnings[0]


@pytest.mark.parametrize("text", ['a: "\\U00110000"\n', f"%YAML {'1' * 5000}.1\n---\na: b\n"])
def test_a_number_that_the_yaml_library_does_not_check_is_a_problem_as_any_other(text: str) -> None:
    node, problems = parse(text)
    assert node is None
    assert [each.sentence for each in problems] == [
        "This isn't valid YAML: a number in an escape sequence or a directive is too large."
    ]
