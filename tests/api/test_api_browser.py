"""The control page in a real Chromium. `make test-browser` runs only these tests."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from an_assistant import ASSISTANT, code_beside
from api_stage import a_token
from browser import CHROMIUM, Tab, a_browser
from served import Served, serving

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here: apt install chromium")

SCENARIO = """
start: "2026-11-24 12:00"
accounts:
  main:
    key: k
    secret: s
    number: PA1
    positions:
      - {symbol: SPY261204C00600000, qty: 4, entry: 2.45}
      - {symbol: AAPL261218C00200000, qty: 3, entry: 1.00}
      - {symbol: NVDA261204P00180000, qty: 2, entry: 3.10}
      - {symbol: MSFT, qty: 25, entry: 402.50}
prices:
  SPY261204C00600000: [{fixed: {bid: 2.61, ask: 2.63}}]
  AAPL261218C00200000: [{fixed: {bid: 0.86, ask: 0.88}}]
  NVDA261204P00180000: [{fixed: {bid: 2.20, ask: 2.24}}]
  MSFT: [{fixed: {bid: 409.10, ask: 409.14}}]
  SPY: [{fixed: {bid: 598.10, ask: 598.12}}]
  AAPL: [{fixed: {bid: 198.10, ask: 198.12}}]
  NVDA: [{fixed: {bid: 182.10, ask: 182.12}}]
"""
RULES = "sell_module: {check_interval: 1s, order_cancel_minutes: 60}\n"
TAB, ENTER, ESCAPE = ("Tab", 9), ("Enter", 13), ("Escape", 27)
PICTURES = os.environ.get("SELLCTL_PICTURES")  # where to put them anew, for the documentation


@pytest.fixture(scope="module")
def tab() -> Iterator[Tab]:
    with a_browser() as tab:
        yield tab


@contextmanager
def stuck_in(folder: Path) -> Iterator[Served]:
    """A watcher whose stop on NVDA is with the broker and doesn't fill."""
    with serving(folder, SCENARIO, RULES) as served:
        served.server.exchange.inject("O05", times=None)
        yield served


@pytest.fixture(scope="module")
def stuck(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One for the tests that leave it as it was."""
    with stuck_in(tmp_path_factory.mktemp("stuck")) as served:
        yield served


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Served]:
    """One for a test that halts or stops it."""
    with stuck_in(tmp_path) as served:
        yield served


def sign_in(tab: Tab, served: Served, role: str = "admin") -> None:
    tab.open("about:blank")  # the page before may still complain that its server has gone
    tab.complaints.clear()
    tab.open(served.url)
    tab.run("document.getElementById('token').focus()")
    tab.type(a_token(role, "ana"))
    tab.press(*ENTER)
    tab.until("document.querySelectorAll('#positions tbody tr').length")


def save_picture(tab: Tab, name: str) -> None:
    if PICTURES:
        tab.picture(Path(PICTURES) / name)


def test_the_page_shows_positions_working_exits_and_events(tab: Tab, stuck: Served) -> None:
    tab.size(1100, 600)
    sign_in(tab, stuck)
    tab.until("document.querySelectorAll('#exits tbody tr').length === 1")
    assert "Watching. Market open" in tab.text("#state")
    positions = tab.text("#positions")
    assert "AAPL 18 Dec 26 200 C" in positions
    assert "AAPL261218C00200000" in positions
    assert "value $258.00" in positions
    assert "\u2212$42.00" in positions
    assert "NOT MANAGED: rules cover options only; " in positions
    assert tab.text("#positions-title").split() == ["Positions", "(4),", "1", "NOT", "MANAGED"]
    assert "Open P&L +$7.00, value $11,969.50" in tab.text("#accounts")
    assert "1 NOT MANAGED" in tab.text("#accounts")
    assert "target $1.10, 27.9% away" in positions
    assert "stop $0.80" in positions
    assert "target $2.695" in positions
    assert "\u221214.0%" in positions
    working = tab.text("#exits")
    assert "NVDA261204P00180000" in working
    assert "0 of 2" in working
    tab.until("document.querySelectorAll('#events li').length >= 1")
    save_picture(tab, "page.png")
    assert tab.complaints == []


VERTICAL = """
start: "2026-11-24 12:00"
accounts:
  main:
    key: k
    secret: s
    number: PA1
    positions:
      - {symbol: AAPL261218C00210000, qty: 2, entry: 3.00}
      - {symbol: AAPL261218C00220000, qty: -2, entry: 1.00}
prices:
  AAPL261218C00210000: [{fixed: {bid: 3.38, ask: 3.42}}]
  AAPL261218C00220000: [{fixed: {bid: 0.98, ask: 1.02}}]
"""
JUDGED = "{name: mine, match: {structure: vertical}, rules: {take_profit: 50%}}"


def test_the_page_shows_a_structure_with_its_legs_beneath(tab: Tab, tmp_path: Path) -> None:
    with serving(tmp_path, VERTICAL, f"sell_module: {{check_interval: 1s, strategies: [{JUDGED}]}}\n") as served:
        sign_in(tab, served)
        rows = [tab.text(f"#positions tbody tr:nth-child({place})") for place in (1, 2, 3)]
        assert "AAPL vertical" in rows[0]
        assert "AAPL-vertical-261218-210-220C" in rows[0]
        assert "target $3.00" in rows[0]
        assert "$1,600.00 profit at most, $400.00 loss at most, breakeven at $212.00" in rows[0]
        assert "AAPL 18 Dec 26 210 C" in rows[1]
        assert "+$76.00" in rows[1]
        assert "target" not in rows[1]
        assert tab.run("document.querySelectorAll('#positions tr.leg').length") == 2
        assert served.command("set", "AAPL-vertical-261218-210-220C", "--stop", "10%").returncode == 0
        open_position(tab, "AAPL vertical")
        tab.until("document.getElementById('details-set-by-hand').innerText.startsWith('Set by hand: stop 10%')")
        assert "(2)" in tab.text("#positions-title")
        assert tab.complaints == []


WIDE = """
start: "2026-11-24 12:00"
accounts:
  main:
    key: k
    secret: s
    number: PA1
    positions:
      - {symbol: AMD261218C00180000, qty: 2, entry: 2.00}
      - {symbol: MSFT, qty: 25, entry: 402.50}
prices:
  AMD261218C00180000: [{fixed: {bid: 2.50, ask: 5.00}}]
  MSFT: [{fixed: {bid: 409.10, ask: 409.14}}]
"""


def test_a_target_that_the_price_has_passed_is_reached_and_not_managed_is_said_once(tab: Tab, tmp_path: Path) -> None:
    with serving(tmp_path, WIDE, RULES) as served:
        sign_in(tab, served)
        triggers = tab.text("#positions .triggers")
        assert "target $2.20, reached" in triggers
        assert re.search(r"stop \$1\.60, \d+\.\d% away", triggers)
        open_position(tab, "MSFT")
        tab.until("document.getElementById('details-text').innerText")
        assert tab.text("#details-text").startswith("NOT MANAGED: rules cover options only")


def test_the_one_order_of_a_structure_is_shown_under_its_name_with_a_credit(tab: Tab, tmp_path: Path) -> None:
    rules = f"sell_module: {{check_interval: 1s, strategies: [{JUDGED.replace('50%', '10%')}]}}\n"
    with serving(tmp_path, VERTICAL, rules) as served:
        served.server.exchange.inject("O05", times=None)
        sign_in(tab, served)
        tab.until("document.querySelectorAll('#exits tbody tr').length")
        working = tab.text("#exits tbody tr")
        assert "AAPL vertical" in working
        assert "AAPL-vertical-261218-210-220C" in working
        assert re.search(r"multi-leg 2 at \$2\.\d\d credit", working)
        assert tab.complaints == []


def test_a_halt_asks_first_and_then_shows_everywhere(tab: Tab, fresh: Served) -> None:
    tab.size(780, 560)
    sign_in(tab, fresh)
    tab.run("document.getElementById('halt').focus()")
    tab.press(*ENTER)
    tab.until("document.getElementById('halt-dialog').open")
    assert tab.run("document.activeElement.id") == "halt-cancel"
    save_picture(tab, "page-halt.png")
    tab.press(*ESCAPE)
    tab.until("!document.getElementById('halt-dialog').open")
    assert not (fresh.folder / "state" / "halted").exists()
    tab.press(*ENTER)
    tab.until("document.getElementById('halt-dialog').open")
    tab.run("document.querySelector('#halt-form [type=submit]').click()")
    tab.until("!document.getElementById('banner').hidden")
    assert "Halted: halted on the control page." in tab.text("#banner")
    assert (fresh.folder / "state" / "halted").exists()
    assert tab.run("document.getElementById('halt').disabled")
    tab.until("document.getElementById('events').innerText.includes('halted by ana')")
    assert tab.complaints == []


def test_events_come_by_themselves_and_the_end_of_the_page_stops_nothing(tab: Tab, fresh: Served) -> None:
    sign_in(tab, fresh)
    fresh.ask("POST", "/api/v1/sell/stop", a_token())
    tab.until("document.getElementById('events').innerText.includes('Stopped')")
    tab.until("document.getElementById('state').innerText.startsWith('Stopped')")
    fresh.ask("POST", "/api/v1/sell/start", a_token())
    tab.until("document.getElementById('state').innerText.startsWith('Watching')")
    tab.open("about:blank")
    _, status = fresh.ask("GET", "/api/v1/sell/status", a_token())
    assert status["state"] == "watching"


# --- acting -----------------------------------------------------------------------------------------------------------

MOVING = """
start: "2026-11-24 12:00"
accounts:
  main:
    key: k
    secret: s
    number: PA1
    positions:
      - {symbol: AAPL261218C00200000, qty: 3, entry: 1.00}
      - {symbol: MSFT, qty: 25, entry: 402.50}
prices:
  AAPL261218C00200000: [{fixed: {bid: 0.98, ask: 1.00}}]
  MSFT: [{fixed: {bid: 409.10, ask: 409.14}}]
  AAPL: [{fixed: {bid: 198.10, ask: 198.12}}]
"""
AAPL = "AAPL261218C00200000"


@pytest.fixture
def calm(tmp_path: Path) -> Iterator[Served]:
    """A watcher of two positions of which none is due."""
    with serving(tmp_path, MOVING, RULES) as served:
        yield served


def press(tab: Tab, identity: str) -> None:
    """Press a button that is shown and allowed."""
    tab.until(f"(b => b && !b.hidden && !b.disabled && b.offsetHeight)(document.getElementById('{identity}'))")
    tab.run(f"document.getElementById('{identity}').click()")


def open_position(tab: Tab, text: str) -> None:
    script = f"[...document.querySelectorAll('#positions button.link')].find((b) => b.innerText.includes('{text}'))"
    tab.until(script)
    tab.run(f"{script}.click()")
    tab.until("document.getElementById('details-dialog').open")


def fill_in(tab: Tab, key: str, text: str) -> None:
    """Type into a field of the question."""
    tab.until(f"document.getElementById('ask-{key}')")
    tab.run(f"document.getElementById('ask-{key}').focus()")
    tab.type(text)


def held(served: Served, symbol: str = AAPL) -> int:
    return int(served.server.exchange.accounts["main"].qty_of(symbol))


def test_a_position_is_closed_in_part_after_its_account_quantity_and_proceeds_were_shown(
    tab: Tab, calm: Served
) -> None:
    tab.size(780, 760)
    sign_in(tab, calm, "operator")
    open_position(tab, "AAPL")
    press(tab, "details-close")
    fill_in(tab, "qty", "2")
    press(tab, "ask-confirm")
    tab.until("document.getElementById('ask-confirm').innerText === 'Close now'")
    question = "Close 2 of 3 AAPL 18 Dec 26 200 C of main (PAPER)? Estimated proceeds $196.00, P&L -$4.00."
    assert tab.text("#ask-text") == question
    assert "main (PAPER): 2 of 3 AAPL 18 Dec 26 200 C, estimated proceeds $196.00" in tab.text("#ask-lines")
    assert held(calm) == 3
    save_picture(tab, "page-close.png")
    press(tab, "ask-confirm")
    tab.until("document.getElementById('ask-title').innerText.startsWith('Closed')")
    assert "2 of 2 filled at $0.98." in tab.text("#ask-lines")
    assert held(calm) == 1
    assert tab.run("document.getElementById('ask-confirm').hidden")
    assert tab.complaints == []


def test_a_close_that_is_cancelled_or_wrong_sends_nothing(tab: Tab, calm: Served) -> None:
    sign_in(tab, calm)
    open_position(tab, "AAPL")
    press(tab, "details-close")
    fill_in(tab, "qty", "9")
    press(tab, "ask-confirm")
    tab.until("document.getElementById('ask-error').innerText")
    assert "more" in tab.text("#ask-error")
    tab.run("document.getElementById('ask-qty').value = ''")
    press(tab, "ask-confirm")
    tab.until("document.getElementById('ask-confirm').innerText === 'Close now'")
    press(tab, "ask-cancel")
    tab.until("!document.getElementById('ask-dialog').open")
    assert held(calm) == 3
    assert not [each for each in calm.server.requests if each.method == "POST"]


def test_a_stop_is_set_after_what_it_was_and_becomes_was_shown_and_stands_in_the_position(
    tab: Tab, calm: Served
) -> None:
    tab.size(1280, 860)
    sign_in(tab, calm, "operator")
    open_position(tab, "AAPL")
    press(tab, "details-set")
    fill_in(tab, "stop", "10%")
    fill_in(tab, "until", "2026-12-04")
    save_picture(tab, "page-set-form.png")
    press(tab, "ask-confirm")
    tab.until("document.getElementById('ask-confirm').innerText === 'Set them now'")
    assert "main (PAPER): from nothing set by hand to stop 10% until Fri 04 Dec 2026 16:00 ET" in tab.text("#ask-text")
    assert "stop from $0.80" in tab.text("#ask-lines")
    assert "to $0.90" in tab.text("#ask-lines")
    assert tab.run("document.querySelectorAll('#ask-lines .warn').length") == 0
    assert "set by hand" not in tab.text("#details-dialog")
    press(tab, "ask-confirm")
    tab.until("document.getElementById('ask-title').innerText === 'Set for AAPL 18 Dec 26 200 C'")
    press(tab, "ask-cancel")
    tab.until("document.getElementById('positions').innerText.includes('stop $0.90')")
    open_position(tab, "AAPL")
    tab.until("document.getElementById('details-set-by-hand').innerText")
    assert tab.text("#details-set-by-hand") == (
        "Set by hand: stop 10% until Fri 04 Dec 2026 16:00 ET, set by ana over the API"
    )
    assert (held(calm), tab.complaints) == (3, [])


def test_a_stop_that_is_loosened_is_a_warning_before_it_is_set_and_is_cleared_again(tab: Tab, calm: Served) -> None:
    tab.size(390, 844, phone=True, dark=True)
    sign_in(tab, calm, "operator")
    open_position(tab, "AAPL")
    press(tab, "details-set")
    fill_in(tab, "stop", "40%")
    assert tab.run("document.documentElement.scrollWidth <= 390")
    nodes = tab.send("Accessibility.getFullAXTree")["nodes"]
    found = {(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if "role" in node}
    assert ("checkbox", "Stop at the entry price (breakeven)") in found
    assert not {role for role, name in found if role in {"button", "textbox", "checkbox"} and not name}
    save_picture(tab, "page-set-phone.png")
    tab.press(*ENTER)
    tab.until("document.getElementById('ask-confirm').innerText === 'Set them now'")
    assert "more can be lost" in tab.text("#ask-lines .warn")
    assert tab.run("document.getElementById('ask-confirm').className") == "danger"
    assert tab.run("document.documentElement.scrollWidth <= 390")
    save_picture(tab, "page-set-warning-phone.png")
    press(tab, "ask-confirm")
    tab.until("document.getElementById('ask-title').innerText.startsWith('Set for')")
    press(tab, "ask-cancel")
    tab.until("document.getElementById('positions').innerText.includes('stop $0.60')")
    open_position(tab, "AAPL")
    press(tab, "details-set")
    press(tab, "ask-clear")
    press(tab, "ask-confirm")
    tab.until("document.getElementById('ask-confirm').innerText === 'Set them now'")
    press(tab, "ask-confirm")
    tab.until("document.getElementById('ask-text').innerText.includes('nothing is set by hand')")
    press(tab, "ask-cancel")
    tab.until("document.getElementById('positions').innerText.includes('stop $0.80')")
    assert tab.complaints == []
    tab.size(1180, 860)


def test_a_value_that_cannot_be_set_is_one_sentence_and_sets_nothing(tab: Tab, calm: Served) -> None:
    sign_in(tab, calm, "operator")
    open_position(tab, "AAPL")
    press(tab, "details-set")
    press(tab, "ask-confirm")
    tab.until("document.getElementById('ask-error').innerText.startsWith('Nothing is to be set.')")
    fill_in(tab, "stop", "25")
    press(tab, "ask-confirm")
    tab.until("document.getElementById('ask-error').innerText.includes('has no unit')")
    assert tab.run("document.getElementById('ask-stop').value") == "25"
    press(tab, "ask-cancel")
    assert "stop $0.80" in tab.text("#positions")


def test_a_position_is_left_alone_and_managed_again(tab: Tab, calm: Served) -> None:
    sign_in(tab, calm, "operator")
    for button, state in (("details-exempt", "exempt"), ("details-manage", "watching")):
        open_position(tab, "AAPL")
        press(tab, button)
        tab.until("document.getElementById('ask-confirm').offsetHeight")
        if button == "details-exempt":
            fill_in(tab, "until", "2026-12-04")
        press(tab, "ask-confirm")
        tab.until("document.getElementById('ask-text').innerText.includes('from the next check')")
        assert ("until Fri 04 Dec 2026 16:00 ET" in tab.text("#ask-text")) is (button == "details-exempt")
        press(tab, "ask-cancel")
        tab.until(f"[...document.querySelectorAll('#positions .state')].some((s) => s.innerText === '{state}')")
        tab.until("!document.getElementById('details-dialog').open")
    assert tab.complaints == []


def test_a_halt_is_lifted_here_with_a_reason_by_an_admin_only(tab: Tab, calm: Served) -> None:
    sign_in(tab, calm, "operator")
    press(tab, "halt")
    tab.until("document.getElementById('halt-dialog').open")
    tab.run("document.querySelector('#halt-form [type=submit]').click()")
    tab.until("!document.getElementById('banner').hidden")
    assert tab.run("document.getElementById('resume').hidden")
    assert tab.run("document.getElementById('run-once').disabled")
    sign_in(tab, calm)
    press(tab, "resume")
    tab.until("document.getElementById('ask-reason')")
    press(tab, "ask-confirm")  # without a reason the browser doesn't submit it
    assert (calm.folder / "state" / "halted").exists()
    tab.run("document.getElementById('ask-reason').focus()")
    tab.type("it was a test")
    press(tab, "ask-confirm")
    tab.until("document.getElementById('ask-text').innerText.startsWith('Resumed')")
    assert not (calm.folder / "state" / "halted").exists()
    press(tab, "ask-cancel")
    tab.until("document.getElementById('banner').hidden")
    assert tab.complaints == []


def test_a_halt_made_at_the_machine_shows_no_way_to_lift_it_here(tab: Tab, calm: Served) -> None:
    calm.command("halt", "--reason", "fed day")
    sign_in(tab, calm)
    tab.until("!document.getElementById('banner').hidden")
    assert "Halted: fed day. Only sellctl resume on the machine lifts the halt." in tab.text("#banner")
    assert tab.run("document.getElementById('resume').hidden")


def test_what_an_assistant_proposes_is_shown_for_its_code_and_closed_when_it_is_confirmed(
    tab: Tab, calm: Served
) -> None:
    tab.size(780, 760)
    sign_in(tab, calm, "operator")
    tab.until("!document.getElementById('confirm-code').disabled")
    press(tab, "confirm-code")
    fill_in(tab, "code", "0000-0000-0000")
    press(tab, "ask-confirm")
    tab.until("document.getElementById('ask-error').innerText.startsWith('No proposal has this code.')")
    code = code_beside(calm.folder / "config.yml", calm.folder / "state", "close", name=AAPL, qty="2")
    tab.run("document.getElementById('ask-code').value = ''")
    fill_in(tab, "code", code)
    press(tab, "ask-confirm")
    tab.until("document.getElementById('ask-confirm').innerText === 'Confirm'")
    assert tab.text("#ask-text").startswith("Close 2 of 3 AAPL 18 Dec 26 200 C of main (PAPER)? Estimated proceeds")
    assert f"{ASSISTANT} proposed" in tab.text("#ask-lines")
    assert "close 2 of 3 AAPL 18 Dec 26 200 C of main (PAPER): proceeds about $196.00" in tab.text("#ask-lines")
    assert held(calm) == 3
    save_picture(tab, "page-confirm.png")
    press(tab, "ask-confirm")
    tab.until("document.getElementById('ask-title').innerText === 'Closed AAPL 18 Dec 26 200 C'")
    assert held(calm) == 1
    sign_in(tab, calm, "viewer")
    tab.until("document.getElementById('run-once').disabled")
    assert tab.run("document.getElementById('confirm-code').disabled")


def test_all_accounts_are_checked_now_after_a_question(tab: Tab, calm: Served) -> None:
    sign_in(tab, calm)
    press(tab, "run-once")
    tab.until("document.getElementById('ask-dialog').open")
    assert tab.text("#ask-text") == "What is due is closed at once: main (PAPER)."
    press(tab, "ask-confirm")
    tab.until("document.getElementById('ask-title').innerText === 'Checked'")
    assert "All accounts were checked. Closing: 0." in tab.text("#ask-text")


def test_too_few_prices_are_said_and_enough_of_them_are_drawn_with_entry_stop_and_target(
    tab: Tab, tmp_path: Path
) -> None:
    path = (
        "[{fixed: {bid: 0.98, ask: 1.00}}, {at: '12:00:08', jump: {bid: 1.04, ask: 1.06}}, "
        "{at: '12:00:16', jump: {bid: 0.94, ask: 0.96}}]"
    )
    scenario = MOVING.replace("[{fixed: {bid: 0.98, ask: 1.00}}]", path)
    with serving(tmp_path, scenario, RULES, speed=2) as served:
        tab.size(780, 760)
        sign_in(tab, served)
        open_position(tab, "AAPL")
        tab.until("document.getElementById('details-note').innerText || !document.getElementById('chart').hidden")
        if tab.run("document.getElementById('chart').hidden"):
            assert "Too little for a chart" in tab.text("#details-note")
        tab.until("document.querySelectorAll('#chart circle').length", seconds=40)
        texts = tab.run("[...document.querySelectorAll('#chart text')].map((t) => t.textContent).join(' | ')")
        for words in ("entry $1.00", "target $1.10", "stop $0.80", "now $"):
            assert words in texts
        assert texts.count(" ET") == 2
        assert "rule: " in tab.text("#details-rules")
        tab.until("document.querySelector('#chart path').getAttribute('d').split('L').length > 3", seconds=40)
        for name, width, dark in (("page-position.png", 780, False), ("page-position-phone.png", 390, True)):
            tab.size(width, 800, phone=width < 500, dark=dark)
            assert tab.run("document.documentElement.scrollWidth") <= width
            open_position(tab, "AAPL")
            save_picture(tab, name)
        assert tab.complaints == []
        tab.size(1180, 860)


def test_a_viewer_sees_a_position_and_can_change_nothing(tab: Tab, calm: Served) -> None:
    sign_in(tab, calm, "viewer")
    open_position(tab, "AAPL")
    tab.until("document.getElementById('details-text').innerText")
    for identity in ("details-close", "details-set", "details-exempt", "details-manage", "resume"):
        assert tab.run(f"document.getElementById('{identity}').hidden"), identity
    for identity in ("halt", "run-once"):
        assert tab.run(f"document.getElementById('{identity}').disabled"), identity


def test_times_are_those_of_the_exchange_and_the_profit_of_the_day_is_shown(tab: Tab, calm: Served) -> None:
    sign_in(tab, calm)
    tab.until("document.querySelectorAll('#events li').length")
    assert re.search(r"\d\d:\d\d:\d\d ET", tab.text("#events"))
    assert re.search(r"12:00:\d\d ET", tab.text("#state"))
    assert "Today $0.00 realised" in tab.text("#accounts")


def test_markup_in_a_client_order_id_is_text_on_the_page(tab: Tab, calm: Served) -> None:
    body = {"symbol": AAPL, "qty": "1", "side": "sell", "type": "limit", "limit_price": "9.00", "time_in_force": "day"}
    account = calm.server.exchange.accounts["main"]
    calm.server.exchange.submit(account, body | {"client_order_id": "<img src=x onerror=alert(1)>"})
    sign_in(tab, calm)
    open_position(tab, "AAPL")
    assert tab.run("document.querySelectorAll('main img, dialog img').length") == 0
    assert tab.complaints == []


def test_the_token_is_in_memory_only(tab: Tab, stuck: Served) -> None:
    sign_in(tab, stuck)
    kept = tab.run("JSON.stringify([localStorage.length, sessionStorage.length, document.cookie, location.href])")
    assert kept == f'[0,0,"","{stuck.url}/"]'
    assert tab.run("document.getElementById('token').value") == ""
    tab.open(stuck.url)
    assert tab.run("document.getElementById('board').hidden")


def test_a_viewer_cannot_halt_and_an_invalid_token_shows_an_error(tab: Tab, stuck: Served) -> None:
    sign_in(tab, stuck, "viewer")
    tab.until("document.getElementById('halt').disabled")
    tab.open(stuck.url)
    tab.run("document.getElementById('token').focus()")
    tab.type("nonsense")
    tab.press(*ENTER)
    tab.until("document.getElementById('sign-in-error').innerText")
    assert tab.text("#sign-in-error") == "The token isn't valid."
    assert tab.run("document.activeElement.id") == "token"


def test_it_fits_a_phone(tab: Tab, stuck: Served) -> None:
    tab.size(390, 844, phone=True, dark=True)
    sign_in(tab, stuck)
    tab.until("document.querySelectorAll('#exits tbody tr').length === 1")
    assert tab.run("document.documentElement.scrollWidth <= 390")
    small = (
        "[...document.querySelectorAll('button:not([hidden])')].filter((b) => b.offsetHeight && b.offsetHeight < 44)"
    )
    assert tab.run(f"{small}.length") == 0
    save_picture(tab, "page-phone.png")
    tab.size(1180, 860)


def test_nothing_sticks_out_at_any_width(tab: Tab, stuck: Served) -> None:
    sign_in(tab, stuck)
    tab.until("document.querySelectorAll('#exits tbody tr').length === 1")
    for width in (320, 390, 600, 800, 900, 990, 1000, 1180, 1600):
        tab.size(width, 800, phone=width < 500)
        assert tab.run("document.documentElement.scrollWidth") <= width
    tab.size(1180, 860)


def test_a_screen_reader_finds_its_way(tab: Tab, stuck: Served) -> None:
    """Checked by the accessibility tree of Chromium."""
    for width in (1180, 390):
        tab.size(width, 860, phone=width < 500)
        sign_in(tab, stuck)
        tab.until("document.querySelectorAll('#exits tbody tr').length === 1")
        nodes = tab.send("Accessibility.getFullAXTree")["nodes"]
        found = {(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if "role" in node}
        roles = {role for role, _ in found}
        assert {"banner", "main", "contentinfo", "status", "log", "table", "columnheader", "rowheader"} <= roles, width
        assert {("button", "Halt"), ("button", "Sign out"), ("log", "Events")} <= found
        assert ("region", "Positions (4), 1 NOT MANAGED") in found
        nameless = {role for role, name in found if role in {"button", "textbox", "table", "link"} and not name}
        assert not nameless
    tab.size(1180, 860)


def test_every_control_is_reached_and_seen_with_the_keyboard(tab: Tab, stuck: Served) -> None:
    sign_in(tab, stuck)
    tab.run("document.querySelector('.skip').focus()")
    reached = ["skip"]
    for _ in range(9):
        tab.press(*TAB)
        reached.append(tab.run("document.activeElement.id || document.activeElement.className"))
        assert tab.run("getComputedStyle(document.activeElement).outlineStyle !== 'none'"), reached
    assert reached == ["skip", "confirm-code", "run-once", "halt", "sign-out", *4 * ["link"], "events"]
