"""Real git repositories, and `git http-backend` behind a real HTTP server."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from contract.initenv.package_index import FaultyServer

_ENV = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@example.com",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.com",
}


class Repository:
    """A repository with a working tree, in which a test makes commits."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments: str) -> str:
        env = {**_ENV, "PATH": os.environ["PATH"], "HOME": str(self.folder)}
        return subprocess.run(
            ["git", *arguments], cwd=self.folder, env=env, check=True, capture_output=True, text=True
        ).stdout.strip()

    def commit(self, **files: str) -> str:
        """Write files (`__` in a name is `/`, a final `_py` is `.py`) and commit; the commit's id."""
        for name, content in files.items():
            path = self.folder / name.replace("__", "/").replace("_py", ".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message=a change")
        return self.git("rev-parse", "HEAD")


class GitServer(FaultyServer):
    """Serves the repositories below `folder` by smart HTTP, one process of git's own backend a request."""

    def __init__(
        self,
        folder: Path,
        *,
        protocol: str = "version=2",
        tls: tuple[Path, Path] | None = None,
        address: str = "127.0.0.1",
    ) -> None:
        super().__init__(tls, address=address)
        self._folder = folder
        self._protocol = protocol

    def url(self, name: str) -> str:
        return f"{self.origin}/{name}/.git"

    def answer(
        self, path: str, headers: Mapping[str, str], method: str = "GET", body: bytes = b""
    ) -> tuple[int, str, bytes]:
        where, _, query = path.partition("?")
        lowered = {name.lower(): value for name, value in headers.items()}
        env = {
            **_ENV,
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self._folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": where,
            "QUERY_STRING": query,
            "REQUEST_METHOD": method,
            "CONTENT_TYPE": lowered.get("content-type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": lowered.get("content-encoding", ""),
            "GIT_PROTOCOL": self._protocol,
        }
        done = subprocess.run(["git", "http-backend"], env=env, input=body, capture_output=True, check=False)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().splitlines() if ": " in line)
        return int(fields.get("Status", "200").split()[0]), fields.get("Content-Type", ""), content
