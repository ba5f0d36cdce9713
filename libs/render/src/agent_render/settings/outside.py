"""What the platform says of the network outside: proxies and authorities."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from agent_api.model import Config
from agent_render.settings.network import Cidr

_ADDRESS = re.compile(r"https?://([-.a-zA-Z0-9]+|\[[0-9a-fA-F:]+\])(:[0-9]{1,5})?/?")


def _proxy(text: str) -> str:
    """Raises ValueError for what is no proxy's address. A password would be readable in every Pod."""
    if "@" in text:
        raise ValueError("must not hold a user and password: every agent could read them")
    if text and not _ADDRESS.fullmatch(text):
        raise ValueError("must be the address of a proxy such as http://proxy.example.com:3128")
    return text.rstrip("/")


ProxyAddress = Annotated[str, AfterValidator(_proxy), Field(max_length=512)]


class Proxy(Config):
    """The company's HTTP proxy, for initenv, the sidecars and the agents."""

    https: ProxyAddress = Field(default="", description="For https addresses, such as http://proxy.example.com:3128.")
    http: ProxyAddress = Field(default="", description="For http addresses.")
    no_proxy: tuple[str, ...] = Field(
        default=(),
        max_length=256,
        description="Hosts, domains (.example.com) and networks that are reached directly. Loopback, .svc and"
        " .cluster.local are so in any case.",
    )
    networks: tuple[Cidr, ...] = Field(
        default=(),
        max_length=32,
        description="Where the proxies are, if their addresses are private: policies open their ports there.",
    )


class Trust(Config):
    """Authorities that initenv, the sidecars and the agents trust."""

    config_map: str = Field(
        min_length=1,
        description="ConfigMap in each namespace of agents, such as one of trust-manager. It holds all authorities to"
        " trust, public ones included: programs take it in place of their own.",
    )
    key: str = Field(default="ca-bundle.crt", min_length=1, description="Key in it: certificates as PEM.")
