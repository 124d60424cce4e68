"""Which of the broker's accounts an account name stands for; data recorded for another account is never applied.

The API key configured for a name can change accounts: after a paper account was reset, or when the key of another
account is configured. Then the open intents of the old account end, its episodes are archived until it returns, and its
notes and fills of the day are ignored.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa

from sellctl.journal.schema import episodes, meta, unresolved

CHANGED = "account_changed"  # the kind of the row that records the change
OF_ANOTHER_ACCOUNT = "of_another_account"  # the kind of the row that ends an intent of the old account


@dataclass(frozen=True, slots=True)
class AccountNumber:
    """An account's number ("" while unknown), and the sequence number of the first journal row that belongs to it."""

    number: str = ""
    first_row_seq: int = 0


def number_of(tx: sa.Connection, account: str) -> AccountNumber:
    """The recorded number of an account name."""
    return number_in(tx.scalar(sa.select(meta.c.value).where(meta.c.key == key_of(account))))


def number_in(value: str | None) -> AccountNumber:
    """The number that a value in `meta` records; none without a value."""
    return AccountNumber(*json.loads(value)) if value is not None else AccountNumber()


def row_of(account: str, number: AccountNumber) -> tuple[str, str]:
    """The row of `meta` that records the number of an account name: its values in the order of the columns."""
    return key_of(account), json.dumps([number.number, number.first_row_seq])


def end_intents(tx: sa.Connection, account: str, end: Callable[[str, str], object]) -> None:
    """End every open intent of an account name; `end` records it, with the client order id and the symbol."""
    of_account = unresolved.c.account == account
    rows = tx.execute(
        sa.select(unresolved.c.client_order_id, unresolved.c.symbol).where(of_account).order_by("seq")
    ).all()
    for client_order_id, symbol in rows:
        end(client_order_id, symbol)
    tx.execute(sa.delete(unresolved).where(of_account))


def swap_episodes(tx: sa.Connection, account: str, old_number: str, new_number: str) -> None:
    """Archive the episodes of the old account, and restore those of the new one that were archived earlier."""
    for old, new in ((account, archived_name(account, old_number)), (archived_name(account, new_number), account)):
        tx.execute(sa.delete(episodes).where(episodes.c.account == new))
        tx.execute(sa.update(episodes).where(episodes.c.account == old).values(account=new))


def archived_name(account: str, number: str) -> str:
    """The name under which episodes of another account are stored. No configured name contains a line break."""
    return f"{account}\n{number}"


def key_of(account: str) -> str:
    """The key in `meta` under which the number of an account name is recorded."""
    return f"account:{account}"
