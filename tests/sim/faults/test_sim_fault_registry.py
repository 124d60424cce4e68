"""Which faults trigger, how often, and where."""

import pytest

from sellctl.sim.faults.registry import FaultRegistry


def test_a_fault_triggers_as_often_as_told_and_is_counted() -> None:
    registry = FaultRegistry()
    registry.inject("H01", times=2)
    triggered = [registry.trigger("H01") is not None for _ in range(3)]
    assert (triggered, registry.fired["H01"], registry.active) == ([True, True, False], 2, ())


def test_a_fault_applies_only_where_its_scope_matches() -> None:
    registry = FaultRegistry()
    registry.inject("H05", account="main", path="/v2/orders", method="POST")
    assert registry.trigger("H05", account="main", path="/v2/orders", method="GET") is None
    assert registry.trigger("H05", account="other", path="/v2/orders", method="POST") is None
    assert registry.trigger("H05", account="main", path="/v2/orders", method="POST") is not None


def test_parameters_have_the_defaults_of_the_catalogue() -> None:
    fault = FaultRegistry().inject("H05", status=502)
    assert (fault["status"], fault["after"]) == (502, False)


def test_clearing_removes_one_fault_or_all() -> None:
    registry = FaultRegistry()
    for name in ("H07", "Q01", "Q02"):
        registry.inject(name)
    registry.clear("Q01")
    assert [fault.name for fault in registry.active] == ["H07", "Q02"]
    registry.clear()
    assert registry.active == ()


def test_unknown_names_and_parameters_are_errors() -> None:
    registry = FaultRegistry()
    with pytest.raises(KeyError):
        registry.inject("H99")
    with pytest.raises(TypeError, match="H05 has no parameter stats"):
        registry.inject("H05", stats=1)
