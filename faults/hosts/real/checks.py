"""What must hold after a run with real hosts: the evidence of one run, and what is wrong with it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from faults.hosts.real.draws import BOUNDS, Moment, Trouble

QTY, KEPT_QTY = Decimal(3), Decimal(7)
# Seconds until all is sold after the accounts are watched again, or a halt was lifted: a stop needs a second quote, and
# a `close` whose watcher has died waits for it before a person asks again.
SELL_WITHIN = {Moment.FALL: 15.0, Moment.REQUEST: 60.0, Moment.HALT: 15.0}
CLOSED = 0  # the exit status of `close` when all is closed
HONEST = frozenset({CLOSED, 1, 4, 5, 6})  # its other ones: failed, partly, refused, busy


@dataclass(frozen=True, slots=True)
class Struck:
    """One trouble, and after how many seconds all accounts that it concerned were watched again; None: they weren't.

    The seconds count from the trouble, or from when a stopped database ran again.
    """

    trouble: Trouble
    accounts: tuple[str, ...]
    watched_after: float | None


@dataclass(frozen=True, slots=True)
class Asked:
    """One `close` of a person: its exit status, and how much was left when it had ended."""

    status: int
    left: Decimal


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was seen in one run. By account: what our orders have sold of what was due, and what is held in the end."""

    struck: tuple[Struck, ...] = ()
    sold: dict[str, Decimal] = field(default_factory=dict)
    left: dict[str, Decimal] = field(default_factory=dict)
    kept: dict[str, Decimal] = field(default_factory=dict)
    sold_after: float | None = None
    sell_within: float = 0.0
    refused: tuple[str, ...] = ()  # orders that the broker refused
    unrecorded: tuple[str, ...] = ()  # orders at the broker without an intent in the journal
    sent_while_stopped: int = 0  # orders that arrived while the database was stopped
    sent_while_halted: int = 0
    asked: tuple[Asked, ...] = ()
    wrong_ends: dict[str, str] = field(default_factory=dict)  # by host: how its process ended, or didn't
    chain: str = ""  # what `history --verify` finds
    trouble_of_bench: str = ""  # why the run itself didn't get to its end


def errors_of(seen: Evidence) -> tuple[str, ...]:
    """What is wrong, in sentences."""
    if seen.trouble_of_bench:
        return (f"the run couldn't be played: {seen.trouble_of_bench}",)
    return (
        *_take_over_errors(seen.struck),
        *_sale_errors(seen),
        *_sending_errors(seen),
        *_asked_errors(seen.asked),
        *(f"R7: host {host} {text}" for host, text in seen.wrong_ends.items()),
        *([f"A2: {seen.chain}"] if seen.chain else []),
    )


def _take_over_errors(struck: Iterable[Struck]) -> Iterator[str]:
    """E5: each account is watched again within the bound of the trouble."""
    for each in struck:
        bound = BOUNDS[each.trouble]
        if each.watched_after is None or each.watched_after > bound:
            late = "not at all" if each.watched_after is None else f"after {each.watched_after:.1f} s"
            accounts = ", ".join(each.accounts)
            yield f"E5: after {each.trouble}, {accounts} were watched again {late}, not within {bound:.0f} s"


def _sale_errors(seen: Evidence) -> Iterator[str]:
    """R1: what was due is sold once, completely and in time; the rest stays."""
    for account, qty in seen.sold.items():
        if qty != QTY:
            yield f"R1: account {account}: {qty} of {QTY} sold"
    for account, qty in seen.left.items():
        if qty:
            yield f"R1: account {account}: {qty} left unsold"
    for account, qty in seen.kept.items():
        if qty != KEPT_QTY:
            yield f"R1: account {account}: {qty} of {KEPT_QTY} kept"
    if not any(seen.left.values()) and (seen.sold_after is None or seen.sold_after > seen.sell_within):
        late = "never seen" if seen.sold_after is None else f"after {seen.sold_after:.1f} s"
        yield f"R6: all was sold {late}, not within {seen.sell_within:.0f} s"


def _sending_errors(seen: Evidence) -> Iterator[str]:
    """A1, A3, K1, S1: nothing is sent that isn't recorded, nor during a halt, and no order is one too many."""
    for order in seen.unrecorded:
        yield f"A1: the journal has no intent of order {order}"
    if seen.sent_while_stopped:
        yield f"A3: {seen.sent_while_stopped} orders were sent while the database was stopped"
    if seen.sent_while_halted:
        yield f"K1: {seen.sent_while_halted} orders were sent while all hosts were halted"
    for order in seen.refused:
        yield f"S1: the broker refused an order: {order}"


def _asked_errors(asked: Iterable[Asked]) -> Iterator[str]:
    """What `close` says of its outcome is so."""
    for each in asked:
        if each.status not in HONEST:
            yield f"close ended with status {each.status}"
        if each.status == CLOSED and each.left:
            yield f"close ended with status 0 and left {each.left}"
