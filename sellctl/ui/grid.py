"""The table of the live screen: the columns of all positions, at widths that suit the terminal."""

import datetime as dt
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sellctl.core.model.plan import DecisionState, PositionDecision, reason_name
from sellctl.core.model.view import AccountView
from sellctl.core.text import as_dollars
from sellctl.ui.entries import Entry, entries_of
from sellctl.ui.formatting import (
    STATE_WORD,
    Cell,
    Tone,
    amount_cell,
    as_cell,
    days_cell,
    distance_text,
    gain_cell,
    nearest,
    now_cell,
    price_cell,
    profit_cell,
    progress_to,
    qty_cell,
    sanitize,
    state_cell,
    today_of,
    trigger_name,
)

Part = tuple[str, str]  # a text and its style
Line = list[Part]

HEADS = ("symbol", "days", "qty", "entry", "now", "gain", "P&L", "value", "state")
TRIGGER_HEAD = "nearest trigger"
NUMBERS = frozenset({"days", "qty", "entry", "now", "gain", "P&L", "value"})
LEFT_OUT_FIRST = ("value", "entry", "days")  # on a screen that is too narrow for all columns
MIN_BAR, MAX_BAR = 5, 12
ROOMY = 100  # from this width on, triggers show their price and columns are two spaces apart
MIN_SENTENCE = 36
TONES = {Tone.PLAIN: "", Tone.GOOD: "green", Tone.BAD: "red", Tone.WARN: "yellow", Tone.QUIET: "dim"}


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The characters of bars and rules, in Unicode or in ASCII."""

    full: str
    empty: str
    rule: str
    more: str


UNICODE = Glyphs("■", "·", "─", "…")
ASCII = Glyphs("#", ".", "-", "...")


@dataclass(frozen=True, slots=True)
class _TriggerColumn:
    """The nearest trigger of each position as a column, its parts aligned.

    With prices "target $2.20, 6.3% away", without them "6.3% to target". A rule without a price that is met stands
    there by its name alone, "last day": the state says that it is due.
    """

    widths: tuple[int, ...]
    priced: bool
    longest_name: int

    @classmethod
    def of(cls, decisions: Sequence[PositionDecision], *, priced: bool) -> "_TriggerColumn":
        parts = [("", "", ""), *(_trigger_parts(decision, priced=priced) for decision in decisions)]
        widths = tuple(max(len(text) for text in column) for column in zip(*parts, strict=True))
        return cls(widths, priced, max((len(_met_without_price(decision)) for decision in decisions), default=0))

    @property
    def width(self) -> int:
        """At least that of its head, together with the blank between it and the bar."""
        parts = sum(self.widths) + sum(width > 0 for width in self.widths[1:])
        return max(parts, self.longest_name, len(TRIGGER_HEAD) - 1)

    def text(self, decision: PositionDecision) -> str:
        if met := _met_without_price(decision):
            return met.ljust(self.width)
        name, price, distance = _trigger_parts(decision, priced=self.priced)
        aligned = (name.ljust(self.widths[0]), price.rjust(self.widths[1]), distance.rjust(self.widths[2]))
        return " ".join(text for text, width in zip(aligned, self.widths, strict=True) if width).ljust(self.width)


def _met_without_price(decision: PositionDecision) -> str:
    """The name of the rule by which an exit is due, when it has no price; "" otherwise."""
    return reason_name(decision.signal.reason) if decision.signal and nearest(decision) is None else ""


def _trigger_parts(decision: PositionDecision, *, priced: bool) -> tuple[str, str, str]:
    trigger = nearest(decision)
    if trigger is None:
        return "", "", ""
    name, distance = trigger_name(trigger), distance_text(decision, trigger)
    if priced:
        return name, f"{as_dollars(trigger.price)}{',' if distance else ''}", distance
    if distance.endswith(" away"):
        return f"{distance.removesuffix(' away')} to {name}", "", ""
    return f"{name} {distance}".rstrip(), "", ""


@dataclass(frozen=True, slots=True)
class GridRow:
    """A position or structure of an account, with its cells by their HEADS."""

    account: AccountView
    entry: Entry
    cells: Mapping[str, Cell]


@dataclass(frozen=True, slots=True)
class Grid:
    """The widths of the columns on this screen, so that the positions of all accounts are aligned."""

    width: int
    gap: int
    columns: Mapping[str, int]  # the width of each column by its head
    triggers: _TriggerColumn
    bar: int
    sentence: int  # the width of sentences; 0: they are below their row, and only where the state needs one
    glyphs: Glyphs

    @classmethod
    def of(cls, rows: Sequence[GridRow], width: int, glyphs: Glyphs) -> "Grid":
        """The grid for these rows, which are those of all accounts."""
        columns = {head: max(len(head), *(len(row.cells[head].drawn) for row in rows), 0) for head in HEADS}
        triggers = _TriggerColumn.of([row.entry.decision for row in rows], priced=width >= ROOMY)
        trigger = triggers.width
        shown = _fitting(columns, width - trigger - 1, 2 if width >= ROOMY else 1)
        used = sum(shown.values())
        gap = 2 if width >= ROOMY or used + 2 * len(shown) + trigger + 1 + MIN_BAR <= width else 1
        left = width - used - gap * len(shown) - trigger - 1
        bar = min(left, MAX_BAR) if left >= MIN_BAR else 0
        sentence = left - bar - gap
        return cls(width, gap, shown, triggers, bar, sentence if sentence >= MIN_SENTENCE else 0, glyphs)

    def head(self) -> list[Line]:
        """The names of the columns and the rule below them."""
        names = {name: Cell(name, name, is_number=name in NUMBERS) for name in HEADS}
        trigger = TRIGGER_HEAD.ljust(self.triggers.width + 1 + self.bar)
        texts = [*(text for text, _ in self._aligned(names)), trigger, *(["why"] if self.sentence else [])]
        return [[((" " * self.gap).join(texts).rstrip(), "bold")], [(self.glyphs.rule * self.width, "dim")]]

    def row(self, row: GridRow) -> Iterator[Line]:
        """The lines of one position, or of one structure."""
        entry, decision = row.entry, row.entry.decision
        line = [part for cell in self._aligned(row.cells) for part in (cell, (" " * self.gap, ""))]
        line += [*self._trigger(decision)]
        if not self.sentence:
            yield line
            yield from self._below(entry)
            return
        used = self.width - self.sentence
        first, *others = textwrap.wrap(sanitize(entry.sentence), self.sentence) or [""]
        yield [*line, (" " * self.gap, ""), (first, _sentence_style(decision))]
        yield from ([(" " * used + other, _sentence_style(decision))] for other in others)

    def cut(self, lines: Sequence[Line]) -> Line:
        """The first of a position's lines, marked where its sentence goes on in the others."""
        if not self.sentence or len(lines) == 1:
            return lines[0]
        *parts, (text, style) = lines[0]
        fits = len(text) + len(self.glyphs.more) <= self.sentence
        return [*parts, (f"{text if fits else text.rpartition(' ')[0]}{self.glyphs.more}", style)]

    def _aligned(self, cells: Mapping[str, Cell]) -> list[Part]:
        """The cells of the columns at their widths, numbers right-aligned."""
        pairs = [(cells[head], width) for head, width in self.columns.items()]
        return [(c.drawn.rjust(w) if c.is_number else c.drawn.ljust(w), TONES[c.tone]) for c, w in pairs]

    def _trigger(self, decision: PositionDecision) -> Iterator[Part]:
        yield self.triggers.text(decision), ""
        if self.bar:
            yield " ", ""
            yield from self._drawn_bar(decision)

    def _drawn_bar(self, decision: PositionDecision) -> Iterator[Part]:
        trigger = nearest(decision)
        progress = progress_to(decision, trigger) if trigger else None
        if trigger is None or progress is None:
            yield " " * self.bar, ""
            return
        full = int(progress * self.bar)
        yield self.glyphs.full * full, "green" if trigger.is_target else "red"
        yield self.glyphs.empty * (self.bar - full), "dim"

    def _below(self, entry: Entry) -> Iterator[Line]:
        """The sentence below a row; none when it is only watched, has a trigger or needs none, and has no alert."""
        decision = entry.decision
        is_quiet = state_cell(decision).text == STATE_WORD[DecisionState.WATCHING] and not decision.alert
        if not (is_quiet and (decision.triggers or entry.needs_no_trigger)):
            yield from note_lines(entry.sentence, _sentence_style(decision), self.width, 4)


def rows_in(account: AccountView) -> list[GridRow]:
    """The rows of an account; none before its first poll."""
    entries = entries_of(account.plan, account.structures) if account.plan else []
    return [GridRow(account, entry, _cells(account, entry)) for entry in entries]


def _fitting(columns: Mapping[str, int], room: int, gap: int) -> Mapping[str, int]:
    """The columns that fit, each with a gap behind it."""
    left = dict(columns)
    for head in LEFT_OUT_FIRST:
        if sum(left.values()) + gap * len(left) > room:
            del left[head]
    return left


def _cells(account: AccountView, entry: Entry) -> Mapping[str, Cell]:
    decision, holding = entry.decision, entry.decision.holding
    today = today_of(account.plan.made_at) if account.plan else dt.date.max
    return {
        "symbol": as_cell(entry.symbol),
        "days": days_cell(holding, today),
        "qty": qty_cell(holding),
        "entry": price_cell(holding.position.entry_price),
        "now": now_cell(holding),
        "gain": gain_cell(decision.gain),
        "P&L": profit_cell(decision.open_pnl),
        "value": amount_cell(decision.market_value),
        "state": state_cell(decision, only_due=entry.is_only_due(account.only_due)),
    }


def _sentence_style(decision: PositionDecision) -> str:
    is_quiet = decision.state in {DecisionState.WATCHING, DecisionState.EXEMPT}
    return "bold red" if decision.alert else "dim" if is_quiet else ""


def note_lines(text: str, style: str, width: int, indent: int) -> Iterator[Line]:
    """A text as indented lines, broken between words."""
    for piece in textwrap.wrap(sanitize(text), max(width - indent, 20)):
        yield [(" " * indent + piece, style)]
