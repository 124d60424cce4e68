"""Where a person can confirm what was proposed: at a terminal always, elsewhere where that is configured."""

import os
from typing import TYPE_CHECKING

from sellctl.core.config.schema import ApiConfig, ChatRole

if TYPE_CHECKING:
    from sellctl.core.config.schema import Config


def has_api_secret(config: "Config") -> bool:
    """Whether a secret for tokens is configured, or in the environment where it is looked up by default."""
    return bool(os.environ.get("SELLCTL_API_SECRET")) or config.api.secret != ApiConfig().secret


def other_places(config: "Config", code: str) -> list[str]:
    """What a person can do with a code instead of the command at a terminal."""
    page = (
        [f"Enter {code} on the control page of sellctl serve, under Confirm a code."] if has_api_secret(config) else []
    )
    has_operators = any(chat.role is not ChatRole.VIEWER for chat in config.telegram.chats)
    chat = [f"Write /confirm {code} to the Telegram bot of sellctl."] if config.telegram.token and has_operators else []
    return [*page, *chat]
