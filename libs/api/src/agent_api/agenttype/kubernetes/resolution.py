"""How the names of hosts are resolved in a Pod: /etc/hosts and resolv.conf, which take what they are given."""

from ipaddress import ip_address
from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from agent_api.agenttype.rule import ApiModel, ListMap, Matches, Rule

Address = Annotated[str, StringConstraints(min_length=2, max_length=45)]
HostName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=253),
    Matches(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*", "must be a host name in lower case"),
]


def _is_address(text: str) -> bool:
    """As CEL's isIP has it: no zone, no IPv4 in IPv6."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    return address.version == 4 or (address.ipv4_mapped is None and "%" not in text)


class HostAlias(ApiModel):
    """Names for an address, in /etc/hosts of every container of the Pod."""

    ip: Address = Field(description="IPv4 or IPv6 address.")
    hostnames: Annotated[tuple[HostName, ...], Field(min_length=1, max_length=32)] = Field(description="Its names.")

    rules: ClassVar = (
        Rule(
            message="ip must be an address such as 10.1.2.3 or fd12::7",
            reason="The API server would refuse every Pod.",
            cel="isIP(self.ip)",
            holds=lambda h: _is_address(h.ip),
            field="ip",
        ),
    )


class DnsOption(ApiModel):
    """An option of the resolver."""

    # Both end up in resolv.conf, where a line of its own could name another server.
    name: Annotated[str, StringConstraints(min_length=1, max_length=64, pattern="^[-a-z0-9_]+$")] = Field(
        description="Such as ndots."
    )
    value: Annotated[str, StringConstraints(max_length=64, pattern="^[-.A-Za-z0-9_]*$")] | None = Field(
        default=None, description='Such as "2".'
    )


class DnsConfig(ApiModel):
    """Added to what the cluster sets for name resolution."""

    nameservers: Annotated[tuple[Address, ...], Field(max_length=3)] = Field(
        default=(),
        description="Further name servers; the NetworkPolicy opens port 53 of them. SecurityPosture says so.",
    )
    searches: Annotated[tuple[HostName, ...], Field(max_length=32)] = Field(
        default=(), description="Further search domains."
    )
    options: Annotated[tuple[DnsOption, ...], Field(max_length=16), ListMap("name")] = Field(
        default=(), description="Options of the resolver."
    )

    rules: ClassVar = (
        Rule(
            message="nameservers must be addresses such as 10.1.2.3 or fd12::7",
            reason="The API server would refuse every Pod.",
            cel="!has(self.nameservers) || self.nameservers.all(n, isIP(n))",
            holds=lambda d: all(map(_is_address, d.nameservers)),
            field="nameservers",
        ),
    )
