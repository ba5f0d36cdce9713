"""What installers need of the configuration of the moment."""

from collections.abc import Callable, Mapping
from pathlib import Path

from agent_api import layout
from agent_toolproxy.currentconfig import CurrentConfig
from agent_toolproxy.installers.packager import Index
from agent_toolproxy.installers.request import InstallLimits


class InstallContext:
    """Asked at each install. `locate` gives where a path of the Pod is on this machine."""

    def __init__(self, current: CurrentConfig, locate: Callable[[str], Path]) -> None:
        self._current = current
        self._locate = locate

    @property
    def index(self) -> Index:
        """Where packages come from."""
        config = self._current.value
        return Index(
            python_url=config.python_url,
            npm_registry=config.npm_registry,
            folder=self._locate(config.index_folder) if config.index_folder else None,
        )

    @property
    def code(self) -> Path:
        """The agent's own code."""
        return self._locate(layout.SHARED_CODE)

    @property
    def packages(self) -> Mapping[str, str]:
        """Variables by which programs of the agent's code find the packages that are prepared for the agent."""
        return {
            "PYTHONPATH": str(self._locate(layout.SHARED_SDK_PYTHON)),
            "NODE_PATH": str(self._locate(f"{layout.SHARED_SDK_NODEJS}/node_modules")),
        }

    @property
    def limits(self) -> InstallLimits:
        """Bounds of one install."""
        limits = self._current.limits
        return InstallLimits(
            timeout_s=limits.install_timeout_seconds,
            download_bytes=limits.download_bytes,
            unpacked_bytes=limits.unpacked_bytes,
            unpacked_files=limits.unpacked_files,
        )
