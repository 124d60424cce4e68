"""The live table of `watch`: a WatchView in, a rich renderable, a log line or a JSON line out. Nothing fetches here.

The screen is a list of lines, and a line is a list of (text, style) pairs, so that everything but the last step is
plain data. It asks the console for its size at every refresh: what is leaving, blocked or near its trigger stays in
sight when the terminal is low, and sentences stand beside their holding when it is wide.
"""

import datetime as dt
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING

from sellctl.core.model.event import Event, Weight
from sellctl.core.model.market import NEW_YORK
from sellctl.core.model.plan import DecisionState, PositionDecision, Urgency
from sellctl.core.model.view import AccountView, Mode, WatchView
from sellctl.ui.formatting import (
    Cell,
    Tone,
    clock,
    days_cell,
    distance_text,
    duration,
    gain_cell,
    nearest,
    now_cell,
    price_cell,
    price_text,
    profit,
    qty_cell,
    sanitize,
    state_cell,
    today_of,
    trigger_name,
    way_gone,
)
from sellctl.ui.render import VERSION, Document, holding_part, json_text, market_phase

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

Part = tuple[str, str]
Line = list[Part]

HEADS = ("symbol", "days", "qty", "entry", "now", "gain", "state")
NUMBERS = frozenset({"days", "qty", "entry", "now", "gain"})
BAR_LEAST, BAR_MOST = 5, 12
ROOMY = 100  # from this width on, triggers show their price and columns stand further apart
SENTENCE_LEAST = 36
EVENTS = 8
OLD_LOOK = dt.timedelta(seconds=30)
FARTHEST = Decimal("Infinity")
TONES = {Tone.PLAIN: "", Tone.GOOD: "green", Tone.BAD: "red", Tone.WARN: "yellow", Tone.QUIET: "dim"}
MODES = {Mode.PAPER: "bold cyan", Mode.LIVE: "bold white on red", Mode.DRY_RUN: "bold yellow"}
WEIGHTS = {
    Weight.INFO: ("", ""),
    Weight.WARNING: ("warning: ", "yellow"),
    Weight.ERROR: ("error: ", "bold red"),
    Weight.CRITICAL: ("critical: ", "bold white on red"),
}


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The few signs that are drawn; every one has an ASCII twin."""

    full: str
    empty: str
    rule: str
    more: str


UNICODE = Glyphs("■", "·", "─", "…")
ASCII = Glyphs("#", ".", "-", "...")


# --- without a terminal -----------------------------------------------------------------------------------------------


def log_line(event: Event) -> str:
    """An event as one line, for a watch without a terminal."""
    account = f"{event.account}: " if event.account else ""
    return sanitize(f"{clock(event.at)}  {WEIGHTS[event.weight][0]}{account}{event.sentence}")


def json_line(view: WatchView) -> str:
    """The view as one versioned JSON object on one line, for `watch --format json`."""
    return json_text(
        {
            "version": VERSION,
            "at": view.now,
            "next_look_in_seconds": _seconds(view.next_poll_in),
            "accounts": [_account_part(account) for account in view.accounts],
            "events": [_event_part(event) for event in view.events],
        }
    )


def _account_part(account: AccountView) -> Document:
    plan = account.plan
    return {
        "account": account.facts.name,
        "number": account.facts.number,
        "mode": account.mode,
        "market": _market_part(account),
        "age_seconds": _seconds(account.age),
        "problem": account.problem or account.facts.blocked,
        "source": account.source,
        "requests_used": account.requests_used,
        "orders_working": account.orders_working,
        "realised_today": account.realised,
        "halted": account.halted,
        "holdings": [holding_part(decision, today_of(plan.made_at)) for decision in plan.decisions] if plan else None,
        "faults": plan.faults if plan else (),
    }


def _market_part(account: AccountView) -> Document | None:
    market = account.market
    if market is None:
        return None
    return {"now": market.now, "is_open": market.is_open, "closes_at": market.closes_at, "agreed": market.confirmed}


def _seconds(span: dt.timedelta | None) -> float | None:
    return None if span is None else round(span.total_seconds(), 3)


def _event_part(event: Event) -> Document:
    return {
        "at": event.at,
        "account": event.account,
        "weight": event.weight,
        "symbol": event.symbol,
        "kind": event.kind,
        "text": event.text,
    }


# --- on a terminal ----------------------------------------------------------------------------------------------------


def watch_screen(view: WatchView) -> "WatchScreen":
    """The screen for rich.live.Live."""
    return WatchScreen(view)


@dataclass(frozen=True, slots=True)
class WatchScreen:
    """A renderable that fits itself to the console."""

    view: WatchView

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "RenderResult":
        """The lines as rich draws them; a line too long is folded, never cut."""
        from rich.text import Text  # noqa: PLC0415  only a live screen needs rich

        height = (options.height or console.height) if console.is_terminal else None
        for line in screen_lines(self.view, options.max_width, height, ASCII if options.ascii_only else UNICODE):
            yield Text.assemble(*line, overflow="fold", end="\n")


def screen_lines(view: WatchView, width: int, height: int | None = None, glyphs: Glyphs = UNICODE) -> list[Line]:
    """Every line of the screen, at most `height` less one of them when that is given."""
    grid = Grid.of(view, width, glyphs)
    context = None if height is None else height - 1
    head = [_title(view, width), *grid.head()]
    accounts = [_Block.of(account, grid) for account in view.accounts]
    fixed = len(head) + sum(len(block.head) for block in accounts)
    events = _events(view.events, width, EVENTS if context is None else min(max(context // 5, 2), EVENTS))
    if context is not None:
        fixed += len(events) + bool(events)
        accounts = _thinned(accounts, context - fixed, glyphs)
    spare = context is None or context - fixed - sum(len(block.body) for block in accounts) >= len(accounts)
    lines = [*head]
    for place, block in enumerate(accounts):
        lines += [*([[]] if spare and place else []), *block.head, *block.body]
    return [*lines, *([[]] if events else []), *events]


def _title(view: WatchView, width: int) -> Line:
    left = "sellctl watch"
    soon = "" if view.next_poll_in is None else f"  next look in {duration(view.next_poll_in)}"
    right = f"{view.now.astimezone(NEW_YORK):%a %d %b %Y  %H:%M:%S} ET{soon}"
    return [(left, "bold"), (" " * max(width - len(left) - len(right), 2), ""), (right, "dim")]


def _events(events: Sequence[Event], width: int, most: int) -> list[Line]:
    """The newest events, in no more lines than `most`."""
    lines: list[Line] = []
    for event in reversed(events[-most:]):
        more = [*_event_lines(event, width)]
        if len(more) + len(lines) > most:
            break
        lines = [*more, *lines]
    return lines


def _event_lines(event: Event, width: int) -> Iterator[Line]:
    style = WEIGHTS[event.weight][1]
    time, text = log_line(event).split("  ", 1)
    first, *others = textwrap.wrap(text, max(width - len(time) - 2, 20)) or [""]
    yield [(f"{time}  ", "dim"), (first, style)]
    yield from ([(" " * (len(time) + 2) + other, style)] for other in others)


# --- one account ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Row:
    """The lines of one holding, and how much it matters that they are seen: the lower, the more."""

    lines: tuple[Line, ...]
    rank: tuple[int, Decimal]


@dataclass(frozen=True, slots=True)
class _Block:
    """One account: the lines that always show, and its holdings."""

    head: tuple[Line, ...]
    rows: tuple[_Row, ...]
    hidden: tuple[Line, ...] = ()

    @property
    def body(self) -> list[Line]:
        return [*(line for row in self.rows for line in row.lines), *self.hidden]

    @classmethod
    def of(cls, account: AccountView, grid: "Grid") -> "_Block":
        decisions = account.plan.decisions if account.plan else ()
        return cls(
            (*_wrapped(_account_line(account), grid.width), *_problems(account, grid.width)),
            tuple(_Row(tuple(grid.row(account, decision)), _rank(decision)) for decision in decisions),
        )


def _rank(decision: PositionDecision) -> tuple[int, Decimal]:
    """What is wanted first, by its urgency; then what is nearest to a trigger."""
    trigger = nearest(decision)
    distance = trigger.distance if trigger else None
    urgency = decision.signal.urgency if decision.signal else len(Urgency) + (decision.state is DecisionState.WATCHING)
    return urgency, FARTHEST if distance is None else abs(distance)


def _account_line(account: AccountView) -> Line:
    parts: Line = [(sanitize(account.facts.name), "bold"), ("  ", ""), (_badge(account.mode), MODES[account.mode])]
    for text, style in _account_notes(account):
        parts += [("  ", ""), (text, style)]
    return parts


def _badge(mode: Mode) -> str:
    return f" {mode.value.upper()} " if mode is Mode.LIVE else mode.value.upper()


def _account_notes(account: AccountView) -> Iterator[Part]:
    if account.market:
        yield market_phase(account.market), "" if account.market.is_open else "dim"
    if account.age is None:
        yield "not seen yet", "yellow"
    else:
        yield f"seen {duration(account.age)} ago", "yellow" if account.age > OLD_LOOK else "dim"
    if account.source:
        yield account.source, "yellow" if account.source.startswith("polling:") else "dim"
    if account.requests_used is not None:
        yield f"{account.requests_used} req/min", "dim"
    if account.orders_working:
        yield f"{account.orders_working} order{'s' * (account.orders_working > 1)} working", ""
    if account.realised:
        yield f"today {profit(account.realised)}", "green" if account.realised > 0 else "red"
    if account.plan and not account.plan.decisions:
        yield "no positions", "dim"


def _problems(account: AccountView, width: int) -> Iterator[Line]:
    faults = account.plan.faults if account.plan else ()
    blocked = f"the broker lets it not trade: {account.facts.blocked}" if account.facts.blocked else ""
    if account.halted:
        yield from _note_lines(f"HALTED, no new orders: {account.halted}", "bold red", width, 2)
    for problem in filter(None, (account.problem, blocked, *faults)):
        yield from _note_lines(f"problem: {problem}", "bold red", width, 2)


def _thinned(blocks: Sequence[_Block], context: int, glyphs: Glyphs) -> list[_Block]:
    """The accounts in as many lines as there is room for.

    Every holding gets its own line before any gets its sentence; what is wanted first comes first in both.
    """
    if sum(len(block.body) for block in blocks) <= context:
        return list(blocks)
    rows = sorted((row.rank, place, at) for place, block in enumerate(blocks) for at, row in enumerate(block.rows))
    lines_for_counts = 0 if len(rows) <= context else len(blocks)
    seen = rows[: max(context - lines_for_counts, 0)]
    spare = context - lines_for_counts - len(seen)
    lines: dict[int, dict[int, tuple[Line, ...]]] = {place: {} for place in range(len(blocks))}
    for _, place, at in seen:
        row = blocks[place].rows[at]
        lines[place][at] = row.lines if len(row.lines) - 1 <= spare else row.lines[:1]
        spare -= len(lines[place][at]) - 1
    return [_cut(block, lines[place], glyphs) for place, block in enumerate(blocks)]


def _cut(block: _Block, lines: Mapping[int, tuple[Line, ...]], glyphs: Glyphs) -> _Block:
    """A block with only these lines of these rows, and a line that counts the rest."""
    rows = tuple(replace(row, lines=lines[at]) for at, row in enumerate(block.rows) if at in lines)
    missing = len(block.rows) - len(rows)
    note: Line = [(f"  {glyphs.more} and {missing} more that there is no room for", "dim")]
    return _Block(block.head, rows, (note,) if missing else ())


@dataclass(frozen=True, slots=True)
class _Triggers:
    """The nearest triggers of all holdings as a column: the rule, its price when there is room, and how far it is."""

    widths: tuple[int, int, int]
    priced: bool

    @classmethod
    def of(cls, decisions: Sequence[PositionDecision], *, priced: bool) -> "_Triggers":
        pieces = [("", "", ""), *(_trigger_pieces(decision, priced=priced) for decision in decisions)]
        name, price, away = (max(len(text) for text in column) for column in zip(*pieces, strict=True))
        return cls((name, price, away), priced)

    @property
    def width(self) -> int:
        return sum(self.widths) + sum(width > 0 for width in self.widths[1:])

    def words(self, decision: PositionDecision) -> str:
        """A holding's nearest trigger, set at the widths of the column."""
        name, *numbers = _trigger_pieces(decision, priced=self.priced)
        pairs = zip(numbers, self.widths[1:], strict=True)
        return " ".join([name.ljust(self.widths[0]), *(text.rjust(width) for text, width in pairs if width)])


def _trigger_pieces(decision: PositionDecision, *, priced: bool) -> tuple[str, str, str]:
    trigger = nearest(decision)
    if trigger is None:
        return "", "", ""
    return trigger_name(trigger), price_text(trigger.price) if priced else "", distance_text(decision, trigger)


# --- one holding ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Grid:
    """How wide each column is on this screen, so that the holdings of all accounts line up."""

    width: int
    gap: int
    widths: tuple[int, ...]
    triggers: "_Triggers"
    bar: int
    sentence: int  # 0: sentences stand beneath, and only those that matter
    glyphs: Glyphs

    @classmethod
    def of(cls, view: WatchView, width: int, glyphs: Glyphs) -> "Grid":
        """The grid for everything that is held."""
        rows = [(account, v) for account in view.accounts if account.plan for v in account.plan.decisions]
        texts = [[cell.text for cell in _cells(account, decision)] for account, decision in rows]
        widths = tuple(max(len(text) for text in column) for column in zip(HEADS, *texts, strict=True))
        triggers = _Triggers.of([decision for _, decision in rows], priced=width >= ROOMY)
        trigger = triggers.width
        gap = 2 if width >= ROOMY or sum(widths) + 2 * len(HEADS) + trigger + 1 + BAR_LEAST <= width else 1
        left = width - sum(widths) - gap * len(HEADS) - trigger - 1
        bar = min(left, BAR_MOST) if left >= BAR_LEAST else 0
        sentence = left - bar - gap
        return cls(width, gap, widths, triggers, bar, sentence if sentence >= SENTENCE_LEAST else 0, glyphs)

    def head(self) -> list[Line]:
        """The names of the columns and the line beneath them."""
        names = [Cell(name, name, is_number=name in NUMBERS) for name in HEADS]
        trigger = "nearest trigger".ljust(self.triggers.width + 1 + self.bar)
        texts = [*(text for text, _ in self._set(names)), trigger, *(["why"] if self.sentence else [])]
        return [[((" " * self.gap).join(texts).rstrip(), "bold")], [(self.glyphs.rule * self.width, "dim")]]

    def row(self, account: AccountView, decision: PositionDecision) -> Iterator[Line]:
        """The lines of one holding."""
        line = [part for set_ in self._set(_cells(account, decision)) for part in (set_, (" " * self.gap, ""))]
        line += [*self._trigger(decision)]
        if not self.sentence:
            yield line
            yield from self._beneath(decision)
            return
        used = self.width - self.sentence
        first, *others = textwrap.wrap(sanitize(decision.sentence), self.sentence) or [""]
        yield [*line, (" " * self.gap, ""), (first, _sentence_style(decision))]
        yield from ([(" " * used + other, _sentence_style(decision))] for other in others)

    def _set(self, cells: Sequence[Cell]) -> list[Part]:
        """The cells at their widths, numbers flush right."""
        pairs = zip(cells, self.widths, strict=True)
        return [(c.text.rjust(w) if c.is_number else c.text.ljust(w), TONES[c.tone]) for c, w in pairs]

    def _trigger(self, decision: PositionDecision) -> Iterator[Part]:
        yield self.triggers.words(decision), ""
        if self.bar:
            yield " ", ""
            yield from self._drawn_bar(decision)

    def _drawn_bar(self, decision: PositionDecision) -> Iterator[Part]:
        trigger = nearest(decision)
        share = way_gone(decision, trigger) if trigger else None
        if trigger is None or share is None:
            yield " " * self.bar, ""
            return
        full = int(share * self.bar)
        rising = trigger.price >= (decision.holding.position.entry_price or trigger.price)
        good = rising == decision.holding.position.is_long
        yield self.glyphs.full * full, "green" if good else "red"
        yield self.glyphs.empty * (self.bar - full), "dim"

    def _beneath(self, decision: PositionDecision) -> Iterator[Line]:
        """The sentence under a holding that isn't simply held, or that no rule has a price for."""
        calm = state_cell(decision).text == DecisionState.WATCHING.value and decision.triggers and not decision.alert
        if not calm:
            yield from _note_lines(decision.sentence, _sentence_style(decision), self.width, 4)


def _cells(account: AccountView, decision: PositionDecision) -> tuple[Cell, ...]:
    """The cells under HEADS."""
    holding = decision.holding
    today = today_of(account.plan.made_at) if account.plan else dt.date.max
    symbol = Cell(sanitize(holding.symbol), holding.symbol)
    entry = price_cell(holding.position.entry_price)
    gain = gain_cell(decision.gain)
    return (symbol, days_cell(holding, today), qty_cell(holding), entry, now_cell(holding), gain, state_cell(decision))


def _sentence_style(decision: PositionDecision) -> str:
    return "bold red" if decision.alert else "" if decision.state is not DecisionState.WATCHING else "dim"


def _note_lines(text: str, style: str, width: int, indent: int) -> Iterator[Line]:
    for piece in textwrap.wrap(sanitize(text), max(width - indent, 20)):
        yield [(" " * indent + piece, style)]


def _wrapped(line: Line, width: int) -> Iterator[Line]:
    """A line broken between its parts where it would run over the edge."""
    current: Line = []
    for part in line:
        if current and sum(len(text) for text, _ in (*current, part)) > width:
            yield current
            current = [("    ", "")]
            if not part[0].strip():
                continue
        current.append(part)
    yield current
