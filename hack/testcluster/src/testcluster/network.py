"""The node's network: one veth pair between the host and the node's own namespaces.

Everything on the node's side is done from outside through nsenter, so that the supervisor inside needs to
know nothing but processes. The host keeps its firewall: it only gets an interface and two routes, and both
vanish with the namespace.
"""

from pathlib import Path

from .errors import UsageError
from .host import run_command

NODE_ADDRESS = "10.89.0.1"
HOST_ADDRESS = "10.89.0.254"
POD_RANGE = "10.244.0.0/16"
HOST_LINK, NODE_LINK = "tchost", "tcnode"
NAMESPACES = (
    "unshare",
    "--net",
    "--mount",
    "--pid",
    "--fork",
    "--kill-child",
    "--mount-proc",
    "--propagation",
    "private",
)


class NodeNamespace:
    """The namespaces that a supervisor's process lives in."""

    def __init__(self, pid: int) -> None:
        self._pid = pid

    def run(self, *argv: str) -> str:
        """Runs a command inside. Raises CommandError."""
        return run_command(["nsenter", f"--target={self._pid}", "--net", "--mount", "--", *argv])

    def mount_memory(self, *folders: Path) -> None:
        """State that must not outlive the node (leases, network namespaces, shims) goes to memory."""
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
            self.run("mount", "-t", "tmpfs", "tmpfs", str(folder))

    def connect(self, *, routed: tuple[str, ...]) -> None:
        """Makes the veth pair; the host reaches the ranges in `routed` through the node."""
        peer = ["peer", "name", NODE_LINK, "netns", str(self._pid)]
        run_command(["ip", "link", "add", HOST_LINK, "type", "veth", *peer])
        run_command(["ip", "addr", "add", f"{HOST_ADDRESS}/24", "dev", HOST_LINK])
        run_command(["ip", "link", "set", HOST_LINK, "up"])
        self.run("ip", "link", "set", "lo", "up")
        self.run("ip", "addr", "add", f"{NODE_ADDRESS}/24", "dev", NODE_LINK)
        self.run("ip", "link", "set", NODE_LINK, "up")
        self.run("ip", "route", "add", "default", "via", HOST_ADDRESS)
        self.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
        for target in routed:
            run_command(["ip", "route", "add", target, "via", NODE_ADDRESS])


def require_free_network() -> None:
    """Raises UsageError when another node runs on this host: addresses and names are fixed."""
    if Path(f"/sys/class/net/{HOST_LINK}").exists():
        raise UsageError(f"interface {HOST_LINK} exists: another node runs here; end it with its --home and down")


def disconnect() -> None:
    """Removes the host's end, if it is still there."""
    if Path(f"/sys/class/net/{HOST_LINK}").exists():
        run_command(["ip", "link", "del", HOST_LINK], check=False)
