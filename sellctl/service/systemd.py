"""What a service manager is told: ready, alive, reloading, stopping. Nothing where none listens (sd_notify)."""

import os
import socket
import time
from collections.abc import Mapping


def tell(*words: str, environ: Mapping[str, str] | None = None) -> bool:
    """Send words such as READY=1 or WATCHDOG=1; whether somebody listens. Never raises."""
    address = (os.environ if environ is None else environ).get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")) or not hasattr(socket, "AF_UNIX"):
        return False
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.connect("\0" + address[1:] if address.startswith("@") else address)
            channel.sendall("\n".join(words).encode())
    except OSError:
        return False
    return True


def reloading() -> tuple[str, str]:
    """The words that systemd wants before a reload: since when, by the monotonic clock."""
    return "RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}"
