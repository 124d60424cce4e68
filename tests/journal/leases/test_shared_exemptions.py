"""What is exempt where hosts share the journal: each machine's file is a copy, and what only a file has isn't lost."""

import datetime as dt
import json
from pathlib import Path

import pytest
from full_disk import no_room
from postgres_fixtures import PostgresLocation, a_host

from sellctl.core.errors import JournalError, SellctlError
from sellctl.core.manual.verb import Verb
from sellctl.core.watching.manual_requests import CommandRequest
from sellctl.service.exemptions import SharedExemptions
from sellctl.service.requests import text_of
from sellctl.service.state_folder import StateFolder

FRIDAY = dt.datetime(2026, 11, 27, 18, tzinfo=dt.UTC)


def machine(folder: Path, journal: PostgresLocation, name: str) -> StateFolder:
    return StateFolder(folder / name, journal_url=lambda: journal.url)


def execute(journal: PostgresLocation, statements: str) -> None:
    import psycopg  # noqa: PLC0415  an extra

    with psycopg.connect(journal.conninfo, autocommit=True) as connection:
        connection.execute(statements.encode())


def on_file(state: StateFolder) -> list[str]:
    """What the machine's file names."""
    names: list[str] = json.loads((state.path / "exempt.json").read_text())["symbols"]
    return names


@pytest.fixture
def one(tmp_path: Path, postgres: PostgresLocation) -> StateFolder:
    return machine(tmp_path, postgres, "one")


@pytest.fixture
def two(tmp_path: Path, postgres: PostgresLocation) -> StateFolder:
    return machine(tmp_path, postgres, "two")


def test_another_machine_knows_after_its_next_look(one: StateFolder, two: StateFolder) -> None:
    assert two.exemptions() == {}
    one.set_exempt("TSLA", wanted=True, until=FRIDAY)
    two.make()
    two.look_at_shared()
    assert (two.exemptions(), on_file(two)) == ({"TSLA": FRIDAY}, ["TSLA"])
    two.set_exempt("TSLA", wanted=False)
    one.look_at_shared()
    assert (one.exemptions(), on_file(one)) == ({}, [])


def test_what_a_file_had_before_is_shared_by_the_first_process_that_acts_and_shown_before_that(
    one: StateFolder, two: StateFolder
) -> None:
    alone = StateFolder(one.path)
    alone.set_exempt("AAPL", wanted=True)
    two.set_exempt("TSLA", wanted=True)
    one.look_at_shared(acts=False)
    assert one.exempt() == {"AAPL", "TSLA"}
    two.look_at_shared()
    assert two.exempt() == {"TSLA"}  # a dry run has written nothing
    one.look_at_shared()
    two.look_at_shared()
    assert one.exempt() == two.exempt() == {"AAPL", "TSLA"}


def test_a_change_that_a_failover_has_lost_is_told_again_once(
    one: StateFolder, two: StateFolder, postgres: PostgresLocation
) -> None:
    for name in ("TSLA", "AAPL"):
        one.set_exempt(name, wanted=True)
    execute(postgres, "UPDATE exemption_changes SET number = 1; DELETE FROM exemptions WHERE name = 'AAPL'")
    two.make()
    two.look_at_shared()
    assert two.exempt() == {"TSLA"}
    one.look_at_shared()
    two.look_at_shared()
    assert one.exempt() == two.exempt() == {"AAPL", "TSLA"}
    two.set_exempt("AAPL", wanted=False)
    one.look_at_shared()
    assert one.exempt() == {"TSLA"}


def test_a_look_that_was_made_before_a_change_here_undoes_no_change_of_another_machine(
    one: StateFolder, two: StateFolder
) -> None:
    shared, exempt = one.shared, one._exempt  # noqa: SLF001  what two threads of one process do, one after the other
    assert shared is not None
    assert isinstance(exempt, SharedExemptions)
    old = shared.exemptions()
    one.set_exempt("TSLA", wanted=True)
    two.make()
    two.set_exempt("TSLA", wanted=False)
    exempt.take(old)
    assert one.exempt() == frozenset()
    two.look_at_shared()
    assert two.exempt() == frozenset()


def test_a_lost_change_whose_number_was_given_to_another_one_is_told_again(
    one: StateFolder, two: StateFolder, postgres: PostgresLocation
) -> None:
    for name in ("TSLA", "AAPL"):
        one.set_exempt(name, wanted=True)
    execute(postgres, "UPDATE exemption_changes SET number = 1; DELETE FROM exemptions WHERE name = 'AAPL'")
    two.set_exempt("MSFT", wanted=True)
    one.look_at_shared()
    two.look_at_shared()
    assert one.exempt() == two.exempt() == {"TSLA", "AAPL", "MSFT"}
    two.set_exempt("AAPL", wanted=False)
    one.look_at_shared()
    assert one.exempt() == {"TSLA", "MSFT"}


def test_the_copy_of_another_journal_counts_as_never_shared(one: StateFolder, postgres: PostgresLocation) -> None:
    one.set_exempt("TSLA", wanted=True)
    execute(postgres, "UPDATE meta SET value = 'another' WHERE key = 'id'; DELETE FROM exemptions")
    one.look_at_shared()
    assert one.exempt() == {"TSLA"}


def test_rules_are_resumed_where_the_account_is_watched(one: StateFolder, two: StateFolder) -> None:
    one.resume_rules("AAPL", ["main", "income"])
    two.make()
    two.look_at_shared(accounts=("main",))
    assert two.take_rules_to_resume("main") == {"AAPL"}
    assert two.take_rules_to_resume("main") == frozenset()
    assert two.take_rules_to_resume("income") == frozenset()


def test_while_the_database_is_away_what_is_known_stays_and_nothing_is_changed(
    one: StateFolder, postgres: PostgresLocation
) -> None:
    one.set_exempt("TSLA", wanted=True)
    execute(postgres, "ALTER TABLE exemptions RENAME TO gone")
    with pytest.raises(JournalError):
        one.look_at_shared()
    with pytest.raises(JournalError):
        one.set_exempt("AAPL", wanted=True)
    assert one.exempt() == {"TSLA"}
    assert on_file(one) == ["TSLA"]


def test_back_on_a_journal_of_its_own_the_machine_has_its_copy(one: StateFolder) -> None:
    one.set_exempt("TSLA", wanted=True, until=FRIDAY)
    alone = StateFolder(one.path)
    assert alone.exemptions() == {"TSLA": FRIDAY}
    alone.set_exempt("AAPL", wanted=True)  # from now on it is a list of its own
    one.look_at_shared()
    assert one.exempt() == {"AAPL", "TSLA"}


def test_what_a_file_had_before_stays_exempt_for_longer_than_another_machine_wanted(
    one: StateFolder, two: StateFolder
) -> None:
    StateFolder(one.path).set_exempt("AAPL", wanted=True)
    two.set_exempt("AAPL", wanted=True, until=FRIDAY)
    one.look_at_shared()
    two.look_at_shared()
    assert one.exemptions() == two.exemptions() == {"AAPL": None}


def test_what_is_exempt_elsewhere_is_known_although_the_disk_is_full(one: StateFolder, two: StateFolder) -> None:
    one.make()
    one.look_at_shared()
    two.set_exempt("TSLA", wanted=True)
    with no_room():
        one.look_at_shared()
        assert one.exempt() == {"TSLA"}
        one.set_exempt("AAPL", wanted=True)
        assert one.exempt() == {"TSLA", "AAPL"}
    two.look_at_shared()
    assert two.exempt() == {"TSLA", "AAPL"}


def test_what_only_a_file_has_is_added_once_although_the_disk_is_full(one: StateFolder, two: StateFolder) -> None:
    StateFolder(one.path).set_exempt("AAPL", wanted=True)
    with no_room():
        one.look_at_shared()
        one.look_at_shared()
        two.make()
    two.set_exempt("AAPL", wanted=False)
    with no_room():
        one.look_at_shared()
        assert one.exempt() == frozenset()


def test_a_request_that_was_taken_is_carried_out_although_what_is_exempt_can_not_be_read(
    one: StateFolder, two: StateFolder, postgres: PostgresLocation
) -> None:
    registration = a_host(postgres, "one", "main")
    request = CommandRequest("ab12", Verb.CLOSE, "AAPL", ("main",), "ana")
    assert two.shared is not None
    two.shared.ask(request.id, "main", text_of(request))
    one.make()
    (one.path / "exempt.json").mkdir()
    assert one.look_at_shared(registration, ("main",)).requests == (request,)
    with pytest.raises(SellctlError):
        one.look_at_shared(registration, ("main",))
