"""The state of one account, as one immutable value that the screen, the API and the commands read."""

from enum import StrEnum

from msgspec import Struct

from sellctl.core.errors import SellctlError
from sellctl.core.model.market import Market
from sellctl.core.model.order import Order
from sellctl.core.model.plan import Plan
from sellctl.core.model.snapshot import AccountFacts, Snapshot


class RunMode(StrEnum):
    """The actions that a poll may take."""

    ACT = "act"
    DRY_RUN = "dry run"  # decide and send nothing
    STALE_ONLY = "stale only"  # cancel stale orders and nothing else


class AccountState(Struct, frozen=True):
    """One account at one instant. Each poll creates a new value.

    `plan` is the plan that the last successful poll made from `snapshot`; `first_plan` is that of the first poll, with
    each unconfirmed decision replaced by that of a later poll. All three are None until a poll has succeeded.
    `problem` is the error of the last attempt, the last of `failures` in a row; None when it succeeded.
    """

    name: str
    mode: RunMode = RunMode.ACT
    only: frozenset[str] | None = None  # the symbols that this run may act on; None: all
    facts: AccountFacts | None = None
    plan: Plan | None = None
    first_plan: Plan | None = None
    snapshot: Snapshot | None = None
    polled_at: float | None = None  # when the snapshot's positions and orders were requested, in monotonic seconds
    acted: bool = False  # whether the last poll, re-evaluation or tick sent or cancelled anything
    awaits_read: bool = False  # whether an exit waits for a read that shows the end of a cancel
    reads_in_vain: int = 0  # the reads in a row that have shown such a cancel as still pending
    problem: SellctlError | None = None
    failures: int = 0
    pending_symbols: tuple[str, ...] = ()  # symbols with an exit order of ours that isn't terminal
    broker_stops: tuple[str, ...] = ()  # symbols under which a stop of ours rests at the broker
    unknown_orders: tuple[str, ...] = ()  # client order ids whose outcome is unknown
    rejected: tuple[str, ...] = ()  # symbols whose last order was refused, with no automatic recovery

    @property
    def market(self) -> Market | None:
        """The market at the last successful poll."""
        return self.snapshot.market if self.snapshot else None

    @property
    def open_orders(self) -> tuple[Order, ...]:
        """Every open order of the account at the last successful poll, including the user's."""
        return self.snapshot.orders if self.snapshot else ()

    @property
    def has_polled(self) -> bool:
        """Whether a poll has ended, successfully or not."""
        return self.plan is not None or self.problem is not None

    @property
    def may_lack_split(self) -> bool:
        """Whether a position may not show a split at the last successful poll, so that its rules were suspended."""
        return self.snapshot is not None and bool(self.snapshot.unbooked_splits)

    @property
    def is_unconfirmed(self) -> bool:
        """Whether a decision of the plan depends on another poll."""
        return self.plan is not None and self.plan.is_unconfirmed

    @property
    def is_expedited(self) -> bool:
        """Whether the next poll should come early: an exit is under way, or a decision is unconfirmed.

        A dry run doesn't wait for the second quote that establishes a best price: nothing becomes due by it, and a dry
        run doesn't store it.
        """
        if self.plan is None or self.mode is RunMode.STALE_ONLY:
            return False
        plan = self.plan if self.only is None else self.plan.only(self.only)
        if self.mode is RunMode.DRY_RUN:
            return plan.is_exit_unconfirmed
        return plan.is_unconfirmed or self.is_following

    @property
    def is_confirming_a_short(self) -> bool:
        """Whether the exit of a short without cover waits for another read of the positions."""
        return self.plan is not None and self.plan.is_confirming_a_short

    @property
    def is_settling(self) -> bool:
        """Whether an exit waits until the positions show a fill."""
        return self.plan is not None and self.plan.is_settling

    @property
    def is_following(self) -> bool:
        """Whether an exit is followed to its end: an order works or is about to, or a fill has not settled yet."""
        if self.plan is None or self.mode is not RunMode.ACT:
            return False
        if self.is_settling:
            return True
        if self.only is None:
            return bool(self.pending_symbols or self.plan.acts)
        return self.plan.only(self.only).acts or not self.only.isdisjoint(self.pending_symbols)

    @property
    def is_pressing(self) -> bool:
        """Whether a protective or forced exit is under way or about to be, so that its reads come before all others."""
        return self.plan is not None and self.plan.is_pressing and (self.acted or self.is_expedited)
