"""Kubeconfigs through kubernetes_asyncio: the only module that imports it, and only when there is a kubeconfig.

One Configuration is made, kept and refreshed in place; nothing reads the library's default copy, whose refreshed
tokens are lost.
"""

import asyncio
import contextlib
import ssl
import time
from collections.abc import Callable

from kubernetes_asyncio.client.configuration import Configuration
from kubernetes_asyncio.config.kube_config import KubeConfigLoader, KubeConfigMerger

from agent_kube.client.access import TOKEN_AGE_S, Access, tls_context
from agent_kube.errors import ConfigurationError


class KubeconfigCredentials:
    """The user of a kubeconfig's context.

    Looked at again every minute: token files rotate, and what exec plugins and issuers gave expires. A client
    certificate from an exec plugin is the exception: it is used until the process ends.
    """

    def __init__(
        self, loader: KubeConfigLoader, configuration: Configuration, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._loader = loader
        self._configuration = configuration
        self._clock = clock
        self._loaded_at = clock()
        self._loading = asyncio.Lock()

    async def header(self) -> str | None:
        """Value of the Authorization header, None when the user has only a client certificate."""
        if "BearerToken" in self._configuration.api_key and self._clock() - self._loaded_at >= TOKEN_AGE_S:
            await self._load()
        token: str | None = self._configuration.api_key.get("BearerToken")
        return token

    async def renew(self) -> None:
        """Ask the exec plugin, the OIDC issuer or the token file again."""
        with contextlib.suppress(AttributeError):
            del self._loader.exec_plugin_expiry
        await self._load()

    async def _load(self) -> None:
        async with self._loading:
            self._loaded_at = self._clock()
            await asyncio.to_thread(_log_in, self._loader, self._configuration)


async def read_kubeconfig(paths: str, context: str | None = None) -> Access:
    """Access of one context of the merged files in `paths` (as in KUBECONFIG).

    Raises ConfigurationError naming what is missing in them.
    """
    loader = await asyncio.to_thread(_open, paths, context)
    configuration = Configuration()
    await asyncio.to_thread(_log_in, loader, configuration)
    server = (configuration.host or "").rstrip("/")
    if not server:
        raise ConfigurationError(f"the cluster in the kubeconfig {paths} has no server")
    tls = await asyncio.to_thread(_context, configuration) if server.startswith("https") else None
    return Access(
        server,
        KubeconfigCredentials(loader, configuration),
        tls,
        configuration.tls_server_name,
        configuration.proxy,
    )


def _open(paths: str, context: str | None) -> KubeConfigLoader:
    try:
        merged = KubeConfigMerger(paths).config
        if merged is not None:
            return KubeConfigLoader(config_dict=merged, active_context=context, config_base_path=None)
    except Exception as error:  # the loader trips over a malformed file in many ways; the caller needs one sentence
        raise ConfigurationError(f"cannot use the kubeconfig {paths}: {_in_one_line(error)}") from error
    raise ConfigurationError(f"no kubeconfig at {paths}: set KUBECONFIG to an existing file")


def _context(configuration: Configuration) -> ssl.SSLContext:
    try:
        return tls_context(
            ca_file=configuration.ssl_ca_cert,
            cert_file=configuration.cert_file,
            key_file=configuration.key_file,
            verify=configuration.verify_ssl,
        )
    except OSError as error:
        raise ConfigurationError(f"the kubeconfig's certificates cannot be used: {error}") from error


def _log_in(loader: KubeConfigLoader, configuration: Configuration) -> None:
    """Run the loader in a loop of its own, since it reads files as it goes."""
    try:
        asyncio.run(loader.load_and_set(configuration))
    except Exception as error:  # exec plugins and issuers fail in their own ways; the caller needs one sentence
        raise ConfigurationError(f"the kubeconfig's user cannot log in: {_in_one_line(error)}") from error


def _in_one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
