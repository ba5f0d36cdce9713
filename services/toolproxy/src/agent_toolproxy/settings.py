"""What the process is told at its start. What it serves is in tools.json, which is reloaded while it runs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent_api import layout
from agent_kit.settings import ServiceSettings, setting

_CONFIG: Final = Path(layout.CONFIG_TOOLS, layout.TOOLS_KEY)
_TOKEN: Final = Path(layout.CONFIG_TOOLS, layout.TOKEN_FILE)
_REPORT_KEY: Final = Path(layout.CONFIG_TOOLS, layout.REPORT_KEY_FILE)
_TOOLS: Final = Path(layout.TOOLS)
_WORKSPACE: Final = Path(layout.WORKSPACE)


@dataclass(frozen=True, kw_only=True)
class ToolProxySettings(ServiceSettings):
    """Flags and variables of agent-toolproxy."""

    config: Path = setting(_CONFIG, "The file tools.json.")  # noqa: RUF009 - a Path is immutable
    host: str = setting("127.0.0.1", "Address of the API and of /mcp.")
    port: int = setting(
        layout.TOOLPROXY_PORT, "Port of the API and of /mcp; 0 takes a free one.", at_least=0, at_most=65535
    )
    tools: Path = setting(_TOOLS, "Folder of installed tools; bin/ is on the agent's PATH.")  # noqa: RUF009 - a Path is immutable
    workspace: Path = setting(_WORKSPACE, "Working directory of tools; tools.lock.json is kept there.")  # noqa: RUF009 - a Path is immutable
    token: Path = setting(  # noqa: RUF009 - a Path is immutable
        _TOKEN, "File with the token that requests must send; without the file, all requests are served."
    )
    report_key: Path = setting(  # noqa: RUF009 - a Path is immutable
        _REPORT_KEY, "File with the key that signs reports; without the file, reports are not signed."
    )
    root: str = setting("/", "Folder below which the Pod's mounted paths are, on a laptop.")
    allowed_hosts: tuple[str, ...] = setting(
        (), "Values of the Host header that are accepted besides localhost and the loopback addresses."
    )
    allowed_origins: tuple[str, ...] = setting(
        (), "Values of the Origin header that are accepted; with none, browsers are refused."
    )
    ops_port: int = setting(
        layout.TOOLPROXY_OPS_PORT, "Port of the ops server; 0 takes a free one.", at_least=0, at_most=65535
    )
    ops_host: str | None = setting("0.0.0.0", "Address of the ops server.")  # noqa: S104 - the kubelet comes from outside
    grace_s: float = setting(
        20.0, "Seconds that running calls have to end after SIGTERM before they are cut off.", at_least=0, at_most=86400
    )
    watch_interval_s: float = setting(
        0.5, "Seconds between two checks of a mounted file or folder for changes.", at_least=0.01, at_most=3600
    )

    def located(self, path: str | Path) -> Path:
        """Where `path` of the Pod is on this machine."""
        return Path(layout.relocate(str(path), self.root))
