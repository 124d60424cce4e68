"""The user's own structures in the file: legs with their contracts, an opening order, or none at all."""

from collections.abc import Callable

import pytest

from sellctl.core.config.schema import LegConfig, StructureConfig
from sellctl.core.config_manager import LoadedConfig
from sellctl.core.errors import ConfigError

Rules = Callable[[str], str]
Load = Callable[[str], LoadedConfig]
Refuse = Callable[[str], ConfigError]

LOW, HIGH, TOP = "AAPL261218C00200000", "AAPL261218C00210000", "AAPL261218C00220000"
PUT, OTHER = "AAPL261218P00180000", "MSFT261218C00400000"


def test_structures_are_written_as_legs_with_their_contracts_per_unit_or_as_the_order_that_opened_them(
    load: Load, rules: Rules
) -> None:
    text = f"structures: [{{name: fly-1, legs: [{LOW}, {HIGH} x2, {TOP.lower()}]}}, {{order: my-order}}]"
    assert load(rules(text)).config.sell_module.structures == (
        StructureConfig("fly-1", (LegConfig(LOW), LegConfig(HIGH, 2), LegConfig(TOP))),
        StructureConfig(order="my-order"),
    )


def test_off_recognises_none_and_by_default_all_are(load: Load, rules: Rules) -> None:
    assert load(rules("structures: off")).config.sell_module.structures is None
    assert load(rules("structures: []")).config.sell_module.structures == ()
    assert load(rules("enabled: true")).config.sell_module.structures == ()


def test_the_legs_are_shown_as_they_are_written(load: Load, rules: Rules) -> None:
    shown = {row.key: row.value for row in load(rules(f"structures: [{{legs: [{LOW}, {HIGH} x2]}}]")).show()}
    assert shown["sell_module.structures[0].legs"] == f"[{LOW}, {HIGH} x2]"
    assert {row.key: row.value for row in load(rules("structures: off")).show()}["sell_module.structures"] == "off"


MISTAKES = [
    (f"[{{name: a-1, legs: [{LOW}]}}]", "has one leg", "two or more"),
    (f"[{{name: a-1, legs: [{LOW}, {LOW}]}}]", f"names {LOW} twice", f"{LOW} x2"),
    (f"[{{name: a-1, legs: [{LOW}, {LOW} x2, {HIGH}]}}]", f"names {LOW} twice", f"{LOW} x3"),
    (f"[{{name: a-1, legs: [{LOW}, {OTHER}]}}]", f"{OTHER} is on MSFT, and {LOW} on AAPL", "one underlying"),
    (f"[{{legs: [{LOW}, {HIGH}]}}, {{legs: [{HIGH}, {TOP}]}}]", f"{HIGH} is a leg of two structures", "one of them"),
    (f"[{{legs: [{LOW}, {HIGH} x0]}}]", "isn't a leg", f"{LOW} x2"),
    (f"[{{legs: [{LOW}, {HIGH} x1.5]}}]", "isn't a leg", f"{LOW} x2"),
    (f"[{{legs: [{LOW}, -{HIGH}]}}]", "isn't a leg", f"{LOW} x2"),
    (f"[{{legs: [{LOW} x2, {HIGH} x4]}}]", "2 and 4 contracts are two units of 1 and 2", "one unit"),
    ("[{legs: [AAPL, MSFT]}]", "has no option", "at least one option"),
    (f"[{{name: a-1, legs: [{LOW}, {HIGH}], order: x}}]", "has both legs and order", "one of the two"),
    ("[{name: a-1}]", "has neither legs nor order", "legs"),
    (f"[{{name: aapl, legs: [{LOW}, {HIGH}]}}]", "'aapl' could be a symbol", "aapl-1"),
    (f"[{{name: {OTHER}, legs: [{LOW}, {HIGH}]}}]", "could be a symbol", "my-condor"),
    (f"[{{name: AAPL-vertical-261218-200-210C, legs: [{LOW}, {HIGH}]}}]", "is how sellctl itself names", "my-condor"),
    (f"[{{name: 'a b', legs: [{LOW}, {HIGH}]}}]", "'a b' can't be the name of a structure", "letters, digits, - and _"),
    (f"[{{name: a-1, legs: [{LOW}, {HIGH}]}}, {{name: A-1, legs: [{TOP}, {PUT}]}}]", "'A-1' is taken", "another"),
    ("[{order: x}, {order: x}]", "order 'x' is named twice", "one of them"),
    ("[{name: a-1, leg: [x]}]", "'leg' isn't a key in sell_module.structures[0]", "Did you mean legs?"),
    ("[condor]", "structures[0] has no keys", "name, legs or order"),
    ("on", "takes a list", "off"),
]


@pytest.mark.parametrize(("value", "sentence", "hint"), MISTAKES)
def test_a_mistake_in_a_structure_is_one_sentence_with_its_line(
    refuse: Refuse, rules: Rules, value: str, sentence: str, hint: str
) -> None:
    error = refuse(rules(f"structures: {value}"))
    assert error.sentence.startswith("config.yml:6:")
    assert "\n" not in str(error.sentence)
    assert sentence in error.sentence
    assert hint in error.hint


def test_a_match_on_structures_contradicts_off(refuse: Refuse, load: Load, rules: Rules) -> None:
    entry = "{{match: {{structure: {}}}, rules: {{stop_loss: 40%}}}}"
    off = "structures: off\n  strategies: [{}]"
    error = refuse(rules(off.format(entry.format("[vertical, iron_condor]"))))
    assert "match.structure names vertical, and sell_module.structures is off" in error.sentence
    assert "config.yml:7" in error.sentence
    assert load(rules(off.format(entry.format("[single, short_put]"))))
    assert load(rules(off.format(entry.format("covered_call, side: short"))))


def test_an_unknown_kind_is_refused_with_the_ones_there_are(refuse: Refuse, rules: Rules) -> None:
    error = refuse(rules("strategies: [{match: {structure: iron_condr}, rules: {stop_loss: 40%}}]"))
    assert "structure: 'iron_condr' isn't allowed." in error.sentence
    assert error.hint.startswith("Did you mean iron_condor?")


@pytest.mark.parametrize("match", ["{side: short, structure: iron_condor}", "{structure: short_put}"])
def test_a_stop_of_twenty_percent_on_what_can_only_be_a_credit_is_refused(
    refuse: Refuse, load: Load, rules: Rules, match: str
) -> None:
    def entry(stop: str) -> str:
        return rules(f"strategies: [{{match: {match}, rules: {{stop_loss: {stop}}}}}]")

    error = refuse(entry("20%"))
    assert "config.yml:6:" in error.sentence
    assert "stop_loss: 20% of a credit" in error.sentence
    assert "Did you mean 200%?" in error.hint
    assert load(entry("200%"))
    assert load(entry("$20/contract"))


def test_it_is_not_where_the_position_may_be_a_debit(load: Load, rules: Rules) -> None:
    assert load(rules("strategies: [{match: {structure: vertical}, rules: {stop_loss: 20%}}]"))
    assert load(rules("strategies: [{match: {side: short}, rules: {stop_loss: 20%}}]"))
