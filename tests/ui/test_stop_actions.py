"""What the keys of the screen ask before they set a stop, and what they refuse."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from builders import CALL, a_position
from verb_desk import Desk

from sellctl.core.errors import ConfigError, SafetyRefusalError, SellctlError
from sellctl.core.manual.verb import Verb
from sellctl.core.model.instrument import contract_text
from sellctl.core.model.position import OverrideChange
from sellctl.core.model.view import AccountListing, Mode
from sellctl.journal.store import SqliteJournal
from sellctl.service.person import at_the_watch_screen
from sellctl.ui.formatting import account_text
from sellctl.ui.screen_state import Action, Target, Wish
from sellctl.ui.stop_actions import StopActions
from sellctl.ui.verb_actions import VerbActions

BY = at_the_watch_screen()
TITLE = contract_text(CALL)
TARGET = Target("main", CALL, TITLE)
CLOSER, FARTHER, BREAKEVEN = (
    Wish(action, TARGET) for action in (Action.STOP_CLOSER, Action.STOP_FARTHER, Action.BREAKEVEN)
)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Five calls at an entry of 1.00, a quote of 1.00 at 1.02, and a stop at 0.80."""
    desk = Desk(tmp_path)
    desk.poll()
    return desk


def asked(desk: Desk, wish: Wish) -> tuple[StopActions, str]:
    actions = StopActions(desk.verbs, BY)
    return actions, actions.question(wish.action, TARGET)


def set_by_somebody_else(desk: Desk, stop: str) -> None:
    change = OverrideChange(stop)
    desk.verbs.set(desk.verbs.propose_set(CALL, change, "alice"), change, "alice")
    desk.poll()


def requested(desk: Desk) -> list[tuple[str, str]]:
    """Whose changes the watcher has been asked for, and of which stop."""
    return [(each.by, each.change.stop) for each in desk.world.watcher.requests.changes if each.change]


def begun(desk: Desk, actions: StopActions, wish: Wish) -> list[tuple[str, str]]:
    """What was asked of the watcher once carrying it out has begun."""

    async def begin() -> None:
        task = asyncio.create_task(actions.carry_out(wish, TARGET))
        await asyncio.sleep(0)
        if task.done():
            task.result()
        with pytest.raises(SafetyRefusalError, match="A stop is still being set"):
            actions.question(wish.action, TARGET)
        task.cancel()

    asyncio.run(begin())
    return requested(desk)


def told(desk: Desk, recorded: dict[str, str]) -> str:
    """What is told of a notch, once the journal has this of it."""
    actions, _ = asked(desk, CLOSER)

    async def carry_out() -> str:
        task = asyncio.create_task(actions.carry_out(CLOSER, TARGET))
        await asyncio.sleep(0)
        (request,) = desk.world.watcher.requests.changes
        journal = SqliteJournal(desk.runtime.state.journal, desk.world.clock.now)
        journal.note("main", "override", {"id": "of another request"})
        journal.note("main", "override", {"id": request.id, **recorded})
        journal.close()
        return await task

    return asyncio.run(carry_out())


def test_that_it_is_set_is_told_once_it_is_on_record(desk: Desk) -> None:
    assert told(desk, {}) == f"Stop of {TITLE} set to $0.85 (was $0.80)."


def test_why_it_was_not_set_is_told(desk: Desk) -> None:
    assert told(desk, {"problem": "it is not held"}) == f"The stop of {TITLE} was not set: it is not held."


def test_a_stop_that_comes_closer_is_set_without_a_question(desk: Desk) -> None:
    for wish, stop in ((CLOSER, "price 0.85"), (BREAKEVEN, "entry")):
        actions, question = asked(desk, wish)
        assert question == ""
        assert begun(desk, actions, wish)[-1] == (BY, stop)


def test_one_that_moves_away_is_asked_about_with_account_mode_name_and_what_can_be_lost(desk: Desk) -> None:
    _, question = asked(desk, FARTHER)
    assert question.splitlines() == [
        f"Set the stop of {TITLE} in main (PAPER):",
        "to $0.75 (was $0.80)",
        "Its stop moves away from the price, from $0.80 to $0.75: $25.00 more can be lost.",
    ]


def test_breakeven_is_asked_about_where_it_closes_at_once(desk: Desk) -> None:
    desk.world.quoted("0.95", "0.97")
    asyncio.run(desk.world.poll())
    lines = asked(desk, BREAKEVEN)[1].splitlines()
    assert lines[1] == "to $1.00, the entry price (was $0.80)"
    assert lines[2].startswith("It is closed at once: stop at the entry price: mid $0.96 is at or below the stop $1.00")


def test_on_stale_data_a_stop_that_comes_closer_is_asked_about_too(desk: Desk) -> None:
    desk.world.clock.seconds += 60.0
    actions, question = asked(desk, CLOSER)
    assert question.splitlines() == [
        f"Set the stop of {TITLE} in main (PAPER):",
        "to $0.85 (was $0.80)",
        "The account was last read 1m 00s ago: it may close at once.",
    ]
    with pytest.raises(SafetyRefusalError, match="not confirmed"):
        asyncio.run(actions.carry_out(CLOSER, TARGET))
    assert requested(desk) == []


def test_outside_the_session_no_account_is_read_and_none_is_stale(desk: Desk) -> None:
    desk.world.broker.is_open = False
    desk.poll()
    desk.world.clock.seconds += 60.0
    assert asked(desk, CLOSER)[1] == ""


def test_what_is_asked_about_is_set_only_when_it_is_confirmed(desk: Desk) -> None:
    actions, _ = asked(desk, FARTHER)
    with pytest.raises(SafetyRefusalError, match=r"Nothing was set: it was not confirmed\."):
        asyncio.run(actions.carry_out(FARTHER, TARGET))
    actions, _ = asked(desk, FARTHER)
    assert begun(desk, actions, replace(FARTHER, confirmed=True)) == [(BY, "price 0.75")]


def test_a_question_about_one_key_confirms_no_other(desk: Desk) -> None:
    actions, _ = asked(desk, FARTHER)
    with pytest.raises(SafetyRefusalError, match="not confirmed"):
        asyncio.run(actions.carry_out(replace(BREAKEVEN, confirmed=True), TARGET))
    assert requested(desk) == []


def test_what_somebody_else_has_set_since_the_question_is_not_undone(desk: Desk) -> None:
    actions, _ = asked(desk, FARTHER)
    set_by_somebody_else(desk, "15%")
    with pytest.raises(SafetyRefusalError, match=r"has changed meanwhile\. Press the key again"):
        asyncio.run(actions.carry_out(replace(FARTHER, confirmed=True), TARGET))
    assert requested(desk) == []


def test_with_more_contracts_than_were_shown_it_is_asked_again(desk: Desk) -> None:
    actions, _ = asked(desk, FARTHER)
    desk.world.broker.held = (a_position(CALL, "9"),)
    desk.poll()
    with pytest.raises(SafetyRefusalError, match="has changed meanwhile"):
        asyncio.run(actions.carry_out(replace(FARTHER, confirmed=True), TARGET))
    assert requested(desk) == []


def test_what_would_close_at_once_by_now_is_not_set_without_a_new_question(desk: Desk) -> None:
    actions, question = asked(desk, BREAKEVEN)
    assert question == ""
    desk.world.quoted("0.95", "0.97")
    asyncio.run(desk.world.poll())
    with pytest.raises(SafetyRefusalError, match="has changed meanwhile"):
        asyncio.run(actions.carry_out(BREAKEVEN, TARGET))


def test_each_notch_counts_from_the_stop_that_is_known_to_be_set(desk: Desk) -> None:
    for stop in ("price 0.85", "price 0.90", "price 0.95"):
        actions, _ = asked(desk, CLOSER)
        assert begun(desk, actions, CLOSER) == [(BY, stop)]
        desk.poll()
    set_by_somebody_else(desk, "price 1.00")
    with pytest.raises(SafetyRefusalError, match="was not moved"):
        asked(desk, CLOSER)


def test_a_position_that_is_held_no_more_is_one_sentence(desk: Desk) -> None:
    desk.world.broker.held = (a_position("AAPL261218C00210000"),)
    desk.poll()
    for wish in (CLOSER, FARTHER, BREAKEVEN):
        with pytest.raises(ConfigError, match="is not held"):
            asked(desk, wish)


def test_before_the_first_check_it_is_unknown_what_is_held(tmp_path: Path) -> None:
    with pytest.raises(SellctlError, match="could not be read"):
        asked(Desk(tmp_path), CLOSER)


def test_the_question_of_a_close_says_how_old_the_quote_is(desk: Desk) -> None:
    desk.world.clock.seconds += 120.0
    question = VerbActions(desk.verbs).question(Wish(Action.CLOSE, TARGET))
    assert question.splitlines()[-1] == "The quote is 2m 00s old."


def test_an_account_with_real_money_says_so() -> None:
    assert account_text(AccountListing("ira", mode=Mode.LIVE)) == "ira (LIVE) with real money"
    assert account_text(AccountListing("main", mode=Mode.PAPER)) == "main (PAPER)"


def test_no_request_is_a_close(desk: Desk) -> None:
    actions, _ = asked(desk, CLOSER)
    begun(desk, actions, CLOSER)
    assert {each.verb for each in desk.world.watcher.requests.changes} == {Verb.SET}
    assert desk.world.watcher.requests.closing == frozenset()
