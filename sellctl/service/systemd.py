"""Notifications to systemd (sd_notify): ready, watchdog, reloading, stopping. Without systemd they do nothing."""

import os
import socket
import time
from collections.abc import Mapping


def sd_notify(*states: str, environ: Mapping[str, str] | None = None) -> bool:
    """Send states such as READY=1 or WATCHDOG=1. Returns whether they were delivered; never raises."""
    address = (os.environ if environ is None else environ).get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")) or not hasattr(socket, "AF_UNIX"):
        return False
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.setblocking(False)  # noqa: FBT003  never block if systemd doesn't read the socket
            channel.connect("\0" + address[1:] if address.startswith("@") else address)
            channel.sendall("\n".join(states).encode())
    except OSError:
        return False
    return True


def reloading() -> tuple[str, str]:
    """The states that announce a reload; systemd requires the start time on the monotonic clock."""
    return "RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}"
