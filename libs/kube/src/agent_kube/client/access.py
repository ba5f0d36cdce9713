"""How to reach an API server and who to be there.

In a Pod everything needed is three files and two variables, so they are read here: importing kubernetes_asyncio for
it would cost 962 modules, 64 MiB and 1.4 s. A kubeconfig, with its contexts, exec plugins, OIDC and embedded
certificates, is kubernetes_asyncio's to read.

Service account tokens rotate: the file is read again every minute, and at once after a 401.
"""

import asyncio
import os
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from agent_kube.errors import ConfigurationError

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
TOKEN_AGE_S = 60.0


class Credentials(Protocol):
    """Where the Authorization header comes from."""

    async def header(self) -> str | None:
        """Value of the Authorization header, None when the client certificate is all there is."""

    async def renew(self) -> None:
        """Fetch the credentials anew: the server has just refused them."""


@dataclass(frozen=True, slots=True)
class Access:
    """One API server and one identity. `tls` is None for plain HTTP."""

    server: str
    credentials: Credentials
    tls: ssl.SSLContext | None = None
    tls_server_name: str | None = None
    proxy: str | None = None


class FixedCredentials:
    """A header that never changes, or none."""

    def __init__(self, value: str | None = None) -> None:
        self._value = value

    async def header(self) -> str | None:
        """Value of the Authorization header."""
        return self._value

    async def renew(self) -> None:
        """Nothing to fetch."""


class TokenFile:
    """A bearer token in a file that the kubelet replaces.

    Raises ConfigurationError from `header` when the file cannot be read and no token is known.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._value: str | None = None
        self._read_at = 0.0

    async def header(self) -> str | None:
        """Value of the Authorization header, at most a minute old."""
        if self._value is None or self._clock() - self._read_at >= TOKEN_AGE_S:
            await self.renew()
        return self._value

    async def renew(self) -> None:
        """Read the file. A passing failure keeps the token that is known."""
        try:
            token = (await asyncio.to_thread(self._path.read_text)).strip()
        except OSError as error:
            if self._value is None:
                raise ConfigurationError(f"cannot read the service account token {self._path}: {error}") from error
            return
        if token:
            self._value = f"Bearer {token}"
            self._read_at = self._clock()


async def open_access(environ: Mapping[str, str] = os.environ, *, context: str | None = None) -> Access:
    """Access from KUBECONFIG when set, else from the Pod's service account, else from ~/.kube/config.

    Raises ConfigurationError when none of them leads to a cluster.
    """
    if environ.get("KUBECONFIG"):
        return await _from_kubeconfig(environ["KUBECONFIG"], context)
    if environ.get("KUBERNETES_SERVICE_HOST"):
        return await asyncio.to_thread(in_cluster, environ)
    default = Path(environ.get("HOME", "/")) / ".kube" / "config"
    if await asyncio.to_thread(default.exists):
        return await _from_kubeconfig(str(default), context)
    raise ConfigurationError(
        "no cluster to talk to: set KUBECONFIG, or run in a Pod whose service account token is mounted"
    )


def in_cluster(environ: Mapping[str, str], *, account: Path = SERVICE_ACCOUNT) -> Access:
    """Access of the Pod's service account. Reads files.

    Raises ConfigurationError when the Pod has no token or no CA.
    """
    host, port = environ["KUBERNETES_SERVICE_HOST"], environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not (account / "token").exists():
        raise ConfigurationError(f"no service account token in {account}: set automountServiceAccountToken on the Pod")
    try:
        tls = tls_context(ca_file=str(account / "ca.crt"))
    except OSError as error:
        raise ConfigurationError(f"cannot read the cluster's CA {account / 'ca.crt'}: {error}") from error
    authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return Access(f"https://{authority}", TokenFile(account / "token"), tls)


def tls_context(
    *, ca_file: str | None = None, cert_file: str | None = None, key_file: str | None = None, verify: bool = True
) -> ssl.SSLContext:
    """Client context with the checks that Go clients make. Reads files, raises OSError (ssl.SSLError is one).

    Python 3.13 turned VERIFY_X509_STRICT on, which refuses the CAs of many existing clusters for a missing extension.
    """
    context = ssl.create_default_context(cafile=ca_file)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if cert_file:
        context.load_cert_chain(cert_file, keyfile=key_file)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


async def _from_kubeconfig(paths: str, context: str | None) -> Access:
    read = await asyncio.to_thread(_import_reader)
    return await read(paths, context)


def _import_reader() -> Callable[[str, str | None], Awaitable[Access]]:
    from agent_kube.client.kubeconfig import read_kubeconfig  # noqa: PLC0415  64 MiB that a Pod does not need

    return read_kubeconfig
