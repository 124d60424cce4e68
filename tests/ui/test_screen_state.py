"""What a key changes of the screen, and what it asks for."""

import dataclasses
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sellctl.ui.keys import BACKSPACE, DOWN, END, ENTER, ESCAPE, HOME, NAVIGATION, PAGE_DOWN, PAGE_UP, UP, Key
from sellctl.ui.screen_state import (
    CONFIRM_SECONDS,
    LONGEST_FILTER,
    QUESTION_SECONDS,
    SELECT_FIRST,
    Action,
    Page,
    Question,
    ScreenState,
    Shown,
    Target,
    Wish,
    press,
)

ROWS = tuple(Target("main", name, name) for name in "ABCDEFGH")
SHOWN = Shown(ROWS, page_lines=3, most_scroll=10)
ON_C = ScreenState(selected=ROWS[2])
CLOSING = Wish(Action.CLOSE, ROWS[2])
ASKED = dataclasses.replace(ON_C, question=Question(CLOSING, "Close C?", asked_at=99.0, drawn_at=100.0))


def pressed(state: ScreenState, *names: str, shown: Shown = SHOWN) -> tuple[ScreenState, list[Wish]]:
    """The state after keys that were typed one by one, and the wishes."""
    wishes = []
    for name in names:
        state, wish = press(state, Key(name, 200.0), shown)
        wishes += [wish] if wish else []
    return state, wishes


@pytest.mark.parametrize(
    ("keys", "row"),
    [
        (("j",), 0),
        (("j", "j"), 1),
        ((DOWN, DOWN, "k"), 0),
        ((UP,), 0),
        ((DOWN, UP, UP), 0),
        ((PAGE_DOWN,), 3),
        ((PAGE_DOWN, PAGE_DOWN, PAGE_DOWN, PAGE_DOWN), 7),
        ((END,), 7),
        ((END, "j"), 7),
        ((END, PAGE_UP), 4),
        ((END, HOME), 0),
    ],
)
def test_keys_move_the_selection_within_the_rows(keys: tuple[str, ...], row: int) -> None:
    state, wishes = pressed(ScreenState(), *keys)
    assert (state.selected, wishes) == (ROWS[row], [])


def test_without_rows_nothing_is_selected() -> None:
    state, _ = pressed(ScreenState(), "j", PAGE_DOWN, END, shown=Shown())
    assert state.selected is None


def test_the_selection_stays_on_its_position_when_rows_come_before_it() -> None:
    more = (Target("main", "new", "new"), *ROWS)
    state, _ = pressed(ON_C.fitted(more), "j", shown=Shown(more))
    assert state.selected == ROWS[3]


def test_once_its_row_is_gone_nothing_is_selected_and_no_key_acts_on_the_neighbour() -> None:
    fewer = ROWS[:2] + ROWS[3:]
    state, wishes = pressed(ON_C.fitted(ROWS).fitted(fewer), "c", shown=Shown(fewer))
    assert (state.selected, wishes) == (None, [])
    moved, _ = pressed(state, "j", shown=Shown(fewer))
    assert moved.selected == ROWS[3]


@pytest.mark.parametrize(
    ("key", "action"),
    [
        ("c", Action.CLOSE),
        ("h", Action.CLOSE_HALF),
        ("x", Action.EXEMPT),
        ("b", Action.BREAKEVEN),
        ("+", Action.STOP_CLOSER),
        ("-", Action.STOP_FARTHER),
    ],
)
@pytest.mark.parametrize("page", [Page.LIST, Page.EXPLANATION])
def test_a_key_asks_for_an_action_on_the_selected_position(key: str, action: Action, page: Page) -> None:
    _, wishes = pressed(dataclasses.replace(ON_C, page=page), key)
    assert wishes == [Wish(action, ROWS[2])]


@pytest.mark.parametrize("key", ["c", "h", "x", "b", "+", "-"])
def test_without_a_selection_a_key_for_a_position_only_says_so(key: str) -> None:
    state, wishes = pressed(ScreenState(), key)
    assert wishes == []
    assert state.notes == (SELECT_FIRST,)


@pytest.mark.parametrize("key", ["j", DOWN, "?", "/", "H", ESCAPE])
def test_that_nothing_is_selected_is_not_said_any_more_once_another_key_acts(key: str) -> None:
    told = ScreenState(notes=(SELECT_FIRST,))
    assert pressed(told, key)[0].notes == ()


def test_what_became_of_an_exit_stays_while_the_selection_moves() -> None:
    told = ScreenState(notes=("A: filled 3 at $1.00", SELECT_FIRST))
    assert pressed(told, "j", DOWN)[0].notes == ("A: filled 3 at $1.00",)


@pytest.mark.parametrize(("key", "action"), [("H", Action.HALT), ("q", Action.END)])
def test_a_halt_and_the_end_need_no_position(key: str, action: Action) -> None:
    assert pressed(ScreenState(), key)[1] == [Wish(action)]


@pytest.mark.parametrize("key", ["c", "h", "x", "b", "+", "-", "H", "q"])
def test_a_key_in_company_asks_for_nothing(key: str) -> None:
    assert press(ON_C, Key(key, 200.0, alone=False), SHOWN) == (ON_C, None)


def test_y_confirms_a_question_once_it_could_be_read() -> None:
    state, wish = press(ASKED, Key("y", 100.01 + CONFIRM_SECONDS), SHOWN)
    assert wish == dataclasses.replace(CLOSING, confirmed=True)
    assert (state.question, state.notes) == (None, ())


@pytest.mark.parametrize(
    "key",
    [
        Key("y", 100 + CONFIRM_SECONDS - 0.01),
        Key("y", 99.5),
        Key("y", 200.0, alone=False),
        *(
            Key(name, 200.0)
            for name in ("Y", "n", "c", "h", "x", "b", "+", "-", "H", "q", " ", ENTER, ESCAPE, BACKSPACE, DOWN, "j")
        ),
    ],
)
def test_anything_else_ends_a_question_and_does_nothing(key: Key) -> None:
    state, wish = press(ASKED, key, SHOWN)
    assert (state.question, wish) == (None, None)
    assert state.notes[0].startswith("Nothing was done.")


def test_a_question_that_isnt_on_the_screen_cant_be_confirmed() -> None:
    unseen = dataclasses.replace(ON_C, question=Question(CLOSING, "Close C?", asked_at=1.0))
    state, wish = press(unseen, Key("y", 200.0), SHOWN)
    assert (state.question, wish) == (None, None)


def test_a_question_that_nobody_answers_ends() -> None:
    assert ASKED.without_old_question(99 + QUESTION_SECONDS - 1) == ASKED
    assert ASKED.without_old_question(99 + QUESTION_SECONDS).question is None


def test_a_filter_is_typed_and_its_keys_act_on_nothing() -> None:
    state, wishes = pressed(ON_C, "/", *"cHqx", BACKSPACE, ENTER)
    assert (state.filter, state.is_typing, wishes) == ("cHq", False, [])
    assert pressed(state, ESCAPE)[0].filter == ""
    assert pressed(ON_C, "/", *"abc", ESCAPE)[0].filter == ""
    assert len(pressed(ON_C, "/", *("a" * 100))[0].filter) == LONGEST_FILTER


@pytest.mark.parametrize("back", [ESCAPE, ENTER, "q"])
def test_a_page_is_left_by_a_key_that_doesnt_end_the_watch(back: str) -> None:
    for key, page in ((ENTER, Page.EXPLANATION), ("?", Page.HELP)):
        opened, _ = pressed(ON_C, key)
        assert opened.page is page
        left, wishes = pressed(opened, back)
        assert (left.page, left.selected, wishes) == (Page.LIST, ROWS[2], [])


def test_a_page_scrolls_between_its_ends() -> None:
    opened, _ = pressed(ON_C, ENTER)
    assert pressed(opened, UP)[0].scroll == 0
    assert pressed(opened, "j", DOWN, PAGE_DOWN)[0].scroll == 5
    assert pressed(opened, END, DOWN)[0].scroll == 10
    assert pressed(opened, END, HOME)[0].scroll == 0
    assert pressed(opened, END, ESCAPE, ENTER)[0].scroll == 0


def test_no_action_is_asked_for_on_the_page_of_help() -> None:
    opened, _ = pressed(ON_C, "?")
    assert pressed(opened, "c", "h", "x", "b", "+", "-", "H")[1] == []


KEYS = st.sampled_from([*string.printable[:94], *NAVIGATION, ENTER, ESCAPE, BACKSPACE])


@given(st.lists(st.tuples(KEYS, st.booleans()), max_size=40))
def test_no_keys_confirm_what_was_not_drawn(keys: list[tuple[str, bool]]) -> None:
    state = ScreenState()
    for at, (name, alone) in enumerate(keys):
        state, wish = press(state, Key(name, float(at), alone), SHOWN)
        if wish:
            assert not wish.confirmed
            state = dataclasses.replace(state, question=Question(wish, "?", float(at)))
