"""Each verb that acts, at a real `sellctl serve` over loopback: what becomes of it, and who the journal says it was."""

import json
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from an_assistant import ASSISTANT, code_beside
from api_stage import CALL, HELD, a_token
from served import Served, serving

from sellctl.journal.queries import Filters, history

PREFIX = "/api/v1/sell"
BY = "ann over the API"
OFTEN = "sell_module: {check_interval: 1s}\n"
PATIENCE = 60.0


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A `sellctl serve` that watches three calls and has read the account."""
    with serving(tmp_path, HELD, OFTEN) as running:
        until(lambda: get(running, f"/explain?symbol={CALL}")[0] == 200)
        yield running


def until(is_so: Callable[[], object]) -> None:
    ends_at = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < ends_at
        time.sleep(0.05)


def get(served: Served, path: str) -> tuple[int, Any]:
    return served.ask("GET", PREFIX + path, a_token("viewer", "bob"))


def post(served: Served, path: str, **body: Any) -> Any:
    """The document of a call by ann, which succeeds."""
    content = json.dumps(body).encode() if body else None
    status, document = served.ask("POST", PREFIX + path, a_token("admin", "ann"), content)
    assert status in {200, 202}, document
    return document


def confirmed(served: Served, path: str, **body: Any) -> Any:
    """The document of a call in its two steps."""
    return post(served, path, confirm=post(served, path, dry_run=True, **body)["confirm"])


def rows(served: Served, kind: str) -> list[Any]:
    """The bodies of the journal's rows of a kind, oldest first."""
    return [row.body for row in reversed(history(served.folder / "state" / "journal.sqlite", Filters(kind=kind)))]


def held(served: Served) -> int:
    return int(served.server.exchange.accounts["main"].qty_of(CALL))


def what_is_set(served: Served) -> str | None:
    """What `positions` says is set by hand, in another process."""
    done = served.command("positions", CALL, "--format", "json")
    (position,) = json.loads(done.stdout)["positions"]
    text: str | None = position["set_by_hand"]
    return text


def test_each_verb_is_carried_out_and_the_journal_says_who_asked_over_the_api(served: Served) -> None:
    assert confirmed(served, "/set", symbol=CALL, stop="15%")["is_set"]
    assert (what_is_set(served) or "") == f"stop 15%, set by {BY}"
    post(served, "/exempt", symbol=CALL)
    post(served, "/manage", symbol=CALL)
    post(served, "/halt", reason="earnings")
    assert "earnings" in served.command("run-once").stderr
    post(served, "/resume", reason="they are over")
    post(served, "/run-once")
    confirmed(served, "/close", symbol=CALL, qty="1")
    until(lambda: held(served) == 2)
    confirmed(served, "/panic")
    until(lambda: held(served) == 0)
    assert [(row["symbol"], row["what"], row["by"]) for row in rows(served, "override")] == [(CALL, "stop 15%", BY)]
    for kind in ("exempt", "manage", "halt", "resume"):
        assert [row["by"] for row in rows(served, kind)] == [BY], kind
    assert [(row["verb"], row["by"]) for row in rows(served, "request")] == [("close", BY), ("panic", BY)]
    assert served.stop() == 0


def test_what_is_set_is_there_after_the_process_was_killed_right_afterwards(served: Served) -> None:
    assert confirmed(served, "/set", symbol=CALL, stop="15%")["is_set"]
    served.process.send_signal(signal.SIGKILL)
    assert served.process.wait() == -signal.SIGKILL
    assert what_is_set(served) == f"stop 15%, set by {BY}"
    assert held(served) == 3


def test_each_proposal_of_an_assistant_is_carried_out_when_it_is_confirmed_over_the_api(served: Served) -> None:
    by = f"{BY}, as {ASSISTANT} proposed"

    def confirm(tool: str, **arguments: Any) -> Any:
        code = code_beside(served.folder / "config.yml", served.folder / "state", tool, **arguments)
        return post(served, "/confirm", confirm=post(served, "/confirm", code=code)["confirm"])

    assert confirm("set", name=CALL, stop="15%")["set"]["is_set"]
    assert what_is_set(served) == f"stop 15%, set by {by}"
    confirm("close", name=CALL, qty="2")
    until(lambda: held(served) == 1)
    confirm("exempt", name=CALL, until="friday")
    confirm("halt", reason="earnings")
    assert "earnings" in served.command("run-once").stderr
    assert [(row["action"], row["confirmed_by"], row["surface"]) for row in rows(served, "confirm")] == [
        (action, "ann", "API") for action in ("set", "close", "exempt", "halt")
    ]
    for kind in ("override", "request", "exempt", "halt"):
        assert [row["by"] for row in rows(served, kind)] == [by], kind
    assert served.stop() == 0
