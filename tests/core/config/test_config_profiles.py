"""An account may name a profile of Alpaca's own command line, which is read and never written."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sellctl.app import app
from sellctl.core.config.profiles import default_profile, profile_names
from sellctl.core.config_manager import ConfigManager, LoadedConfig
from sellctl.core.errors import ConfigError

Refuse = Callable[[str], ConfigError]
Load = Callable[[str], LoadedConfig]
Write = Callable[..., Path]

NAMED = "accounts:\n  main: {profile: paper}\n"
KEYS = "api_key: PKPROFILEPROFILE0001\nsecret_key: secret-of-the-profile\n"
OTHER = {"ALPACA_API_KEY": "PKENVIRONMENT0000001", "ALPACA_SECRET_KEY": "secret-of-the-environment"}


@pytest.fixture
def profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Writes a profile into a folder as Alpaca's command line makes it."""
    for name in ("ALPACA_PROFILE", "ALPACA_PAPER_TRADE", "ALPACA_API_KEY", "ALPACA_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "alpaca"
    (folder / "profiles").mkdir(parents=True)
    for each in (folder, folder / "profiles"):
        each.chmod(0o700)
    monkeypatch.setenv("ALPACA_CONFIG_DIR", str(folder))

    def write(text: str = KEYS, name: str = "paper", mode: int = 0o600) -> Path:
        path = folder / "profiles" / f"{name}.yaml"
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)
        return path

    return write


Profile = Callable[..., Path]


def test_an_account_uses_the_keys_of_its_profile_and_says_so(load: Load, profile: Profile) -> None:
    path = profile()
    loaded = load(NAMED)
    account = loaded.config.accounts["main"]
    assert (account.api_key, account.secret_key) == ("PKPROFILEPROFILE0001", "secret-of-the-profile")
    rows = {row.key: row for row in loaded.show()}
    assert rows["accounts.main.api_key"].value == "PKPR****"
    assert rows["accounts.main.secret_key"].value == "****"
    assert rows["accounts.main.secret_key"].origin == f"profile paper ({path})"
    assert loaded.secrets() >= {"PKPROFILEPROFILE0001", "secret-of-the-profile"}


def test_a_drawn_configuration_names_the_profile_without_its_path(
    write: Write, profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile()
    monkeypatch.setenv("COLUMNS", "80")
    shown = CliRunner().invoke(app, ["--config", str(write(NAMED)), "config", "show", "--format", "table"]).stdout
    line = next(line for line in shown.splitlines() if "secret_key" in line)
    assert line.split() == ["secret_key", "****", "profile", "paper"]
    assert "profiles/paper" not in "".join(shown.split())


def test_a_profile_is_read_and_never_written(load: Load, profile: Profile) -> None:
    path = profile()

    def seen() -> tuple[bytes, int, list[Path]]:
        return path.read_bytes(), path.stat().st_mtime_ns, sorted(path.parent.parent.rglob("*"))

    before = seen()
    load(NAMED)
    assert seen() == before


def test_without_a_folder_named_profiles_are_in_the_home_folder(
    load: Load, profile: Profile, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    profile()
    (tmp_path / ".config").mkdir()
    (tmp_path / "alpaca").rename(tmp_path / ".config" / "alpaca")
    monkeypatch.delenv("ALPACA_CONFIG_DIR")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load(NAMED).config.accounts["main"].api_key == "PKPROFILEPROFILE0001"


def test_the_pair_in_the_environment_wins_as_a_pair_with_a_warning(
    load: Load, profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile()
    for name, value in OTHER.items():
        monkeypatch.setenv(name, value)
    loaded = load(NAMED)
    account = loaded.config.accounts["main"]
    assert (account.api_key, account.secret_key) == tuple(OTHER.values())
    (warning,) = loaded.warnings
    assert warning.startswith("config.yml:2:10: accounts.main.profile: ALPACA_API_KEY holds another key than profile")
    assert {row.key: row.origin for row in loaded.show()}["accounts.main.api_key"].startswith("environment ALPACA_")


@pytest.mark.parametrize("name", OTHER)
def test_half_a_pair_in_the_environment_is_never_completed_from_the_profile(
    refuse: Refuse, profile: Profile, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    profile()
    monkeypatch.setenv(name, OTHER[name])
    missing = next(other for other in OTHER if other != name)
    error = refuse(NAMED)
    assert error.sentence == f"config.yml:2:10: accounts.main.profile: {name} is set and {missing} isn't."


def test_the_pair_in_the_environment_does_not_replace_the_profiles_of_two_accounts(
    refuse: Refuse, profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile()
    for name, value in OTHER.items():
        monkeypatch.setenv(name, value)
    error = refuse(f"{NAMED}  second: {{profile: second}}\n")
    assert "would replace the profiles of main and second." in error.sentence
    assert error.hint == "Unset ALPACA_API_KEY and ALPACA_SECRET_KEY."


LIVE = f"{KEYS}paper_trade: false\n"
WRONG = {
    "only a token": ("access_token: tok-canary\nscopes: [trading]\n", "has only a token (OAuth)", "key pair"),
    "half a pair": ("api_key: tok-canary\n", "has no secret_key", "key pair"),
    "no key": ("paper_trade: true\n", "has no api_key and no secret_key", "key pair"),
    "an empty file": ("", "has no api_key and no secret_key", "key pair"),
    "a secret like a tag": ("api_key: !tok-canary!x y\n", "paper.yaml:1:10: This isn't valid YAML", "the one above"),
    "no YAML": ("api_key: [tok-canary\n", "paper.yaml:2:1: This isn't valid YAML", "the one above"),
    "a word for a boolean": (
        f"{KEYS}paper_trade: tok-canary\n",
        "paper.yaml:3:14: paper_trade is neither true",
        "Corr",
    ),
    "a secret with a space": ("api_key: a\nsecret_key: tok-canary x\n", "a space or a character", "Copy it again"),
    "a live profile": (LIVE, "profile paper says live, and paper is true", "paper: false here, and --live"),
    "an older live profile": (f"{KEYS}environment: live\n", "says live, and paper is true", "--live"),
    "an even older one": (f"{KEYS}base_url: https://api.alpaca.markets\n", "says live, and paper is true", "--live"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_profile_that_cannot_be_used_is_one_sentence_with_the_line_of_the_configuration(
    refuse: Refuse, profile: Profile, case: str
) -> None:
    text, sentence, hint = WRONG[case]
    profile(text)
    error = refuse(NAMED)
    assert error.sentence.startswith("config.yml:2:")
    assert sentence in error.sentence
    assert hint in error.hint
    assert "canary" not in str(error)
    assert "\n" not in str(error)


@pytest.mark.parametrize(
    "extra", ["", "paper_trade: true\n", "environment: paper\n", "base_url: https://paper-api.alpaca.markets\n"]
)
def test_a_profile_is_for_paper_unless_it_says_live(load: Load, profile: Profile, extra: str) -> None:
    profile(KEYS + extra)
    assert load(NAMED).config.accounts["main"].paper


def test_a_live_profile_needs_paper_false(load: Load, refuse: Refuse, profile: Profile) -> None:
    profile(LIVE)
    assert not load("accounts:\n  main: {profile: paper, paper: false}\n").config.accounts["main"].paper
    profile()
    assert "says paper, and paper is false" in refuse("accounts:\n  main: {profile: paper, paper: false}\n").sentence


@pytest.mark.parametrize(
    ("said", "text", "kinds"), [("false", KEYS, ("live", "paper")), ("true", LIVE, ("paper", "live"))]
)
def test_a_variable_that_contradicts_the_profile_is_refused(
    refuse: Refuse, profile: Profile, monkeypatch: pytest.MonkeyPatch, *, said: str, text: str, kinds: tuple[str, str]
) -> None:
    profile(text)
    monkeypatch.setenv("ALPACA_PAPER_TRADE", said)
    assert f"ALPACA_PAPER_TRADE says {kinds[0]}, and profile paper is for {kinds[1]}." in refuse(NAMED).sentence


def test_the_variable_decides_about_the_pair_in_the_environment(
    load: Load, refuse: Refuse, profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile()
    for name, value in OTHER.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ALPACA_PAPER_TRADE", "true")
    assert load(NAMED).config.accounts["main"].paper
    monkeypatch.setenv("ALPACA_PAPER_TRADE", "no")
    assert "ALPACA_PAPER_TRADE says live, and paper is true." in refuse(NAMED).sentence


def test_what_others_can_read_is_refused_with_the_command_that_closes_it(refuse: Refuse, profile: Profile) -> None:
    path = profile(mode=0o640)
    error = refuse(NAMED)
    assert f"Others can read the file {path}." in error.sentence
    assert error.hint == f"Run: chmod 600 {path}"
    path.chmod(0o600)
    path.parent.chmod(0o755)
    error = refuse(NAMED)
    assert f"Others can read the folder {path.parent}." in error.sentence
    assert error.hint == f"Run: chmod 700 {path.parent}"


def test_an_unknown_profile_is_refused_with_those_that_exist(refuse: Refuse, profile: Profile) -> None:
    profile(name="swing")
    profile(name="income")
    error = refuse(NAMED)
    assert "There is no profile paper in " in error.sentence
    assert error.hint == "There are: income, swing."


@pytest.mark.parametrize("name", ["../config", "/etc/passwd", ".hidden", "a b"])
def test_the_name_of_a_profile_is_no_path(refuse: Refuse, profile: Profile, name: str) -> None:
    profile()
    assert "can't be the name of a profile." in refuse(f"accounts:\n  main: {{profile: '{name}'}}\n").sentence


def test_a_folder_of_a_user_that_does_not_exist_is_one_sentence(
    refuse: Refuse, profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile()
    monkeypatch.setenv("ALPACA_CONFIG_DIR", "~nobody-of-this-name/alpaca")
    assert "~nobody-of-this-name/alpaca/profiles doesn't exist." in refuse(NAMED).sentence


def test_a_profile_beside_a_key_is_refused(refuse: Refuse, profile: Profile) -> None:
    profile()
    error = refuse("accounts:\n  main: {profile: paper, secret_key: '${SECRET}'}\n")
    assert error.sentence == "config.yml:2:10: accounts.main has both profile and secret_key."


def test_without_a_profile_both_keys_are_required(refuse: Refuse) -> None:
    error = refuse("accounts:\n  main: {paper: true, profile: null}\n")
    assert "accounts.main has no api_key." in str(error)
    assert "accounts.main has no secret_key." in str(error)


@pytest.mark.usefixtures("profile")
def test_a_disabled_account_needs_no_profile(load: Load, main_account: str) -> None:
    rows = {row.key: row.value for row in load(f"{main_account}  off: {{enabled: false, profile: gone}}\n").show()}
    assert rows["accounts.off.api_key"] == "not read"


def test_the_default_profile_is_named_by_the_variable_else_by_the_file(profile: Profile, tmp_path: Path) -> None:
    profile()
    profile(name="swing")
    environ = {"ALPACA_CONFIG_DIR": str(tmp_path / "alpaca")}
    assert default_profile(environ) is None
    (tmp_path / "alpaca" / "config.yaml").write_text("default_profile: swing\noutput: json\n", encoding="utf-8")
    assert default_profile(environ) == "swing"
    assert default_profile(environ | {"ALPACA_PROFILE": "paper"}) == "paper"
    assert profile_names(environ) == ("paper", "swing")


def test_a_profile_is_read_by_every_load(profile: Profile, write: Write) -> None:
    path = write(NAMED)
    with pytest.raises(ConfigError, match="There is no profile paper"):
        ConfigManager(path).load()
    profile()
    assert ConfigManager(path).load().config.accounts["main"].api_key == "PKPROFILEPROFILE0001"


def test_a_fifo_in_the_place_of_the_list_of_profiles_is_not_waited_for(profile: Profile) -> None:
    os.mkfifo(profile().parent.parent / "config.yaml", 0o600)
    assert default_profile(os.environ) is None
