"""Kubeconfig documents, as JSON (which is YAML) with the certificates inside.

A file that holds everything can be copied, mounted or read by another user of the machine's tests without
its cluster's folder.
"""

import base64
import json
from pathlib import Path
from typing import Any

from .cache import replace_text

CLUSTER_NAME = "agentberth-testcluster"


def kubeconfig(*, server: str, user: str, authority: bytes, certificate: bytes, key: bytes) -> dict[str, Any]:
    """A kubeconfig with one cluster, one user and one context. `server` is an URL, the rest is PEM."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": CLUSTER_NAME,
        "clusters": [
            {"name": CLUSTER_NAME, "cluster": {"server": server, "certificate-authority-data": _encode(authority)}}
        ],
        "users": [
            {
                "name": user,
                "user": {"client-certificate-data": _encode(certificate), "client-key-data": _encode(key)},
            }
        ],
        "contexts": [{"name": CLUSTER_NAME, "context": {"cluster": CLUSTER_NAME, "user": user}}],
    }


def write_kubeconfig(path: Path, *, server: str, user: str, pki: Path) -> None:
    """Writes the kubeconfig of `user`, whose certificate is in `pki`, readable by its owner alone."""
    document = kubeconfig(
        server=server,
        user=user,
        authority=(pki / "ca.crt").read_bytes(),
        certificate=(pki / f"{user}.crt").read_bytes(),
        key=(pki / f"{user}.key").read_bytes(),
    )
    replace_text(path, json.dumps(document, indent=1) + "\n")
    path.chmod(0o600)


def _encode(pem: bytes) -> str:
    return base64.b64encode(pem).decode()
