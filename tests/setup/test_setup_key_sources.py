"""Keys that were typed in are stored in the keyring or in private files, and taken back when setting up fails."""

from collections.abc import Iterator
from pathlib import Path

import keyring
import keyring.backend
import keyring.errors
import pytest

from sellctl.core.config.secrets import secret
from sellctl.core.errors import ConfigError
from sellctl.setup.key_sources import KeyStore, StoredKeys

API_KEY, SECRET = "PKTESTTESTTESTTESTTE", "canary-secret"


class FakeKeyring(keyring.backend.KeyringBackend):
    """A keyring in memory."""

    priority = 1

    def __init__(self, *, locked: bool = False) -> None:
        super().__init__()
        self.values: dict[tuple[str, str], str] = {}
        self.locked = locked

    def get_password(self, service: str, username: str) -> str | None:
        return self.values.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        if self.locked:
            raise keyring.errors.KeyringLocked
        self.values[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.values[service, username]


@pytest.fixture
def backend() -> Iterator[FakeKeyring]:
    before, fake = keyring.get_keyring(), FakeKeyring()
    keyring.set_keyring(fake)
    yield fake
    keyring.set_keyring(before)


def value_of(line: str, folder: Path) -> str:
    """The secret that a line of the configuration refers to."""
    return secret(line.partition(": ")[2], {}, folder).value


def test_the_keyring_is_taken_where_there_is_one(backend: FakeKeyring, tmp_path: Path) -> None:
    lines = StoredKeys("main", tmp_path).store(API_KEY, SECRET, KeyStore.AUTO)
    assert lines == ("api_key: keyring:sellctl/main-api_key", "secret_key: keyring:sellctl/main-secret_key")
    assert [value_of(line, tmp_path) for line in lines] == [API_KEY, SECRET]
    assert list(tmp_path.iterdir()) == []
    assert len(backend.values) == 2


def test_a_keyring_that_is_locked_leaves_files_unless_it_was_asked_for(backend: FakeKeyring, tmp_path: Path) -> None:
    backend.locked = True
    with pytest.raises(ConfigError, match=r"The keyring can't be used \(KeyringLocked\)."):
        StoredKeys("main", tmp_path).store(API_KEY, SECRET, KeyStore.KEYRING)
    lines = StoredKeys("main", tmp_path).store(API_KEY, SECRET, KeyStore.AUTO)
    assert [value_of(line, tmp_path) for line in lines] == [API_KEY, SECRET]


def test_a_key_that_the_keyring_has_already_is_not_replaced(backend: FakeKeyring, tmp_path: Path) -> None:
    backend.values["sellctl", "main-secret_key"] = "another"
    with pytest.raises(ConfigError, match="holds another sellctl/main-secret_key") as caught:
        StoredKeys("main", tmp_path).store(API_KEY, SECRET, KeyStore.KEYRING)
    assert SECRET not in str(caught.value)
    assert backend.values["sellctl", "main-secret_key"] == "another"


def test_a_key_that_was_there_before_is_not_taken_back(backend: FakeKeyring, tmp_path: Path) -> None:
    backend.values["sellctl", "main-api_key"] = API_KEY
    stored = StoredKeys("main", tmp_path)
    stored.store(API_KEY, SECRET, KeyStore.KEYRING)
    stored.undo()
    assert backend.values == {("sellctl", "main-api_key"): API_KEY}


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"main.api_key can't be written: No such file or directory\."):
        StoredKeys("main", tmp_path / "gone").store(API_KEY, SECRET, KeyStore.FILE)


def test_files_are_private_and_never_replace_one_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "main.api_key").write_text("another\n", encoding="utf-8")
    lines = StoredKeys("main", tmp_path).store(API_KEY, SECRET, KeyStore.FILE)
    assert lines == ("api_key: file:main-2.api_key", "secret_key: file:main.secret_key")
    assert (tmp_path / "main.secret_key").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "main.api_key").read_text(encoding="utf-8") == "another\n"


@pytest.mark.parametrize("where", [KeyStore.KEYRING, KeyStore.FILE])
def test_undo_takes_back_what_was_stored_and_nothing_else(
    backend: FakeKeyring, tmp_path: Path, where: KeyStore
) -> None:
    backend.values["other", "key"] = "kept"
    stored = StoredKeys("main", tmp_path)
    stored.store(API_KEY, SECRET, where)
    stored.undo()
    assert list(tmp_path.iterdir()) == []
    assert backend.values == {("other", "key"): "kept"}
