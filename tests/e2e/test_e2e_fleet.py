"""`sellctl fleet`: hosts, accounts and leases, read from the database without becoming a host."""

import asyncio

from postgres_fixtures import PostgresLocation
from stage import Play, Stage, three_calls

from sellctl.core.leases.model import LeaseView, Renewal
from sellctl.journal.leases.postgres_table import PostgresLeaseTable

NOWHERE = "postgresql+psycopg://sellctl:s3cret@127.0.0.1:1/journal"


def on(url: str) -> str:
    return f'journal: {{url: "{url}"}}\n'


def a_stage(play: Play, journal: PostgresLocation) -> Stage:
    return play(three_calls("1.00"), on(journal.url))


def registered(journal: PostgresLocation, *hosts: str) -> LeaseView:
    """Register hosts, of which the first takes `main`. The table afterwards."""

    async def work() -> LeaseView:
        table = PostgresLeaseTable(journal.conninfo)
        try:
            for host in hosts:
                view = await table.renew(Renewal(host, host, 0, frozenset({"main"})))
                await table.renew(
                    Renewal(host, host, view.registration, frozenset({"main"}), acquire=frozenset({"main"}))
                )
            return await table.view()
        finally:
            await table.close()

    return asyncio.run(work())


def test_without_a_journal_that_hosts_share_it_says_so(play: Play) -> None:
    result = play(three_calls("1.00")).run("fleet")
    assert (result.status, result.out) == (2, "")
    assert result.err.endswith(
        "fleet needs a journal that hosts share, and this one is a file of this machine. "
        "Give `journal: {url: ...}` a PostgreSQL database."
    )


def test_a_database_that_cannot_be_reached_is_one_sentence_without_the_password(play: Play) -> None:
    result = play(three_calls("1.00"), on(NOWHERE)).run("fleet")
    assert (result.status, result.out) == (1, "")
    assert "The journal postgresql://sellctl@127.0.0.1:1/journal can't be reached" in result.err
    assert "s3cret" not in result.err


def test_before_the_first_host_nobody_watches_and_none_is_registered_by_looking(
    play: Play, postgres: PostgresLocation
) -> None:
    stage = a_stage(play, postgres)
    for _ in range(2):
        result = stage.run("fleet")
        assert (result.status, result.err) == (
            0,
            "0 hosts, 1 account\nNobody watches main: nothing of that is sold until a host takes it.\n",
        )
        assert result.out.splitlines()[1].split() == ["main", "nobody", "-", "-", "-", "-", "not", "watched"]
    assert registered(postgres).hosts == ()
    assert not list(stage.state.glob("*"))


def test_positions_warns_of_an_unwatched_account_only_where_no_host_watches_it(
    play: Play, postgres: PostgresLocation
) -> None:
    stage = a_stage(play, postgres)
    assert "No watcher is running here" in stage.run("positions").err
    registered(postgres, "one")
    assert "No watcher" not in stage.run("positions").err


def test_hosts_and_their_accounts_are_listed_and_other_formats_have_the_same(
    play: Play, postgres: PostgresLocation
) -> None:
    stage = a_stage(play, postgres)
    registered(postgres, "one", "two")
    document = stage.run("fleet", "--format", "json").document
    assert [(each["host"], each["accounts"]) for each in document["hosts"]] == [("one", ["main"]), ("two", [])]
    (account,) = document["accounts"]
    assert (account["account"], account["host"], account["fence"]) == ("main", "one", 1)
    assert 0 <= account["held_seconds"] < 10
    rows = [line.split(",") for line in stage.run("fleet", "--format", "csv").out.splitlines()]
    assert rows[0] == ["account", "host", "fence", "held_for", "renewed", "ends_in", "state"]
    assert [row[:3] for row in rows[1:]] == [["main", "one", "1"], ["", "two", ""]]
