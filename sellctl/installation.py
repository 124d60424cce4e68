"""How this copy of sellctl was installed, and the line that adds an extra to it."""

import shlex
import sys
from pathlib import Path
from typing import Any

_UV_RECEIPT = "uv-receipt.toml"  # what `uv tool install` leaves in the environment of a tool
_PIPX_RECEIPT = "pipx_metadata.json"  # likewise `pipx install`


def missing_extra(what: str, extra: str) -> tuple[str, str]:
    """One sentence on what needs an extra that isn't installed, and the hint with the line that installs it."""
    return f"{what} needs the extra {extra}, which isn't installed.", f"Run: {install_line(extra)}"


def install_line(extra: str, prefix: Path | None = None) -> str:
    """The line that adds an extra to the environment of this process, or to the one at `prefix`."""
    folder = Path(sys.prefix) if prefix is None else prefix
    wanted = f"'sellctl[{extra}]'"
    if (folder / _UV_RECEIPT).is_file():
        return f"uv tool install 'sellctl[{','.join(sorted({*_extras_of_tool(folder / _UV_RECEIPT), extra}))}]'"
    if (folder / _PIPX_RECEIPT).is_file():
        return f"pipx inject sellctl {wanted}"
    python = shlex.quote(_python_of(folder))
    if _has_pip(folder):
        return f"{python} -m pip install {wanted}"
    if _is_of_uv(folder):
        return f"uv pip install --python {python} {wanted}"
    return f"python3 -m pip --python {python} install {wanted}"


def _extras_of_tool(receipt: Path) -> list[str]:
    """The extras that a tool of uv was installed with: installing it again removes those that aren't named again."""
    import tomllib  # noqa: PLC0415  only for this message

    try:
        requirements: list[dict[str, Any]] = tomllib.loads(receipt.read_text(encoding="utf-8"))["tool"]["requirements"]
        return [extra for each in requirements if each.get("name") == "sellctl" for extra in each.get("extras", ())]
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return []


def _has_pip(folder: Path) -> bool:
    places = ("lib*/python3*/*-packages/pip", "Lib/site-packages/pip")
    return any(path for place in places for path in folder.glob(place))


def _is_of_uv(folder: Path) -> bool:
    """Whether uv made this environment."""
    try:
        lines = (folder / "pyvenv.cfg").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return False
    return any(line.partition("=")[0].strip() == "uv" for line in lines)


def _python_of(folder: Path) -> str:
    """The environment's Python, which may not be the one on the path."""
    names = ("bin/python", "bin/python3", "Scripts/python.exe")
    return next((str(folder / name) for name in names if (folder / name).exists()), "python3")
