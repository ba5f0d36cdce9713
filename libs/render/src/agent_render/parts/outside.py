"""The way out of a company's network: its proxies, and the authorities to trust, in the variables that programs read.

Both are the platform's. There is no one variable for either, so each is given in all the spellings that clients of
HTTP, package tools and git look for.
"""

from collections.abc import Iterable

from agent_api import layout
from agent_render.identity import Manifest
from agent_render.parts.part import PodPart, mount, variable
from agent_render.settings import PlatformSettings

IN_CLUSTER = ("localhost", "127.0.0.1", "::1", ".svc", ".cluster.local")
TRUST_FILE = f"{layout.TRUST}/ca.crt"
_VOLUME = "trust"
_PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")
_TRUSTING = (
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "GIT_SSL_CAINFO",
    "AWS_CA_BUNDLE",
)


def variables(settings: PlatformSettings) -> tuple[Manifest, ...]:
    """For every container of ours and the agent's; empty where the platform has neither."""
    proxy = settings.proxy
    found = {"HTTPS_PROXY": proxy.https, "HTTP_PROXY": proxy.http}
    if any(found.values()):
        found["NO_PROXY"] = ",".join(dict.fromkeys((*IN_CLUSTER, *proxy.no_proxy)))
    spelled = {spelling: value for name, value in found.items() if value for spelling in (name, name.lower())}
    trusted = dict.fromkeys(_TRUSTING, TRUST_FILE) if settings.trust else {}
    return tuple(variable(name, value) for name, value in (spelled | trusted).items())


def exceptions(names: Iterable[str]) -> tuple[Manifest, ...]:
    """NO_PROXY for an agent that sets a proxy itself: else its own sidecars would be asked through it."""
    if {name.upper() for name in names}.isdisjoint(_PROXIES):
        return ()
    return tuple(variable(name, ",".join(IN_CLUSTER)) for name in ("NO_PROXY", "no_proxy"))


def mounts(settings: PlatformSettings) -> tuple[Manifest, ...]:
    """Of the same containers."""
    return (mount(_VOLUME, layout.TRUST),) if settings.trust else ()


def part(settings: PlatformSettings) -> PodPart:
    """The volume, and what the agent gets."""
    if settings.trust is None:
        return PodPart(agent_env=variables(settings))
    source = {"name": settings.trust.config_map, "items": [{"key": settings.trust.key, "path": "ca.crt"}]}
    return PodPart(
        volumes=({"name": _VOLUME, "configMap": source},),
        agent_mounts=mounts(settings),
        agent_env=variables(settings),
    )
