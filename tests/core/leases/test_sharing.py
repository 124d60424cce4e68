"""The sharing rule: even, sticky, and the same on every host."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from sellctl.core.leases.sharing import share

HOSTS = st.sets(st.sampled_from("ABCDE"), min_size=1)
ACCOUNTS = st.sets(st.sampled_from([f"account-{n}" for n in range(14)]))


@st.composite
def situations(draw: st.DrawFn) -> tuple[dict[str, set[str]], dict[str, str]]:
    """Hosts that all know the same accounts, and who holds what: some accounts are free."""
    hosts, accounts = sorted(draw(HOSTS)), draw(ACCOUNTS)
    holders = {account: draw(st.sampled_from([*hosts, ""])) for account in sorted(accounts)}
    return dict.fromkeys(hosts, accounts), {account: host for account, host in holders.items() if host}


@given(situations())
def test_every_account_belongs_to_one_host_and_no_host_has_two_more_than_another(
    situation: tuple[dict[str, set[str]], dict[str, str]],
) -> None:
    known, held = situation
    shared = share(known, held)
    counts = Counter(dict.fromkeys(known, 0))
    counts.update(shared.values())
    assert shared.keys() == {account for accounts in known.values() for account in accounts}
    assert max(counts.values()) - min(counts.values()) <= 1


@given(situations())
def test_no_more_accounts_move_than_the_balance_needs(
    situation: tuple[dict[str, set[str]], dict[str, str]],
) -> None:
    known, held = situation
    shared = share(known, held)
    moved = [account for account in held if shared[account] != held[account]]
    before, after = Counter(held.values()), Counter(shared.values())
    most = -(-len(shared) // len(known))  # a host may keep as many
    assert all(after[held[account]] >= len(shared) // len(known) for account in moved)
    assert len(moved) <= sum(max(0, before[host] - len(shared) // len(known)) for host in known)
    assert len(moved) >= sum(max(0, before[host] - most) for host in known)


@given(situations())
def test_what_is_shared_evenly_stays_where_it_is(situation: tuple[dict[str, set[str]], dict[str, str]]) -> None:
    known, held = situation
    shared = share(known, held)
    assert share(known, shared) == shared


@given(situations(), st.randoms())
def test_the_order_in_which_the_facts_come_changes_nothing(
    situation: tuple[dict[str, set[str]], dict[str, str]], chance: object
) -> None:
    known, held = situation
    hosts, leases = list(known.items()), list(held.items())
    chance.shuffle(hosts)  # type: ignore[attr-defined]
    chance.shuffle(leases)  # type: ignore[attr-defined]
    assert share(dict(hosts), dict(leases)) == share(known, held)


@given(situations())
def test_what_a_host_has_that_is_gone_is_free(situation: tuple[dict[str, set[str]], dict[str, str]]) -> None:
    known, held = situation
    gone = dict.fromkeys(held, "gone")
    assert set(share(known, gone).values()) <= known.keys()


def test_an_account_with_an_exit_under_way_moves_last() -> None:
    known = {"A": {"a", "b", "c"}, "B": {"a", "b", "c"}}
    held = dict.fromkeys("abc", "A")
    assert share(known, held)["c"] == "B"
    assert share(known, held, busy={"c"}) == {"a": "A", "b": "B", "c": "A"}


def test_an_account_that_only_one_host_knows_stays_there_although_it_is_uneven() -> None:
    known = {"A": {"a", "b", "c"}, "B": set[str]()}
    assert share(known, {}) == dict.fromkeys("abc", "A")
