"""`fleet`: who watches which account, what nobody watches, and a halt of all."""

import datetime as dt

from builders import at

from sellctl.core.leases.model import Host, Lease, LeaseView
from sellctl.core.leases.timing import LEASE_SECONDS
from sellctl.ui.fleet import FLEET_COLUMNS, fleet_document, fleet_lines, fleet_rows
from sellctl.ui.formatting import as_cell

NOON = at("12:00")
ACCOUNTS = frozenset({"main", "other"})


def seconds(number: float) -> dt.timedelta:
    return dt.timedelta(seconds=number)


def a_host(name: str, registration: int, *, renewed: float = 0.5, is_leaving: bool = False) -> Host:
    return Host(name, registration, NOON + seconds(LEASE_SECONDS - renewed), ACCOUNTS, is_leaving)


def a_view(*hosts: Host, held: dict[str, Host] | None = None, halted: str = "") -> LeaseView:
    leases = tuple(
        Lease(account, host.name, host.registration, 3, host.until, NOON - seconds(125))
        for account, host in (held or {}).items()
    )
    return LeaseView(NOON, hosts, leases, halted=halted)


def shown(view: LeaseView, *accounts: str) -> list[dict[str, str]]:
    rows = fleet_rows(view, accounts)
    return [{name: as_cell(cell).text for name, cell in zip(FLEET_COLUMNS, row, strict=True)} for row in rows]


def test_an_account_is_shown_with_its_holder_and_the_age_of_the_lease_and_of_the_renewal() -> None:
    one = a_host("one", 1)
    assert shown(a_view(one, held={"main": one}), "main")[0] == {
        "account": "main",
        "host": "one",
        "fence": "3",
        "held for": "2.1 min",
        "renewed": "0.5 s ago",
        "ends in": "9.5 s",
        "state": "watching",
    }


def test_an_account_that_nobody_holds_is_named_in_its_row_and_above() -> None:
    one = a_host("one", 1)
    view = a_view(one, held={"main": one})
    rows = {row["account"]: (row["host"], row["state"]) for row in shown(view, "main", "other")}
    assert rows == {"main": ("one", "watching"), "other": ("nobody", "not watched")}
    assert list(fleet_lines(view, ["main", "other"])) == [
        "1 host, 2 accounts",
        "Nobody watches other: nothing of that is sold until a host takes it.",
    ]


def test_a_host_without_accounts_has_a_row_and_one_that_ends_says_so() -> None:
    one, two = a_host("one", 1), a_host("two", 2, renewed=4, is_leaving=True)
    rows = shown(a_view(one, two, held={"main": one, "other": one}), "main", "other")
    assert [row["host"] for row in rows] == ["one", "one", "two"]
    last = rows[-1]
    assert (last["account"], last["renewed"], last["state"]) == ("none", "4.0 s ago", "leaving")
    idle = shown(a_view(one, a_host("two", 2), held={"main": one}), "main")[-1]
    assert (idle["account"], idle["host"], idle["state"]) == ("none", "two", "ready")


def test_an_account_that_only_another_hosts_configuration_has_is_shown_after_ones_own() -> None:
    one = a_host("one", 1)
    assert [row["account"] for row in shown(a_view(one, held={"main": one}), "other")] == ["other", "main"]


def test_without_a_host_every_account_is_watched_by_nobody() -> None:
    view = a_view(halted="fed\nday")
    assert [(row["account"], row["host"]) for row in shown(view, "main")] == [("main", "nobody")]
    assert list(fleet_lines(view, ["main"]))[-1] == "HALTED: no host sends new orders (fed day)."


def test_the_document_has_hosts_accounts_and_the_halt() -> None:
    one = a_host("one", 1)
    document = fleet_document(a_view(one, held={"main": one}, halted="fed day"), ["main", "other"])
    assert (document["version"], document["at"], document["halted"]) == (2, NOON.isoformat(), "fed day")
    assert document["hosts"] == [
        {
            "host": "one",
            "renewed_seconds_ago": 0.5,
            "until": (NOON + seconds(9.5)).isoformat(),
            "leaving": False,
            "accounts": ["main"],
        }
    ]
    assert document["accounts"] == [
        {
            "account": "main",
            "host": "one",
            "fence": 3,
            "held_since": (NOON - seconds(125)).isoformat(),
            "held_seconds": 125.0,
        },
        {"account": "other", "host": None, "fence": None, "held_since": None, "held_seconds": None},
    ]
