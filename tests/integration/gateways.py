"""Gateways of Pods as processes on this machine, each at an address of the loopback that stands for its Pod's."""

import random
from pathlib import Path

from contract.llmgateway.harness import Gateway
from integration.api import Document


class PlayedGateway:
    """The gateway of one Pod. Its folder is what outlives the container; `config` is the agent's ConfigMap."""

    def __init__(
        self, name: str, uid: str, folder: Path, config: Document, *, environ: dict[str, str] | None = None
    ) -> None:
        self.name, self.uid, self.folder = name, uid, folder
        self.address = f"127.{random.randint(64, 250)}.{random.randint(1, 250)}.{random.randint(1, 250)}"  # noqa: S311 - no secret
        folder.mkdir()
        (folder / "report-key").write_text(config["llmgateway-report-key"])
        (folder / "last-words").touch()
        self._config = config["gateway.json"]  # the very bytes: the report names them
        self._environ = {"AGENT_RUN_ID": uid, **(environ or {})}
        self.gateway = self.start()

    def start(self) -> Gateway:
        """Another run of the container."""
        flags = ["--report-key", str(self.folder / "report-key"), "--last-words", str(self.folder / "last-words")]
        flags += ["--ops-host", self.address, "--ops-port", "9801", "--grant-wait-s", "20"]
        return Gateway(self.folder, self._config, flags=flags, environ=self._environ)

    def kill(self) -> None:
        """SIGKILL."""
        self.gateway.popen.kill()
        self.gateway.stop()
