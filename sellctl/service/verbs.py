"""What a person can ask of running watchers, once for every surface: screen keys, control API, chat and MCP."""

import uuid
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from sellctl.core.decision.engine import decide
from sellctl.core.errors import ConfigError, JournalError, SafetyRefusalError, SellctlError
from sellctl.core.manual.proposed_overrides import ProposedOverride, proposed_override
from sellctl.core.manual.stop_notches import proposed_notch
from sellctl.core.manual.verb import Verb
from sellctl.core.model.account_state import RunMode
from sellctl.core.model.event import EventKind
from sellctl.core.model.position import OverrideChange
from sellctl.core.watching import manual_exits
from sellctl.core.watching.manual_exits import (
    ExitOutcome,
    ProposedExit,
    QtyOrShare,
    plan_to_close,
    proposals,
    terms_for,
)
from sellctl.core.watching.manual_requests import CommandRequest, ExitTerms, Patience
from sellctl.service.halt_flag import HaltOrigin
from sellctl.service.hosts import halt_all
from sellctl.service.listings import listing_of
from sellctl.service.names import (
    exempted_as,
    exempted_on,
    held_name,
    name_of,
    not_held,
    one_name,
    refuse_impossible,
    refuse_part,
    structures_called,
    unknown_whether_held,
)
from sellctl.service.requests import text_of
from sellctl.service.rule_changes import why_not_set

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from sellctl.bootstrap import Runtime
    from sellctl.core.decision.policy import Policy
    from sellctl.core.model.exit_record import ExitsSince
    from sellctl.core.model.snapshot import Snapshot
    from sellctl.core.model.view import AccountListing
    from sellctl.core.sell_watcher import SellWatcher
    from sellctl.journal.location import JournalLocation

HOST_SECONDS = 40.0  # a host takes a request within 30 s or never, and sends its first order within 10 s
_REQUESTS_KEPT = 1_000  # of which the outcome can be asked


class _Passed(Struct, frozen=True):
    """A request that was passed to a watcher: what it closes, and the newest row of the journal before it."""

    exits: tuple[ProposedExit, ...]
    row: int


@dataclass(slots=True)
class Verbs:
    """The verbs on the watchers of one runtime, to be called in their event loop.

    Nothing here sends a request to the broker: what is read are the watchers' states in memory, and what is asked is
    carried out by their next poll, which begins at once. Every error is a SellctlError. Each call that changes
    something takes who asked for it (`by`) for the journal.
    """

    runtime: "Runtime"
    _passed: "OrderedDict[str, _Passed]" = field(default_factory=OrderedDict)  # by the request's id

    # --- reading ------------------------------------------------------------------------------------------------------

    def listings(self, account: str = "") -> "list[AccountListing]":
        """Each account, or only this one, with its last plan, explained, or with why there is none.

        ConfigError when no account is called so.
        """
        names = [watcher.name for watcher in self._watchers]
        if account and account not in names:
            raise ConfigError(f"No account is called {account[:32]!r}.", hint=f"There are: {', '.join(names)}.")
        return [
            listing_of(self.runtime, watcher, watcher.state.plan)
            for watcher in self._watchers
            if account in {"", watcher.name}
        ]

    def halted(self) -> str:
        """Why new orders are stopped; "" when they aren't."""
        return self.runtime.halted

    def exempt_names(self) -> frozenset[str]:
        """What is exempt: symbols, underlyings and structures."""
        return self.runtime.state.exempt()

    # --- closing ------------------------------------------------------------------------------------------------------

    def propose_close(
        self,
        name: str,
        *,
        account: str = "",
        qty: QtyOrShare | None = None,
        limit: Decimal | None = None,
        patience: Patience = Patience.PROTECTIVE,
    ) -> list[ProposedExit]:
        """What closing a position or structure would bring, and whether an order can be sent now; nothing is sent.

        `qty` is how much of it, None for all. The terms are in whole numbers from here on: a share is of what is held
        now. ConfigError when it isn't held, or when so much of it can't be closed; SellctlError while an account that
        may hold it could not be read.
        """
        accounts = self.listings(account)
        name = self._meant(name_of(name), accounts)
        terms = terms_by_account(accounts, name, qty, limit, patience)
        return self.proposed_on(accounts, name, terms)

    def proposed_on(
        self, accounts: "Sequence[AccountListing]", name: str, terms: "Mapping[str, ExitTerms]"
    ) -> list[ProposedExit]:
        """What closing it on these terms, which are by account, would bring; nothing is sent."""
        asked = [self._asked(each, name, terms[each.account]) for each in accounts if each.account in terms]
        return proposals(asked, name, terms)

    def close(self, proposed: Sequence[ProposedExit], by: str) -> list[CommandRequest]:
        """Pass to the watchers what `propose_close` returned, once the person has confirmed it.

        The quantities are those that were shown, also when less is held by now. SafetyRefusalError when none of it is
        possible, with why.
        """
        return self._ask_watchers(Verb.CLOSE, [each for each in proposed if each.is_possible], proposed, by)

    def propose_panic(self, account: str = "") -> list[ProposedExit]:
        """What a panic would close, and whether that can be sent now, even during a halt; nothing is sent."""
        asked = [self._in_panic(each) for each in self.listings(account)]
        return [each for each in proposals(asked) if each.included_in_panic]

    def panic(self, proposed: Sequence[ProposedExit], by: str) -> list[CommandRequest]:
        """Pass a panic to the watchers of the accounts of what `propose_panic` returned, once it is confirmed.

        It closes what is managed in these accounts by then. SafetyRefusalError when none of it is possible.
        """
        is_possible = any(each.is_possible for each in proposed)
        return self._ask_watchers(Verb.PANIC, proposed if is_possible else (), proposed, by)

    def outcome(self, requests: Sequence[CommandRequest]) -> list[ExitOutcome]:
        """What became of requests by now, of each position of theirs: filled, working, or why not.

        It reads the journal, and the accounts as of their last poll.
        """
        accounts = {each.account: each for each in self.listings()}
        passed = [known for request in requests if (known := self._passed.get(request.id))]
        found: list[ExitOutcome] = []
        for each in passed:  # all exits of a request are of one account
            account = accounts[each.exits[0].listing.account]
            recorded = _exits_since(self.runtime.state.journal, account.account, each.row)
            found.extend(manual_exits.outcome_of(proposed, recorded, account) for proposed in each.exits)
        return found

    # --- setting rules ------------------------------------------------------------------------------------------------

    def propose_set(self, name: str, change: OverrideChange, by: str, *, account: str = "") -> list[ProposedOverride]:
        """What changing the rules that are set for a position or structure would do, in each account that holds it.

        Nothing is set. `warnings` of the result have to be confirmed by the person. ConfigError when it isn't held, or
        when nothing of the kind can be set for it; SellctlError while an account that may hold it could not be read.
        """
        name, found = self._held_as(name, account)
        return [proposed_override(snapshot, policy, name, change, by) for snapshot, policy in found]

    def propose_notch(self, name: str, by: str, *, account: str = "", towards_price: bool) -> list[ProposedOverride]:
        """What moving the stop of a position or structure by a notch would do, as `propose_set` says it.

        Its errors are those of `propose_set` and of `proposed_notch`.
        """
        name, found = self._held_as(name, account)
        return [proposed_notch(each, policy, name, by, towards_price=towards_price) for each, policy in found]

    def set(self, proposed: Sequence[ProposedOverride], change: OverrideChange, by: str) -> list[CommandRequest]:
        """Pass to the watchers what `propose_set` returned, once the person has confirmed its warnings.

        SafetyRefusalError in a dry run.
        """
        self.refuse_in_a_dry_run()
        requests = [
            CommandRequest(uuid.uuid4().hex, Verb.SET, each.name, (each.account,), by, change=change)
            for each in proposed
        ]
        row = self._newest_row()
        for request in requests:
            self._remember(request, _Passed((), row))
            self._pass(request)
        self.runtime.scheduler.read_at_once([name for request in requests for name in request.accounts])
        return requests

    def was_set(self, requests: Sequence[CommandRequest]) -> list[str | None]:
        """Of each request of `set`: None while it is not on record, then why it was not set; "" when it was.

        It reads the journal only, and may be called in any thread.
        """
        journal, passed = self.runtime.state.journal, [(each, self._passed.get(each.id)) for each in requests]
        return [why_not_set(journal, each.accounts[0], each.id, known.row) if known else None for each, known in passed]

    # --- what is managed ----------------------------------------------------------------------------------------------

    def exempt(self, name: str, by: str, *, not_held: bool = False, until: "dt.datetime | None" = None) -> str:
        """Stop managing a position, an underlying or a structure until `manage`, or until a time. Returns its name.

        ConfigError when it isn't held; `not_held` is for what is to come.
        """
        name, state = name_of(name), self.runtime.state
        state.look_at_shared()  # what only this machine has exempted until now is shared, too
        known = state.exemptions()
        name = exempted_as(lambda: self.runtime.loaded.config, name, known) or name
        if until is None and name in known and known[name] is None:
            return name
        if name not in known:
            if not_held:
                refuse_impossible(name)
            else:
                name = held_name(name, self.listings(), "")
        state.set_exempt(name, wanted=True, until=until)
        self._changed("exempt", name, by, {"until": until.isoformat()} if until else {})
        return name

    def manage(self, name: str, by: str) -> str:
        """Manage a position again: end its exemption, and resume its suspended rules. Returns its name.

        With an underlying, the exemptions of options and structures on it end too.

        ConfigError when it is neither exempt nor held.
        """
        name, state = name_of(name), self.runtime.state
        exempted = state.exempt()
        name = exempted_as(lambda: self.runtime.loaded.config, name, exempted) or name
        on_it = exempted_on(name, exempted)
        if name not in exempted and not on_it:
            refuse_part(name, exempted, lambda structure: f"{self.runtime.program} manage {structure}")
            known = f"Exempt are: {', '.join(sorted(exempted))}." if exempted else "No symbol is exempt."
            name = held_name(name, self.listings(), known, exempted)
        for each in (name, *on_it):
            state.set_exempt(each, wanted=False)
            state.resume_rules(each, self.runtime.loaded.config.accounts)
            self._changed("manage", each, by)
        return name

    def halt(self, reason: str, by: str, origin: HaltOrigin = HaltOrigin.MACHINE) -> str:
        """Stop all new orders of every process on this state folder, and of all hosts that share the journal.

        `origin` decides where the halt can be lifted. Return a sentence when the other hosts can't be told now, or "".
        """
        problem = self.runtime.state.halt(reason, by, origin)
        if problem:
            self._alert(f"the reason of the halt is not stored: {problem}")
        # A lease keeper tells the others itself, within a second.
        untold = self._halt_all(reason) if self.runtime.leased is None else ""
        self.record("halt", {"reason": reason, "by": by})
        self.runtime.scheduler.publish("", EventKind.HALTED, f"halted by {by}: {reason}", failed=True)
        self._read_all()
        return untold

    def _halt_all(self, reason: str) -> str:
        try:
            halt_all(self.runtime.state, reason)
        except SellctlError as error:
            self._alert(f"only this machine is halted, other hosts that share the journal are not: {error}")
            return f"Only this machine is halted, other hosts that share the journal are not yet: {error}"
        return ""

    def resume_remote(self) -> bool:
        """Lift a halt that was made over the API or by chat, also that of all hosts which came of it.

        Returns whether there was one. SafetyRefusalError when it was made elsewhere, or another one keeps all hosts
        halted; JournalError when the other hosts can't be told: then it stays.
        """
        state, others = self.runtime.state, ""
        halt, number = state.current_halt(), state.told_halt()
        if halt is None and self.runtime.halted:
            raise SafetyRefusalError(
                f"All hosts are halted, and it was not made here: {self.runtime.halted}.",
                hint="Run on a machine: sellctl resume --reason ...",
            )
        if halt is not None and halt.origin.is_remote and number is not None and state.shared is not None:
            state.shared.resume(number)
            state.look_at_shared(acts=False)
            others = state.all_halted  # another one that was made since
        was_halted = state.resume_remote()
        if others:
            raise SafetyRefusalError(
                f"The halt that was made here is lifted, and another one keeps all hosts halted: {others}.",
                hint="Run on a machine: sellctl resume --reason ...",
            )
        return was_halted

    # --- for surfaces -------------------------------------------------------------------------------------------------

    def refuse_in_a_dry_run(self) -> None:
        """SafetyRefusalError in a dry run, unless it passes on what is asked."""
        if not self.runtime.observes and any(watcher.state.mode is not RunMode.ACT for watcher in self._watchers):
            raise SafetyRefusalError(
                "This is a dry run: it shows, and changes nothing.", hint="Start it without --dry-run."
            )

    def record(self, kind: str, detail: "Mapping[str, object]") -> None:
        """Record a verb. A failure is only published, because a halt must not depend on the journal."""
        try:
            self.runtime.journal.note("", kind, detail)
        except JournalError as error:
            self._alert(f"not recorded in the journal: {error}")

    # --- internals ----------------------------------------------------------------------------------------------------

    @property
    def _watchers(self) -> "Sequence[SellWatcher]":
        return self.runtime.scheduler.watchers

    def _watcher(self, account: str) -> "SellWatcher":
        return next(watcher for watcher in self._watchers if watcher.name == account)

    @staticmethod
    def _meant(name: str, accounts: "Sequence[AccountListing]") -> str:
        """The name of the structure, or the symbol, that is held."""
        called = structures_called(name, accounts)
        return one_name(name, called) if called else name

    def _held_as(self, name: str, account: str) -> "tuple[str, list[tuple[Snapshot, Policy]]]":
        """Sellctl's name for what is meant, and the snapshot and policy of each account that holds it."""
        accounts = self.listings(account)
        name, holders = holders_of(self._meant(name_of(name), accounts), accounts)
        found = ((watcher.state.snapshot, watcher.policy) for watcher in map(self._watcher, holders))
        return name, [(snapshot, policy) for snapshot, policy in found if snapshot]

    def _asked(self, account: "AccountListing", name: str, terms: ExitTerms) -> "AccountListing":
        """The account with what would be decided if this were asked now."""
        watcher = self._watcher(account.account)
        snapshot = watcher.state.snapshot
        if snapshot is None:
            return account
        now = replace(snapshot, halted=self.halted())  # a halt may be newer than the last poll
        asked, plan = plan_to_close(now, watcher.policy, name, terms)
        return listing_of(self.runtime, watcher, plan, asked)

    def _in_panic(self, account: "AccountListing") -> "AccountListing":
        """The account with what would be decided if a panic were asked for now."""
        watcher = self._watcher(account.account)
        snapshot = watcher.state.snapshot
        if snapshot is None:
            return account
        asked = replace(snapshot, panic=frozenset(holding.symbol for holding in snapshot.holdings))
        return listing_of(self.runtime, watcher, decide(asked, watcher.policy), asked)

    def _ask_watchers(
        self, verb: Verb, due: Sequence[ProposedExit], proposed: Sequence[ProposedExit], by: str
    ) -> list[CommandRequest]:
        """Pass a request to the watcher of each account in `due`. SafetyRefusalError when there is none, with why."""
        self.refuse_in_a_dry_run()
        if not due:
            raise SafetyRefusalError(f"Nothing was sent: {why_not(proposed)}.")
        row, requests = self._newest_row(), []
        for account in dict.fromkeys(each.listing.account for each in due):
            exits = tuple(each for each in proposed if each.listing.account == account)
            name, terms = exits[0].name, exits[0].terms
            request = CommandRequest(uuid.uuid4().hex, verb, name, (account,), by, terms)
            self._remember(request, _Passed(exits, row))
            self._pass(request)
            requests.append(request)
        self.runtime.scheduler.read_at_once([name for request in requests for name in request.accounts])
        return requests

    def _pass(self, request: CommandRequest) -> None:
        """Pass a request to the watcher of its account, or to its host where this process only observes.

        SafetyRefusalError when no host watches the account, JournalError when none can be told.
        """
        account, state = request.accounts[0], self.runtime.state
        if not self.runtime.observes:
            self._watcher(account).take_request(request)
        elif state.shared is not None and state.hosts and state.hosts.watcher_of(account):
            state.shared.ask(request.id, account, text_of(request))
        else:
            raise SafetyRefusalError(
                f"Nothing was sent: no host watches account {account} now.",
                hint="Start one with `sellctl watch --host-id NAME`; `sellctl fleet` shows the hosts.",
            )

    def _remember(self, request: CommandRequest, passed: _Passed) -> None:
        self._passed[request.id] = passed
        while len(self._passed) > _REQUESTS_KEPT:
            self._passed.popitem(last=False)

    def _newest_row(self) -> int:
        from sellctl.journal.exits_since import newest_row  # noqa: PLC0415  loads SQLAlchemy

        return newest_row(self.runtime.state.journal)

    def _changed(self, verb: str, name: str, by: str, detail: "Mapping[str, object] | None" = None) -> None:
        """Record a change to what is managed; every account is read at once."""
        self.record(verb, {"symbol": name, "by": by, **(detail or {})})
        self.runtime.scheduler.publish(name, EventKind.NOTE, f"{verb} requested by {by}")
        self._read_all()

    def _read_all(self) -> None:
        self.runtime.scheduler.read_at_once([watcher.name for watcher in self._watchers])

    def _alert(self, text: str) -> None:
        self.runtime.scheduler.publish("", EventKind.ALERT, text, failed=True)


def terms_by_account(
    accounts: "Sequence[AccountListing]",
    name: str,
    qty: QtyOrShare | None = None,
    limit: Decimal | None = None,
    patience: Patience = Patience.PROTECTIVE,
) -> dict[str, ExitTerms]:
    """What is asked for in each account that holds something under this name.

    ConfigError when none does, when so much of it can't be closed, or when it is unclear of which account a quantity is
    meant; SellctlError while an account that may hold it could not be read.
    """
    held = list(dict.fromkeys(each.listing.account for each in proposals(accounts, name)))
    if not held:
        if any(each.plan is None for each in accounts):
            raise unknown_whether_held(name, accounts)
        raise not_held(name, accounts)
    if qty and qty.qty is not None and len(held) > 1:
        raise ConfigError(f"{name} is held in {' and '.join(held)}.", hint="Name one account for a quantity.")
    return {each.account: terms_for(each, name, qty, limit, patience) for each in accounts if each.account in held}


def holders_of(name: str, accounts: "Sequence[AccountListing]") -> tuple[str, list[str]]:
    """Sellctl's name for what is meant, and the accounts that hold it. ConfigError or SellctlError when none does."""
    called = structures_called(name, accounts)
    if called:
        name = one_name(name, called)
        return name, [each.account for each in accounts if structures_called(name, [each])]
    holders = [
        each.account for each in accounts if each.plan and any(d.holding.symbol == name for d in each.plan.decisions)
    ]
    if not holders and any(each.plan is None for each in accounts):
        raise unknown_whether_held(name, accounts, "Nothing was set.")
    if not holders:
        raise not_held(name, accounts)
    return name, holders


def why_not(proposed: Sequence[ProposedExit]) -> str:
    """Why none of these exits is possible."""
    return next((each.decision.sentence for each in proposed if each.decision.sentence), "nothing is to be closed")


def _exits_since(journal: "JournalLocation", account: str, row: int) -> "Mapping[str, ExitsSince]":
    from sellctl.journal.exits_since import exits_since  # noqa: PLC0415  loads SQLAlchemy

    return exits_since(journal, account, row)
