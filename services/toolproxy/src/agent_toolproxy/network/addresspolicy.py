"""Keeps downloads and upstream servers away from addresses inside the Pod, the node and the cluster.

A name is judged by what it resolves to, at the moment of connecting: checking it before would leave time for the
answer to change. An address must be public, or in a network that the platform allows; plain http is for those alone.
"""

import ipaddress
import socket
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

from aiohttp import ThreadedResolver
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from agent_toolproxy.errors import AddressRefused, SourceInvalid

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_GLOBAL_UNICAST: Final = ipaddress.ip_network("2000::/3")
_ENDING_IN_IPV4: Final = tuple(
    ipaddress.ip_network(each) for each in ("::/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48")
)
"""Compatible, translated, NAT64, and NAT64 of one's own."""
_ISATAP: Final = (0x00005EFE, 0x02005EFE)
_LOWEST_COMPATIBLE: Final = 2  # :: and ::1 are addresses of their own
_OWN: Final = tuple(
    ipaddress.ip_network(each)
    for each in (
        "0.0.0.0/8",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "224.0.0.0/4",
        "255.255.255.255/32",
        "::/127",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
    )
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
            address = ipaddress.ip_address(text.partition("%")[0])
        except ValueError:
            return False
        if any(_holds(self._blocked, face) for face in (address, _embedded(address))):
            return False
        return self.is_trusted(address) or _is_public(_embedded(address))

    def is_trusted(self, address: Address) -> bool:
        """Whether it is in an allowed network."""
        reached = _embedded(address)
        if any(_holds(self._blocked, face) for face in (address, reached)):
            return False
        own = next((each for each in _OWN if _holds((each,), reached)), None)
        return any(_holds((each,), reached) and _is_within(each, own) for each in self._networks)

    async def check_url(self, url: str) -> None:
        """Raise AddressRefused for an address that may not be used, SourceInvalid for a scheme that may not.

        A host name passes here with https: the resolver judges it when the connection is made.
        """
        scheme, host = _split(url)
        if scheme not in ("https", "http") or not host:
            raise SourceInvalid(f"{scheme or 'an empty scheme'} is not a scheme that is fetched: use https")
        literal = _literal(host)
        if scheme == "http":
            await self._check_plain(host, literal)
        elif literal is not None and not self.permits(literal):
            raise AddressRefused(_refusal(host))

    async def _check_plain(self, host: str, literal: str | None) -> None:
        found = await ThreadedResolver().resolve(host, 0, family=socket.AF_UNSPEC) if literal is None else []
        addresses = [each["host"] for each in found] or [literal or ""]
        if not all(self.is_trusted(ipaddress.ip_address(each.partition("%")[0])) for each in addresses):
            raise AddressRefused(f"{host}: plain http is only for networks in policy.allowedNetworks; use https")


class PolicyResolver(AbstractResolver):
    """Resolves names to permitted addresses only."""

    def __init__(self, addresses: AddressPolicy, proxies: frozenset[tuple[str, int]] = frozenset()) -> None:
        """`proxies` are hosts and ports of the network's own proxies, which are wherever the platform says."""
        self._addresses = addresses
        self._proxies = proxies
        self._inner = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Raises AddressRefused when a name has no permitted address, OSError when it has none at all."""
        found = await self._inner.resolve(host, port, family)
        if (host, port) in self._proxies:
            return found
        permitted = [each for each in found if self._addresses.permits(each["host"])]
        if not permitted:
            raise AddressRefused(_refusal(host))
        return permitted

    async def close(self) -> None:
        """Nothing is held."""


@lru_cache(maxsize=64)
def _split(url: str) -> tuple[str, str]:
    """Scheme and host, as the client that connects reads them: two readings of one URL would be a way around."""
    try:
        parts = URL(url, encoded=True)
        scheme, host = parts.scheme, parts.host or ""
    except ValueError:
        return "", ""
    return scheme, host


@lru_cache(maxsize=64)
def _literal(host: str) -> str | None:
    """The address that a host is, in whatever spelling: 2130706433 and 0x7f.1 are not names either."""
    host = unicodedata.normalize("NFKC", host).replace("\u3002", ".").rstrip(".")
    try:
        return str(ipaddress.ip_address(host.partition("%")[0]))
    except ValueError:
        pass
    try:
        return socket.inet_ntoa(socket.inet_aton(host))
    except (OSError, UnicodeError):
        return None


def _embedded(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for: it is what is reached."""
    if not isinstance(address, ipaddress.IPv6Address):
        return address
    found = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
    if found is not None:
        return found
    number = int(address)
    is_isatap = (number >> 32) & 0xFFFFFFFF in _ISATAP
    ends_in_ipv4 = is_isatap or (_holds(_ENDING_IN_IPV4, address) and number >= _LOWEST_COMPATIBLE)
    return ipaddress.IPv4Address(number & 0xFFFFFFFF) if ends_in_ipv4 else address


def _holds(networks: Iterable[Network], address: Address) -> bool:
    return any(address.version == each.version and address in each for each in networks)


def _is_within(network: Network, own: Network | None) -> bool:
    if isinstance(network, ipaddress.IPv4Network):
        return own is None or (isinstance(own, ipaddress.IPv4Network) and network.subnet_of(own))
    return own is None or (isinstance(own, ipaddress.IPv6Network) and network.subnet_of(own))


def _is_public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and address not in _GLOBAL_UNICAST:
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved)


def _refusal(host: str) -> str:
    return f"{host} is not at a public address: the platform must name its network in policy.allowedNetworks"
