"""Where secrets may come from, what is refused, and that they never come out again."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sellctl.core.config_manager import ConfigManager, LoadedConfig
from sellctl.core.errors import ConfigError

Refuse = Callable[[str], ConfigError]
Load = Callable[[str], LoadedConfig]
Write = Callable[..., Path]

CANARY = "canary-Zx81-secret"


def with_secret(text: str) -> str:
    return f"accounts:\n  main:\n    api_key: ${{KEY}}\n    secret_key: {text}\n"


def secret_of(loaded: LoadedConfig) -> str:
    return loaded.config.accounts["main"].secret_key


def test_an_unset_variable_is_named(refuse: Refuse) -> None:
    error = refuse(with_secret("${GONE}"))
    assert error.sentence == "config.yml:4:5: accounts.main.secret_key: The environment variable GONE isn't set."
    assert error.hint == "Run: export GONE=..."


def test_an_empty_secret_is_refused_wherever_it_comes_from(
    refuse: Refuse, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMPTY", " ")
    write("\n", name="key")
    assert "The environment variable EMPTY is empty." in str(refuse(with_secret("${EMPTY}")))
    assert "secret_key is empty" in str(refuse(with_secret('""')))
    assert "secret_key is empty" in str(refuse(with_secret("")))
    assert "The secret is empty." in str(refuse(with_secret("file:key")))


@pytest.mark.parametrize("text", ["${", "${KEY", "${KEY}${", "${KEY:-x}", "${}", "$KEY"])
def test_a_reference_is_written_with_braces_and_a_name(refuse: Refuse, text: str) -> None:
    assert refuse(with_secret(f"'{text}'")).hint == "Write ${NAME}."


def test_a_variable_may_be_a_part_of_any_account_text(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "9001")
    endpoints = "    account_number: ${PORT}\n    endpoints: {trading: 'http://127.0.0.1:${PORT}'}\n"
    account = load(with_secret("${SECRET}") + endpoints).config.accounts["main"]
    assert account.endpoints.trading == "http://127.0.0.1:9001"
    assert account.account_number == "9001"


def test_a_secret_file_is_read_beside_the_configuration(load: Load, write: Write, tmp_path: Path) -> None:
    write(f"{CANARY}\n", name="keys/secret")
    assert secret_of(load(with_secret("file:keys/secret"))) == CANARY
    assert secret_of(load(with_secret(f"file:{tmp_path}/keys/secret"))) == CANARY


def test_a_secret_file_has_to_be_private_short_regular_and_there(refuse: Refuse, write: Write, tmp_path: Path) -> None:
    write(CANARY, name="open", mode=0o640)
    write("x" * 5000, name="long")
    error = refuse(with_secret("file:open"))
    assert f"Others can read the file {tmp_path / 'open'}." in error.sentence
    assert error.hint == f"Run: chmod 600 {tmp_path / 'open'}"
    assert "too long for a secret" in str(refuse(with_secret("file:long")))
    assert "There is no file" in str(refuse(with_secret("file:gone")))
    assert "There is no file" in str(refuse(with_secret("file:/dev/null")))
    assert "a user that doesn't exist" in str(refuse(with_secret("file:~nobody-of-this-name/x")))


@pytest.mark.parametrize("value", ["two words", "bell\\a", "höflich"])
def test_a_secret_that_no_header_can_carry_is_refused(refuse: Refuse, value: str) -> None:
    error = refuse(with_secret(f'"{value}"'))
    assert "printable" in str(error) or "isn't printable ASCII" in str(error)
    assert value not in str(error)


def test_a_literal_secret_needs_a_private_file(write: Write) -> None:
    path = write(with_secret(CANARY), mode=0o644)
    with pytest.raises(ConfigError) as caught:
        ConfigManager(path).load()
    assert caught.value.sentence == f"{path}:4:5: Others can read this file, and it holds a secret."
    assert caught.value.hint.startswith(f"Run: chmod 600 {path}.")
    assert CANARY not in str(caught.value)
    path.chmod(0o600)
    assert secret_of(ConfigManager(path).load()) == CANARY


def test_references_may_stand_in_a_file_that_everybody_reads(write: Write) -> None:
    assert ConfigManager(write(with_secret("${SECRET}"), mode=0o644)).load().warnings == ()


def test_the_literal_secret_of_a_disabled_account_counts_too(write: Write) -> None:
    text = with_secret("${SECRET}") + f"  off: {{enabled: false, api_key: '${{X}}', secret_key: {CANARY}}}\n"
    with pytest.raises(ConfigError, match="Others can read this file"):
        ConfigManager(write(text, mode=0o644)).load()


def test_a_disabled_account_is_not_looked_up(load: Load) -> None:
    off = "  off: {enabled: false, api_key: '${GONE}', secret_key: 'file:gone', endpoints: {data: '${GONE}'}}\n"
    loaded = load(with_secret("${SECRET}") + off)
    rows = {row.key: row.value for row in loaded.show()}
    assert rows["accounts.off.secret_key"] == "not read"
    assert loaded.secrets() == {"PKTESTTESTTESTTESTTE", "canary-secret-from-the-environment"}


def test_the_keyring_extra_is_asked_for_by_name(refuse: Refuse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    error = refuse(with_secret("keyring:sellctl/main"))
    assert "keyring:service/name needs the extra keyring, which isn't installed." in error.sentence
    assert error.hint.endswith("install 'sellctl[keyring]'")


def test_a_keyring_reference_has_a_service_and_a_name(refuse: Refuse) -> None:
    assert refuse(with_secret("keyring:sellctl")).hint == "Write keyring:service/name."


def test_a_mistake_never_repeats_a_secret_that_slipped(refuse: Refuse) -> None:
    slips = [
        f"accounts:\n  main:\n    api_key:{CANARY}\n",
        f"accounts:\n  main:\n    api_key:{CANARY}\n    secret_key:{CANARY}\n",
        f"accounts:\n  main:\n    secret_key: ${{{CANARY}\n    api_key: x\n",
        f"accounts:\n  main: {CANARY}\n",
        f"accounts: {{{CANARY * 3}: {{}}}}\n",
        f"accounts:\n  main:\n    {CANARY * 2}: x\n",
        f"accounts:\n  main:\n    api_key: *{CANARY}\n",
        f"accounts:\n  main:\n    api_key: !{CANARY} x\n",
        f"accounts:\n  main:\n    api_key: [{CANARY}]\n",
        f"accounts:\n  main:\n    api_key: file:{CANARY}/\x00\n",
    ]
    assert not [text for text in slips if CANARY in str(refuse(text))]


def test_the_configuration_shows_no_secret_when_printed(load: Load) -> None:
    loaded = load(with_secret(CANARY))
    assert CANARY not in repr(loaded)
    assert CANARY in loaded.secrets()
