"""Whether there is a cluster, whether it answers, and whether it is new enough. Nothing else can be asked before."""

import json
import re
from collections.abc import Iterator
from typing import Final

from agentberth.cluster.kubectl import Kubectl
from agentberth.errors import CommandError
from agentberth.preflight.finding import Finding

OLDEST: Final = (1, 33)
_SKEW: Final = 1
_REQUEST_S: Final = 7
_ANSWER_S: Final = 30.0
"""kubectl itself, which may take long to start; the server has `_REQUEST_S`."""
_CAUSES: Final = (
    (r"context .*does not exist|no context exists", "kubectl config get-contexts lists the contexts that there are"),
    (
        r"localhost:8080|current-context is not set|no configuration|invalid configuration",
        "name a cluster: set KUBECONFIG to its kubeconfig, or choose with kubectl config use-context",
    ),
    (
        r"EOF$",  # kubectl asked for a user's name, and there is nobody to ask
        "the context has no credentials: log in anew, or fetch the kubeconfig from the cluster's provider",
    ),
    (
        r"proxyconnect|Proxy",
        "a proxy in between does not let through: put the server's host into NO_PROXY, or take the proxy away",
    ),
    (
        r"no such host|lookup .* on ",
        "the server's name is unknown here: connect to its network or VPN, or mend `server`",
    ),
    (
        r"x509|certificate",
        "the kubeconfig trusts another authority: fetch the kubeconfig anew from the cluster's provider",
    ),
    (
        r"must be logged in|Unauthorized|provide credentials",
        "log in anew: the credentials of the context are not accepted",
    ),
    (r"refused", "nothing listens at that address: start the cluster, or choose another with --context"),
    (
        r"timed? ?out|deadline|no answer|no route|unreachable",
        "check the network, VPN or firewall between here and the server",
    ),
)


def check_access(kubectl: Kubectl) -> Iterator[Finding]:
    """One error where no further question makes sense; else the versions."""
    try:
        answer = json.loads(
            kubectl.ask("version", "--output", "json", f"--request-timeout={_REQUEST_S}s", timeout_s=_ANSWER_S)
        )
    except CommandError as error:
        message = str(error)
        cure = next(
            (cure for pattern, cure in _CAUSES if re.search(pattern, message, re.IGNORECASE)), "kubectl cluster-info"
        )
        yield Finding("cluster", "error", f"the cluster cannot be reached: {message}", cure)
        return
    server, client = answer.get("serverVersion") or {}, answer.get("clientVersion") or {}
    version = _version(server)
    if version < OLDEST:
        yield Finding(
            "version",
            "error",
            f"Kubernetes {server.get('gitVersion')} is too old: {'.'.join(map(str, OLDEST))} is the oldest that works",
            "upgrade the cluster: older ones lack sidecars that start before the init container",
        )
        return
    yield Finding("version", "ok", f"Kubernetes {server.get('gitVersion')}")
    own = _version(client)
    if own[0] == version[0] and abs(own[1] - version[1]) > _SKEW:
        yield Finding(
            "kubectl",
            "warning",
            f"kubectl {client.get('gitVersion')} is more than one minor version from the cluster",
            f"install kubectl {version[0]}.{version[1]}: https://kubernetes.io/docs/tasks/tools",
        )


def _version(info: dict[str, str]) -> tuple[int, int]:
    numbers = [re.sub(r"\D.*", "", info.get(part, "")) for part in ("major", "minor")]
    major, minor = (int(number) if number else 0 for number in numbers)
    return major, minor
