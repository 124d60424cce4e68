"""A bounded queue: the event loop only appends to it, and a thread makes telemetry of its facts."""

import logging
import threading
from collections import deque
from collections.abc import Callable

from sellctl.telemetry.facts import Fact

DRAIN_SECONDS = 0.25  # between two looks into the queue
MOST = 20_000  # facts in the queue: those of some minutes of hundreds of accounts
_LOG = logging.getLogger(__name__)


class Recorder:
    """Takes facts at once and hands them to `handle` later, each with when it came (monotonic seconds).

    A full queue drops its oldest fact. `put` neither waits nor raises, in any thread.
    """

    def __init__(self, monotonic: Callable[[], float], most: int = MOST) -> None:
        self.monotonic = monotonic
        self._queue: deque[tuple[float, Fact]] = deque(maxlen=most)
        self._put = 0
        self._handled = 0
        self._handle: Callable[[float, Fact], None] = lambda _at, _fact: None
        self._draining = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def dropped(self) -> int:
        """Facts that the full queue has dropped."""
        return max(self._put - self._handled - len(self._queue), 0)

    def put(self, fact: Fact) -> None:
        """Add a fact."""
        self._queue.append((self.monotonic(), fact))
        self._put += 1

    def start(self, handle: Callable[[float, Fact], None]) -> None:
        """From now on, hand the facts to `handle`, in a thread that ends with the process."""
        self._handle = handle
        self._thread = threading.Thread(target=self._drain_until_stopped, name="telemetry", daemon=True)
        self._thread.start()

    def drain(self) -> None:
        """Hand over what is in the queue. A fact on which `handle` fails is left out."""
        with self._draining:
            while self._queue:
                at, fact = self._queue.popleft()
                self._handled += 1
                try:
                    self._handle(at, fact)
                except Exception:  # noqa: BLE001  a bug in telemetry must cost nothing but telemetry
                    _LOG.debug("telemetry failed on a %s", type(fact).__name__, exc_info=True)

    def stop(self) -> None:
        """End the thread, and hand over the rest."""
        self._stop.set()
        self.drain()

    def _drain_until_stopped(self) -> None:
        while not self._stop.wait(DRAIN_SECONDS):
            self.drain()
