"""Rows, summary and the document of `fleet`: hosts and the accounts that they share, for `render.emit`."""

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sellctl.core.leases.model import Host, Lease, LeaseView
from sellctl.core.leases.timing import LEASE_SECONDS
from sellctl.core.text import as_time_span
from sellctl.ui.formatting import Cell, Tone, counted, sanitize
from sellctl.ui.render import JSON_VERSION

FLEET_COLUMNS = ("account", "host", "fence", "held for", "renewed", "ends in", "state")
_NOBODY = Cell("nobody", None, Tone.BAD)
_NONE = Cell("none", None, Tone.QUIET)


def fleet_rows(view: LeaseView, accounts: Sequence[str]) -> list[tuple[object, ...]]:
    """One row per account, under FLEET_COLUMNS, and one per host that holds none."""
    hosts = {host.name: host for host in view.hosts}
    leases = {lease.account: lease for lease in view.leases}
    rows = [_account_row(view, account, leases.get(account), hosts) for account in _all_accounts(view, accounts)]
    holders = {lease.host for lease in view.leases}
    idle = (host for host in view.hosts if host.name not in holders)
    return rows + [(_NONE, host.name, None, None, *_host_cells(view, host)) for host in idle]


def fleet_lines(view: LeaseView, accounts: Sequence[str], halted_here: str = "") -> Iterator[str]:
    """What is true of the whole: how many hosts and accounts there are, which nobody holds, and a halt.

    `halted_here` is why this machine is halted by its own flag, "" when it isn't.
    """
    known = _all_accounts(view, accounts)
    yield f"{counted(len(view.hosts), 'host')}, {counted(len(known), 'account')}"
    unheld = _unheld(view, known)
    if unheld:
        yield f"Nobody watches {', '.join(map(sanitize, unheld))}: nothing of that is sold until a host takes it."
    if view.halted:
        yield f"HALTED: no host sends new orders ({sanitize(view.halted)})."
    elif halted_here:
        yield f"HALTED: this machine sends no new orders ({sanitize(halted_here)}); other hosts do."


def fleet_document(view: LeaseView, accounts: Sequence[str], halted_here: str = "") -> dict[str, Any]:
    """The same as a versioned object. Instants are by the database's clock."""
    known = _all_accounts(view, accounts)
    leases = {lease.account: lease for lease in view.leases}
    return {
        "version": JSON_VERSION,
        "at": view.at.isoformat(),
        "halted": view.halted,
        "halted_here": halted_here,
        "hosts": [_host_part(view, host) for host in view.hosts],
        "accounts": [_account_part(view, account, leases.get(account)) for account in known],
    }


def _host_part(view: LeaseView, host: Host) -> dict[str, Any]:
    return {
        "host": host.name,
        "renewed_seconds_ago": _seconds(_since_renewal(view, host)),
        "until": host.until.isoformat(),
        "leaving": host.is_leaving,
        "accounts": [lease.account for lease in view.leases if lease.host == host.name],
    }


def _account_part(view: LeaseView, account: str, lease: Lease | None) -> dict[str, Any]:
    return {
        "account": account,
        "host": lease.host if lease else None,
        "fence": lease.fence if lease else None,
        "held_since": lease.since.isoformat() if lease else None,
        "held_seconds": _seconds(view.at - lease.since) if lease else None,
    }


def _account_row(view: LeaseView, account: str, lease: Lease | None, hosts: dict[str, Host]) -> tuple[object, ...]:
    if lease is None:
        return (account, _NOBODY, None, None, None, None, Cell("not watched", "not watched", Tone.BAD))
    held = view.at - lease.since
    cells = _host_cells(view, hosts[lease.host])
    return (account, lease.host, lease.fence, Cell(as_time_span(held), str(_seconds(held))), *cells)


def _host_cells(view: LeaseView, host: Host) -> tuple[Cell, Cell, Cell]:
    """When a host has renewed, when its leases end unless it does again, and whether it watches, could, or leaves."""
    state = "watching" if any(lease.host == host.name for lease in view.leases) else "ready"
    ago, left = _since_renewal(view, host), host.until - view.at
    return (
        Cell(f"{_seconds(ago)} s ago", str(_seconds(ago))),
        Cell(f"{_seconds(left)} s", str(_seconds(left))),
        Cell("leaving", "leaving", Tone.WARN) if host.is_leaving else Cell(state, state),
    )


def _since_renewal(view: LeaseView, host: Host) -> dt.timedelta:
    return max(view.at - (host.until - dt.timedelta(seconds=LEASE_SECONDS)), dt.timedelta(0))


def _seconds(span: dt.timedelta) -> float:
    return round(span.total_seconds(), 1)


def _all_accounts(view: LeaseView, accounts: Sequence[str]) -> list[str]:
    """The accounts of the configuration, then those that only a host of another configuration knows."""
    others: Iterable[str] = {account for host in view.hosts for account in host.accounts}
    held = {lease.account for lease in view.leases}
    return [*accounts, *sorted({*others, *held} - set(accounts))]


def _unheld(view: LeaseView, accounts: Iterable[str]) -> list[str]:
    held = {lease.account for lease in view.leases}
    return [account for account in accounts if account not in held]
