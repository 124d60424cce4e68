"""Mutants of how structures are judged and closed."""

# ruff: noqa: SLF001  a mutant replaces private functions deliberately
# ruff: noqa: E501  one mutant per row

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from faults.mutant_searches import Mutant, by_draw, by_exit
from faults.structure_draws import BUTTERFLY
from sellctl.core.decision import engine, risk_checks, sizing, strategy_results
from sellctl.core.decision.context import DecisionContext
from sellctl.core.model.instrument import StructureKind
from sellctl.core.model.position import Holding
from sellctl.core.position_manager import PositionManager
from sellctl.core.sell_strategies.declared import Declared
from sellctl.core.structures import held, net_prices
from sellctl.core.structures.held import HeldStructure
from sellctl.core.tracking.episodes import Episodes


def _nothing(*_args: Any) -> tuple[()]:
    return ()


def _none(*_args: Any) -> None:
    return None


def _zero(*_args: Any) -> Decimal:
    return Decimal(0)


_DRAWN = frozenset({StructureKind.IRON_CONDOR, StructureKind.CALENDAR, StructureKind.BUTTERFLY})
_RESERVES, _COVERING_LEGS = sizing._reserves, risk_checks._covering_legs


def _reserves_of_others(holding: Holding, context: DecisionContext) -> Any:
    return () if holding.structure in _DRAWN else _RESERVES(holding, context)


def _covering_legs_of_others(order: Any, risk: risk_checks.RiskContext) -> str | None:
    return None if risk.holding.structure in _DRAWN else _COVERING_LEGS(order, risk)


def _checks_of_others() -> tuple[Any, ...]:
    return tuple(_covering_legs_of_others if each is _COVERING_LEGS else each for each in risk_checks.RISK_CHECKS)


_NET_ENTRY = net_prices.net_entry


def _paid_instead_of_received(*args: Any) -> Decimal | None:
    net = _NET_ENTRY(*args)
    return None if net is None else -net


def _one_contract_per_unit(self: HeldStructure, _symbol: str, units: Decimal | None = None) -> Decimal:
    return Decimal(self.units) if units is None else units


_MARK = Episodes.mark_exit_after


def _mark_the_first(self: Episodes, structure: str, kept: Mapping[str, Decimal], why: str) -> None:
    _MARK(self, structure, dict([*kept.items()][:1]), why)


def _by_this_process(self: PositionManager, symbol: str) -> bool:
    exit_ = self._book.exit_progress(symbol, self._clock.monotonic())
    return exit_ is not None or self._book.is_reserved(symbol)


def _judges_no_structure(_self: Declared) -> bool:
    return False


STRUCTURE_MUTANTS: tuple[Mutant, ...] = (
    Mutant("long leg first", "a long leg of a structure doesn't wait for the short one",
        (
            (engine, "closing_first", _nothing), (strategy_results, "closing_first", _nothing),
            (sizing, "_reserves", _reserves_of_others),
            (risk_checks, "RISK_CHECKS", _checks_of_others()),
        ), by_exit("A13")),
    Mutant("rest recognised anew", "after a partial fill what is left of a structure is recognised anew, and not closed with it",
        ((Episodes, "mark_exit_after", _none), (held, "_named", _none)), by_exit("A13")),
    Mutant("only one leg follows", "of the legs that are closed with a structure only the first is remembered", ((Episodes, "mark_exit_after", _mark_the_first),), by_exit("A13")),
    Mutant("nothing follows", "the rest of a structure of which a leg is gone is not closed", ((DecisionContext, "left_to_follow", _zero),), by_exit("A13", "O19")),
    Mutant("ratio forgotten", "each leg has one contract per unit", ((HeldStructure, "qty_of", _one_contract_per_unit),), by_exit("A13", kind=BUTTERFLY)),
    Mutant("sign of the net", "a credit counts as a debit, and a debit as a credit", ((held, "net_entry", _paid_instead_of_received),), by_draw("A13")),
    Mutant("legs judged alone", "a strategy for structures judges each leg by itself", ((Declared, "evaluates_structures", property(_judges_no_structure)),), by_exit("A13")),
    Mutant("fill of an earlier process", "the fill of an earlier process's order doesn't count as long as positions lack it", ((PositionManager, "_is_being_closed", _by_this_process),),
        by_exit("A13", dies_at="journal.outcome filled.after")),
)  # fmt: skip
