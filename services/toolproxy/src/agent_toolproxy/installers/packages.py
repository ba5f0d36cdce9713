"""The classes of tool sources, by the beginning of the source: one for each row of `agent_api.toolsources`."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from agent_toolproxy.installers.https import HttpsSource
from agent_toolproxy.installers.npm import NpmSource
from agent_toolproxy.installers.onpath import PathSource
from agent_toolproxy.installers.owncode import CodeSource
from agent_toolproxy.installers.package import Package
from agent_toolproxy.installers.pypi import PypiSource

PACKAGES: Final[Mapping[str, type[Package]]] = MappingProxyType(
    {
        "https": HttpsSource,
        "http": HttpsSource,  # the address policy lets it through only to a network that the platform allows
        "pypi": PypiSource,
        "npm": NpmSource,
        "code": CodeSource,
        "path": PathSource,
    }
)
