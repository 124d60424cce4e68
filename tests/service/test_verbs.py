"""The verbs on running watchers: from their states in memory, with every mistake as one sentence."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from builders import CALL, a_position
from verb_desk import Desk

from sellctl.core.errors import ConfigError, JournalError, SafetyRefusalError, SellctlError
from sellctl.core.manual.verb import Verb
from sellctl.core.model.instrument import underlying_of
from sellctl.core.watching.manual_exits import QtyOrShare, Result
from sellctl.core.watching.manual_requests import ExitTerms, Patience
from sellctl.service.halt_flag import HaltOrigin
from sellctl.service.verbs import Verbs

HALF, TWO = QtyOrShare(share=Decimal("0.5")), QtyOrShare(qty=Decimal(2))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path)
    desk.poll()
    return desk


def test_a_close_is_proposed_from_memory_and_carried_out_by_the_next_poll(desk: Desk) -> None:
    before = len(desk.world.broker.requests)
    (proposed,) = desk.verbs.propose_close(CALL, qty=HALF, limit=Decimal("0.99"))
    assert (proposed.qty, proposed.decision.holding.position.qty, proposed.proceeds) == (2, 5, 200)
    assert proposed.is_possible
    assert proposed.terms == ExitTerms(Decimal(2), Decimal("0.99"))
    (request,) = desk.verbs.close([proposed], "watch")
    assert len(desk.world.broker.requests) == before
    assert (request.symbol, request.by, request.terms, request.accounts) == (CALL, "watch", proposed.terms, ("main",))
    assert desk.world.journal.notes == [
        ("main", "request", {"symbol": CALL, "verb": "close", "by": "watch", "qty": "2", "limit": "0.99"})
    ]
    desk.poll()
    assert [order.qty for order in desk.world.broker.sent] == [2]
    assert [each.result for each in desk.verbs.outcome([request])] == [Result.WORKING]


def test_what_was_shown_is_what_is_closed_although_more_is_held_by_now(desk: Desk) -> None:
    proposed = desk.verbs.propose_close(CALL, qty=HALF)
    desk.world.broker.held = (a_position(CALL, "9"),)
    desk.poll()
    desk.verbs.close(proposed, "watch")
    desk.poll()
    assert [order.qty for order in desk.world.broker.sent] == [2]


@pytest.mark.parametrize(
    ("mistake", "sentence"),
    [
        (lambda verbs: verbs.propose_close("AAPL261218C00200001"), f"Did you mean {CALL}?"),
        (lambda verbs: verbs.propose_close(""), "The symbol is empty."),
        (lambda verbs: verbs.propose_close("X" * 4096), "can't be a symbol."),
        (lambda verbs: verbs.propose_close("[bold]AAPL"), "is not held in any account."),
        (lambda verbs: verbs.propose_close(CALL, account="other"), "No account is called 'other'. There are: main."),
        (lambda verbs: verbs.propose_close(CALL, qty=QtyOrShare(qty=Decimal(6))), "main holds 5"),
        (lambda verbs: verbs.propose_close(CALL, qty=QtyOrShare(qty=Decimal("1.5"))), "is not whole"),
        (lambda verbs: verbs.exempt("MSFT", "watch"), "MSFT is not held in any account."),
        (
            lambda verbs: verbs.exempt("[red]x[/]", "watch", not_held=True),
            "[RED]X[/] can't be a symbol or the name of a structure. These have letters, digits, and",
        ),
        (lambda verbs: verbs.exempt("[red]x[/]", "watch"), "[RED]X[/] is not held in any account."),
        (lambda verbs: verbs.manage("MSFT", "watch"), "No symbol is exempt."),
    ],
)
def test_a_mistake_is_one_sentence_and_changes_nothing(
    desk: Desk, mistake: Callable[[Verbs], object], sentence: str
) -> None:
    with pytest.raises(ConfigError) as error:
        mistake(desk.verbs)
    assert sentence in str(error.value)
    assert (desk.world.journal.notes, desk.verbs.exempt_names()) == ([], frozenset())
    assert desk.world.watcher.requests.closing == frozenset()


def test_what_can_not_be_sent_is_refused_with_the_reason(desk: Desk) -> None:
    desk.world.broker.is_open = False
    desk.poll()
    proposed = desk.verbs.propose_close(CALL)
    assert not proposed[0].is_possible
    with pytest.raises(SafetyRefusalError, match="the market is closed"):
        desk.verbs.close(proposed, "watch")
    assert desk.world.watcher.requests.closing == frozenset()


def test_before_the_first_poll_it_is_unknown_what_is_held(tmp_path: Path) -> None:
    with pytest.raises(SellctlError, match="could not be read"):
        Desk(tmp_path).verbs.propose_close(CALL, qty=TWO, patience=Patience.TIME)


def test_exempt_and_manage_are_recorded_with_who_asked(desk: Desk) -> None:
    underlying = underlying_of(CALL)
    assert desk.verbs.exempt(underlying.lower(), "chat") == underlying
    assert desk.verbs.exempt_names() == {underlying}
    assert desk.verbs.manage(underlying, "api") == underlying
    assert desk.verbs.exempt_names() == frozenset()
    assert [(kind, detail["by"]) for _, kind, detail in desk.world.journal.notes] == [
        ("exempt", "chat"),
        ("manage", "api"),
    ]


def test_a_halt_takes_effect_although_the_journal_fails(desk: Desk) -> None:
    desk.world.journal.fails = JournalError("The disk is full.")
    desk.world.events.clear()
    desk.verbs.halt("fed day", "watch")
    assert "fed day" in desk.verbs.halted()
    assert any("not recorded in the journal" in text for text in desk.world.texts)


def test_a_panic_is_proposed_from_memory_even_during_a_halt_and_passed_to_the_watchers(desk: Desk) -> None:
    desk.verbs.halt("fed day", "watch")
    (proposed,) = desk.verbs.propose_panic()
    assert (proposed.symbol, proposed.qty, proposed.is_possible) == (CALL, 5, True)
    (request,) = desk.verbs.panic([proposed], "ana over the API")
    assert (request.verb, request.accounts, request.by) == (Verb.PANIC, ("main",), "ana over the API")
    desk.poll()
    assert [order.qty for order in desk.world.broker.sent] == [5]


def test_a_panic_with_nothing_to_close_is_refused(desk: Desk) -> None:
    with pytest.raises(SafetyRefusalError, match="nothing is to be closed"):
        desk.verbs.panic([], "ana over the API")


def test_a_close_that_is_proposed_right_after_a_halt_is_not_possible(desk: Desk) -> None:
    desk.verbs.halt("fed day", "watch")
    (proposed,) = desk.verbs.propose_close(CALL)
    assert not proposed.is_possible
    assert "fed day" in proposed.decision.sentence


def test_a_halt_says_where_it_was_made(desk: Desk) -> None:
    desk.verbs.halt("fed day", "ana over the API", HaltOrigin.API)
    halt = desk.runtime.state.current_halt()
    assert halt
    assert (halt.by, halt.origin) == ("ana over the API", HaltOrigin.API)
