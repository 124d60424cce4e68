"""The example file, the reference page and the JSON schema agree with the program."""

import json
from pathlib import Path

import jsonschema_rs
import pytest
import yaml

from sellctl.core.config import reference
from sellctl.core.config.schema import Config
from sellctl.core.config_manager import ConfigManager

ROOT = Path(__file__).parents[3]
REWRITE = "python -m sellctl.core.config.reference rewrites it"


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALPACA_API_KEY", "PKTESTTESTTESTTESTTE")
    monkeypatch.setenv("ALPACA_SECRET_KEY", "secret")


def uncommented(text: str) -> str:
    """The example with every commented key in force."""
    _head, body = text.split("\n\n", 1)
    return "\n".join(map(_without_mark, body.splitlines()))


def _without_mark(line: str) -> str:
    indent = line[: len(line) - len(line.lstrip())]
    return indent + line.lstrip().removeprefix("# ")


def test_the_example_file_is_the_generated_one() -> None:
    assert (ROOT / "config.example.yml").read_text(encoding="utf-8") == reference.example_text(), REWRITE


def test_the_reference_page_is_the_generated_one() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert page == reference.reference_markdown(), REWRITE


@pytest.mark.parametrize("form", [str, uncommented])
def test_the_example_says_the_defaults(tmp_path: Path, form: type[str]) -> None:
    path = tmp_path / "example.yml"
    path.write_text(form(reference.example_text()), encoding="utf-8")
    loaded = ConfigManager(path).load()
    assert loaded.config == Config(accounts=loaded.config.accounts)
    assert loaded.warnings == ()


def test_the_example_names_every_key(tmp_path: Path) -> None:
    path = tmp_path / "example.yml"
    path.write_text(uncommented(reference.example_text()), encoding="utf-8")
    loaded = ConfigManager(path).load()
    assert [row.key for row in loaded.show() if row.origin == "default"] == []


def test_the_reference_names_every_key_of_the_example() -> None:
    page = reference.reference_markdown()
    names = [row.key for row in ConfigManager(ROOT / "config.example.yml").load().show()]
    assert [name for name in names if f"| `{name.rpartition('.')[2]}` |" not in page] == [
        "sell_module.structures",
        "sell_module.manage.exclude",
        "sell_module.strategies",
        "notify",
    ]
    assert "## `sell_module.strategies[].rules`" in page
    assert "## `sell_module.manage.exclude[]`" in page


def test_the_schema_takes_the_example_and_refuses_what_the_program_refuses() -> None:
    validator = jsonschema_rs.Draft202012Validator(json.loads(json.dumps(reference.json_schema())))
    example = yaml.safe_load(uncommented(reference.example_text()))
    assert validator.is_valid(example)
    assert not validator.is_valid({"acounts": {}})
    assert not validator.is_valid({"accounts": {}})
    assert not validator.is_valid({"accounts": {"main": {"api_key": "a"}}})
    assert not validator.is_valid({"sell_module": {"strategy_one": {"profit_rate": "10%"}}})
    assert not validator.is_valid({"sell_module": {"check_interval": "1:30"}})
    assert validator.is_valid({"sell_module": {"zero_day": {"start": "open"}, "check_interval": 5}})
    for value in ("off", [], [{"name": "a-1", "legs": ["AAPL261218C00200000", "AAPL261218C00210000 x2"]}]):
        assert validator.is_valid({"sell_module": {"structures": value}})
    assert not validator.is_valid({"sell_module": {"structures": "on"}})
    for value in ("touched", {"within": "1%"}, None):
        assert validator.is_valid({"sell_module": {"strategies": [{"rules": {"short_strike": value}}]}})
    assert not validator.is_valid({"sell_module": {"strategies": [{"rules": {"short_strike": "near"}}]}})
