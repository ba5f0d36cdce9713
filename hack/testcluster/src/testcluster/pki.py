"""One certificate authority per cluster, made by the openssl program.

Elliptic curve keys, because ten of them are made in the time of one RSA key. The authority carries
`keyUsage` and the leaves carry both key identifiers: Python >= 3.13 refuses a chain without them, while Go
does not mind, so only the programs inside Pods would notice.
"""

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .errors import CommandError, MissingProgramError

VALID_DAYS = "3650"
KEY_TYPE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
SERVICE_NAMES = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local")


@dataclass(frozen=True, kw_only=True)
class Leaf:
    """A certificate for one component: its user and groups, and the names it serves under."""

    name: str
    user: str
    group: str = ""
    dns: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()

    @property
    def subject(self) -> str:
        """The subject in openssl's form; Kubernetes reads the user from CN and the group from O."""
        return f"/CN={self.user}" + (f"/O={self.group}" if self.group else "")

    @property
    def alternative_names(self) -> str:
        """The subjectAltName value, empty for a client."""
        return ",".join([f"DNS:{name}" for name in self.dns] + [f"IP:{address}" for address in self.addresses])


def control_plane_leaves(addresses: Iterable[str]) -> list[Leaf]:
    """The certificates of a control plane whose API server is reached at `addresses`."""
    return [
        Leaf(
            name="apiserver",
            user="kube-apiserver",
            dns=(*SERVICE_NAMES, "localhost"),
            addresses=tuple(addresses),
        ),
        Leaf(name="admin", user="admin", group="system:masters"),
        Leaf(name="kubelet-client", user="apiserver-kubelet-client", group="system:masters"),
        Leaf(name="kube-controller-manager", user="system:kube-controller-manager"),
        Leaf(name="kube-scheduler", user="system:kube-scheduler"),
        Leaf(name="kwok", user="kwok", group="system:masters"),
    ]


def node_leaves(*, node: str, address: str) -> list[Leaf]:
    """The certificates of a node's own components."""
    return [
        Leaf(name="kubelet", user=f"system:node:{node}", group="system:nodes", dns=(node,), addresses=(address,)),
        Leaf(name="kube-proxy", user="system:kube-proxy"),
        Leaf(name="coredns", user="coredns", group="system:masters"),
    ]


def make_pki(folder: Path, leaves: Iterable[Leaf]) -> None:
    """Writes ca, sa (the key that signs tokens) and the leaves, as NAME.crt and NAME.key, into `folder`.

    Raises MissingProgramError without openssl, CommandError when openssl refuses.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    usage = "keyUsage=critical,keyCertSign,cRLSign"
    _openssl(
        folder, "req", "-x509", *KEY_TYPE, "-keyout", "ca.key", "-out", "ca.crt", "-days", VALID_DAYS,
        "-subj", "/CN=agentberth-testcluster", "-addext", usage,
    )  # fmt: skip
    # The older form of the key on purpose: Kubernetes derives the public key from no other.
    _openssl(folder, "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "sa.key")
    for leaf in leaves:
        _sign(folder, leaf)


def _sign(folder: Path, leaf: Leaf) -> None:
    request, extensions = f"{leaf.name}.csr", f"{leaf.name}.ext"
    (folder / extensions).write_text(leaf_extensions(leaf))
    key = f"{leaf.name}.key"
    _openssl(folder, "req", *KEY_TYPE, "-keyout", key, "-out", request, "-subj", leaf.subject)
    _openssl(
        folder, "x509", "-req", "-in", request, "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
        "-days", VALID_DAYS, "-out", f"{leaf.name}.crt", "-extfile", extensions,
    )  # fmt: skip
    for made in (request, extensions):
        (folder / made).unlink()


def leaf_extensions(leaf: Leaf) -> str:
    """The extension file for openssl of one leaf."""
    lines = [
        "basicConstraints=CA:FALSE",
        "keyUsage=critical,digitalSignature,keyEncipherment",
        "extendedKeyUsage=serverAuth,clientAuth",
        "subjectKeyIdentifier=hash",
        "authorityKeyIdentifier=keyid",
    ]
    if leaf.alternative_names:
        lines.append(f"subjectAltName={leaf.alternative_names}")
    return "\n".join(lines) + "\n"


def _openssl(folder: Path, *arguments: str) -> None:
    try:
        result = subprocess.run(["openssl", *arguments], cwd=folder, check=False, capture_output=True, text=True)
    except FileNotFoundError:
        raise MissingProgramError("openssl is not on the PATH: install it (hack/testcluster/bootstrap does)") from None
    if result.returncode:
        raise CommandError(f"openssl {arguments[0]} failed: {result.stderr.strip()}")
