"""Builds the wheel and the sdist as `make dist` does, for tests of what is in them and whether they install."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
_NOT_SOURCE = shutil.ignore_patterns(".git", ".venv", ".*_cache", ".hypothesis", "__pycache__", "dist", "site")


def build(folder: Path, *, source: Path = ROOT, commit_time: int = 1_790_000_000) -> tuple[Path, Path]:
    """The paths of a wheel and an sdist, built into a folder with no other package than hatchling."""
    environment = os.environ | {"SOURCE_DATE_EPOCH": str(commit_time)}
    words = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    subprocess.run(words, cwd=source, env=environment, capture_output=True, check=True)  # noqa: S603  our own interpreter
    [wheel], [sdist] = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return wheel, sdist


def a_private_copy(folder: Path) -> Path:
    """A copy of the source whose files are younger, and closed to others."""
    shutil.copytree(ROOT, folder, ignore=_NOT_SOURCE, copy_function=shutil.copy)
    for path in folder.rglob("*"):
        path.chmod(path.stat().st_mode & 0o700)
    return folder
