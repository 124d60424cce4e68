"""Plays a documentation page: its configurations are used, its commands are run, and their output is compared.

A page consists of blocks that the player knows by their language:

- `yaml` is the configuration from here on. An `export` in `sh` sets a variable. `python` is a file beside the
  configuration, which is named by its first line (`# my_exits.py`).
- `console` has commands, each behind `$ `, and what they print on a terminal of 80 columns. A line `...` stands for any
  lines, `^C` for Ctrl-C, and text behind `[y/N]: ` for an answer that is typed. `sellctl sim` without `^C` runs on.
- `<!-- 30 minutes later -->` moves the clock of the simulated Alpaca.

`sellctl sim` gets a port that is free, and `sellctl init` an empty folder and the simulated Alpaca in place of Alpaca.
The profile `paper` of Alpaca's command line has the key of the first account.

The accounts of a page are those of its scenario in tests/docs/scenarios. `make pictures` runs this file as a program,
which writes into the pages what the commands print.
"""

import contextlib
import fcntl
import os
import pty
import re
import select
import shlex
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
import tty
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import yaml
from stage import MAIN, clean_environment

from sellctl.alpaca import connect
from sellctl.app import main
from sellctl.service.output_stream import OutputStream
from sellctl.sim.scenario.reader import load_scenario
from sellctl.sim.server import SimServer

ROOT = Path(__file__).parents[2]
SCENARIOS = Path(__file__).parent / "scenarios"
PLAYED = [ROOT / "docs" / "first-steps.md", *sorted((ROOT / "docs" / "tasks").glob("*.md"))]
PART = re.compile(
    r"^```(?P<language>\w+)\n(?P<body>.*?)^```$|^<!-- (?P<minutes>\d+) minutes later -->$", re.MULTILINE | re.DOTALL
)
COMMAND = re.compile(r"^\$ (?P<line>.*)\n(?P<output>(?:(?!\$ ).*\n)*)", re.MULTILINE)
VARIES = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?= \|)|\d+s old|\d\d:\d\d:\d\d|\b\d+h \d+m left|[0-9a-f]{32,}")
OF_THE_SIMULATOR = re.compile(r"^Simulator: .*\n", re.MULTILINE)
ENDLESS = {"watch", "sim", "serve"}
HOME = "/home/you"
END = "\x04"
ROWS, COLUMNS = 60, 80


@dataclass
class Reader:
    """A person who follows a page in an empty folder, at a terminal, with the accounts of a scenario."""

    folder: Path
    server: SimServer
    environ: dict[str, str] = field(default_factory=dict)
    running: list["subprocess.Popen[str]"] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.environ = clean_environment(self.folder) | {
            "NO_COLOR": "1",
            "TERM": "dumb",
            "COLUMNS": str(COLUMNS),
            "LINES": str(ROWS),
            "XDG_CONFIG_HOME": str(self.folder / ".config"),
        }
        self.configure("")
        first = self.server.scenario.accounts[0]
        save_profile(self.folder, first.key, first.secret)

    @property
    def config(self) -> Path:
        return self.folder / "config.yml"

    def configure(self, text: str) -> None:
        """Write a configuration of the page as config.yml, whose accounts are those of the simulated Alpaca."""
        of_scenario = {account.name: account for account in self.server.scenario.accounts}
        accounts = (yaml.safe_load(text) or {}).get("accounts") or {name: {} for name in of_scenario}
        for name, account in accounts.items():
            if "profile" not in account:
                account |= {"api_key": of_scenario[name].key, "secret_key": of_scenario[name].secret}
            account["endpoints"] = {"trading": self.server.url, "data": self.server.url}
        rest = re.sub(r"^accounts:\n(?:[ #].*\n)*", "", text, flags=re.MULTILINE)
        self.config.write_text(rest + yaml.safe_dump({"accounts": accounts}), encoding="utf-8")
        self.config.chmod(0o600)

    def save(self, text: str) -> None:
        """Write a Python file that names itself in its first line."""
        (self.folder / text.splitlines()[0].removeprefix("# ")).write_text(text, encoding="utf-8")

    def run(self, line: str, expected: str) -> str:
        """Run a command line and return what the terminal shows, with `^C` where the reader ended it."""
        words = shlex.split(line, comments=True)[1:]
        if words[0] == "init":
            return self._set_up(words)
        if ENDLESS.isdisjoint(words):
            status, shown = self._in_process(words, re.findall(r"\[y/N\]: (\w+)", expected))
            assert status in {0, 10} or "sellctl: " in expected, f"{line}: status {status}\n{shown}"
        else:
            shown = self._started(words, interrupted=expected.endswith("^C\n"))
        if not words[0].startswith("-"):
            shown = OF_THE_SIMULATOR.sub("", shown)
        return self._as_in_a_page(shown)

    def _as_in_a_page(self, shown: str) -> str:
        return re.sub(r"[ \t]+$", "", shown.replace(str(self.folder), HOME), flags=re.MULTILINE)

    def _set_up(self, words: list[str]) -> str:
        """Run `init` with the simulated Alpaca in the place of the paper one, where the later commands find it too."""
        self.config.unlink(missing_ok=True)
        before = connect.PAPER_TRADING_URL, connect.DATA_URL
        connect.PAPER_TRADING_URL = connect.DATA_URL = self.server.url  # type: ignore[misc]
        try:
            status, shown = self._in_process(words, [])
        finally:
            connect.PAPER_TRADING_URL, connect.DATA_URL = before  # type: ignore[misc]
        assert status == 0, shown
        written = self.folder / ".config" / "sellctl" / "config.yml"
        endpoints = f"    endpoints: {{trading: {self.server.url}, data: {self.server.url}}}\n"
        text = written.read_text(encoding="utf-8")
        written.write_text(text.replace("    paper: true", f"{endpoints}    paper: true", 1), encoding="utf-8")
        return self._as_in_a_page(shown)

    def _in_process(self, arguments: list[str], answers: list[str]) -> tuple[int, str]:
        """Run a command in this process on a terminal of its own; returns its status and what is shown."""
        status = 0
        chunks: list[bytes] = []
        with _terminal() as (person, stdin, stdout):
            screen = threading.Thread(target=_read_to_end, args=(person, chunks))
            screen.start()
            person.write("".join(f"{answer}\n" for answer in answers).encode())
            before = sys.stdin, sys.stdout, sys.stderr
            sys.stdin, sys.stdout, sys.stderr = stdin, stdout, stdout
            try:
                with self._surroundings(arguments):
                    main()
            except SystemExit as end:
                status = int(end.code or 0)
            finally:
                if isinstance(sys.stderr, OutputStream):
                    sys.stderr.drain()  # as at the end of a process
                sys.stdin, sys.stdout, sys.stderr = before
                print(END, end="", file=stdout, flush=True)
                screen.join(10)
        shown = b"".join(chunks).decode().partition(END)[0]
        for answer in answers:
            shown = re.sub(r"\[y/N\]: (?!\w+\n)", f"[y/N]: {answer}\n", shown, count=1)
        return status, shown

    @contextlib.contextmanager
    def _surroundings(self, arguments: list[str]) -> Iterator[None]:
        """The folder, environment and arguments of the reader's shell."""
        before, argv = dict(os.environ), sys.argv
        os.environ.clear()
        os.environ.update(self.environ)
        sys.argv = ["sellctl", *arguments]
        try:
            with contextlib.chdir(self.folder):
                yield
        finally:
            sys.argv = argv
            os.environ.clear()
            os.environ.update(before)

    def _started(self, arguments: list[str], *, interrupted: bool) -> str:
        """Start a command that doesn't end by itself, and press Ctrl-C once it works, or leave it running."""
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # by a shell, for what runs in its background
            signal.signal(signal.SIGINT, signal.default_int_handler)
        ports = ["--port", "0"] if arguments[0] == "sim" else []
        asked = len(self.server.requests)
        process = subprocess.Popen(  # noqa: S603  our own program
            [*MAIN, *arguments, *ports],
            cwd=self.folder,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.running.append(process)
        assert process.stdout
        until = time.monotonic() + 60
        while len(self.server.requests) == asked and not select.select([process.stdout], [], [], 0.1)[0]:
            if time.monotonic() > until:
                break  # it works without a word
        time.sleep(0.5)  # a real process: what it has begun is then whole
        if not interrupted:
            return "".join(iter(lambda: _line_of(process.stdout), ""))
        self.running.remove(process)
        return f"{_ended(process)}^C\n"

    def leave(self) -> None:
        """End what was left running."""
        for process in self.running:
            _ended(process)


def _line_of(stream: IO[str] | None) -> str:
    """A line that a running process has written, or ""."""
    return stream.readline() if stream and select.select([stream], [], [], 0.2)[0] else ""


def _ended(process: "subprocess.Popen[str]") -> str:
    """Press Ctrl-C and return the rest of what a process shows."""
    with process:
        process.send_signal(signal.SIGINT)
        try:
            shown, _ = process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    assert process.returncode in {0, 130}, f"{process.args}: status {process.returncode}\n{shown}"
    return shown


def save_profile(home: Path, key: str, secret: str) -> None:
    """Write the profile `paper` of Alpaca's own command line."""
    profiles = home / ".config" / "alpaca" / "profiles"
    profiles.mkdir(mode=0o700, parents=True)
    profiles.parent.chmod(0o700)
    file = profiles / "paper.yaml"
    file.touch(0o600)
    file.write_text(f"api_key: {key}\nsecret_key: {secret}\npaper_trade: true\n", encoding="utf-8")


@contextlib.contextmanager
def _terminal() -> Iterator[tuple[IO[bytes], IO[str], IO[str]]]:
    """A pseudo-terminal without echo: its keyboard and screen for a person, its two streams for a program."""
    outer, inner = pty.openpty()
    tty.setraw(inner)
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    with (
        os.fdopen(outer, "r+b", 0) as person,
        os.fdopen(os.dup(inner), "r", encoding="utf-8") as stdin,
        os.fdopen(inner, "w", 1, encoding="utf-8") as stdout,
    ):
        yield person, stdin, stdout


def _read_to_end(person: IO[bytes], chunks: list[bytes]) -> None:
    """Collect what a terminal shows up to END. A terminal that is closed may lose what was not read yet."""
    while chunk := person.read(65536):
        chunks.append(chunk)
        if END.encode() in chunk:
            return


def played(page: Path) -> str:
    """The text of a page with what its commands print now, where that differs from what it shows."""
    text = page.read_text(encoding="utf-8")
    scenario = SCENARIOS / f"{page.stem}.yml"
    with (
        tempfile.TemporaryDirectory() as folder,
        SimServer(load_scenario(str(scenario if scenario.exists() else SCENARIOS / "any.yml")), speed=0) as server,
    ):
        reader = Reader(Path(folder), server)
        try:
            return PART.sub(lambda part: _play(reader, part), text)
        finally:
            reader.leave()


def _play(reader: Reader, part: "re.Match[str]") -> str:
    """Do what one part of the page says; returns the part, renewed if it is a console."""
    body, language = part["body"], part["language"]
    if part["minutes"]:
        reader.server.advance(60 * int(part["minutes"]))
    elif language == "yaml":
        reader.configure(body)
    elif language == "python":
        reader.save(body)
    elif language == "sh":
        reader.environ.update(re.findall(r"^export (\w+)=(.*)$", body, re.MULTILINE))
    elif language == "console":
        return f"```console\n{COMMAND.sub(lambda command: _renewed(reader, command), body)}```"
    return part[0]


def _renewed(reader: Reader, command: "re.Match[str]") -> str:
    """A command with its output, as the page shows it if that is what it prints, else as it prints it."""
    line, expected = command["line"], command["output"]
    shown = reader.run(line, expected)
    return f"$ {line}\n{expected if fits(expected, shown) else shown}"


def fits(expected: str, shown: str) -> bool:
    """Whether an output is the one that a page shows, in which a line `...` stands for any lines."""
    lines = VARIES.sub("?", expected).splitlines()
    pattern = "".join(r"(?:.*\n)*?" if line == "..." else re.escape(line) + r"\n" for line in lines)
    return re.fullmatch(pattern, VARIES.sub("?", shown)) is not None


if __name__ == "__main__":
    for each in PLAYED:
        before = each.read_text(encoding="utf-8")
        after = played(each)
        each.write_text(after, encoding="utf-8")
        sys.stdout.write(f"{each.relative_to(ROOT)}: {'as before' if after == before else 'renewed'}\n")
