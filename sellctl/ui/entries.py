"""The rows of a list of positions: each structure is followed by its legs, and all else is in the plan's order."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from sellctl.core.model.instrument import contract_text
from sellctl.core.model.plan import DecisionState, Plan, PositionDecision
from sellctl.core.model.view import ShownStructure
from sellctl.core.text import as_dollars
from sellctl.ui.formatting import Cell, amount_cell, sanitize

_INDENT = "  "


@dataclass(frozen=True, slots=True)
class Entry:
    """One row: the decision on a position, or on the whole of a structure.

    `needs_no_trigger`: that it has none says nothing, because a structure is judged as one position.
    """

    decision: PositionDecision
    symbol: Cell
    structure: ShownStructure | None = None
    needs_no_trigger: bool = False

    def is_only_due(self, symbols: Collection[str]) -> bool:
        """Whether its exit is among those that are only due; of a structure, the exits of all legs that leave."""
        if self.structure is None:
            return self.decision.holding.symbol in symbols
        leaving = [leg for leg in self.structure.legs if leg.state is DecisionState.CLOSING]
        return all(leg.holding.symbol in symbols for leg in leaving)

    @property
    def sentence(self) -> str:
        """What is said of it: of a structure also its name, and what it can win and lose."""
        if self.structure is None:
            return self.decision.sentence
        name = "" if self.symbol.short == self.structure.name else f"{self.structure.name}: "
        return "; ".join(filter(None, (f"{name}{self.decision.sentence}", outlook_text(self.structure))))


def entries_of(plan: Plan, structures: Iterable[ShownStructure]) -> list[Entry]:
    """The rows of an account."""
    return list(_entries(plan, {symbol: each for each in structures for symbol in each.symbols}))


def _entries(plan: Plan, structure_of: dict[str, ShownStructure]) -> Iterator[Entry]:
    shown: set[str] = set()
    for decision in plan.decisions:
        symbol = decision.holding.symbol
        structure = structure_of.get(symbol)
        if structure is None:
            yield Entry(decision, symbol_cell(symbol))
        elif structure.name not in shown:
            shown.add(structure.name)
            title = sanitize(structure.title)
            yield Entry(
                structure.decision, Cell(structure.name, structure.name, short=title), structure, needs_no_trigger=True
            )
            yield from (_leg(each, structure) for each in structure.legs)


def _leg(decision: PositionDecision, structure: ShownStructure) -> Entry:
    symbol = decision.holding.symbol
    cell = Cell(symbol, symbol, short=f"{_INDENT}{sanitize(contract_text(symbol))}")
    return Entry(decision, cell, needs_no_trigger=structure.is_one)


def symbol_cell(symbol: str) -> Cell:
    """A symbol for programs, which a drawn table shows as the contract that it names: AAPL 18 Dec 26 230 C."""
    contract = contract_text(symbol)
    return Cell(symbol, symbol, short="" if contract == symbol else contract)


def contract_cell(symbol: str) -> Cell:
    """The contract that a symbol names, beside it where tables aren't drawn; empty for what is no option."""
    contract = contract_text(symbol)
    return Cell("", None) if contract == symbol else Cell(contract, contract)


def outlook_text(structure: ShownStructure) -> str:
    """What it can win and lose at expiration, and where it breaks even; "" when that is unknown."""
    profit, loss = structure.most_profit, structure.most_loss
    if profit is None or loss is None:
        return ""
    wins = f"{amount_cell(profit).text} profit at most" if profit.is_finite() else "unlimited profit"
    loses = f"{amount_cell(loss).text} loss at most" if loss.is_finite() else "unlimited loss"
    evens = " and ".join(as_dollars(price) for price in structure.breakevens)
    return f"{wins}, {loses}{evens and f', breakeven at {evens}'}"
