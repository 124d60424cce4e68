"""How accounts are shared: evenly among the hosts, and each stays where it is unless the balance needs it elsewhere."""

from collections.abc import Collection, Mapping


def share(
    known: Mapping[str, Collection[str]], held: Mapping[str, str], busy: Collection[str] = frozenset()
) -> dict[str, str]:
    """Which host each account belongs to. The same facts give the same answer on every host.

    `known` are the accounts that each host can watch, `held` is who holds an account now. A free account goes to the
    host with the fewest; then accounts move from the host with the most, those that are not `busy` first, until no
    move makes it more even. Accounts that no host knows are left out, unless one of the hosts holds them.
    """
    shared = {account: host for account, host in held.items() if host in known}
    counts = dict.fromkeys(sorted(known), 0)
    for host in shared.values():
        counts[host] += 1
    for account in sorted({account for accounts in known.values() for account in accounts} - shared.keys()):
        host = min((host for host in counts if account in known[host]), key=lambda host: (counts[host], host))
        shared[account] = host
        counts[host] += 1
    while move := _next_move(known, shared, counts, busy):
        account, host = move
        counts[shared[account]] -= 1
        counts[host] += 1
        shared[account] = host
    return shared


def _next_move(
    known: Mapping[str, Collection[str]], shared: Mapping[str, str], counts: Mapping[str, int], busy: Collection[str]
) -> tuple[str, str] | None:
    """An account and the host that it should move to; None when no single move makes the shares more even."""
    for giver in sorted(counts, key=lambda host: (-counts[host], host)):
        for taker in sorted(counts, key=lambda host: (counts[host], host)):
            if counts[giver] - counts[taker] <= 1:
                break
            movable = [account for account, host in shared.items() if host == giver and account in known[taker]]
            if movable:
                return max(movable, key=lambda account: (account not in busy, account)), taker
    return None
