"""Packs a snapshot and the plan made from it into one short text: JSON, compressed, in base 85.

Decimals keep their text (0.00 is not 0), instants and durations keep their microseconds. Repeated values, such as a
holding that is in the snapshot, in its decision and in its exit signal, are left to the compression.
"""

import base64
import zlib
from functools import cache

import msgspec

from sellctl.core.errors import JournalError
from sellctl.core.model.plan import Plan
from sellctl.core.model.snapshot import Snapshot
from sellctl.journal import legacy

FORMAT = "2"  # texts of format 1 have no prefix: base 85 has no colon

_ENCODER = msgspec.json.Encoder(order="deterministic")  # sets sorted, so that equal plans have equal texts


def pack(snapshot: Snapshot, plan: Plan) -> str:
    """A snapshot and its plan as one text."""
    return f"{FORMAT}:{base64.b85encode(zlib.compress(_ENCODER.encode((snapshot, plan)))).decode()}"


def unpack(text: str) -> tuple[Snapshot, Plan]:
    """The snapshot and plan of a packed text, equal in every field; from format 1 without its obsolete fields."""
    version, _, data = text.rpartition(":")
    if version not in {"", FORMAT}:
        raise JournalError(f"A plan was packed by a newer sellctl (format {version}).", hint="Upgrade sellctl.")
    content = zlib.decompress(base64.b85decode(data))
    return _decoder().decode(content) if version else legacy.decode(content)


@cache
def _decoder() -> msgspec.json.Decoder[tuple[Snapshot, Plan]]:
    """Built on first use: building it inspects all types of the model, and most commands unpack nothing."""
    return msgspec.json.Decoder(tuple[Snapshot, Plan])
