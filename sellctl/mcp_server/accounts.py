"""The accounts as this process last saw them: documents from memory, without a request to the broker."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from sellctl.core.decision.explain import explain
from sellctl.core.errors import ConfigError, SellctlError
from sellctl.core.model.instrument import underlying_of
from sellctl.core.model.plan import DecisionState
from sellctl.core.model.view import AccountListing, mode_of
from sellctl.core.text import did_you_mean
from sellctl.mcp_server.texts import Sanitized, sanitized
from sellctl.service.names import name_of, not_held, structures_called
from sellctl.ui.displays import ExplainedPlans, only_due_of
from sellctl.ui.documents import plan_part, position_document, positions_listing, structure_document

if TYPE_CHECKING:
    from sellctl.bootstrap import Runtime
    from sellctl.core.model.market import Market
    from sellctl.core.model.order import Order
    from sellctl.core.model.plan import Plan
    from sellctl.core.model.view import ShownStructure
    from sellctl.core.sell_watcher import SellWatcher

Document = dict[str, Any]

_QUIET = frozenset(
    {
        DecisionState.WATCHING,
        DecisionState.NO_QUOTE,
        DecisionState.NOT_MANAGED,
        DecisionState.EXEMPT,
    }
)  # states in which nothing is due


@dataclass(slots=True)
class Accounts:
    """What is known of the accounts. Plans are explained once, and documents made once per plan."""

    runtime: "Runtime"
    _plans: ExplainedPlans = field(default_factory=ExplainedPlans)
    _parts: "dict[str, tuple[AccountListing, Document]]" = field(default_factory=dict)

    # --- documents ----------------------------------------------------------------------------------------------------

    def positions(self, name: str, account: str, offset: int, limit: int) -> Document:
        """The positions with gain, triggers and state, and their structures."""
        listed = self._listings(account)
        wanted = name_of(name) if name else ""
        if wanted and not any(_symbols(each, wanted) for each in listed):
            raise _not_held(wanted, listed)
        document: Document = {"halted": self.runtime.halted, "accounts": []}
        total = 0
        for listing in listed:
            part = dict(self._part(listing))
            if listing.plan is not None:
                symbols = frozenset(_symbols(listing, wanted)) if wanted else None
                held = [each for each in part["holdings"] if symbols is None or each["symbol"] in symbols]
                first = max(offset - total, 0)
                part["holdings"] = held[first : max(offset + limit - total, 0)]
                if symbols is not None:
                    part["structures"] = [
                        s for s in part["structures"] if symbols & {leg["symbol"] for leg in s["legs"]}
                    ]
                total += len(held)
            document["accounts"].append(part)
        end = offset + limit
        return document | {"positions": total, "next_offset": end if end < total else None}

    def explain(self, name: str, account: str) -> Document:
        """Everything known of a position or structure, in each account that holds it: rule by rule."""
        listed, wanted = self._listings(account), name_of(name)
        found = [
            page
            for listing, watcher in self._with_watchers(listed)
            for page in self._explained(listing, watcher, wanted)
        ]
        if not found:
            raise _not_held(wanted, listed)
        unread = [{"account": each.account, "problem": each.problem} for each in listed if each.plan is None]
        return {"halted": self.runtime.halted, "positions": found, "problems": unread}

    def plan(self, account: str) -> Document:
        """What is due: the orders that would be sent now, and what is due and held back; cancels of stale orders."""
        parts = []
        for listing in self._listings(account):
            state: Document = {"account": listing.account, "mode": listing.mode.value, **self._freshness(listing)}
            if listing.plan is not None:
                due = tuple(each for each in listing.plan.decisions if each.state not in _QUIET)
                part = plan_part(replace(listing.plan, decisions=due))
                state = {**part, **state, "positions": len(listing.plan.decisions)}
            parts.append(state)
        return {"halted": self.runtime.halted, "accounts": parts}

    def listings_of(self, name: str) -> "list[tuple[AccountListing, tuple[str, ...]]]":
        """The accounts that hold something under a name, each with its symbols."""
        return [(each, symbols) for each in self._listings("") if (symbols := _symbols(each, name))]

    def every_listing(self) -> list[AccountListing]:
        """Every account."""
        return self._listings("")

    def warm(self) -> Iterator[None]:
        """Make the document of one account after the other, each step briefly."""
        for watcher in self.runtime.scheduler.watchers:
            self._part(self._listing(watcher))
            yield

    # --- internals ----------------------------------------------------------------------------------------------------

    def _listings(self, account: str) -> list[AccountListing]:
        """Every account, or the one called so. ConfigError when there is none."""
        watchers = self.runtime.scheduler.watchers
        if account and account not in {watcher.name for watcher in watchers}:
            names = sorted(watcher.name for watcher in watchers)
            hint = did_you_mean(account, names) or f"There are: {', '.join(names)}."
            raise ConfigError("No account is called so.", hint=hint)
        return [self._listing(watcher) for watcher in watchers if account in {"", watcher.name}]

    def _listing(self, watcher: "SellWatcher") -> AccountListing:
        plan, structures = self._plans.of(watcher)
        problem = watcher.state.problem or (self.runtime.scheduler.problem if plan is None else None)
        config = self.runtime.loaded.config
        return AccountListing(
            watcher.name,
            mode=mode_of(paper=config.accounts[watcher.name].paper, simulated=config.simulator),
            plan=plan,
            structures=structures,
            problem=_sentence(problem, watcher.name) or ("" if plan else "it has not been read yet"),
            only_due=only_due_of(plan, watcher),
        )

    def _with_watchers(self, listed: Sequence[AccountListing]) -> "Iterator[tuple[AccountListing, SellWatcher]]":
        watchers = {watcher.name: watcher for watcher in self.runtime.scheduler.watchers}
        yield from ((listing, watchers[listing.account]) for listing in listed)

    def _part(self, listing: AccountListing) -> Document:
        """The part of an account in `positions`, made once per plan; its age and problem are those of now."""
        known, part = self._parts.get(listing.account, (None, {}))
        if known is None or known.plan is not listing.plan:
            part = _part_of(listing)
            self._parts[listing.account] = (listing, part)
        return {**part, **self._freshness(listing)}

    def _freshness(self, listing: AccountListing) -> Document:
        """How old the last read of an account is, in seconds, and what is wrong with it now."""
        watcher = next(each for each in self.runtime.scheduler.watchers if each.name == listing.account)
        read_at = watcher.state.polled_at
        age = None if read_at is None else round(self.runtime.clock.monotonic() - read_at, 1)
        return {"age_seconds": age, "problem": listing.problem}

    def _explained(self, listing: AccountListing, watcher: "SellWatcher", name: str) -> Iterator[Document]:
        market, plan = watcher.state.market, listing.plan
        if plan is None or market is None:
            return
        if called := structures_called(name, [listing]):
            [structure, *_] = called
            yield self._structure_page(listing, watcher, structure, market)
            return
        for symbol in _symbols(listing, name):
            yield self._position_page(listing, watcher, plan, symbol, market)

    def _position_page(
        self, listing: AccountListing, watcher: "SellWatcher", plan: "Plan", symbol: str, market: "Market"
    ) -> Document:
        decision = next(each for each in plan.decisions if each.holding.symbol == symbol)
        orders = _orders_of(watcher.state.open_orders, {symbol})
        page = position_document(decision, orders, market, listing)
        return {**page, "rules": _rules(watcher, symbol, symbol), **self._freshness(listing)}

    def _structure_page(
        self, listing: AccountListing, watcher: "SellWatcher", structure: "ShownStructure", market: "Market"
    ) -> Document:
        orders = _orders_of(watcher.state.open_orders, set(structure.symbols))
        page = structure_document(structure, orders, market, listing)
        return {**page, "rules": _rules(watcher, structure.symbols[0], structure.name), **self._freshness(listing)}


def _part_of(listing: AccountListing) -> Document:
    if listing.plan is None:
        return {"account": listing.account, "mode": listing.mode.value}
    [part] = positions_listing([listing], "")["accounts"]
    parts = {key: [Sanitized(sanitized(each)) for each in part[key]] for key in ("holdings", "structures")}
    return {**part, **parts}


def _not_held(name: str, listed: Sequence[AccountListing]) -> SellctlError:
    """The error about a name that nothing held has; an account that can't be read may hold it."""
    unread = next((each.account for each in listed if each.plan is None), "")
    if unread:
        return SellctlError(f"Account {unread} could not be read, so whether it holds {name} is unknown.")
    return not_held(name, listed)


def _symbols(listing: AccountListing, name: str) -> tuple[str, ...]:
    """The symbols of what an account holds under a name: a position, a structure, or all on an underlying."""
    if called := structures_called(name, [listing]):
        return called[0].symbols
    held = [decision.holding.symbol for decision in listing.plan.decisions] if listing.plan else []
    exact = tuple(symbol for symbol in held if symbol == name)
    return exact or tuple(symbol for symbol in held if underlying_of(symbol) == name)


def _orders_of(orders: "Sequence[Order]", symbols: set[str]) -> "list[Order]":
    """The open orders of these symbols; a multi-leg order when all of its legs are among them."""
    legs = {order.id: {leg.symbol for leg in order.legs} for order in orders}
    return [order for order in orders if order.symbol in symbols or (legs[order.id] and legs[order.id] <= symbols)]


def _rules(watcher: "SellWatcher", symbol: str, name: str) -> list[str]:
    """The strategy that manages a symbol, why it does, and the state of each of its rules."""
    snapshot = watcher.state.snapshot
    explanation = explain(snapshot, watcher.policy, symbol) if snapshot else None
    state = explanation.strategy if explanation else None
    if state is None or (name != symbol and state.evaluates == symbol):
        return []
    return [f"strategy {state.name} ({state.manages})", *(rule.sentence for rule in state.rules)]


def _sentence(problem: SellctlError | None, account: str) -> str:
    return problem.sentence.removeprefix(f"{account}: ") if problem else ""
