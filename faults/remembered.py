"""Faults of what is remembered from process to process: wrong facts, and another account behind the key."""

import datetime as dt
from collections.abc import Collection
from pathlib import Path

from faults.checkers import NEVER
from faults.evidence import EvidenceChecker
from faults.findings import Findings
from faults.generate import Day, PlannedFault
from faults.network import Network
from sellctl.core.config.secrets import key_fingerprint
from sellctl.core.decision.pricing import ALWAYS_CENT
from sellctl.core.errors import Refusal
from sellctl.core.model.instrument import AssetClass, underlying_of
from sellctl.core.model.market import NEW_YORK
from sellctl.core.tracking.remembered_facts import RememberedFacts
from sellctl.service.facts_file import FactsFile
from sellctl.service.state_folder import StateFolder
from sellctl.sim.market.assets import PENNY_PROGRAM, asset_of
from sellctl.sim.venue.accounts import SimAccount

ASKED_WITHIN = dt.timedelta(minutes=10)  # of running time
AT_ONCE = dt.timedelta(seconds=10)  # orders of one plan are sent together
MOST_REFUSALS = 8  # of a feed per process: two assets with some batches in its first call, and one try after hours
ANOTHER_NUMBER = "PA0002"
BEST = {AssetClass.STOCK: "sip", AssetClass.OPTION: "opra"}
LAST = {AssetClass.STOCK: "iex", AssetClass.OPTION: "indicative"}


def remember_increments(folder: Path, symbols: Collection[str], now: dt.datetime, *, age_in_days: int) -> set[str]:
    """Store the opposite of each underlying's price increment, as an answer of a day. Return the underlyings."""
    facts, day = _facts_in(folder), now.astimezone(NEW_YORK).date() - dt.timedelta(days=age_in_days)
    names = {asset_of(symbol).underlying for symbol in symbols if asset_of(symbol).is_option} - ALWAYS_CENT
    facts.increments_known({name: name not in PENNY_PROGRAM for name in sorted(names)}, day)
    facts.save()
    return names


def remember_feeds(folder: Path, key: str, now: dt.datetime, *, best: bool) -> None:
    """Store which feeds a key was granted the day before: the best ones, or the last ones."""
    facts = _facts_in(folder)
    for asset, feed in (BEST if best else LAST).items():
        facts.feed_granted(key_fingerprint(key), asset, feed, now - dt.timedelta(hours=18))
    facts.save()


def _facts_in(folder: Path) -> RememberedFacts:
    state = StateFolder(folder)
    state.make()
    return RememberedFacts(FactsFile(state.facts))


def put_another_account(account: SimAccount, now: dt.datetime) -> None:
    """The key belongs to another account from now on, with the same positions and without the orders."""
    account.number = ANOTHER_NUMBER
    account.lags.clear()
    for order in account.orders.values():
        order.visible_at = NEVER
        if order.is_open:
            order.set_status("canceled", now)
            account.forget_if_done(order)


def check_another_account(since: dt.datetime, told: int, network: Network, findings: Findings) -> None:
    """A6: the user was told once, and no later request is about an order of the old account."""
    if told != 1:
        findings.add("A6", since, f"another account behind the key was told {told} times")
    old = {entry.client_order_id for entry in network.log if entry.at < since}
    for entry in network.log:
        if entry.at > since and entry.client_order_id in old:
            findings.add("A6", entry.at, f"{entry.what} of {entry.client_order_id}, an order of another account")


def check_increments(
    planned: PlannedFault, outdated: Collection[str], day: Day, network: Network, findings: Findings
) -> None:
    """D8: every increment of an earlier day was asked for and priced no order; one of today was refused once.

    It need not be asked for where everything is sold before that.
    """
    soon = planned.at + ASKED_WITHIN
    lasting = {underlying_of(each.symbol) for each in day.positions if each.due_at is None or each.due_at > soon}
    unasked = sorted(set(outdated) & lasting - network.increments_asked)
    if unasked and planned.until - planned.at > ASKED_WITHIN:
        text = f"the remembered price increments of {', '.join(unasked)} were never asked for again"
        findings.add("D8", planned.until, text)
    first: dict[tuple[int, str], dt.datetime] = {}
    for entry in network.log:
        if entry.kind == Refusal.PRICE_INCREMENT.value:
            underlying = underlying_of(entry.body.get("symbol", ""))
            since = first.setdefault((entry.process, underlying), entry.at)
            if planned.options["age_in_days"] or entry.at - since > AT_ONCE:
                findings.add("D8", entry.at, f"an order of {underlying} was off the grid although that was known")


def check_feeds_tried(planned: PlannedFault, evidence: EvidenceChecker, processes: int, now: dt.datetime) -> None:
    """D9: a better feed that is granted by now was asked for, and a refused one not again and again."""
    tries = sum(feed in BEST.values() for _, feed in evidence.feeds_asked)
    if planned.options["best"] and tries > MOST_REFUSALS * processes:
        evidence.findings.add(
            "D9", now, f"a feed that was revoked was asked for {tries} times by {processes} processes"
        )
    if not planned.options["best"] and not tries:
        evidence.findings.add("D9", now, "a better feed that was refused the day before was never tried again")
