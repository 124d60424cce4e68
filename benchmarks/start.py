"""The start: `sellctl --help` beside a bare Typer app, and what help, completion and `config show` load."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

HELP_BOUND = 1.2
HEAVY = ("alpaca", "pandas", "sqlalchemy")  # packages that quick commands do without
QUICK: Mapping[str, tuple[tuple[str, ...], Mapping[str, str]]] = {
    "help": (("--help",), {}),
    "completion": ((), {"_SELLCTL_COMPLETE": "complete_bash", "COMP_WORDS": "sellctl pos", "COMP_CWORD": "1"}),
    "config show": (("config", "show"), {"ALPACA_API_KEY": "key", "ALPACA_SECRET_KEY": "secret"}),
}
_PAIRS = 21
_SELLCTL = "from sellctl.app import main\n\nmain()\n"
_TELL = (
    "import atexit, sys\nsys.argv[0] = 'sellctl'\n"
    "atexit.register(lambda: sys.stderr.write('\\n' + ' '.join(sys.modules)))\n"
)
_BARE = '''
@app.command("command-{number}")
def command_{number}() -> None:
    """Do the {number}. of many things."""

'''


def figures() -> list[tuple[str, str, str]]:
    """Name, what was measured, and its bound."""
    count = len(commands())
    ratio, bare, ours = help_ratio(count)
    loaded = {name: heavy_modules(*how) for name, how in QUICK.items()}
    return [
        (
            f"sellctl --help / a bare Typer app's, {count} commands each",
            f"{ratio:.2f} x (median of {_PAIRS} pairs taken in turns; {ours * 1000:.0f} / {bare * 1000:.0f} ms)",
            f"<= {HELP_BOUND} x",
        ),
        *(
            (f"heavy packages that {name} loads", ", ".join(heavy) or "none", f"none of {', '.join(HEAVY)}")
            for name, heavy in loaded.items()
        ),
    ]


def commands() -> list[str]:
    """The names that `sellctl --help` lists."""
    from sellctl.app import app  # noqa: PLC0415  measured elsewhere, in processes of their own

    return [str(each.name) for each in app.registered_commands] + [str(each.name) for each in app.registered_groups]


def help_ratio(count: int) -> tuple[float, float, float]:
    """The median ratio of pairs taken in turns, and the median seconds of the bare app and of sellctl."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_apps(folder, count)
        for app in ("bare", "ours"):
            _seconds(folder, app)  # compiles it
        pairs = [(_seconds(folder, "bare"), _seconds(folder, "ours")) for _ in range(_PAIRS)]
    bare, ours = (statistics.median(side) for side in zip(*pairs, strict=True))
    return statistics.median(after / before for before, after in pairs), bare, ours


def _write_apps(folder: Path, count: int) -> None:
    """Two programs, each one line that calls a module, so that both modules are compiled once and for all."""
    body = "".join(_BARE.format(number=number) for number in range(count))
    (folder / "bare_app.py").write_text(f"import typer\n\napp = typer.Typer(no_args_is_help=True)\n{body}")
    (folder / "bare.py").write_text("from bare_app import app\n\napp()\n")
    (folder / "ours.py").write_text(_SELLCTL)


def _seconds(folder: Path, app: str) -> float:
    start = time.perf_counter()
    _run([str(folder / f"{app}.py"), "--help"], {})
    return time.perf_counter() - start


def heavy_modules(words: Sequence[str], env: Mapping[str, str]) -> list[str]:
    """The heavy packages that a command has loaded when it ends."""
    return sorted({module.partition(".")[0] for module in loaded_by(words, env)} & set(HEAVY))


def loaded_by(words: Sequence[str], env: Mapping[str, str]) -> set[str]:
    """Every module that a command has loaded when it ends."""
    ended = _run(["-c", _TELL + _SELLCTL, *words], env)
    loaded = set(ended.stderr.rpartition("\n")[2].split())
    if "sellctl" not in loaded:
        raise RuntimeError(f"the command said nothing of its modules: {ended.stderr}")
    return loaded


def _run(words: Sequence[str], env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    return subprocess.run(  # noqa: S603  our own interpreter
        [sys.executable, *words], capture_output=True, text=True, check=True, env=kept | dict(env)
    )
