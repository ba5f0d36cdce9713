"""What the program can be told by flag or variable; everything about providers is in gateway.json."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent_api import layout
from agent_kit.settings import ServiceSettings, setting

GRANT_WAIT_S: Final = 45.0
CONFIG_FILE: Final = Path(layout.CONFIG_GATEWAY, layout.GATEWAY_KEY)
TOKEN_FILE: Final = Path(layout.CONFIG_GATEWAY, layout.TOKEN_FILE)
REPORT_KEY_FILE: Final = Path(layout.CONFIG_GATEWAY, layout.REPORT_KEY_FILE)
TERMINATION_FILE: Final = Path(layout.TERMINATION_LOG)
STATE_FILE: Final = Path(layout.TMP, "llmgateway-budget.json")


@dataclass(frozen=True, kw_only=True)
class GatewaySettings(ServiceSettings):
    """Settings of `agent-llmgateway`."""

    config: Path = setting(CONFIG_FILE, "The file gateway.json.")  # noqa: RUF009 - a Path is immutable
    host: str = setting(
        "127.0.0.1", "Address on which agents are served; loopback, because every client that reaches it spends money."
    )
    port: int = setting(layout.LLMGATEWAY_PORT, "Port on which agents are served.", at_least=0, at_most=65535)
    ops_host: str | None = setting("0.0.0.0", "Address of the ops server.")  # noqa: S104 - the kubelet's side
    ops_port: int = setting(layout.LLMGATEWAY_OPS_PORT, "Port of the ops server.", at_least=0, at_most=65535)
    token: Path = setting(  # noqa: RUF009 - likewise
        TOKEN_FILE,
        "File with the token that requests must send as their key; without the file, all requests are served.",
    )
    report_key: Path = setting(  # noqa: RUF009 - likewise
        REPORT_KEY_FILE, "File with the key that signs reports; without the file, reports are not signed."
    )
    allowed_hosts: tuple[str, ...] = setting(
        (), "Values of the Host header that are accepted besides localhost and the loopback addresses."
    )
    root: str = setting("/", "Folder below which the Pod's mounted paths are, for a run without a Pod.")
    state: Path = setting(STATE_FILE, "File that records what was spent.")  # noqa: RUF009 - likewise
    last_words: Path = setting(  # noqa: RUF009 - likewise
        TERMINATION_FILE,
        "File in which the gateway returns the unspent part of a granted budget when it stops; the kubelet reads it.",
    )
    grant_wait_s: float = setting(
        GRANT_WAIT_S,
        "Seconds that a request waits until the operator grants more of the budget.",
        at_least=0,
        at_most=600,
    )
    grace_s: float = setting(
        3600.0,
        "Seconds after SIGTERM until requests are cut off; streams have limits.drainSeconds of gateway.json.",
        at_least=0,
        at_most=86400,
    )

    def locate(self, path: Path) -> Path:
        """`path` below `root`."""
        return Path(layout.relocate(str(path), self.root))
