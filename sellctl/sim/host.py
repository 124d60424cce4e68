"""A running simulator: the exchange with its lock and time, and access to the server's connections."""

import socket
import struct
from asyncio import Transport
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field
from threading import RLock
from typing import Any

from sellctl.sim.sim_time import SimTime
from sellctl.sim.venue.exchange import Exchange

ClientAddress = tuple[str, int]
# Closing a socket with SO_LINGER on and a timeout of 0 sends a reset instead of an orderly end.
_LINGER_RESET = struct.pack("ii", 1, 0)


def _no_transport(_client: ClientAddress) -> None:
    return None


@dataclass(slots=True)
class SimHost:
    """State shared by the HTTP and WebSocket sides. Hold `lock` while using the exchange.

    `transport_of` finds the open connection of a client, so that a fault can reset it.
    """

    exchange: Exchange
    time: SimTime
    transport_of: Callable[[ClientAddress], Transport | None] = _no_transport
    lock: RLock = field(default_factory=RLock)

    def catch_up(self) -> None:
        """Advance the exchange to the present instant of its time."""
        with self.lock:
            self.exchange.advance_to(self.time.now())

    def reset_connection(self, scope: MutableMapping[str, Any]) -> None:
        """Reset the connection of an ASGI scope, as a broken network path does."""
        transport = self.transport_of(tuple(scope["client"]))
        if transport is None:
            return
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RESET)
        transport.abort()
