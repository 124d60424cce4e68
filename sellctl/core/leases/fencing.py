"""Which intents the journal refuses: those of a host whose lease has ended, or has become another's."""

import datetime as dt

from sellctl.core.errors import LeaseLostError
from sellctl.core.leases.model import Lease


def lost(account: str) -> LeaseLostError:
    """The error about an account for which this host may not send."""
    return LeaseLostError(
        f"This host has no lease of account {account} now: nothing is sent.",
        hint="Another host takes it over, or this one once the database answers again.",
    )


def refuse_stale(account: str, lease: Lease | None, fence: int, now: dt.datetime) -> None:
    """LeaseLostError unless the account's lease has this fencing number and hasn't ended; `now` by the database."""
    if lease is None or lease.fence != fence or lease.until <= now:
        raise lost(account)
