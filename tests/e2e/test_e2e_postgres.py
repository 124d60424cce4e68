"""The journal on PostgreSQL, seen from the command line: nothing is sent without it, and no output has its password."""

import pytest
from postgres_fixtures import PostgresLocation
from stage import Play, Program, Stage, three_calls

from benchmarks.postgres_server import PASSWORD, Server

STOPPED = three_calls("0.70", "0.72")
NOWHERE = f"postgresql+psycopg://sellctl:{PASSWORD}@127.0.0.1:1/journal"


def on(url: str) -> str:
    return f'journal: {{url: "{url}"}}\n'


def test_an_exit_is_recorded_in_the_database_before_it_is_sent_and_the_chain_verifies(
    play: Play, postgres: PostgresLocation
) -> None:
    stage = play(STOPPED, on(postgres.url))
    first = stage.run("run-once")
    assert (first.status, len(stage.orders())) == (0, 1)
    again = stage.run("run-once")
    assert (again.status, len(stage.orders())) == (0, 1)
    kinds = [row["kind"] for row in stage.run("history", "--format", "json").document]
    assert "intent" in kinds
    assert stage.run("history", "--verify").out.startswith("journal intact: ")
    assert not (stage.state / "journal.sqlite").exists()
    assert PASSWORD not in f"{first}{again}"


@pytest.mark.parametrize("options", [(), ("--debug",)], ids=["usual log", "debug log"])
def test_without_the_database_nothing_is_sent_and_no_output_has_the_password(
    play: Play, options: tuple[str, ...]
) -> None:
    stage = play(STOPPED, on(NOWHERE))
    result = stage.run(*options, "run-once")
    assert (result.status, stage.orders()) == (1, [])
    assert "The journal postgresql://sellctl@127.0.0.1:1/journal can't be reached" in result.err
    assert PASSWORD not in f"{result}"


def test_a_halt_does_not_depend_on_the_database(play: Play) -> None:
    stage = play(STOPPED, on(NOWHERE))
    halted = stage.run("halt", "--reason", "earnings")
    assert halted.status == 4
    assert "only this machine is halted, other hosts that share the journal are not: The journal postgres" in halted.err
    assert "not recorded in the journal" in halted.err
    assert (stage.state / "halt").exists() or list(stage.state.glob("halt*"))
    assert PASSWORD not in f"{halted}"


def test_doctor_says_which_server_it_is_and_how_fast_it_answers(play: Play, postgres: PostgresLocation) -> None:
    assert "PostgreSQL 1" in database_check(play(STOPPED, on(postgres.url)))["found"]


def test_doctor_says_that_the_server_cannot_be_reached(play: Play) -> None:
    check = database_check(play(STOPPED, on(NOWHERE)))
    assert check["state"] == "bad"
    assert "can't be reached" in check["found"]
    assert PASSWORD not in f"{check}"


def test_doctor_and_verify_call_no_journal_damaged_that_they_cannot_read(play: Play) -> None:
    stage = play(STOPPED, on(NOWHERE))
    checks = {each["what"]: each for each in checks_of(stage)}
    assert checks["journal"]["state"] == "not checked"
    assert checks["journal"]["found"] == "its database can't be used"
    verified = stage.run("history", "--verify")
    assert (verified.status, "not intact" in verified.err) == (1, False)
    assert "The journal postgresql://sellctl@127.0.0.1:1/journal can't be reached" in verified.err


def test_before_the_first_start_an_empty_database_is_read_as_one_without_hosts(play: Play, server: Server) -> None:
    stage = play(STOPPED, on(server.database()))
    fleet = stage.run("fleet", "--format", "json")
    assert (fleet.status, fleet.document["hosts"]) == (0, [])
    account = next(each for each in checks_of(stage) if each["what"] == "account main")
    assert "1 position" in account["found"]
    assert stage.run("positions").status == 0
    assert stage.run("run-once", "--dry-run").status == 0
    assert (stage.run("run-once").status, len(stage.orders())) == (0, 1)


def checks_of(stage: Stage) -> list[dict[str, str]]:
    checks: list[dict[str, str]] = stage.run("doctor", "--format", "json").document["checks"]
    return checks


def database_check(stage: Stage) -> dict[str, str]:
    return next(each for each in checks_of(stage) if each["what"] == "database")


def a_program(tmp_path: object, url: str) -> Program:
    program = Program(tmp_path)  # type: ignore[arg-type]
    program.write(f"accounts: {{main: {{api_key: PKAAAAAAAAAAAAAAAAAA, secret_key: s}}}}\n{on(url)}")
    return program


def test_config_show_masks_the_url_and_the_password_may_stand_in_the_environment(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = a_program(tmp_path, "postgresql+psycopg://sellctl:${DB_PASSWORD}@db/journal")
    without = program.run("config", "show")
    assert (without.status, "DB_PASSWORD isn't set" in without.err) == (2, True)
    history = program.run("history")
    assert (history.status, "DB_PASSWORD isn't set" in history.err) == (2, True)
    monkeypatch.setenv("DB_PASSWORD", PASSWORD)
    shown = program.run("config", "show", "--format", "json")
    (value,) = (each for each in shown.document["values"] if each["key"] == "journal.url")
    assert (value["value"], PASSWORD in shown.out) == ("****", False)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("sqlite:///journal.sqlite", "names an SQLite file"),
        ("mysql://user:can4ry-s3cret@host/db", "isn't the URL of a PostgreSQL database"),
        ("postgresql+psycopg://user:can4ry-s3cret@host", "isn't the URL of a PostgreSQL database"),
        ("postgresql+psycopg://user:can4ry-s3cret@host:port/db", "isn't the URL of a PostgreSQL database"),
        ("postgresql+psycopg://user:can4ry@can4ry-s3cret@host/db", "isn't the URL of a PostgreSQL database"),
        ("postgresql+psycopg://host/db?password=can4ry-s3cret", "has its password behind the ?"),
    ],
)
def test_a_url_that_cannot_work_is_told_without_its_password(tmp_path: object, url: str, sentence: str) -> None:
    result = a_program(tmp_path, url).run("config", "check")
    assert (result.status, sentence in result.err) == (2, True)
    assert PASSWORD not in f"{result}"


def test_a_file_that_others_can_read_may_have_a_url_without_a_password_only(tmp_path: object) -> None:
    program = a_program(tmp_path, "postgresql+psycopg://host/db")
    text = program.config.read_text()
    text = text.replace("api_key: PKAAAAAAAAAAAAAAAAAA, secret_key: s", "api_key: '${KEY}', secret_key: '${KEY}'")
    program.write(text, mode=0o644)
    assert "holds a secret" not in program.run("config", "check").err
    program.write(text.replace("//host", f"//user:{PASSWORD}@host"), mode=0o644)
    assert "holds a secret" in program.run("config", "check").err


def test_a_simulated_account_never_writes_to_the_journal_of_real_ones(
    play: Play, postgres: PostgresLocation, server: Server
) -> None:
    stage = play(STOPPED, f"{on(postgres.url)}simulator: true\n")
    assert stage.run("run-once").status == 0
    name = postgres.url.rpartition("/")[2]
    assert server.sql("SELECT count(*) FROM audit", name) == [(0,)]
    assert server.sql("SELECT count(*) > 0 FROM sellctl_simulator.audit", name) == [(True,)]
