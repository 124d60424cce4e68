"""Pictures of the screen with keys: what is selected, asked and stale, at every size."""

import datetime as dt

import pytest
from builders import CALL, a_holding, a_market, at, replace
from rich.cells import cell_len
from ui_cases import HOSTILE, LONGEST, a_plan, a_view

from sellctl.core.model.event import Event
from sellctl.core.model.instrument import contract_text
from sellctl.core.model.snapshot import AccountFacts
from sellctl.core.model.view import AccountListing, AccountView, Mode, WatchView
from sellctl.ui.frame import (
    HELP,
    STALE,
    Content,
    Frame,
    Layout,
    first_lines,
    folded,
    frame_of,
    frozen_frame,
    stale_accounts,
)
from sellctl.ui.grid import ASCII, UNICODE, Line
from sellctl.ui.rows import positions_rows
from sellctl.ui.screen_state import Action, Page, Question, ScreenState, Target, Wish

SIZES = [(80, 24), (120, 40), (200, 50), (40, 12), (20, 24), (20, 5), (10, 3)]
FIVE = dt.timedelta(seconds=5)
NEVER = dt.timedelta()
QUESTION = "Close in main (PAPER):\n2 AAPL 18 Dec 26 200 C, about +$208.00, P&L +$8.00"


def many(count: int = 60) -> WatchView:
    holdings = [
        a_holding(f"F261218C{strike:08}", "1", "1.00", bid="0.95", ask="1.00") for strike in range(1, count + 1)
    ]
    closing = a_holding(LONGEST, "1", "2.00", bid="2.25", ask="2.30")
    plan = a_plan(*holdings, closing)
    account = AccountView(AccountFacts("main", "PA1"), Mode.PAPER, a_market(), plan, dt.timedelta(seconds=1))
    return WatchView(at("12:00"), (account,))


def picture(
    view: WatchView,
    state: ScreenState | None = None,
    size: tuple[int, int] = (80, 24),
    *,
    stale: dict[str, dt.timedelta] | None = None,
    page: tuple[tuple[str, str], ...] = (),
) -> Frame:
    state = state or ScreenState()
    layout = Layout.of(view, size[0], UNICODE).filtered(view, state.filter)
    return frame_of(Content(view, layout, stale or {}, page), state, size[1])


def texts(frame: Frame) -> list[str]:
    return ["".join(text for text, _ in line).rstrip() for line in frame.lines]


def styles(lines: tuple[Line, ...]) -> set[str]:
    return {style for line in lines for _, style in line}


def asking(text: str = QUESTION) -> ScreenState:
    return ScreenState(question=Question(Wish(Action.CLOSE), text, 0.0))


def target(number: int) -> Target:
    symbol = f"F261218C{number:08}"
    return Target("main", symbol, contract_text(symbol))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "state",
    [
        ScreenState(),
        ScreenState(selected=target(30)),
        ScreenState(selected=target(60), notes=("Nothing was done.",)),
        ScreenState(filter="nothing has this", is_typing=True),
        ScreenState(page=Page.HELP),
        asking(),
    ],
)
def test_a_picture_fills_the_terminal_and_never_overruns_it(size: tuple[int, int], state: ScreenState) -> None:
    for view in (many(), a_view(), WatchView(at("12:00"), ())):
        frame = picture(view, state, size, stale={"main": FIVE}, page=HELP)
        assert len(frame.lines) == size[1]
        assert all(sum(cell_len(text) for text, _ in line) <= size[0] for line in frame.lines)


@pytest.mark.parametrize("number", [1, 2, 30, 59, 60])
@pytest.mark.parametrize("size", [(80, 24), (200, 50), (80, 10), (40, 12)])
def test_the_selected_position_is_on_the_screen_and_named_at_its_foot(number: int, size: tuple[int, int]) -> None:
    lines = picture(many(), ScreenState(selected=target(number)), size).lines
    (marked,) = [text for line in lines for text, style in line if style == "reverse"][:1]
    assert marked.startswith(contract_text(target(number).name))
    foot = " ".join("".join(text for text, _ in line) for line in lines[-4:])
    assert f"selected: main  {contract_text(target(number).name)}" in foot


def test_the_account_stands_above_its_positions_wherever_the_list_is() -> None:
    for number in (1, 30, 60):
        assert any(
            line.startswith("main  PAPER") for line in texts(picture(many(), ScreenState(selected=target(number))))
        )


def test_before_anything_is_selected_the_most_urgent_positions_are_shown() -> None:
    lines = texts(picture(many()))
    assert any(line.startswith(contract_text(LONGEST)) for line in lines)
    assert any("more positions (the arrow keys show them)" in line for line in lines)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
def test_events_use_the_lines_that_positions_leave_free(size: tuple[int, int]) -> None:
    events = tuple(Event(at("12:00"), f"event {n}") for n in range(50))
    lines = texts(picture(replace(many(2), events=events), size=size))
    assert len(lines) == size[1]
    assert lines.count("") == 1
    assert sum(line.startswith(("F ", "GOOGL1")) for line in lines) == 3
    few = texts(picture(replace(many(), events=events), size=size))
    assert 2 <= sum("  event " in line for line in few) < sum("  event " in line for line in lines)


def test_an_exit_that_is_due_stands_above_what_is_near_a_trigger() -> None:
    near = a_holding("F261218C00000001", "1", "1.00", bid="0.90", ask="0.92")
    plan = a_plan(near, a_holding(LONGEST, "1", "2.00", bid="2.25", ask="2.30"))
    account = AccountView(AccountFacts("main", "PA1"), Mode.DRY_RUN, a_market(), plan, only_due=frozenset({LONGEST}))
    rows = [line for line in texts(picture(WatchView(at("12:00"), (account,)))) if line.startswith(("F ", "GOOGL1"))]
    assert [" due " in row for row in rows] == [True, False]
    listed = AccountListing("main", mode=Mode.DRY_RUN, plan=plan, only_due=frozenset({LONGEST}))
    assert [row[2].text for row in positions_rows([listed])] == [LONGEST, near.symbol]  # type: ignore[attr-defined]


def test_rows_are_listed_for_the_keys_in_the_order_of_the_screen() -> None:
    frame = picture(many(3))
    rows = [row.title for row in frame.shown.rows]
    assert len(rows) == 4
    assert rows == [title for line in texts(frame) for title in rows if line.startswith(title)]


def test_a_filter_finds_symbols_contracts_accounts_and_states() -> None:
    view = a_view()
    every = len(picture(view).shown.rows)
    for text, found in (
        ("aapl261218c", 1),
        ("aapl 18 dec", 2),
        ("TSLA", 1),
        ("ira", 2),
        ("not managed", 1),
        ("", every),
        ("zzz", 0),
    ):
        assert len(picture(view, ScreenState(filter=text)).shown.rows) == found, text
    assert "  nothing matches" in texts(picture(view, ScreenState(filter="zzz")))


@pytest.mark.parametrize("size", [(80, 24), (40, 12), (20, 12)])
def test_a_question_is_shown_wholly_or_not_as_one_that_can_be_confirmed(size: tuple[int, int]) -> None:
    frame = picture(many(), asking(), size)
    words = " ".join(texts(frame)).split()
    assert frame.has_question
    for word in f"{QUESTION} y does it, any other key doesn't".split():
        assert word in " ".join(words) or word in "".join(words)
    assert not picture(many(), asking("\n".join(["line"] * 30)), size).has_question


def test_without_a_question_there_is_none_to_confirm() -> None:
    assert not picture(many()).has_question


def test_an_account_is_stale_after_three_intervals_without_a_check_while_the_market_is_open() -> None:
    (main, ira, old) = a_view().accounts
    view = a_view(accounts=(replace(main, age=3 * FIVE), replace(ira, age=3 * FIVE + FIVE / 5), old))
    assert stale_accounts(view, FIVE, NEVER) == {"ira": 3 * FIVE + FIVE / 5}
    closed = replace(a_market(), is_open=False)
    shut = a_view(accounts=tuple(replace(each, market=closed, age=100 * FIVE) for each in (main, ira)))
    assert stale_accounts(shut, FIVE, NEVER) == {}
    assert set(stale_accounts(shut, FIVE, 4 * FIVE)) == {"main", "ira"}


def test_a_stale_account_says_so_loudly_and_only_it_loses_its_colours() -> None:
    view = a_view()
    frame = picture(view, size=(80, 50), stale={"ira": dt.timedelta(seconds=45)})
    (loud,) = [line for line in frame.lines if line and STALE in line[0][0]]
    assert loud == [(f" {STALE}: ira not updated for 45s ", "bold reverse")]
    rows = {line[0][0].strip(): line for line in frame.lines if line}
    assert {style for _, style in rows["ira"]} == {""}
    assert {style for _, style in rows["main"]} != {""}


def test_when_everything_is_stale_only_the_alarm_is_not_plain() -> None:
    view = many(3)
    frame = picture(view, stale={"main": FIVE})
    assert styles(frame.lines[2:-2]) <= {""}
    assert STALE in texts(frame)[1]


def test_a_picture_of_a_program_that_doesnt_answer_says_so_and_has_no_colours() -> None:
    lines = frozen_frame(picture(a_view(), size=(80, 40)).lines, 4.2, (80, 40))
    assert lines[0] == [(f" {STALE}: sellctl has not answered for 4 s ", "bold reverse")]
    assert styles(tuple(lines[1:])) == {""}
    assert len(frozen_frame(picture(a_view(), size=(20, 10)).lines, 4.2, (20, 10))[0][0][0]) == 20


@pytest.mark.parametrize("text", [HOSTILE, "[red]boo[/red]", "[bold]", "界" * 30])
def test_text_from_elsewhere_is_shown_as_it_is_and_moves_no_cursor(text: str) -> None:
    account = replace(many(1).accounts[0], facts=AccountFacts(text, "PA1"))
    view = WatchView(at("12:00"), (account,))
    chosen = Target(text, target(1).name, text)
    for state in (
        ScreenState(selected=chosen),
        ScreenState(notes=(text,)),
        ScreenState(filter=text),
        asking(text),
    ):
        shown = "".join("".join(part for part, _ in line) for line in picture(view, state, stale={text: FIVE}).lines)
        assert not set(shown) & set("\x1b\x07\u202e\n")
        assert text == HOSTILE or text[:5] in shown


def test_a_page_of_text_scrolls_and_says_where_it_is() -> None:
    page = tuple((f"label {number}", f"text {number}") for number in range(40))
    first = texts(picture(many(), ScreenState(page=Page.EXPLANATION), page=page))
    assert "label 0         text 0".replace(" ", "") in "".join(first).replace(" ", "")
    assert any("of 40" in line for line in first)
    last = picture(many(), ScreenState(page=Page.EXPLANATION, scroll=1000), page=page)
    assert any("text 39" in line for line in texts(last))
    assert last.shown.most_scroll == 40 - (24 - 1 - 1 - 1)


def test_the_keys_at_the_foot_fit_and_help_is_always_among_them() -> None:
    for size in ((80, 24), (120, 24), (40, 24), (40, 12)):
        foot = texts(picture(many(), size=size))[-1]
        assert len(foot) <= size[0]
        assert foot.endswith("? help  q end")


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 50)])
def test_from_80x24_on_every_key_is_named_also_while_data_is_stale(size: tuple[int, int]) -> None:
    for state in (ScreenState(), ScreenState(selected=target(3), notes=("Nothing was done.",) * 3)):
        foot = "  ".join(texts(picture(many(), state, size, stale={"main": FIVE}))[-2:])
        for key in ("j/k select", "Enter explain", "b breakeven", "+/- stop", "c close", "h half", "x exempt"):
            assert key in foot
        assert foot.endswith("H halt  / filter  ? help  q end")
    on_page = texts(picture(many(), ScreenState(page=Page.EXPLANATION), size))[-1]
    assert on_page == "Esc back  j/k scroll  b breakeven  +/- stop  c close  h half  x exempt  H halt"


def test_on_a_low_terminal_the_keys_take_one_line() -> None:
    lines = texts(picture(many(), size=(80, 12)))
    assert lines[-1].startswith("j/k select")
    assert lines[-1].endswith("? help  q end")


def test_before_the_first_check_the_picture_says_how_to_end_it() -> None:
    for size in SIZES:
        lines = first_lines(*size)
        assert len(lines) == size[1]
        assert lines[-1] == [("q", "bold"), (" end", "dim")]
        frozen = frozen_frame(lines, 4.2, size)
        assert frozen[0][0][0].startswith(f" {STALE}"[: size[0]])
        assert frozen[1:-1] == list(lines[1:-1])
        assert frozen[-1][0][0] == "q"


@pytest.mark.parametrize("size", [(40, 12), (10, 3)])
def test_a_picture_of_a_program_that_doesnt_answer_fits_a_terminal_that_has_become_smaller(
    size: tuple[int, int],
) -> None:
    lines = picture(many(), size=(80, 24)).lines
    frozen = frozen_frame(lines, 4.2, size)
    assert len(frozen) == size[1]
    assert all(sum(cell_len(text) for text, _ in line) <= size[0] for line in frozen)
    assert frozen[-1][0][0] == lines[-1][0][0]


def test_an_ascii_terminal_gets_ascii() -> None:
    view = many()
    for state in (ScreenState(), ScreenState(selected=target(3)), ScreenState(filter="f"), asking()):
        layout = Layout.of(view, 80, ASCII).filtered(view, state.filter)
        lines = frame_of(Content(view, layout, {"main": FIVE}, HELP), state, 24).lines
        assert all(text.isascii() for line in lines for text, _ in line)


@pytest.mark.parametrize("width", [2, 7, 20])
def test_a_line_is_folded_without_losing_anything(width: int) -> None:
    line: Line = [("AAPL 界界 ", "bold"), ("+3.0%", "green"), ("", "dim")]
    rows = list(folded(line, width))
    assert "".join(text for row in rows for text, _ in row) == "AAPL 界界 +3.0%"
    assert all(sum(cell_len(text) for text, _ in row) <= width for row in rows)


def test_the_first_position_of_the_demo_is_found_by_its_contract() -> None:
    assert Target("main", CALL, contract_text(CALL)) in picture(a_view()).shown.rows
