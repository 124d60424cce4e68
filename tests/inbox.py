"""A recipient of notifications: an HTTP server on loopback."""

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Inbox:
    """The received messages, and a semaphore to wait for more. While `answers` is not set, no message is answered."""

    def __init__(self) -> None:
        self.arrived: list[str] = []
        self.types: list[str] = []  # of the messages, in the words of Apprise
        self.came = threading.Semaphore(0)
        self.status = 200
        self.location = ""  # where a redirect points
        self.answers = threading.Event()
        self.answers.set()

    def wait_for(self, count: int) -> list[str]:
        for _ in range(count):
            assert self.came.acquire(timeout=5), self.arrived
        return self.arrived


@contextlib.contextmanager
def an_inbox() -> Iterator[tuple[Inbox, int]]:
    """An inbox and its port."""
    box = Inbox()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            box.types.append(body["type"])
            self.answer(f"{body['title']} | {body['message']}")

        def do_GET(self) -> None:
            self.answer("heartbeat")

        def answer(self, what: str) -> None:
            box.answers.wait(timeout=20)
            self.send_response(box.status)
            self.send_header("Content-Length", "0")
            if box.location:
                self.send_header("Location", box.location)
            with contextlib.suppress(OSError):  # the sender has gone
                self.end_headers()
            box.arrived.append(what)
            box.came.release()

        def log_message(self, *_args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield box, server.server_address[1]
        box.answers.set()
        server.shutdown()
