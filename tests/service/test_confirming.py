"""What an assistant has proposed, confirmed by the watchers of this process: shown first, then done once."""

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from an_assistant import ASSISTANT, code_for
from builders import CALL, CALL_TEXT, a_position
from verb_desk import Desk

from sellctl.core.errors import SafetyRefusalError
from sellctl.core.manual.verb import Verb
from sellctl.service.confirming import Confirmer, Confirming, lines_of, question_of
from sellctl.service.halt_flag import HaltOrigin
from sellctl.service.proposals import MOST_WRONG_CODES, Action, Proposal, Proposals, Surface

ANN = Confirmer("ann", Surface.API)
BY = f"ann over the API, as {ASSISTANT} proposed"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path)
    desk.poll()
    return desk


def confirming(desk: Desk, why_not: str = "", surface: Surface = Surface.API) -> Confirming:
    return Confirming.on(surface, desk.verbs, lambda: why_not)


def code_of(desk: Desk, tool: str, **arguments: Any) -> str:
    return asyncio.run(code_for(desk.runtime, tool, **arguments))


def confirmations(desk: Desk) -> list[dict[str, Any]]:
    return [dict(detail) for _, kind, detail in desk.world.journal.notes if kind == "confirm"]


def test_a_close_is_shown_as_it_would_be_now_and_passed_to_the_watcher_with_both_names(desk: Desk) -> None:
    surface = confirming(desk)
    shown = surface.show(code_of(desk, "close", name=CALL, qty="50%", limit="0.99"), ANN)
    [leaving] = shown.exits
    assert (leaving.qty, leaving.terms.limit, shown.is_possible) == (2, Decimal("0.99"), True)
    assert desk.world.requests.closing == frozenset()
    done = surface.carry_out(shown, ANN)
    assert [(each.verb, each.symbol, each.by) for each in done.requests] == [(Verb.CLOSE, CALL, BY)]
    [row] = confirmations(desk)
    assert (row["proposed_by"], row["confirmed_by"], row["surface"]) == (ASSISTANT, "ann", "API")
    assert (row["action"], row["symbol"], row["accounts"]) == ("close", CALL, ["main"])


def test_a_share_is_of_what_is_held_when_it_is_shown(desk: Desk) -> None:
    code = code_of(desk, "close", name=CALL, qty="50%")
    desk.world.broker.held = (a_position(CALL, "9"),)
    desk.poll()
    [leaving] = confirming(desk).show(code, ANN).exits
    assert leaving.qty == 4


def test_what_has_changed_since_it_was_shown_is_not_closed(desk: Desk) -> None:
    surface = confirming(desk)
    shown = surface.show(code_of(desk, "close", name=CALL), ANN)
    desk.world.broker.held = (a_position(CALL, "4"),)
    desk.poll()
    with pytest.raises(SafetyRefusalError, match="What is held has changed since it was shown"):
        surface.carry_out(shown, ANN)
    assert (desk.world.requests.closing, confirmations(desk)) == (frozenset(), [])


def test_rules_are_set_only_while_they_do_what_was_proposed(desk: Desk) -> None:
    surface = confirming(desk)
    shown = surface.show(code_of(desk, "set", name=CALL, stop="40%"), ANN)
    assert "more can be lost" in shown.overrides[0].warnings[0]
    late = code_of(desk, "set", name=CALL, stop="30%")
    surface.carry_out(shown, ANN)
    desk.poll()
    with pytest.raises(SafetyRefusalError, match="has changed since it was proposed"):
        surface.show(late, ANN)
    with pytest.raises(SafetyRefusalError, match="used already"):
        surface.show(late, ANN)
    override = desk.world.watcher.positions.episodes.known[CALL].override
    assert override
    assert override.text == f"stop 40%, set by {BY}"


def test_an_exemption_is_made_when_it_is_confirmed(desk: Desk) -> None:
    surface = confirming(desk)
    shown = surface.show(code_of(desk, "exempt", name=CALL), ANN)
    assert desk.verbs.exempt_names() == frozenset()
    assert surface.carry_out(shown, ANN).sentence.startswith(f"{CALL} is exempt from the next check.")
    assert desk.verbs.exempt_names() == {CALL}


def test_what_is_exempt_by_now_is_not_exempted_again(desk: Desk) -> None:
    code = code_of(desk, "exempt", name=CALL)
    desk.verbs.exempt(CALL, "ben")
    with pytest.raises(SafetyRefusalError, match="is exempt already"):
        confirming(desk).show(code, ANN)


@pytest.mark.parametrize(
    ("surface", "origin"),
    [(Surface.API, HaltOrigin.API), (Surface.TELEGRAM, HaltOrigin.CHAT), (Surface.TERMINAL, HaltOrigin.MACHINE)],
)
def test_a_halt_is_made_where_it_is_confirmed(desk: Desk, surface: Surface, origin: HaltOrigin) -> None:
    where = confirming(desk, surface=surface)
    shown = where.show(code_of(desk, "halt", reason="earnings"), ANN)
    assert desk.verbs.halted() == ""
    where.carry_out(shown, Confirmer("ann", surface))
    halt = desk.runtime.state.current_halt()
    assert halt
    assert (halt.reason, halt.origin) == ("earnings", origin)


@pytest.mark.parametrize("trouble", ["idle", "another account"])
def test_what_this_process_cannot_do_is_refused_and_its_code_stays_valid(desk: Desk, trouble: str) -> None:
    code, watcher = code_of(desk, "set", name=CALL, stop="10%"), desk.world.watcher
    watcher.name = "other" if trouble == "another account" else "main"
    with pytest.raises(SafetyRefusalError, match=r"Nothing is watched|Account main is not watched"):
        confirming(desk, "Nothing is watched." if trouble == "idle" else "").show(code, ANN)
    watcher.name = "main"
    assert confirming(desk).show(code, ANN).is_possible


def test_a_code_that_was_taken_elsewhere_meanwhile_shows_nothing(desk: Desk) -> None:
    code = code_of(desk, "close", name=CALL)
    Proposals(desk.runtime.state.path).take(code)
    with pytest.raises(SafetyRefusalError, match="used already"):
        confirming(desk).show(code, ANN)


def test_wrong_codes_on_one_surface_lock_no_other_one_out(desk: Desk) -> None:
    code = code_of(desk, "halt", reason="earnings")
    surface = confirming(desk)
    for _ in range(MOST_WRONG_CODES):
        with pytest.raises(SafetyRefusalError, match="No proposal has this code"):
            surface.show("0000-0000-0000", ANN)
    with pytest.raises(SafetyRefusalError, match="wrong codes were tried"):
        surface.show(code, ANN)
    assert confirming(desk, surface=Surface.TELEGRAM).show(code, ANN).is_possible


def test_what_is_shown_names_who_proposed_it_without_control_characters(desk: Desk) -> None:
    proposal = Proposal(Action.HALT, by="evil\x1b[2J", summary=("halt\x07",), made_at=0.0)
    first, line = lines_of(proposal)
    assert first.startswith("evil\\x1b[2J proposed ")
    assert line == "halt\\x07"
    shown = confirming(desk).show(code_of(desk, "exempt", name=CALL), ANN)
    assert question_of(shown) == f"Leave {CALL_TEXT} alone?"
