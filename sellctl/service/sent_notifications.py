"""When each notification was last sent, in a file of the state folder: runs from cron repeat what stays wrong."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from sellctl.private_files import read_private, replace_private
from sellctl.service.notifier import Signature


@dataclass(frozen=True, slots=True)
class SentNotifications:
    """Loads and saves the times, in seconds since 1970. A file that can't be used costs a repetition, no more."""

    path: Path

    def load(self, now: float) -> dict[Signature, float]:
        """The times in the file, without those after now; none when it can't be read or isn't sellctl's."""
        try:
            rows = msgspec.json.decode(read_private(self.path), type=list[tuple[Signature, float]])
        except (OSError, ValueError, RecursionError):  # msgspec's errors are ValueErrors
            return {}
        return {signature: at for signature, at in rows if at <= now}

    def save(self, sent_at: Mapping[Signature, float]) -> None:
        """Replace the file, if that is possible."""
        try:
            replace_private(self.path, msgspec.json.encode(list(sent_at.items())), durable=False)
        except OSError:
            return
