"""What is known of one account, as one immutable value that the screen, the API and the commands read."""

from dataclasses import dataclass
from enum import StrEnum

from sellctl.core.errors import SellctlError
from sellctl.core.model.market import Market
from sellctl.core.model.order import Order
from sellctl.core.model.plan import Plan
from sellctl.core.model.snapshot import AccountFacts, Snapshot


class RunMode(StrEnum):
    """How far a poll goes."""

    ACT = "act"
    DRY_RUN = "dry run"  # decide and send nothing
    STALE_ONLY = "stale only"  # cancel stale orders and nothing else


@dataclass(frozen=True, slots=True)
class AccountState:
    """One account at one moment. A later poll makes another value and leaves this one as it is.

    `plan` is what the last successful poll decided from `snapshot`; `first_plan` is the first poll's, where a stop that
    waited for a second quote stands as a later poll decided it. All three are None until a poll has succeeded.
    `problem` is why the last attempt failed, the last of `failures` in a row; None when it succeeded.
    """

    name: str
    mode: RunMode = RunMode.ACT
    only: frozenset[str] | None = None  # the symbols that this run may act on; None: all
    facts: AccountFacts | None = None
    plan: Plan | None = None
    first_plan: Plan | None = None
    snapshot: Snapshot | None = None
    polled_at: float | None = None  # when the snapshot's positions and orders were asked for, in monotonic seconds
    acted: bool = False  # whether the last poll or tick sent or cancelled anything
    problem: SellctlError | None = None
    failures: int = 0
    working: tuple[str, ...] = ()  # symbols with an exit order of ours that isn't terminal
    broker_stops: tuple[str, ...] = ()  # symbols under which a stop of ours rests at the broker
    unknown_orders: tuple[str, ...] = ()  # client order ids whose outcome nobody knows
    rejected: tuple[str, ...] = ()  # symbols whose last order was refused, with no automatic recovery

    @property
    def market(self) -> Market | None:
        """The market at the last successful poll."""
        return self.snapshot.market if self.snapshot else None

    @property
    def open_orders(self) -> tuple[Order, ...]:
        """Every open order at the last successful poll, whoever sent it."""
        return self.snapshot.orders if self.snapshot else ()

    @property
    def has_polled(self) -> bool:
        """Whether a poll has ended, well or not."""
        return self.plan is not None or self.problem is not None

    @property
    def is_unconfirmed(self) -> bool:
        """Whether a stop waits for a second quote."""
        return self.plan is not None and self.plan.is_unconfirmed

    @property
    def is_expedited(self) -> bool:
        """Whether something is under way that shouldn't wait for the next ordinary poll."""
        if self.plan is None or self.mode is RunMode.STALE_ONLY:
            return False
        if self.plan.is_unconfirmed or self.mode is RunMode.DRY_RUN:
            return self.plan.is_unconfirmed
        if self.only is None:
            return bool(self.working or self.plan.acts)
        return self.plan.only(self.only).acts or not self.only.isdisjoint(self.working)
