"""Whether NetworkPolicies hold, as far as it can be told from what is installed, and whether names are resolved."""

from collections.abc import Iterator
from typing import Final

from agentberth.preflight.finding import Finding, Plain, Surveyed

_ENFORCE: Final = frozenset(
    {
        "anetd", "antrea-agent", "azure-npm", "calico-node", "cilium", "kindnet", "kube-ovn-cni", "kube-router",
        "ovnkube-node", "weave-net",
    }
)  # fmt: skip
_IGNORE: Final = frozenset({"kube-flannel", "kube-flannel-ds"})
_AWS, _AWS_FLAG = "aws-node", "--enable-network-policy=true"
_PROBE: Final = "agentberth check --probe tries it; an agent's fence needs a plugin such as Calico or Cilium"
_DNS: Final = ("kube-dns", "coredns", "rke2-coredns-rke2-coredns", "dns-default")


def check_policies(surveyed: Surveyed) -> Iterator[Finding]:
    """Goes by the network plugin, which runs on each node."""
    found = {one["metadata"]["name"]: one for one in surveyed.kubectl.select("daemonsets", "--all-namespaces")}
    enforcing = sorted(
        name for name in found if name in _ENFORCE or (name == _AWS and _AWS_FLAG in _arguments(found[name]))
    )
    ignoring = sorted(name for name in found if name in _IGNORE or name == _AWS)
    if enforcing:
        yield Finding("network-policy", "ok", f"{enforcing[0]} enforces NetworkPolicies")
    elif ignoring:
        yield Finding(
            "network-policy",
            "error",
            f"{ignoring[0]} does not enforce NetworkPolicies: agents reach everything that the nodes reach",
            "install a network plugin that does, such as Calico or Cilium, or switch it on in the present one",
        )
    else:
        yield Finding(
            "network-policy",
            "warning",
            "no known network plugin was found, so NetworkPolicies may have no effect",
            _PROBE,
        )


def check_names(surveyed: Surveyed) -> Iterator[Finding]:
    """Whether the cluster has a DNS server with Pods behind it."""
    services = surveyed.kubectl.select("services", "--all-namespaces", "--selector=k8s-app=kube-dns")
    services += [] if services else _named(surveyed)
    if not services:
        yield Finding(
            "dns",
            "warning",
            "no Service of a DNS server was found by its label or name",
            "if agents report that names cannot be resolved, install CoreDNS",
        )
        return
    metadata = services[0]["metadata"]
    where = surveyed.kubectl.within(metadata["namespace"])
    slices = where.select("endpointslices", f"--selector=kubernetes.io/service-name={metadata['name']}")
    if not any(_is_ready(end) for one in slices for end in one.get("endpoints") or ()):
        yield Finding(
            "dns",
            "error",
            f"no ready Pod is behind {metadata['namespace']}/{metadata['name']}: names cannot be resolved",
            f"kubectl get pods --namespace {metadata['namespace']} --selector k8s-app=kube-dns",
        )
    else:
        yield Finding("dns", "ok", f"{metadata['namespace']}/{metadata['name']} answers")


def _named(surveyed: Surveyed) -> list[Plain]:
    system = surveyed.kubectl.within("kube-system")
    return [one for one in system.select("services") if one["metadata"]["name"] in _DNS]


def _is_ready(endpoint: Plain) -> bool:
    return (endpoint.get("conditions") or {}).get("ready") is not False


def _arguments(daemon: Plain) -> list[str]:
    return [word for one in daemon["spec"]["template"]["spec"]["containers"] for word in one.get("args", ())]
