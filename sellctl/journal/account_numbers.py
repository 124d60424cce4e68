"""Which of the broker's accounts an account name stands for; nothing recorded of another one is applied to it.

The key of a name belongs to another account after a paper account was reset, or when the key of another account was
configured. Then the open intents of the old account end, its episodes are set aside until it returns, and its notes and
fills of the day are left out.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa

from sellctl.journal.schema import episodes, meta, unresolved

CHANGED = "account_changed"  # the kind of the row that records the change
OF_ANOTHER_ACCOUNT = "of_another_account"  # the kind of the row that ends an intent of the old account
_OF_KEY = sa.select(meta.c.value).where(meta.c.key == sa.bindparam("key"))  # built once: each start reads it often


@dataclass(frozen=True, slots=True)
class AccountNumber:
    """The number of an account name ("" before the first answer), and the first row that may be about it."""

    number: str = ""
    since: int = 0


def number_of(tx: sa.Connection, account: str) -> AccountNumber:
    """The recorded number of an account name."""
    value = tx.scalar(_OF_KEY, {"key": _key(account)})
    if value is None:
        return AccountNumber()
    number, since = json.loads(value)
    return AccountNumber(number, since)


def save_number(tx: sa.Connection, account: str, now: AccountNumber) -> None:
    """Record the number of an account name."""
    tx.execute(sa.delete(meta).where(meta.c.key == _key(account)))
    tx.execute(sa.insert(meta).values(key=_key(account), value=json.dumps([now.number, now.since])))


def end_intents(tx: sa.Connection, account: str, end: Callable[[str, str], object]) -> None:
    """End every open intent of an account name; `end` records it, with the client order id and the symbol."""
    mine = unresolved.c.account == account
    rows = tx.execute(sa.select(unresolved.c.client_order_id, unresolved.c.symbol).where(mine).order_by("seq")).all()
    for client_order_id, symbol in rows:
        end(client_order_id, symbol)
    tx.execute(sa.delete(unresolved).where(mine))


def exchange_episodes(tx: sa.Connection, account: str, before: str, now: str) -> None:
    """Set the episodes of the old account aside, and take those of the new one that were set aside earlier."""
    for old, new in ((account, set_aside(account, before)), (set_aside(account, now), account)):
        tx.execute(sa.delete(episodes).where(episodes.c.account == new))
        tx.execute(sa.update(episodes).where(episodes.c.account == old).values(account=new))


def set_aside(account: str, number: str) -> str:
    """The name under which the episodes of another account are stored; no name in a configuration has a line break."""
    return f"{account}\n{number}"


def _key(account: str) -> str:
    return f"account:{account}"
