"""Which proxy a request goes through, as HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY say.

The standard library's own reading of NO_PROXY knows no networks, which is what OpenShift and its Operator Lifecycle
Manager write there: a program that follows it asks the company's proxy for the API server. This is the reading of
programs in Go: names with their subdomains, addresses, networks, each perhaps with a port, and `*` for everything.
Loopback never goes through a proxy.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

PROXY_VARIABLES: Final = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")
TRUST_VARIABLES: Final = (
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "GIT_SSL_CAINFO",
    "AWS_CA_BUNDLE",
)
_PORTS: Final = {"https": 443, "http": 80, "wss": 443, "ws": 80}


def network_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """What a child needs of `environ` to find its way out and to know whom to trust; no variable of it is a secret."""
    names = (*PROXY_VARIABLES, *(name.lower() for name in PROXY_VARIABLES), *TRUST_VARIABLES)
    return {name: environ[name] for name in names if environ.get(name)}


@dataclass(frozen=True)
class _Exception:
    """An entry of NO_PROXY. `port` 0 is every port."""

    host: str = ""
    network: Network | None = None
    port: int = 0

    @classmethod
    def parse(cls, text: str) -> "_Exception":
        host, port = _split(text)
        try:
            return cls(network=ipaddress.ip_network(host, strict=False), port=port)
        except ValueError:
            return cls(host=host.removeprefix("*").lower().rstrip("."), port=port)

    def covers(self, host: str, port: int) -> bool:
        if self.port not in {0, port}:
            return False
        if self.network is not None:
            address = _address(host)
            return address is not None and address.version == self.network.version and address in self.network
        if self.host.startswith("."):
            return host.endswith(self.host)
        return host == self.host or host.endswith(f".{self.host}")


@dataclass(frozen=True)
class ProxyRules:
    """Frozen; read once from an environment. Without proxies nothing goes through one."""

    https: str = ""
    http: str = ""
    everything_direct: bool = False
    exceptions: tuple[_Exception, ...] = field(default=())

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "ProxyRules":
        """Lower case wins, as with curl. A proxy without a scheme is http."""

        def read(name: str) -> str:
            return (environ.get(name.lower()) or environ.get(name) or "").strip()

        entries = [entry.strip() for entry in read("NO_PROXY").split(",") if entry.strip()]
        fallback = read("ALL_PROXY")
        return cls(
            https=_with_scheme(read("HTTPS_PROXY") or fallback),
            http=_with_scheme(read("HTTP_PROXY") or fallback),
            everything_direct="*" in entries,
            exceptions=tuple(_Exception.parse(entry) for entry in entries if entry != "*"),
        )

    def for_url(self, url: str) -> str | None:
        """The proxy's address, None for a direct connection."""
        parts = urlsplit(url)
        secure = parts.scheme in {"https", "wss"}
        proxy = self.https if secure else self.http
        host = (parts.hostname or "").lower().rstrip(".")
        if not proxy or self.everything_direct or _is_loopback(host):
            return None
        port = parts.port or _PORTS.get(parts.scheme, 0)
        return None if any(one.covers(host, port) for one in self.exceptions) else proxy

    @property
    def active(self) -> bool:
        """Whether any request goes through a proxy."""
        return bool(self.https or self.http)

    @property
    def addresses(self) -> frozenset[tuple[str, int]]:
        """Hosts and ports of the proxies themselves."""
        parts = [urlsplit(proxy) for proxy in (self.https, self.http) if proxy]
        return frozenset((each.hostname, each.port or _PORTS.get(each.scheme, 0)) for each in parts if each.hostname)


def _with_scheme(proxy: str) -> str:
    return proxy if not proxy or "://" in proxy else f"http://{proxy}"


def _split(text: str) -> tuple[str, int]:
    """Host and port; an IPv6 address has its port behind brackets."""
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        return host, _port(rest.removeprefix(":"))
    if text.count(":") == 1 and "/" not in text:
        host, _, rest = text.partition(":")
        return host, _port(rest)
    return text, 0


def _port(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return host == "localhost" or (address is not None and address.is_loopback)
