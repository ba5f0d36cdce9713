"""What the operator has in its Pod, for one that is a process here: its account's token and rights.

So it reads no kubeconfig, and its memory is what a Pod's is.
"""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from integration.api import open_api
from integration.cluster import ROOT, Cluster

SYSTEM = "agentberth-system"
ACCOUNT = "agentberth-operator"
TOKEN_S = 24 * 3600
_MOUNT = (
    "mount -t tmpfs tmpfs /run && mkdir -p /run/secrets/kubernetes.io && "
    'cp -r "$0" /run/secrets/kubernetes.io/serviceaccount && exec "$@"'
)
"""/var/run is /run. In a mount namespace of its own, so nothing of this machine is changed."""


async def give_rights(cluster: Cluster, folder: Path) -> None:
    """The account with the rights of deploy/base, and in `folder` what kubelet puts into a Pod for it."""
    kubectl = ("kubectl", f"--kubeconfig={cluster.kubeconfig}", "apply")
    for what in (("-f", "namespace.yaml"), ("-k", "rbac")):
        subprocess.run([*kubectl, what[0], str(ROOT / "deploy" / "base" / what[1])], check=True, capture_output=True)
    async with open_api(cluster.access, SYSTEM) as api:
        path = f"/api/v1/namespaces/{SYSTEM}/serviceaccounts/{ACCOUNT}/token"
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": TOKEN_S},
        }
        token = (await api.call("POST", path, request))["status"]["token"]
    _write(folder, {"token": token.encode(), "ca.crt": cluster.access.ca})


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)


def as_in_pod(cluster: Cluster, folder: Path) -> tuple[str, ...]:
    """A command that becomes the one after it, with what `give_rights` wrote to `folder` where a Pod has it."""
    server = urlsplit(cluster.access.server)
    address = (f"KUBERNETES_SERVICE_HOST={server.hostname}", f"KUBERNETES_SERVICE_PORT={server.port}")
    user = () if os.geteuid() == 0 else ("--map-root-user",)
    return ("env", "-u", "KUBECONFIG", *address, "unshare", "--mount", *user, "sh", "-c", _MOUNT, str(folder))
