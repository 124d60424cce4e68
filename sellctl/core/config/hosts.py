"""Host names and addresses as they stand in a Host header or in a URL. Pure."""

import ipaddress
import re
from urllib.parse import urlsplit

_NAME = r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?\.?"
_HOST = re.compile(rf"(?:(?P<name>{_NAME})|\[(?P<ipv6>[0-9A-Fa-f:.]+)\])(?::(?P<port>[0-9]{{1,5}}))?", re.ASCII)
LAST_PORT = 65_535
LIVE_HOST = "api.alpaca.markets"  # orders that are sent there trade real money


def host_of(text: str) -> str | None:
    """The host of `host` or `host:port`, in lower case and without a final dot; None when the text is anything else."""
    match = _HOST.fullmatch(text)
    if match is None or int(match["port"] or 0) > LAST_PORT:
        return None
    if match["ipv6"]:
        return match["ipv6"].lower() if ":" in match["ipv6"] and is_address(match["ipv6"]) else None
    return match["name"].lower().removesuffix(".")


def is_live(url: str) -> bool:
    """Whether orders that are sent to an address trade real money, as far as its host says."""
    try:
        return host_of(urlsplit(url.strip()).netloc.rpartition("@")[2]) == LIVE_HOST
    except ValueError:
        return False


def is_address(text: str) -> bool:
    """Whether a text is an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
