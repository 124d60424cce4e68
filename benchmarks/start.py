"""The start: help compared with a bare Typer app, commands with a plain SDK script, and the packages they load."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.load import a_process

HELP_BOUND = 1.2
# packages that quick commands must not import
HEAVY = (
    "alembic",
    "alpaca",
    "httpx",
    "mcp",
    "opentelemetry",
    "pandas",
    "prometheus_client",
    "psycopg",
    "sqlalchemy",
    "telegram",
)
_TAB = {"_SELLCTL_COMPLETE": "complete_bash"}
QUICK: Mapping[str, tuple[tuple[str, ...], Mapping[str, str]]] = {
    "help": (("--help",), {}),
    "completion of a command": ((), {**_TAB, "COMP_WORDS": "sellctl pos", "COMP_CWORD": "1"}),
    "completion of a symbol": ((), {**_TAB, "COMP_WORDS": "sellctl close A", "COMP_CWORD": "2"}),
    "completion of a reason": ((), {**_TAB, "COMP_WORDS": "sellctl history --reason s", "COMP_CWORD": "3"}),
    "config show": (("config", "show"), {"ALPACA_API_KEY": "key", "ALPACA_SECRET_KEY": "secret"}),
}
_PAIRS = 15
_SELLCTL = "from sellctl.app import main\n\nmain()\n"
_SCRIPT = """
import sys
from alpaca.trading.client import TradingClient
print(len(TradingClient("k0", "s", url_override=sys.argv[1]).get_all_positions()))
"""
_CONFIG = """
accounts:
  main: {{api_key: k0, secret_key: s, endpoints: {{trading: "{url}", data: "{url}"}}}}
"""
AGAINST_SCRIPT: Mapping[str, tuple[tuple[str, ...], str]] = {
    "config show": (("config", "show"), "listed"),
    "positions": (("positions",), "listed"),
    "run-once, nothing due": (("run-once",), "<= 1 x"),
}
_SCRIPT_PAIRS = 5
_PRINT_MODULES = (
    "import atexit, sys\nsys.argv[0] = 'sellctl'\n"
    "atexit.register(lambda: sys.stderr.write('\\n' + ' '.join(sys.modules)))\n"
)
_BARE = '''
@app.command("command-{number}")
def command_{number}() -> None:
    """Do the {number}. of many things."""

'''


def figures() -> Iterator[tuple[str, str, str]]:
    """Name, measured value, bound."""
    count = len(commands())
    ratio, bare, ours = help_ratio(count)
    loaded = {name: heavy_modules(*how) for name, how in QUICK.items()}
    yield from (
        (
            f"sellctl --help / a bare Typer app's, {count} commands each",
            f"{ratio:.2f} x (median of {_PAIRS} pairs taken in turns; {ours * 1000:.0f} / {bare * 1000:.0f} ms)",
            f"<= {HELP_BOUND} x",
        ),
        *(
            (f"heavy packages that {name} loads", ", ".join(heavy) or "none", f"none of {', '.join(HEAVY)}")
            for name, heavy in loaded.items()
        ),
    )
    yield from against_the_script()


def against_the_script() -> Iterator[tuple[str, str, str]]:
    """Commands on 10 positions at a canned broker, in turns with a script that lists them by a TradingClient."""
    with tempfile.TemporaryDirectory() as name, a_process("benchmarks.canned", 10, 10) as broker:
        folder, url = Path(name), f"http://127.0.0.1:{broker.stdout.readline().strip() if broker.stdout else ''}"
        (folder / "script.py").write_text(_SCRIPT)
        (folder / "ours.py").write_text(_SELLCTL)
        (folder / "config.yml").write_text(_CONFIG.format(url=url))
        (folder / "config.yml").chmod(0o600)
        options = ("--config", str(folder / "config.yml"), "--state-dir", str(folder / "state"))
        script = [str(folder / "script.py"), url]
        for command, (arguments, bound) in AGAINST_SCRIPT.items():
            ours = [str(folder / "ours.py"), *options, *arguments]
            _run(ours, {})
            pairs = [(_seconds_of(script), _seconds_of(ours)) for _ in range(_SCRIPT_PAIRS)]
            plain, took = (statistics.median(side) for side in zip(*pairs, strict=True))
            ratio = statistics.median(after / before for before, after in pairs)
            yield f"sellctl {command} / a plain alpaca-py script", f"{ratio:.2f} x ({took:.2f} / {plain:.2f} s)", bound
        yield "run-once: time of its imports outside sellctl", _imports_of([*ours]), ">= 70%, should a bound be missed"


def _imports_of(arguments: Sequence[str]) -> str:
    """The share of the import time outside sellctl, and the packages with the largest shares."""
    lines = _run(["-X", "importtime", *arguments], {}).stderr.splitlines()
    rows = [line.removeprefix("import time:").split("|") for line in lines if line.startswith("import time:")]
    spent: Counter[str] = Counter()
    for own, _, module in rows:
        if own.strip().isdigit():
            spent[module.strip().partition(".")[0]] += int(own)
    total = spent.total()
    largest = ", ".join(f"{name} {took / total:.0%}" for name, took in spent.most_common(6))
    return f"{1 - spent['sellctl'] / total:.0%}: {largest}"


def _seconds_of(arguments: Sequence[str]) -> float:
    start = time.perf_counter()
    _run(arguments, {})
    return time.perf_counter() - start


def commands() -> list[str]:
    """The commands that `sellctl --help` lists."""
    from sellctl.app import app  # noqa: PLC0415  its import time is measured in separate processes

    return [str(each.name) for each in app.registered_commands] + [str(each.name) for each in app.registered_groups]


def help_ratio(count: int) -> tuple[float, float, float]:
    """The median ratio of pairs measured in turns, and the median seconds of the bare app and of sellctl."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_apps(folder, count)
        for app in ("bare", "ours"):
            _seconds(folder, app)  # compiles the bytecode
        pairs = [(_seconds(folder, "bare"), _seconds(folder, "ours")) for _ in range(_PAIRS)]
    bare, ours = (statistics.median(side) for side in zip(*pairs, strict=True))
    return statistics.median(after / before for before, after in pairs), bare, ours


def _write_apps(folder: Path, count: int) -> None:
    """Two programs that only call a module, so that both modules are loaded from compiled bytecode."""
    body = "".join(_BARE.format(number=number) for number in range(count))
    (folder / "bare_app.py").write_text(f"import typer\n\napp = typer.Typer(no_args_is_help=True)\n{body}")
    (folder / "bare.py").write_text("from bare_app import app\n\napp()\n")
    (folder / "ours.py").write_text(_SELLCTL)


def _seconds(folder: Path, app: str) -> float:
    return _seconds_of([str(folder / f"{app}.py"), "--help"])


def heavy_modules(arguments: Sequence[str], env: Mapping[str, str]) -> list[str]:
    """The heavy packages that a command imports."""
    return sorted({module.partition(".")[0] for module in loaded_by(arguments, env)} & set(HEAVY))


def loaded_by(arguments: Sequence[str], env: Mapping[str, str]) -> set[str]:
    """Every module that a command imports."""
    ended = _run(["-c", _PRINT_MODULES + _SELLCTL, *arguments], env)
    loaded = set(ended.stderr.rpartition("\n")[2].split())
    if "sellctl" not in loaded:
        raise RuntimeError(f"the command did not print its modules: {ended.stderr}")
    return loaded


def _run(arguments: Sequence[str], env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    return subprocess.run(  # noqa: S603  our own interpreter
        [sys.executable, *arguments], capture_output=True, text=True, check=True, env=kept | dict(env)
    )
