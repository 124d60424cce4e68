"""Which intents the journal refuses: those of a host whose lease has ended, and those of others beside hosts."""

import datetime as dt

from sellctl.core.errors import BusyError, LeaseLostError
from sellctl.core.leases.model import Lease


def lost(account: str) -> LeaseLostError:
    """The error about an account for which this host may not send."""
    return LeaseLostError(
        f"This host has no lease of account {account} now: nothing is sent.",
        hint="Another host takes it over, or this one once the database answers again.",
    )


def watched(account: str, host: str = "") -> BusyError:
    """The error about an account that a host watches, for a process that has no lease of it. `host` is its name."""
    by = f"host {host}" if host else "one of the hosts that share the accounts"
    return BusyError(
        f"Account {account} is watched by {by}: nothing is sent from here.",
        hint="`sellctl fleet` shows the hosts; close, panic, set, exempt and halt reach them from any machine.",
    )


def refuse_stale(account: str, lease: Lease | None, fence: int, now: dt.datetime) -> None:
    """LeaseLostError unless the account's lease has this fencing number and hasn't ended; `now` by the database."""
    if lease is None or lease.fence != fence or lease.until <= now:
        raise lost(account)
