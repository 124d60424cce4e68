"""Whether orders may be sent for an account at this instant."""

from typing import Protocol


class SendPermit(Protocol):
    """Asked before each order and each cancel of one account."""

    def begin(self) -> int | None:
        """Allow a decision to be recorded. Return the fencing number that its intents carry; None without leases.

        LeaseLostError when nothing may be sent, or the account is about to be handed over.
        """

    def require(self) -> None:
        """LeaseLostError unless a request that was recorded may be sent now."""


class Unleased:
    """The permit of a run that shares its accounts with no host, or that sends nothing anyway."""

    def begin(self) -> int | None:
        """Always None."""
        return None

    def require(self) -> None:
        """Do nothing."""
