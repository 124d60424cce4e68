"""Mutants of what people ask of the running program: rules that are set for a position, and parts that are closed."""

# ruff: noqa: SLF001  a mutant replaces private functions deliberately
# ruff: noqa: E501  one mutant per row

from dataclasses import replace
from typing import Any

from faults.mutant_searches import Mutant, by_draw
from sellctl.core.decision import context
from sellctl.core.model.position import Override
from sellctl.core.model.snapshot import CloseTerms
from sellctl.core.sell_strategies import overridden
from sellctl.core.watching.manual_requests import ExitTerms
from sellctl.journal import episode_store


def _none(*_args: Any) -> None:
    return None


def _always(*_args: Any) -> bool:
    return True


def _inner(inner: Any, *_args: Any) -> Any:
    return inner


_BUILT = overridden._built


def _beside_the_others(*args: Any) -> overridden.Overridden:
    return replace(_BUILT(*args), replaced=frozenset())


def _all_of_it(self: ExitTerms, _name: str) -> CloseTerms:
    return CloseTerms(None, self.limit, self.patience.urgency, {})


PEOPLE_MUTANTS: tuple[Mutant, ...] = (
    Mutant("override forgotten", "a restart forgets the rules that are set for a position", ((episode_store, "_override", _none),), by_draw("O21", "P")),
    Mutant("override for ever", "what is set for a position outlives its time", ((Override, "is_in_force", _always),), by_draw("O21")),
    Mutant("override beside", "the rule that is replaced by one set by hand acts all the same", ((overridden, "_built", _beside_the_others),), by_draw("O21")),
    Mutant("override ignored", "a stop that is set by hand is shown and does nothing", ((context, "overridden", _inner),), by_draw("O21")),
    Mutant("part is all", "a request to close a part closes everything", ((ExitTerms, "of", _all_of_it),), by_draw("O21")),
)  # fmt: skip
