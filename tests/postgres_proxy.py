"""A TCP proxy in front of a server, which a test can stall, cut, or let lose an answer."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Proxy:
    """Forwards every connection to the port given. `turns` counts the answers that followed a request."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._flows = threading.Event()
        self._flows.set()
        self._loses_answers = False
        self._refuses = False
        self._asked = False
        self.turns = 0
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def stall(self) -> None:
        """Forward nothing more until `flow`; connections stay open and new ones are accepted."""
        self._flows.clear()

    def flow(self) -> None:
        """Forward again, new connections only: what was stalled is cut."""
        self.cut()
        self._refuses = self._loses_answers = False
        self._flows.set()

    def cut(self) -> None:
        """Break every connection."""
        pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for each in pair:
                _close(each)

    def lose_answers(self, *, refuse: bool = False) -> None:
        """Break each connection when the server answers the next request; with `refuse`, accept no new ones then."""
        self._loses_answers, self._refuses = True, refuse

    def close(self) -> None:
        self._listener.close()
        self._flows.set()
        self.cut()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self._refuses and not self._loses_answers:
                    client.close()
                    continue
                server = socket.create_connection(("127.0.0.1", self._target))
                self._pairs.append((client, server))
                for start in ((client, server, False), (server, client, True)):
                    threading.Thread(target=self._forward, args=start, daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket, of_server: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._flows.wait()
                if of_server and self._loses_answers:
                    self._loses_answers = False
                    break
                self.turns += of_server and self._asked
                self._asked = not of_server
                target.sendall(data)
        _close(source)
        _close(target)


def _close(each: socket.socket) -> None:
    with contextlib.suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()


@contextmanager
def a_proxy(port: int) -> Iterator[Proxy]:
    proxy = Proxy(port)
    try:
        yield proxy
    finally:
        proxy.close()
