"""Exits that the user asks for by hand: what each would bring, whether it can be sent now, and what became of it. Pure.

Every surface that closes positions by hand shows a ProposedExit before it asks, and an ExitOutcome at the end.
"""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from sellctl.core.exit_codes import ExitCode
from sellctl.core.model.exit_record import ExitsSince
from sellctl.core.model.gain import market_value, open_pnl
from sellctl.core.model.order import ZERO
from sellctl.core.model.plan import DecisionState, PositionDecision, Reason
from sellctl.core.model.position import Holding
from sellctl.core.model.view import AccountListing


class ProposedExit(Struct, frozen=True):
    """One position and what closing it now would bring.

    The estimates are at the price one could get now: the bid for a long, the ask for a short. They are None while that
    price is unknown. Commissions are not included.
    """

    listing: AccountListing
    decision: PositionDecision
    part: Decimal | None = None  # how much of the position is to be closed; None for all of it

    @property
    def symbol(self) -> str:
        """The position's symbol."""
        return self.decision.holding.symbol

    @property
    def qty(self) -> Decimal:
        """The quantity to be closed: all that is held, or what belongs to a structure."""
        return self.decision.holding.position.qty if self.part is None else self.part

    @property
    def price(self) -> Decimal | None:
        """The price of one share or contract that the estimates use."""
        return self.decision.holding.exit_price

    @property
    def proceeds(self) -> Decimal | None:
        """Dollars that closing it brings; negative for a short, which costs them."""
        return market_value(self._holding)

    @property
    def pnl(self) -> Decimal | None:
        """Dollars gained or lost on the entry price; None also while that is unknown."""
        return open_pnl(self._holding)

    @property
    def _holding(self) -> Holding:
        """What is to be closed."""
        holding = self.decision.holding
        return holding if self.part is None else replace(holding, position=replace(holding.position, qty=self.part))

    @property
    def is_possible(self) -> bool:
        """Whether an order would be sent or is under way; else the decision's sentence says what is in the way."""
        return self.decision.signal is not None and self.decision.state is DecisionState.CLOSING

    @property
    def included_in_panic(self) -> bool:
        """Whether a panic closes it, even if that can't be sent at once."""
        return self.decision.signal is not None and self.decision.signal.reason is Reason.PANIC


def proposals(accounts: Iterable[AccountListing], name: str = "") -> list[ProposedExit]:
    """Every position of the accounts, or only those with this symbol, or the legs of the structure with this name."""
    return [each for account in accounts for each in _proposals_of(account, name)]


def _proposals_of(account: AccountListing, name: str) -> Iterator[ProposedExit]:
    decisions = account.plan.decisions if account.plan else ()
    structure = next((each for each in account.structures if name and each.is_called(name)), None)
    if structure is None:
        yield from (ProposedExit(account, each) for each in decisions if name in {"", each.holding.symbol})
        return
    by_symbol = {decision.holding.symbol: decision for decision in decisions}
    yield from (ProposedExit(account, by_symbol[symbol], qty) for symbol, qty in structure.quantities.items())


def total(amounts: Iterable[Decimal | None]) -> Decimal | None:
    """The sum; None when one of the amounts is unknown."""
    known = list(amounts)
    return None if None in known else sum((each for each in known if each is not None), ZERO)


class Result(StrEnum):
    """What became of an exit."""

    FILLED = "filled"
    GONE = "closed"  # the position is gone without a fill of sellctl's that covers it
    WORKING = "working"
    REFUSED = "refused"  # by the broker
    NOT_SENT = "not sent"
    UNKNOWN = "unknown"  # the account can't be read


class ExitOutcome(Struct, frozen=True):
    """What became of one exit. `why` says what it waits for, or what is in the way; "" when it is done."""

    proposed: ProposedExit
    result: Result
    filled: Decimal = ZERO
    price: Decimal | None = None  # the average price of the fills
    why: str = ""
    net: Decimal | None = None  # that of the multi-leg orders that closed it with others, below zero a credit

    @property
    def is_done(self) -> bool:
        """Whether the position is closed."""
        return self.result in {Result.FILLED, Result.GONE}


def outcome_of(proposed: ProposedExit, recorded: Mapping[str, ExitsSince], afterwards: AccountListing) -> ExitOutcome:
    """The outcome by what the journal recorded since the request, and the account as it was read afterwards.

    A recorded fill counts even while the broker still lists the position.
    """
    record = recorded.get(proposed.symbol, ExitsSince())
    return replace(_outcome_of(proposed, record, afterwards), net=record.net)


def _outcome_of(proposed: ProposedExit, record: ExitsSince, afterwards: AccountListing) -> ExitOutcome:
    filled, price = record.filled, record.price
    if filled >= proposed.qty:
        return ExitOutcome(proposed, Result.FILLED, filled, price)
    if afterwards.plan is None:
        return ExitOutcome(proposed, Result.UNKNOWN, filled, price, afterwards.problem)
    decision = next((d for d in afterwards.plan.decisions if d.holding.symbol == proposed.symbol), None)
    if decision is None:
        return ExitOutcome(proposed, Result.GONE, filled, price)
    if record.refusal:
        return ExitOutcome(proposed, Result.REFUSED, filled, price, f"the broker refused: {record.refusal}")
    result = Result.WORKING if decision.state is DecisionState.CLOSING else Result.NOT_SENT
    return ExitOutcome(proposed, result, filled, price, decision.sentence)


def status_of(outcomes: Iterable[ExitOutcome]) -> ExitCode:
    """OK when every position is closed; REFUSED when sellctl sent nothing for any of them; else PARTLY."""
    ends = list(outcomes)
    if all(end.is_done for end in ends):
        return ExitCode.OK
    refused = all(end.result is Result.NOT_SENT and not end.filled for end in ends)
    return ExitCode.REFUSED if refused else ExitCode.PARTLY
