"""A mutant replaces a function by one with the same arguments: one that can't be called at all reveals nothing."""

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from faults.mutant_searches import Mutant
from faults.mutants import MUTANTS


def _function(value: Any) -> Callable[..., Any] | None:
    """The function behind a method, a class method or a property; None for a constant."""
    inner = getattr(value, "__func__", None) or getattr(value, "fget", None) or value
    return inner if inspect.isfunction(inner) else None


def _calls(function: Callable[..., Any]) -> list[tuple[list[int], dict[str, int]]]:
    """One call with all arguments, and one with those that have no default."""
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = list(inspect.signature(function).parameters.values())
    calls = []
    for chosen in (parameters, [each for each in parameters if each.default is each.empty]):
        by_name = {each.name: 0 for each in chosen if each.kind is inspect.Parameter.KEYWORD_ONLY}
        calls.append(([0 for each in chosen if each.kind in positional], by_name))
    return calls


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_can_be_called_as_what_it_replaces(mutant: Mutant) -> None:
    for place, name, replacement in mutant.patches:
        old, new = _function(inspect.getattr_static(place, name)), _function(replacement)
        if old and new:
            for values, by_name in _calls(old):
                inspect.signature(new).bind(*values, **by_name)
