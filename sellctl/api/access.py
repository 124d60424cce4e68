"""Access by address: where a call comes from, which addresses and proxies may call, which host names are accepted."""

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sellctl.core.config.hosts import host_of, is_address, is_loopback
from sellctl.core.errors import SafetyRefusalError

if TYPE_CHECKING:
    from sellctl.core.config.schema import ApiConfig

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

LOOPBACK = ("127.0.0.0/8", "::1/128")
_MAX_HOPS = 20


class AccessError(Exception):
    """A call was refused because of its address."""


@dataclass(frozen=True, slots=True)
class Access:
    """Which addresses may call, through which proxies, and under which host names.

    Without TLS, only `plaintext_peers` may connect; with TLS it is None: any address may.
    """

    allow: tuple[Network, ...]
    proxies: tuple[Network, ...]
    names: frozenset[str]
    plaintext_peers: tuple[Network, ...] | None = None

    @classmethod
    def of(cls, api: "ApiConfig") -> "Access":
        """The access rules of a configuration."""
        proxies = _networks(api.proxies)
        return cls(
            allow=_networks(api.allow or LOOPBACK),
            proxies=proxies,
            names=frozenset({"localhost", *(name.lower().rstrip(".") for name in api.names)}),
            plaintext_peers=None if api.tls_cert else (*_networks(LOOPBACK), *proxies),
        )

    def caller(self, peer: str | None, forwarded: Sequence[str]) -> Address:
        """The address that a call comes from. AccessError when it may not call.

        This is the socket's peer. Only when the peer is in api.proxies is it the last address in X-Forwarded-For that
        isn't itself in api.proxies: entries further left are written by the caller and can't be trusted.
        """
        address = _address(peer)
        if self.plaintext_peers is not None and not _within(address, self.plaintext_peers):
            raise AccessError(f"Without TLS only this machine and api.proxies may connect, and {address} is neither.")
        if _within(address, self.proxies):
            address = self._caller_behind_proxy(address, forwarded)
        if not _within(address, self.allow):
            raise AccessError(f"{address} isn't in api.allow.")
        return address

    def _caller_behind_proxy(self, proxy: Address, forwarded: Sequence[str]) -> Address:
        """The last address in X-Forwarded-For that is no proxy of ours; the proxy itself when there is none."""
        hops = [hop.strip() for line in forwarded for hop in line.split(",") if hop.strip()]
        if len(hops) > _MAX_HOPS:
            raise AccessError("X-Forwarded-For is too long.")
        for hop in reversed(hops):
            address = _address(hop)
            if not _within(address, self.proxies):
                return address
        return proxy

    def answers_to(self, host: str | None) -> bool:
        """Whether a Host header is accepted: localhost, a name in api.names, or any IP address.

        Refusing other names prevents DNS rebinding.
        """
        name = host_of(host or "")
        return name is not None and (name in self.names or is_address(name))


def check_exposed(api: "ApiConfig") -> None:
    """Raise SafetyRefusalError when the API would listen beyond this machine without TLS and without a proxy."""
    local = is_loopback(api.host)
    if not local and not api.tls_cert and not api.proxies:
        raise SafetyRefusalError(
            f"api.host {api.host} can be reached from other machines, and tokens would be sent unencrypted.",
            hint="Give api.tls_cert and api.tls_key, add your proxy to api.proxies, or listen on 127.0.0.1.",
        )


def _networks(texts: Iterable[str]) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


def _address(text: str | None) -> Address:
    """The parsed address without an IPv6 zone; an IPv4-mapped IPv6 address becomes IPv4."""
    try:
        address = ipaddress.ip_address(text or "")
    except ValueError:
        raise AccessError("The caller's address can't be read.") from None
    if isinstance(address, ipaddress.IPv6Address):
        return address.ipv4_mapped or ipaddress.IPv6Address(int(address))
    return address


def _within(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)
