"""Keys from the bytes that a terminal sends. What a person didn't type is no key. Pure.

Ignored are a bracketed paste, more than BURST keys in one read (a paste too, of a terminal without brackets), and
escape sequences without a meaning here. After a paste nothing counts until the input has paused, because its end may
come in a read of its own.
"""

import re
from dataclasses import dataclass

UP, DOWN, PAGE_UP, PAGE_DOWN, HOME, END = "up", "down", "page up", "page down", "home", "end"
ENTER, ESCAPE, BACKSPACE = "enter", "escape", "backspace"
NAVIGATION = frozenset({UP, DOWN, PAGE_UP, PAGE_DOWN, HOME, END})
BURST = 3  # keys in one read that a person can have typed
PAUSE_SECONDS = 0.3  # without input: a paste is over
CONTINUES_SECONDS = 0.5  # within which the rest of an escape sequence may arrive
PASTE_SECONDS = 2.0  # without input: a paste is over, although its end was never announced
_LONGEST_SEQUENCE = 4096  # bytes; what goes on longer is no escape sequence

_PASTE_BEGINS, _PASTE_ENDS = b"\x1b[200~", b"\x1b[201~"
_SEQUENCE = re.compile(
    rb"\x1b(?:"
    rb"\[M[\x00-\xff]{3}|"  # a mouse button, in the oldest of its encodings
    rb"\[[0-?]*[ -/]*[@-~]|"  # CSI
    rb"O[ -~]|"  # SS3
    rb"[\]P_^X](?:[^\x07\x1b]|\x1b[^\\])*(?:\x07|\x1b\\)|"  # OSC, DCS, APC, PM and SOS, whose text is no input
    rb"[^\[O\]P_^X\x1b]"  # Alt and a key
    rb")",
    re.DOTALL,
)
_NAMED = {
    b"\x1b[A": UP,
    b"\x1bOA": UP,
    b"\x1b[B": DOWN,
    b"\x1bOB": DOWN,
    b"\x1b[5~": PAGE_UP,
    b"\x1b[6~": PAGE_DOWN,
    b"\x1b[H": HOME,
    b"\x1bOH": HOME,
    b"\x1b[1~": HOME,
    b"\x1b[F": END,
    b"\x1bOF": END,
    b"\x1b[4~": END,
}
_CONTROLS = {b"\r": ENTER, b"\n": ENTER, b"\x7f": BACKSPACE, b"\x08": BACKSPACE}


@dataclass(frozen=True, slots=True)
class Key:
    """A key. `name` is its character, or one of the names above; `at` is in monotonic seconds.

    `alone`: nothing else was in the same read. What acts on a position has to be.
    """

    name: str
    at: float
    alone: bool = True


class KeyDecoder:
    """Decodes what is read from one terminal."""

    def __init__(self) -> None:
        self._rest = b""  # the beginning of an escape sequence, or of the end of a paste
        self._read_at = float("-inf")
        self._is_pasting = False
        self._waits_for_pause = False

    def keys(self, data: bytes, at: float) -> list[Key]:
        """The keys in `data`, which was read at `at`."""
        since = at - self._read_at
        self._read_at = at
        if self._is_pasting and since > PASTE_SECONDS:
            self._is_pasting, self._rest = False, b""
        if not self._is_pasting:
            self._waits_for_pause = self._waits_for_pause and since < PAUSE_SECONDS
            data = self._continued(data, since)
        names = self._names(data)
        if self._is_pasting or self._waits_for_pause:
            return []
        if len(names) > BURST and not NAVIGATION.issuperset(names):
            self._waits_for_pause = True
            return []
        alone = len(names) == 1
        return [Key(name, at, alone) for name in names if name]

    def _continued(self, data: bytes, since: float) -> bytes:
        """The data behind the beginning of an escape sequence that was read just before."""
        rest, self._rest = self._rest, b""
        if since > CONTINUES_SECONDS or (rest == b"\x1b" and data[:1] not in {b"[", b"O"}):
            return data
        return rest + data

    def _names(self, data: bytes) -> list[str]:
        """The names of the keys; "" for one without a meaning here."""
        names: list[str] = []
        while data:
            if self._is_pasting:
                data = self._behind_paste(data)
            elif data.startswith(_PASTE_BEGINS):
                self._is_pasting = self._waits_for_pause = True
                data = data.removeprefix(_PASTE_BEGINS)
            elif data.startswith(b"\x1b"):
                name, data = self._escape(data)
                names.append(name)
            else:
                name, data = _character(data)
                names.append(name)
        return names

    def _behind_paste(self, data: bytes) -> bytes:
        before, end, behind = (self._rest + data).partition(_PASTE_ENDS)
        self._is_pasting = not end
        self._rest = b"" if end else before[1 - len(_PASTE_ENDS) :]
        return behind

    def _escape(self, data: bytes) -> tuple[str, bytes]:
        """The name of the key that an escape begins, and what follows it."""
        if match := _SEQUENCE.match(data):
            return _NAMED.get(match[0], ""), data[match.end() :]
        if data.startswith(b"\x1b\x1b"):
            return "", data[1:]
        if len(data) <= _LONGEST_SEQUENCE:
            self._rest = data
        else:
            self._waits_for_pause = True
        return ESCAPE if data == b"\x1b" else "", b""


def _character(data: bytes) -> tuple[str, bytes]:
    """The name of the key at the beginning, "" for a control character and for what is no UTF-8; and what follows."""
    if data[:1] in _CONTROLS:
        return _CONTROLS[data[:1]], data[1:]
    length = 1 + (data[0] >= 0xC0) + (data[0] >= 0xE0) + (data[0] >= 0xF0)  # noqa: PLR2004  the lead bytes of UTF-8
    text = data[:length].decode("utf-8", "ignore")
    return (text, data[length:]) if len(text) == 1 and text.isprintable() else ("", data[1:])
