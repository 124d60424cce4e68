"""A Bot API on loopback with one bot: what people write and tap, what the bot sends, and faults by name."""

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

TOKEN = "123456789:AAEcanary-canary_canary-canary"  # noqa: S105  of no bot
ANN = 42  # the chat of Ann
_POLL = 0.5  # seconds that a request for updates is held, whatever it asks for


@dataclass
class Sent:
    """One message of the bot as it looks now. `buttons` are by label; `edits` counts how often it has changed."""

    number: int
    chat: int
    text: str
    buttons: dict[str, str]
    edits: int = 0


@dataclass
class Fault:
    """What happens to the next requests: hang, 429, 500, garbage, html or drop; all methods unless one is named."""

    kind: str
    method: str = ""
    times: int = 1_000_000
    retry_after: int = 1


@dataclass
class FakeTelegram:
    """The state of the fake service. Every method but `_handle` is for the tests, from their thread."""

    url: str = ""
    messages: list[Sent] = field(default_factory=list)
    requests: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)  # the short texts after taps
    faults: list[Fault] = field(default_factory=list)
    forbidden: set[int] = field(default_factory=set)  # chats that the bot may not write to
    pending: list[dict[str, Any]] = field(default_factory=list)
    _number: int = 0
    _changed: threading.Condition = field(default_factory=threading.Condition)

    # --- people -------------------------------------------------------------------------------------------------------

    def write(self, text: str, chat: int = ANN, name: str = "Ann", *, age: float = 0.0, **more: Any) -> None:
        """Somebody writes to the bot, `age` seconds ago."""
        message = {**_message(chat, name, age), "text": text, **more}
        self.deliver({"message": message})

    def tap(self, label: str, chat: int = ANN) -> None:
        """Somebody taps the newest button with this label, or one that begins so."""
        found = [each for each in self.messages if each.chat == chat and self._token(each, label)]
        assert found, (label, self.messages)
        self.tap_token(self._token(found[-1], label), chat, found[-1].number)

    def tap_token(self, token: str, chat: int = ANN, message: int = 1, name: str = "Ann") -> None:
        """Somebody sends what a button sends."""
        query = {"id": str(self.next_number()), "from": _person(chat, name), "chat_instance": "1", "data": token}
        self.deliver({"callback_query": {**query, "message": {**_message(chat, name, 0.0), "message_id": message}}})

    def deliver(self, update: dict[str, Any]) -> None:
        """Any update, with its number unless it has one."""
        with self._changed:
            self.pending.append({"update_id": self.next_number(), **update})
            self._changed.notify_all()

    def next_number(self) -> int:
        self._number += 1
        return self._number

    # --- what the bot did ---------------------------------------------------------------------------------------------

    def wait_for(self, found: Callable[["FakeTelegram"], Any], seconds: float = 60.0) -> Any:
        """What `found` returns, once it isn't false."""
        ends_at = time.monotonic() + seconds
        with self._changed:
            while not (result := found(self)):
                assert time.monotonic() < ends_at, (self.texts(), self.requests[-5:])
                self._changed.wait(0.2)
        return result

    def wait_for_text(self, part: str, chat: int = ANN, seconds: float = 60.0) -> str:
        """The newest message in a chat that has this in it."""
        return str(self.wait_for(lambda it: next((t for t in reversed(it.texts(chat)) if part in t), ""), seconds))

    def wait_until_read(self) -> None:
        """Return once the bot has confirmed every update."""
        self.wait_for(lambda it: not it.pending)

    def texts(self, chat: int = ANN) -> list[str]:
        """The texts of a chat as they are now, oldest first."""
        return [each.text for each in self.messages if each.chat == chat]

    def count(self, method: str) -> int:
        return sum(each == method for each, _ in self.requests)

    @staticmethod
    def _token(message: Sent, label: str) -> str:
        return next((token for name, token in message.buttons.items() if name.startswith(label)), "")

    # --- the service --------------------------------------------------------------------------------------------------

    async def handle(self, request: web.Request) -> web.StreamResponse:
        token, method = request.match_info["token"], request.match_info["method"]
        form = await request.post()
        given = {key: value for key, value in form.items() if isinstance(value, str)}
        with self._changed:
            self.requests.append((method, given))
            self._changed.notify_all()
        if fault := self._fault_for(method):
            return await _spoiled(fault)
        if token != TOKEN:
            return _refused(401, "Unauthorized")
        return await self._result(method, given)

    async def _result(self, method: str, given: dict[str, str]) -> web.Response:
        if method == "getUpdates":
            return _ok(await self._poll(int(given.get("offset", 0)), float(given.get("timeout", 0))))
        if method == "getMe":
            return _ok({"id": 1, "is_bot": True, "first_name": "Exits", "username": "exits_bot"})
        with self._changed:
            try:
                return self._act(method, given)
            finally:
                self._changed.notify_all()

    def _act(self, method: str, given: dict[str, str]) -> web.Response:
        if method == "answerCallbackQuery":
            self.answers.append(given.get("text", ""))
            return _ok(result=True)
        chat, buttons = int(given["chat_id"]), _buttons(given)
        if chat in self.forbidden:
            return _refused(403, "Forbidden: bot was blocked by the user")
        if not 1 <= len(given["text"].encode("utf-16-le")) // 2 <= 4096:
            return _refused(400, "Bad Request: message is too long")
        if method == "editMessageText":
            found = next((each for each in self.messages if each.number == int(given["message_id"])), None)
            if found is None or (found.text, found.buttons) == (given["text"], buttons):
                return _refused(400, "Bad Request: message is not modified")
            found.text, found.buttons, found.edits = given["text"], buttons, found.edits + 1
        else:
            found = Sent(self.next_number(), chat, given["text"], buttons)
            self.messages.append(found)
        return _ok({**_message(chat, "Exits", 0.0), "message_id": found.number, "text": found.text})

    async def _poll(self, offset: int, seconds: float) -> list[dict[str, Any]]:
        ends_at = time.monotonic() + min(seconds, _POLL)
        while True:
            with self._changed:
                self.pending = [each for each in self.pending if _number(each) >= offset]
                if self.pending or time.monotonic() > ends_at:
                    self._changed.notify_all()
                    return list(self.pending)
            await asyncio.sleep(0.01)

    def _fault_for(self, method: str) -> Fault | None:
        for fault in self.faults:
            if fault.times > 0 and fault.method in {"", method}:
                fault.times -= 1
                return fault
        return None


def _number(update: dict[str, Any]) -> int:
    number = update.get("update_id")
    return number if isinstance(number, int) else 0


def _person(chat: int, name: str) -> dict[str, Any]:
    return {"id": abs(chat), "is_bot": False, "first_name": name}


def _message(chat: int, name: str, age: float) -> dict[str, Any]:
    kind = "private" if chat > 0 else "group"
    where = {"id": chat, "type": kind, "first_name": name}
    return {"message_id": 1, "date": int(time.time() - age), "chat": where, "from": _person(chat, name)}


def _buttons(given: dict[str, str]) -> dict[str, str]:
    keyboard = json.loads(given.get("reply_markup", "{}")).get("inline_keyboard", [])
    found = {button["text"]: button["callback_data"] for row in keyboard for button in row}
    assert all(1 <= len(data.encode()) <= 64 for data in found.values()), found
    return found


def _ok(result: Any) -> web.Response:
    return web.json_response({"ok": True, "result": result})


def _refused(status: int, description: str, **parameters: int) -> web.Response:
    more = {"parameters": parameters} if parameters else {}
    return web.json_response({"ok": False, "error_code": status, "description": description, **more}, status=status)


async def _spoiled(fault: Fault) -> web.StreamResponse:
    match fault.kind:
        case "hang":
            await asyncio.sleep(60)
            return web.Response(status=504)
        case "429":
            return _refused(429, "Too Many Requests", retry_after=fault.retry_after)
        case "garbage":
            return web.Response(text='{"ok": true, "result": [{"update_id": "x"}, 7, null')
        case "html":
            return web.Response(text="<html>bad gateway</html>", status=502, content_type="text/html")
        case _:
            return web.json_response({"ok": False, "description": "Internal Server Error"}, status=int(fault.kind))


@contextlib.contextmanager
def a_telegram() -> Iterator[FakeTelegram]:
    """A Bot API that answers on loopback."""
    fake, started, loop = FakeTelegram(), threading.Event(), asyncio.new_event_loop()

    async def run() -> None:
        app = web.Application()
        app.router.add_post("/bot{token}/{method}", fake.handle)
        runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            await runner.cleanup()

    async def guarded() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await run()

    task = loop.create_task(guarded())
    thread = threading.Thread(target=loop.run_until_complete, args=(task,), daemon=True)
    thread.start()
    assert started.wait(5)
    try:
        yield fake
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join(5)
        loop.close()
