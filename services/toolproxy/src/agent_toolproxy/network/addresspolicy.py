"""Keeps downloads and upstream servers away from addresses inside the Pod, the node and the cluster.

A name is judged by what it resolves to, at the moment of connecting: checking it before would leave time for the
answer to change. An address must be public, or in a network that the platform allows; plain http is for those alone.
"""

import ipaddress
import socket
from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import urlsplit

from aiohttp import ThreadedResolver
from aiohttp.abc import AbstractResolver, ResolveResult

from agent_toolproxy.errors import AddressRefused, SourceInvalid

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


_OWN: Final = tuple(
    ipaddress.ip_network(each)
    for each in ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "::/127", "fe80::/10", "ff00::/8")
)
"""This machine and its link. A wide network such as 0.0.0.0/0 does not open them: one that lies within does."""


class AddressPolicy:
    """Which addresses may be connected to. `allow` replaces the allowed networks and those that are never allowed."""

    def __init__(self, networks: Sequence[str] = (), blocked: Sequence[str] = ()) -> None:
        self._networks: tuple[Network, ...] = ()
        self._blocked: tuple[Network, ...] = ()
        self.allow(networks, blocked)

    def allow(self, networks: Sequence[str], blocked: Sequence[str] = ()) -> None:
        """`blocked` wins over `networks`. Raises ValueError for text that is not a CIDR."""
        self._networks = tuple(ipaddress.ip_network(each, strict=False) for each in networks)
        self._blocked = tuple(ipaddress.ip_network(each, strict=False) for each in blocked)

    def permits(self, text: str) -> bool:
        """Whether an address, as text, may be connected to."""
        try:
            address = _embedded(ipaddress.ip_address(text.partition("%")[0]))
        except ValueError:
            return False
        return self.is_trusted(address) or (_is_public(address) and not _holds(self._blocked, address))

    def is_trusted(self, address: Address) -> bool:
        """Whether it is in an allowed network."""
        if _holds(self._blocked, address):
            return False
        own = next((each for each in _OWN if _holds((each,), address)), None)
        return any(_holds((each,), address) and _is_within(each, own) for each in self._networks)

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


def _holds(networks: Iterable[Network], address: Address) -> bool:
    return any(address.version == each.version and address in each for each in networks)


def _is_within(network: Network, own: Network | None) -> bool:
    if isinstance(network, ipaddress.IPv4Network):
        return own is None or (isinstance(own, ipaddress.IPv4Network) and network.subnet_of(own))
    return own is None or (isinstance(own, ipaddress.IPv6Network) and network.subnet_of(own))


def _is_public(address: Address) -> bool:
    return address.is_global and not address.is_multicast


def _refusal(host: str) -> str:
    return f"{host} is not at a public address: the platform must name its network in policy.allowedNetworks"
