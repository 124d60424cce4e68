"""A real PostgreSQL server on a temporary folder, and databases on it, for tests and benchmarks."""

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

_PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda each: int(each.parent.name), reverse=True)
_OTHER_USERS = ("postgres", "nobody")
PASSWORD = "can4ry-s3cret"  # noqa: S105  a canary, which no output may have
_PORTS = range(15000, 30000)  # none that the system gives to clients: a server that was stopped gets its own again
_SETTINGS = """
fsync = on
listen_addresses = '127.0.0.1'
unix_socket_directories = '{folder}'
max_connections = 40
shared_buffers = 16MB
log_min_messages = panic
"""


class NoServerError(Exception):
    """There is no server program on this machine; the text says so."""


@dataclass
class Server:
    """A running server."""

    folder: Path
    port: int
    _numbers: "count[int]"
    _process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        """Start it, also after `stop`; returns when it answers. NoServerError when it doesn't within a minute."""
        command = [str(_program("postgres")), "-D", str(self.folder / "data"), "-p", str(self.port)]
        self._process = subprocess.Popen(  # noqa: S603  ours
            _as_server(command), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/"
        )
        _wait_for(self, self._process)

    def stop(self) -> None:
        """Stop it at once, as `pg_ctl stop -m immediate` does: connections break, and nothing more gets to the disk."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(60)

    def database(self, name: str = "", template: str = "template0") -> str:
        """The URL of a new database, empty or a copy of another one."""
        name = name or f"journal_{next(self._numbers)}"
        self.sql(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    def url(self, name: str, user: str = "sellctl", password: str = PASSWORD) -> str:
        """The URL of a database for a user."""
        return f"postgresql+psycopg://{user}:{password}@127.0.0.1:{self.port}/{name}"

    def sql(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Execute a statement as the superuser."""
        import psycopg  # noqa: PLC0415  an extra

        with psycopg.connect(
            host="127.0.0.1", port=self.port, user="sellctl", password=PASSWORD, dbname=database, autocommit=True
        ) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []


def _program(name: str) -> Path:
    found = next((folder / name for folder in _PROGRAMS if (folder / name).exists()), None)
    if found is None:
        raise NoServerError("no PostgreSQL server is installed (Debian: apt install postgresql)")
    return found


def _as_server(command: list[str]) -> list[str]:
    """The command as a user that the server accepts: it refuses root."""
    if os.geteuid() != 0:
        return command
    runner = shutil.which("setpriv")
    for user in _OTHER_USERS if runner else ():
        known = subprocess.run(["id", "-u", user], capture_output=True, check=False)  # noqa: S603, S607  our words
        if runner and known.returncode == 0:
            return [runner, f"--reuid={user}", f"--regid={_group(user)}", "--clear-groups", *command]
    raise NoServerError("PostgreSQL refuses to run as root, and there is no other user to run it as")


def _group(user: str) -> str:
    return subprocess.run(["id", "-g", user], capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603, S607


def _run(command: list[str]) -> None:
    done = subprocess.run(_as_server(command), capture_output=True, text=True, check=False, cwd="/")  # noqa: S603  ours
    if done.returncode:
        raise NoServerError(f"{command[0]} failed: {done.stderr.strip() or done.stdout.strip()}")


@contextmanager
def a_server() -> Iterator[Server]:
    """A server of its own, stopped and removed at the end. NoServerError when there can be none."""
    initdb = _program("initdb")
    folder = Path(tempfile.mkdtemp(prefix="sellctl-postgres-"))
    try:
        if os.geteuid() == 0:
            uid, gid = (int(part) for part in _owner())
            os.chown(folder, uid, gid)
        password_file = folder / "password"
        password_file.write_text(PASSWORD)
        password_file.chmod(0o644)
        data = folder / "data"
        _run(
            [
                *(str(initdb), "-D", str(data), "-U", "sellctl", "--auth=scram-sha-256"),
                *("--pwfile", str(password_file), "--encoding=UTF8", "--locale=C", "--no-sync"),
            ]
        )
        with (data / "postgresql.conf").open("a") as file:
            file.write(_SETTINGS.format(folder=folder))
        server = Server(folder, _free_port(), count(1))
        try:
            server.start()
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _owner() -> tuple[str, str]:
    command = _as_server(["id"])
    user = command[1].partition("=")[2]
    uid = subprocess.run(["id", "-u", user], capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603, S607
    return uid, _group(user)


def _free_port() -> int:
    for port in random.sample(_PORTS, len(_PORTS)):
        with socket.socket() as listener, suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port
    raise NoServerError("no port is free")


def _wait_for(server: Server, process: "subprocess.Popen[bytes]") -> None:
    import psycopg  # noqa: PLC0415  an extra

    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        try:
            server.sql("SELECT 1")
        except psycopg.OperationalError:
            time.sleep(0.05)  # a real process
        else:
            return
    raise NoServerError("the server did not start")
