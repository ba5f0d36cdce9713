"""Keeps downloads and upstream servers away from addresses inside the Pod, the node and the cluster.

A name is judged by what it resolves to, at the moment of connecting: checking it before would leave time for the
answer to change. An address must be public, or in a network that the platform allows; plain http is for those alone.
"""

import ipaddress
import socket
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from aiohttp import ThreadedResolver
from aiohttp.abc import AbstractResolver, ResolveResult

from agent_toolproxy.errors import AddressRefused, SourceInvalid

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


class AddressPolicy:
    """Which addresses may be connected to. `allow` replaces the allowed networks."""

    def __init__(self, networks: Sequence[str] = ()) -> None:
        self._networks: tuple[Network, ...] = ()
        self.allow(networks)

    def allow(self, networks: Sequence[str]) -> None:
        """Raises ValueError for text that is not a CIDR."""
        self._networks = tuple(ipaddress.ip_network(each, strict=False) for each in networks)

    def permits(self, text: str) -> bool:
        """Whether an address, as text, may be connected to."""
        try:
            address = _embedded(ipaddress.ip_address(text.partition("%")[0]))
        except ValueError:
            return False
        return self.is_trusted(address) or _is_public(address)

    def is_trusted(self, address: Address) -> bool:
        """Whether it is in an allowed network."""
        return any(address.version == network.version and address in network for network in self._networks)

    async def check_url(self, url: str) -> None:
        """Raise AddressRefused for an address that may not be used, SourceInvalid for a scheme that may not.

        A host name passes here with https: the resolver judges it when the connection is made.
        """
        parts = urlsplit(url)
        host = parts.hostname or ""
        if parts.scheme not in ("https", "http") or not host:
            raise SourceInvalid(f"{parts.scheme or 'an empty scheme'} is not a scheme that is fetched: use https")
        if parts.scheme == "http":
            await self._check_plain(host)
        elif _is_address(host) and not self.permits(host):
            raise AddressRefused(_refusal(host))

    async def _check_plain(self, host: str) -> None:
        found = await ThreadedResolver().resolve(host, 0, family=socket.AF_UNSPEC) if not _is_address(host) else None
        addresses = [each["host"] for each in found] if found else [host]
        if not all(self.is_trusted(_embedded(ipaddress.ip_address(each.partition("%")[0]))) for each in addresses):
            raise AddressRefused(f"{host}: plain http is only for networks in policy.allowedNetworks; use https")


class PolicyResolver(AbstractResolver):
    """Resolves names to permitted addresses only."""

    def __init__(self, addresses: AddressPolicy, proxies: frozenset[str] = frozenset()) -> None:
        """`proxies` are the hosts of the network's own proxies, which are wherever the platform says."""
        self._addresses = addresses
        self._proxies = proxies
        self._inner = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Raises AddressRefused when a name has no permitted address, OSError when it has none at all."""
        found = await self._inner.resolve(host, port, family)
        if host in self._proxies:
            return found
        permitted = [each for each in found if self._addresses.permits(each["host"])]
        if not permitted:
            raise AddressRefused(_refusal(host))
        return permitted

    async def close(self) -> None:
        """Nothing is held."""


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _embedded(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for: it is what is reached."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return address.ipv4_mapped
        if address.sixtofour:
            return address.sixtofour
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _is_public(address: Address) -> bool:
    return address.is_global and not address.is_multicast


def _refusal(host: str) -> str:
    return f"{host} is not at a public address: the platform must name its network in policy.allowedNetworks"
