"""Telegram's Bot API through python-telegram-bot; its types and errors end here. Long polling only, no webhook.

The token is a part of every address that is requested, so that no text of the library is passed on.
"""

import datetime as dt
import logging
import os
from collections.abc import Sequence
from typing import Any, Final

from telegram import Bot, InlineKeyboardButton, InlineKeyboardMarkup, LinkPreviewOptions, Update, error
from telegram.request import HTTPXRequest

from sellctl.chat.messages import Button, ChatError, Command, FailureKind, Incoming, Message, Outgoing, Tap

POLL_SECONDS: Final = 25  # how long the service holds a request for updates while there are none
ANSWER_SECONDS: Final = 10.0  # how long an answer may take beyond that
CONNECT_SECONDS: Final = 5.0
_KINDS: Final = ("message", "callback_query")
_NO_PREVIEW: Final = LinkPreviewOptions(is_disabled=True)  # a link in a foreign text is not to be followed
_LONGEST_WAIT: Final = 3_600.0


# The library's own switch for durations as timedelta: without it, each answer 429 ends in a warning.
os.environ.setdefault("PTB_TIMEDELTA", "1")


class BotApi:
    """One bot at Telegram. Every method raises ChatError."""

    def __init__(self, token: str, url: str) -> None:
        for name in ("telegram", "httpx", "httpcore"):  # they log addresses and whole answers
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        times: dict[str, Any] = {
            "read_timeout": ANSWER_SECONDS,
            "write_timeout": ANSWER_SECONDS,
            "connect_timeout": CONNECT_SECONDS,
            "pool_timeout": ANSWER_SECONDS,
        }
        self._requests = HTTPXRequest(connection_pool_size=4, **times), _Updates(connection_pool_size=1, **times)
        requests, updates = self._requests
        self._bot = Bot(token, f"{url.rstrip('/')}/bot", request=requests, get_updates_request=updates)

    async def name(self) -> str:
        """The bot's user name, which the service knows by its token."""
        try:
            return (await self._bot.get_me()).username or "a bot"
        except Exception as raised:  # noqa: BLE001  an answer that the library can't read raises anything
            raise _mapped(raised) from None

    async def updates(self, offset: int | None) -> tuple[int | None, list[Incoming]]:
        """What was written and tapped since, waiting for it; and the offset that confirms it with the next call."""
        try:
            found = await self._bot.get_updates(offset=offset, timeout=POLL_SECONDS, allowed_updates=_KINDS)
        except Exception as raised:  # noqa: BLE001  an answer that the library can't read raises anything
            raise _mapped(raised) from None
        newest = max((update.update_id + 1 for update in found), default=offset)
        return newest, [each for update in found if (each := incoming_of(update)) is not None]

    async def confirm(self, offset: int) -> None:
        """Confirm everything before this offset, so that it isn't delivered again."""
        try:
            await self._bot.get_updates(offset=offset, limit=1, timeout=0, allowed_updates=_KINDS)
        except Exception as raised:  # noqa: BLE001  an answer that the library can't read raises anything
            raise _mapped(raised) from None

    async def send(self, outgoing: Outgoing) -> None:
        """Send a message, or end the waiting sign of a tap."""
        try:
            await self._send(outgoing)
        except Exception as raised:  # noqa: BLE001  an answer that the library can't read raises anything
            raise _mapped(raised) from None

    async def close(self) -> None:
        """Close the connections."""
        for each in self._requests:
            await each.shutdown()

    async def _send(self, outgoing: Outgoing) -> None:
        if not isinstance(outgoing, Message):
            await self._bot.answer_callback_query(outgoing.query, text=outgoing.text or None)
            return
        keyboard = _keyboard(outgoing.buttons)
        if outgoing.replaces:
            await self._bot.edit_message_text(
                outgoing.text, outgoing.chat, outgoing.replaces, reply_markup=keyboard, link_preview_options=_NO_PREVIEW
            )
        else:
            await self._bot.send_message(
                outgoing.chat, outgoing.text, reply_markup=keyboard, link_preview_options=_NO_PREVIEW
            )


def _keyboard(buttons: Sequence[Button]) -> InlineKeyboardMarkup | None:
    if not buttons:
        return None
    return InlineKeyboardMarkup([[InlineKeyboardButton(each.label, callback_data=each.token)] for each in buttons])


class _Updates(HTTPXRequest):
    """Requests updates. One that the library can't read is reduced to its number, so that it holds up no other one."""

    @staticmethod
    def parse_json_payload(payload: bytes) -> Any:
        """The answer, with its readable updates."""
        return readable_updates(HTTPXRequest.parse_json_payload(payload))


def readable_updates(answer: Any) -> Any:
    """An answer of the service in which each update is one that the library can read, or only its number."""
    result = answer.get("result")
    if isinstance(result, list):
        answer["result"] = [_readable(each) for each in result if _number_of(each) is not None]
    return answer


def _number_of(update: Any) -> int | None:
    number = update.get("update_id") if isinstance(update, dict) else None
    return number if isinstance(number, int) and not isinstance(number, bool) and number >= 0 else None


def _readable(update: Any) -> Any:
    try:
        incoming_of(Update.de_json(dict(update), None))
    except Exception:  # noqa: BLE001  the library raises anything for a field of the wrong type
        return {"update_id": _number_of(update)}
    return update


def incoming_of(update: Update) -> Incoming | None:
    """The message or tap of an update; None for what is neither, was forwarded, or comes from another bot."""
    message, query = update.message, update.callback_query
    if message is not None and message.text and message.from_user and not message.from_user.is_bot:
        if message.forward_origin is not None or message.via_bot is not None:
            return None
        return Command(
            int(message.chat.id), str(message.from_user.full_name), str(message.text), message.date.timestamp()
        )
    if query is None or query.message is None or not isinstance(query.data, str) or query.from_user.is_bot:
        return None
    chat, number = int(query.message.chat.id), int(query.message.message_id)
    return Tap(chat, str(query.from_user.full_name), query.data, str(query.id), number)


def _mapped(raised: Exception) -> ChatError:
    """The error of a request, in words of our own."""
    if isinstance(raised, error.RetryAfter):
        seconds = _seconds(raised)
        return ChatError(f"it asks to wait {seconds:.0f} s", FailureKind.BUSY, seconds)
    if isinstance(raised, error.ChatMigrated):
        return ChatError(f"the group has the new number {raised.new_chat_id}", FailureKind.REFUSED)
    for kind, sentence, means in _FAILURES:
        if isinstance(raised, kind):
            return ChatError(sentence, means)
    return ChatError(f"its answer can't be used ({type(raised).__name__})", FailureKind.UNREACHABLE)


# In this order: a time-out and a bad request are network errors to the library.
_FAILURES: Final[tuple[tuple[type[Exception], str, FailureKind], ...]] = (
    (error.InvalidToken, "it refuses the token", FailureKind.LOCKED_OUT),
    (error.Conflict, "another process uses the same token", FailureKind.LOCKED_OUT),
    (error.Forbidden, "the bot may not write to that chat", FailureKind.REFUSED),
    (error.BadRequest, "it refuses the request", FailureKind.REFUSED),
    (error.TimedOut, "no answer in time", FailureKind.UNREACHABLE),
    (error.NetworkError, "the connection failed", FailureKind.UNREACHABLE),
)


def _seconds(raised: error.RetryAfter) -> float:
    """How long the service asks to wait, between a second and an hour."""
    asked = raised.retry_after
    return min(max(asked.total_seconds() if isinstance(asked, dt.timedelta) else float(asked), 1.0), _LONGEST_WAIT)
