"""A state folder as the program of commit d486047 left it, with an order on its way, goes on under this one."""

import base64
import datetime as dt
import json
import lzma
import sqlite3
import textwrap
import zlib
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from journal_builders import Ticking, as_attacker
from stage import Program, Stage

from sellctl.core.model.plan import Plan
from sellctl.core.model.snapshot import Snapshot
from sellctl.journal.episode_store import DryRunEpisodeStore, SqlEpisodeStore
from sellctl.journal.exits import exits
from sellctl.journal.head import head_path
from sellctl.journal.legacy import RENAMED, STATES
from sellctl.journal.queries import AuditRow, Filters, history, unpack
from sellctl.journal.schema import FILE_NAME
from sellctl.journal.store import SqliteJournal
from sellctl.journal.verify import verify
from sellctl.sim.scenario.reader import parse_scenario
from sellctl.sim.server import SimServer

DATA = Path(__file__).parent / "data"
ROWS = 952
OPEN = "sellctl-e123e151fc44ced889a15dcccf474c88"
CALL = "NVDA261218C00110000"
ACCOUNTS = ("fourth", "main", "second", "third")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The journal in a state folder of its own."""
    found = tmp_path / "state" / FILE_NAME
    found.parent.mkdir(mode=0o700)
    found.write_bytes(lzma.decompress((DATA / "state-d486047.db.xz").read_bytes()))
    head_path(found).write_bytes((DATA / "state-d486047.head").read_bytes())
    return found


def recorded(path: Path, statement: str) -> list[tuple[Any, ...]]:
    """What the file itself says, past our own reading."""
    with closing(sqlite3.connect(f"{path.as_uri()}?immutable=1", uri=True)) as connection:
        return connection.execute(statement).fetchall()


def plans_of(path: Path) -> tuple[AuditRow, ...]:
    plans = history(path, Filters(kind="plan", limit=ROWS))
    assert len(plans) == 54
    return plans


# --- opening it


def test_old_and_new_rows_verify_together(path: Path) -> None:
    assert verify(path).sentence == f"journal intact: {ROWS} entries"  # before anything is migrated
    journal = SqliteJournal(path, Ticking())
    journal.note("main", "note", {"sentence": "written by this program"})
    journal.close()
    assert journal.alarm == ""
    assert verify(path).sentence == f"journal intact: {ROWS + 1} entries"
    assert verify(path.with_name(f"{FILE_NAME}.v2.bak")).rows == ROWS


def test_no_audit_row_is_rewritten(path: Path) -> None:
    before = recorded(path, "SELECT * FROM audit ORDER BY seq")
    SqliteJournal(path, Ticking()).close()
    assert recorded(path, "SELECT * FROM audit ORDER BY seq") == before


def test_a_change_to_an_old_row_is_still_found(path: Path) -> None:
    as_attacker(path, "UPDATE audit SET body = '{}' WHERE seq = 500")
    assert verify(path).fault == "row 500 was changed"


def test_every_position_keeps_its_peak(path: Path) -> None:
    peaks = {
        (account, symbol): Decimal(peak)
        for account, symbol, peak in recorded(path, "SELECT account, symbol, peak FROM episodes")
    }
    assert len(peaks) == 26
    journal = SqliteJournal(path, Ticking())
    episode_store = SqlEpisodeStore(journal.database)
    kept = {
        (account, symbol): each.peak for account in ACCOUNTS for symbol, each in episode_store.load(account).items()
    }
    journal.close()
    assert kept == peaks


def test_a_dry_run_reads_the_peaks_of_a_file_that_is_not_migrated(path: Path) -> None:
    episode_store = DryRunEpisodeStore(path)
    assert sum(len(episode_store.load(account)) for account in ACCOUNTS) == 26


def test_the_open_intent_is_open_still(path: Path) -> None:
    journal = SqliteJournal(path, Ticking())
    assert {account: journal.open_intents(account) for account in ACCOUNTS} == dict.fromkeys(ACCOUNTS, ()) | {
        "fourth": (OPEN,)
    }
    intent = journal.intent_of("fourth", OPEN)
    journal.close()
    assert intent is not None
    assert (intent.symbol, intent.qty, intent.reason, intent.limit_price) == (
        CALL,
        Decimal(4),
        "trailing_stop",
        Decimal("2.08"),
    )


# --- reading it


def test_every_old_plan_unpacks_with_all_its_evidence(path: Path) -> None:
    for row in plans_of(path):
        text = json.loads(zlib.decompress(base64.b85decode(row.body["frozen"])))
        kept = msgspec.to_builtins(unpack(row), order="deterministic", builtin_types=(dt.timedelta, dt.datetime))
        assert list(differences(whole(text, []), kept)) == []


def whole(value: Any, shared: list[Any]) -> Any:
    """An old plan's JSON with every reference replaced by what it stands for."""
    if isinstance(value, list):
        return [whole(each, shared) for each in value]
    if not isinstance(value, dict):
        return value
    if "#" in value:
        return shared[value["#"]]
    read = {name: whole(each, shared) for name, each in value.items()}
    if "position" in read or {"id", "status", "client_order_id"} <= read.keys():
        shared.append(read)
    return read


def differences(old: Any, new: Any, name: str = "") -> Iterator[str]:
    """Where what was recorded then is not what is read today; fields that are gone are no difference."""
    if isinstance(old, dict):
        for key, each in old.items():
            today = RENAMED[key] if RENAMED.get(key) in new else key
            if today in new:
                yield from differences(each, new[today], f"{name}.{today}")
    elif isinstance(old, list):
        assert len(old) == len(new), name
        for number, (each, other) in enumerate(zip(old, new, strict=True)):
            yield from differences(each, other, f"{name}[{number}]")
    elif as_recorded(new) not in {old, STATES.get(str(old))}:
        yield f"{name}: {old!r} and {new!r}"


def as_recorded(value: Any) -> Any:
    if isinstance(value, dt.timedelta):
        return value // dt.timedelta(microseconds=1)
    return value.isoformat() if isinstance(value, dt.datetime) else value


def test_an_old_plan_sends_what_its_row_and_the_intents_behind_it_say(path: Path) -> None:
    intents = {row.client_order_id: row for row in history(path, Filters(kind="intent", limit=ROWS))}
    sent = 0
    for row in plans_of(path):
        snapshot, plan = unpack(row)
        assert isinstance(snapshot, Snapshot)
        assert isinstance(plan, Plan)
        assert {decision.holding.symbol for decision in plan.submits} == set(row.body.get("sells", {}))
        assert snapshot.market.now == plan.made_at
        for order in (decision.submit for decision in plan.submits):
            assert order is not None
            intent = intents[order.client_order_id].body
            assert (str(order.qty), str(order.limit_price)) == (intent["qty"], intent["limit_price"])
            sent += 1
    assert sent == len(intents) == 18


def test_history_and_report_read_it(path: Path) -> None:
    program = Program(path.parent.parent)
    program.write("accounts: {main: {api_key: k, secret_key: s}}")
    rows = program.run("history", "--format", "json", "--limit", str(ROWS)).document
    assert [row["seq"] for row in rows] == list(range(ROWS, 0, -1))
    assert not [row for row in rows if {"frozen", "packed"} & row["body"].keys()]
    old_report = json.loads((DATA / "report-d486047.json").read_bytes())
    unknown = {"mode": ""}  # that journal doesn't say which accounts were paper
    no_structure = {"way": "", "fills_of_legs": []}
    expected = [each | unknown | no_structure for each in old_report["exits"]]
    found = program.run("report", "--format", "json").document["exits"]
    assert [{key: one[key] for key in each} for one, each in zip(found, expected, strict=True)] == expected
    assert len(exits(path, Filters())) == len(old_report["exits"]) == 10


# --- going on with it


@pytest.fixture
def stage(path: Path) -> Iterator[Stage]:
    """The account of the open intent at a simulated broker that holds all that was remembered."""
    held = recorded(path, "SELECT symbol, qty, entry_price FROM episodes WHERE account = 'fourth'")
    positions = ", ".join(f"{{symbol: {symbol}, qty: {qty}, entry: {entry}}}" for symbol, qty, entry in held)
    prices = "\n".join(f"  {symbol}: [{{fixed: {{bid: 1.90, ask: 1.92}}}}]" for symbol, _, _ in held)
    account = f"  fourth: {{key: k3, secret: s, number: PA3, positions: [{positions}]}}"
    text = f'start: "2026-11-24 12:55"\naccounts:\n{account}\nprices:\n{prices}\n'
    server = SimServer(parse_scenario(textwrap.dedent(text)), speed=0).start()
    stage = Stage(path.parent.parent, server)
    stage.configure()
    yield stage
    server.stop()


def test_an_order_that_had_arrived_and_filled_is_not_sent_again(path: Path, stage: Stage) -> None:
    (body,) = (row.body["body"] for row in history(path, Filters(client_order_id=OPEN)))
    with stage.server.hold() as exchange:
        exchange.submit(exchange.accounts["fourth"], body | {"limit_price": "1.90"})
        exchange.advance_to(exchange.now)
    said = stage.run("run-once")
    assert said.status == 0, said.err
    assert [(order.client_order_id, order.status) for order in stage.orders("fourth")] == [(OPEN, "filled")]
    kinds = [row.kind for row in history(path, Filters(client_order_id=OPEN))]
    assert kinds == ["filled", "fill", "intent"]
    assert history(path, Filters(only_open=True)) == ()
    assert verify(path).fault == ""


def test_an_order_that_never_arrived_is_looked_up_twice_and_given_up(path: Path, stage: Stage) -> None:
    before = recorded(path, "SELECT symbol, peak FROM episodes WHERE account = 'fourth'")
    said = stage.run("run-once")
    assert said.status == 0, said.err
    assert stage.orders("fourth") == []
    kinds = [row.kind for row in history(path, Filters(client_order_id=OPEN))]
    assert kinds == ["absent", "not_found", "not_found", "intent"]
    assert history(path, Filters(only_open=True)) == ()
    assert recorded(path, "SELECT symbol, peak FROM episodes WHERE account = 'fourth'") == before
    assert verify(path).fault == ""
