"""Reads contrib/Dockerfile: its instructions, with continued lines joined and comments left out; and its health check."""

import os
import re
import subprocess
from pathlib import Path

CONTRIB = Path(__file__).parents[1] / "contrib"


def instructions() -> list[tuple[str, str]]:
    """Each instruction with its arguments, in order."""
    lines = [line for line in (CONTRIB / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in joined.splitlines() if line)]


def last(name: str) -> str:
    """The arguments of the last instruction of a name."""
    return [rest for each, rest in instructions() if each == name][-1]


HEALTH_CHECK = last("HEALTHCHECK").partition("CMD ")[2]


def is_healthy(state: Path) -> bool:
    """What the health check would answer in a container with this state folder."""
    environment = os.environ | {"SELLCTL_STATE_DIR": str(state)}
    checked = subprocess.run(["/bin/sh", "-c", HEALTH_CHECK], env=environment, capture_output=True, check=False)  # noqa: S603  ours
    return checked.returncode == 0
