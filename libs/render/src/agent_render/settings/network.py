"""What the platform decides of the agents' network: the part of the settings that NetworkPolicies are made of."""

from ipaddress import ip_network
from typing import Annotated

from pydantic import AfterValidator, Field

from agent_api.model import Config

PRIVATE_CIDRS = (
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "198.18.0.0/15",
    "224.0.0.0/3",
    "fc00::/7",
    "fe80::/10",
    "ff00::/8",
    "::1/128",
)
CLUSTER_CIDRS = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
METADATA_CIDRS = (
    "169.254.0.0/16",  # link-local: AWS, Azure, Google, OpenStack and most others
    "100.100.100.200/32",  # Alibaba
    "168.63.129.16/32",  # Azure's wire server
    "192.0.0.192/32",  # Oracle
    "fd00:ec2::254/128",  # AWS
    "fd20:ce::254/128",  # Google
    "fe80::/10",
    "64:ff9b::a9fe:0/112",  # 169.254.0.0/16 through NAT64
)


OPERATOR_NAMESPACE = "agentberth-system"


def _checked(text: str) -> str:
    """Raises ValueError for what is no network, so that the operator says so at its start and not of each agent."""
    ip_network(text)
    return text


Cidr = Annotated[str, AfterValidator(_checked)]
Port = Annotated[int, Field(ge=1, le=65535)]


class Dns(Config):
    """The cluster's name servers, which every agent may ask."""

    namespace: str = Field(default="kube-system", description="Namespace of their Pods.")
    pod_labels: dict[str, str] = Field(default={"k8s-app": "kube-dns"}, description="Labels of their Pods.")
    ports: tuple[Port, ...] = Field(default=(53,), description="Ports of their Pods, UDP and TCP; OpenShift: 5353.")
    cidrs: tuple[Cidr, ...] = Field(
        default=(), description="Servers that are no Pods of the cluster's network, such as 169.254.20.10/32."
    )


class Network(Config):
    """What the NetworkPolicies of all agents have in common."""

    operator_namespace: str = Field(
        default="",
        description=f"The operator reads reports from there. Default: its own, or {OPERATOR_NAMESPACE} for `render`.",
    )
    monitoring_namespaces: tuple[str, ...] = Field(
        default=("monitoring",), description="Namespaces that may scrape the sidecars of every agent."
    )
    dns: Dns = Dns()
    public_ports: tuple[Port, ...] = Field(
        default=(80, 443), description="TCP ports of public addresses that every agent may connect to."
    )
    private_cidrs: tuple[Cidr, ...] = Field(
        default=PRIVATE_CIDRS, description="Not public: closed unless an AgentType opens a part of them."
    )
    cluster_cidrs: tuple[Cidr, ...] = Field(
        default=CLUSTER_CIDRS, description="Where Services can be: toolproxy connects there when a tool is one."
    )
    blocked_cidrs: tuple[Cidr, ...] = Field(
        default=METADATA_CIDRS, description="Closed whatever an AgentType says: metadata services of clouds."
    )
