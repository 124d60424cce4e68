"""The section `telegram`: its chats, its token, and where that may be sent."""

from collections.abc import Callable

import pytest

from sellctl.core.config.schema import ChatConfig, ChatRole, NotificationKind
from sellctl.core.config_manager import ConfigManager, LoadedConfig
from sellctl.core.errors import ConfigError

Load = Callable[[str], LoadedConfig]
Refuse = Callable[[str], ConfigError]

TOKEN = "123456789:AAEcanary-canary_canary"  # noqa: S105  of no bot


@pytest.fixture
def bot(main_account: str) -> Callable[..., str]:
    """A file with the keys of a bot."""
    return lambda *lines: "\n  ".join((f"{main_account}telegram:", *lines)) + "\n"


def test_chats_are_a_table_of_numbers_and_roles_and_a_group_has_a_negative_one(
    load: Load, bot: Callable[..., str]
) -> None:
    telegram = load(bot(f"token: {TOKEN}", 'chats: {"42": viewer, -100777: operator}')).config.telegram
    assert telegram.chats == (ChatConfig(-100777, ChatRole.OPERATOR), ChatConfig(42, ChatRole.VIEWER))
    assert telegram.kinds == tuple(NotificationKind)


def test_the_token_is_masked_and_the_chats_are_shown(load: Load, bot: Callable[..., str]) -> None:
    loaded = load(bot(f"token: {TOKEN}", "chats: {42: viewer}"))
    shown = {row.key: row.value for row in loaded.show()}
    assert shown["telegram.token"] == "****"
    assert shown["telegram.chats"] == "{42: viewer}"
    assert TOKEN in loaded.secrets()
    assert "telegram: 1 chat" in loaded.summary()
    assert TOKEN not in repr(loaded)


def test_a_token_is_looked_up_only_where_a_bot_runs(
    load: Load, bot: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = bot("token: ${TELEGRAM_TOKEN}", "chats: {42: viewer}")
    with pytest.raises(ConfigError, match="TELEGRAM_TOKEN isn't set"):
        load(text)
    unread = ConfigManager(with_chat=False).load().config.telegram.token
    assert unread is not None
    assert unread.startswith("${")
    monkeypatch.setenv("TELEGRAM_TOKEN", TOKEN)
    assert load(text).config.telegram.token == TOKEN


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (("token: not-a-token-of-a-bot",), "telegram.token isn't the token of a Telegram bot."),
        (("chats: {42: viewer}",), "telegram has chats and no token."),
        ((f"token: {TOKEN}", "chats: {ann: viewer}"), "isn't the number of a chat."),
        ((f"token: {TOKEN}", "chats: {42: owner}"), "isn't allowed."),
        ((f"token: {TOKEN}", "chats: {42: viewer, 042: admin}"), "telegram.chats has the same id twice."),
        ((f"token: {TOKEN}", "chats: [42]"), "telegram.chats takes a table."),
        (
            (f"token: {TOKEN}", "api_url: http://bots.example.org"),
            "telegram.api_url: the token would go to bots.example.org unencrypted.",
        ),
        ((f"token: {TOKEN}", "api_url: bots.example.org"), "telegram.api_url isn't a full address."),
    ],
)
def test_what_a_bot_cannot_use_is_named(
    refuse: Refuse, bot: Callable[..., str], lines: tuple[str, ...], sentence: str
) -> None:
    error = refuse(bot(*lines))
    assert error.sentence.endswith(f" {sentence}")
    assert "canary" not in str(error)
    assert "not-a-token" not in str(error)


def test_a_bot_without_chats_is_a_warning_because_the_log_names_who_writes_to_it(
    load: Load, bot: Callable[..., str]
) -> None:
    (warning,) = load(bot(f"token: {TOKEN}", "chats: {}")).warnings
    assert "telegram.chats is empty: the bot answers nobody." in warning


def test_a_bot_api_on_this_machine_needs_no_encryption(load: Load, bot: Callable[..., str]) -> None:
    url = "http://127.0.0.1:8081"
    assert load(bot(f"token: {TOKEN}", "chats: {42: viewer}", f"api_url: {url}")).config.telegram.api_url == url
