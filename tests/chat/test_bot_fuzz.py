"""Random and hostile updates: no order and no rule without its confirmation, no secret in an answer, no halt lifted.

SELLCTL_FUZZED_UPDATES says how many, 400 when it isn't set.
"""

import asyncio
import json
import os
import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from an_assistant import code_for
from builders import CALL, CALL_TEXT
from desk_stage import ANN, BOB, CANARY, GROUP, ROLES, STRANGER, WRITTEN_AT, DeskStage

pytest.importorskip("telegram")

from telegram import Update  # an extra

from sellctl.chat.messages import Incoming, Message, Tap
from sellctl.chat.telegram import incoming_of, readable_updates
from sellctl.service.proposals import Proposals

COUNT = int(os.environ.get("SELLCTL_FUZZED_UPDATES", "400"))
SEED = 21
HOSTILE: Sequence[Any] = (
    "A" * 4096,
    "<script>alert(1)</script>",
    "*_`[x](tg://user?id=1)",
    "\u202e\u2066\x00\x1b[31m\ud800",
    "'; DROP TABLE audit; --",
    "../../etc/passwd",
    "${TELEGRAM_TOKEN}",
    "{0.__class__}",
    CANARY,
    "\N{ROCKET}" * 2000,
    "0",
    "-1",
    "1e309",
    "NaN",
    "50%",
    "101%",
    "",
    " ",
    None,
    True,
    -1,
    10**30,
    1.5,
    [],
    {},
    ["x"],
    {"id": 1},
)
RULES = (
    "stop 40%",
    "stop 10%",
    "Stop price 1.20",
    "target \u201cprice 0.50\u201d",
    "target 80%",
    "trail 10pt",
    "breakeven",
    "until friday",
    "until 2026-12-04 15:30",
    "clear",
    "stop",
    "until",
    "stop 25",
    'target "',
)
WORDS = (CALL, CALL_TEXT, "AAPL", "APPL", "2", "50%", "today", "friday", "until", "15:30", "1999-01-01", "now", "all")
COMMANDS = (
    "/positions",
    "/explain",
    "/close",
    "/set",
    "/confirm",
    "/exempt",
    "/manage",
    "/halt",
    "/report",
    "/trades",
    "/help",
    "/start",
    "/resume",
)
PROPOSED: Sequence[tuple[str, dict[str, Any]]] = (
    ("close", {"name": CALL}),
    ("close", {"name": CALL, "qty": "50%"}),
    ("set", {"name": CALL, "stop": "10%"}),
    ("set", {"name": CALL, "stop": "40%", "until": "friday"}),
    ("exempt", {"name": CALL}),
    ("halt", {"reason": f"an assistant wrote {CANARY}"}),
)
CHATS = (ANN, ANN, ANN, BOB, GROUP, GROUP, STRANGER, -STRANGER)


@dataclass
class Fuzz:
    """Makes updates from one seed. `seen` are the buttons of every chat, with what stands on them.

    `codes` are those of what an assistant has proposed, also used and expired ones; the newest is the last.
    """

    rng: random.Random
    stage: DeskStage
    seen: list[tuple[int, str, str]] = field(default_factory=list)  # chat, label, token
    codes: list[str] = field(default_factory=list)
    number: int = 0

    async def alert_or_propose(self) -> None:
        """Now and then an alert is sent, and an assistant proposes something, if that is possible then."""
        if self.rng.random() < 0.05:
            self.stage.desk.alert(str(self.rng.choice(HOSTILE)), "main", CALL)
            self.see(self.stage.read())
        if self.rng.random() > 0.15:
            return
        tool, arguments = self.rng.choice(PROPOSED)
        with suppress(AssertionError):  # its answer is a refusal, as of a halt during a halt
            proposals = Proposals(self.stage.state.path, self.stage.proposals.now)
            self.codes.append(await code_for(self.stage.verbs.runtime, tool, proposals, **arguments))

    def update(self) -> dict[str, Any]:
        self.number += 1
        made = self._tap() if self.rng.random() < 0.5 else self._message()
        if self.rng.random() < 0.25:
            self._spoil(made)
        return {"update_id": self.number, **made}

    def _message(self) -> dict[str, Any]:
        words = [
            self.rng.choice(
                (
                    *COMMANDS,
                    f"/close {CALL}",
                    *(f"/set {CALL}{rule}" for rule in ("", " stop 10%", " stop 10%")),
                    *(f"/confirm {code}" for code in (*self.codes[-2:] * 5, *self.codes[-20:-19])),
                    "/nonsense",
                    "hello",
                )
            )
        ]
        likely = RULES if words[0].startswith("/set ") else WORDS
        if words[0].startswith("/confirm ") and self.rng.random() < 0.8:
            return {"message": {**self._envelope(self.rng.choice(CHATS)), "text": words[0]}}
        words += [str(self.rng.choice((*likely, *likely, *WORDS, *HOSTILE))) for _ in range(self.rng.randrange(3))]
        return {"message": {**self._envelope(self.rng.choice(CHATS)), "text": " ".join(words)[:4096]}}

    def _tap(self) -> dict[str, Any]:
        chat = self.rng.choice(CHATS)
        mine = [token for owner, _, token in self.seen if owner == chat]
        every = [token for _, _, token in self.seen]
        newest = mine[-3:]
        data = self.rng.choice([*newest * 8, *mine[-10:], *every[-10:], *every[:3], "x", str(self.rng.random())])
        envelope = self._envelope(chat)
        query = {"id": "1", "from": envelope["from"], "chat_instance": "1", "message": envelope, "data": data}
        return {"callback_query": query}

    def _envelope(self, chat: int) -> dict[str, Any]:
        age = self.rng.choice((0, 0, 0, 0, 0, 0, 100, 1_000, -100, 10**6))
        person = {
            "id": abs(chat),
            "is_bot": self.rng.random() < 0.05,
            "first_name": self.rng.choice(("Ann", "x" * 500)),
        }
        where = {"id": chat, "type": "private" if chat > 0 else "group"}
        return {"message_id": self.rng.randrange(1, 99), "date": int(WRITTEN_AT) - age, "chat": where, "from": person}

    def _spoil(self, made: dict[str, Any]) -> None:
        """Put something else in the place of one field, somewhere."""
        inner: Any = made
        while isinstance(inner, dict) and inner:
            key = self.rng.choice(list(inner))
            if not isinstance(inner[key], dict) or not inner[key] or self.rng.random() < 0.3:
                inner[key] = self.rng.choice(HOSTILE)
                return
            inner = inner[key]

    def see(self, messages: Sequence[Message]) -> None:
        for each in messages:
            self.seen += [(each.chat, button.label, button.token) for button in each.buttons]

    def confirms(self, incoming: Incoming, beginning: str) -> bool:
        """Whether this taps a button that begins so, in its chat, for the first time."""
        if not isinstance(incoming, Tap):
            return False
        found = [row for row in self.seen if row[2] == incoming.token]
        return bool(found) and found[0][0] == incoming.chat and found[0][1].startswith(beginning)


def incoming_in(update: dict[str, Any]) -> Incoming | None:
    """What the adapter makes of the JSON of an update."""
    answer = json.loads(json.dumps({"ok": True, "result": [update]}))
    found = readable_updates(answer)["result"]
    return incoming_of(Update.de_json(found[0], None)) if found else None


def check_answers(answers: Sequence[Message]) -> None:
    for answer in answers:
        assert answer.chat in ROLES
        assert CANARY not in answer.text
        assert "Traceback" not in answer.text
        assert "internal error" not in answer.text
        assert len(answer.text.encode("utf-16-le")) // 2 <= 4096


def confirmed_changes(fuzz: Fuzz, incoming: Incoming, used: set[str]) -> int:
    """How many changes of rules an update has asked the watcher for, after the checks of them; they are dropped."""
    changes = fuzz.stage.world.requests.take_changes()
    if changes:
        assert isinstance(incoming, Tap)
        assert fuzz.confirms(incoming, "Set it")
        assert incoming.token not in used
        assert all(f"(chat {incoming.chat})" in each.by for each in changes)
        used.add(incoming.token)
    return len(changes)


def check_confirmation(stage: DeskStage, incoming: Incoming, used: set[str]) -> None:
    """Check that an update has confirmed at most one proposal of an assistant, by a button that was not used before."""
    count = sum(kind == "confirm" for _, kind, _ in stage.world.journal.notes)
    if count == len(used):
        return
    assert isinstance(incoming, Tap)
    assert count == len(used) + 1
    assert incoming.token not in used
    used.add(incoming.token)


async def fuzzed(stage: DeskStage) -> tuple[int, int, int, int]:
    """How many updates were closes, changes of rules, exemptions and halts, after the checks of each."""
    stage.proposals.now = lambda: 1_700_000_000.0 + 2 * stage.seconds
    fuzz = Fuzz(random.Random(SEED), stage)  # noqa: S311  a test's choices
    closes = changes = exemptions = halts = 0
    used, confirming = set[str](), set[str]()
    for _ in range(COUNT):
        stage.seconds += 3
        await fuzz.alert_or_propose()
        incoming = incoming_in(fuzz.update())
        if incoming is None:
            continue
        requested, exempt, halted = len(stage.requests), stage.state.exempt(), stage.state.halted()
        answers = await stage.send(incoming)
        text = getattr(incoming, "text", "")
        if len(stage.requests) > requested:
            assert isinstance(incoming, Tap)
            assert fuzz.confirms(incoming, "Yes, close")
            assert incoming.token not in used
            used.add(incoming.token)
            closes += 1
        changes += confirmed_changes(fuzz, incoming, used)
        if stage.state.exempt() != exempt:
            assert text.startswith(("/exempt", "/manage")) or fuzz.confirms(incoming, "Yes, leave")
            exemptions += 1
        if stage.state.halted() != halted:
            assert text.startswith("/halt") or fuzz.confirms(incoming, "Yes, halt")
            halts += 1
        check_confirmation(stage, incoming, confirming)
        assert not halted or stage.state.halted()
        check_answers(answers)
        assert not any(each.chat in {STRANGER, -STRANGER} for each in answers)
        fuzz.see(answers)
        if stage.state.halted() and fuzz.rng.random() < 0.1:
            stage.state.resume()  # at the machine, so that there is something to do again
        if len(stage.requests) > requested:
            stage.world.requests.closing = frozenset()
    assert not any("internal error" in line for line in stage.lines)
    assert not any(CANARY in line for line in stage.lines)
    assert (stage.override, stage.world.broker.sent) == ("", [])
    assert confirming  # else nothing that was proposed was tried
    return closes, changes, exemptions, halts


def test_no_update_closes_or_sets_without_its_confirmation_lifts_a_halt_or_tells_a_secret(tmp_path: Path) -> None:
    async def run() -> tuple[int, int, int, int]:
        stage = DeskStage(tmp_path / "state", asyncio.get_running_loop())
        await stage.scheduler.poll()
        return await fuzzed(stage)

    done = asyncio.run(run())
    assert all(count > 0 for count in done), done  # else nothing was tried
