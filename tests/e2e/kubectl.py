"""kubectl as the tests use it: what a person would type, with JSON for answers."""

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Document = dict[str, Any]


class KubectlError(Exception):
    """kubectl's own words for why it did not do what was asked."""


class Kubectl:
    """Runs kubectl against one cluster."""

    def __init__(self, program: str, kubeconfig: Path) -> None:
        self.place = program, str(kubeconfig)
        """The program, and the cluster that it is for."""
        self._command = (program, f"--kubeconfig={kubeconfig}", "--request-timeout=30s")

    def run(self, *arguments: str, stdin: str = "") -> str:
        """The output of `kubectl ARGUMENTS`. Raises KubectlError."""
        done = subprocess.run(
            [*self._command, *arguments], input=stdin, capture_output=True, text=True, timeout=90, check=False
        )
        if done.returncode != 0:
            raise KubectlError(done.stderr.strip())
        return done.stdout

    @contextmanager
    def follow(self, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
        """`kubectl ARGUMENTS` with its output in a pipe, for as long as it is wanted."""
        command = [part for part in self._command if not part.startswith("--request-timeout")]
        process = subprocess.Popen(
            [*command, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    def apply(self, *documents: Mapping[str, Any]) -> None:
        """Applies objects that say their own namespace, in that order."""
        if documents:
            self.run("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": documents}))

    def find(self, kind: str, name: str, namespace: str) -> Document | None:
        """One object, None when it is absent."""
        text = self.run("get", kind, name, "-n", namespace, "-o", "json", "--ignore-not-found")
        return json.loads(text) if text.strip() else None

    def list(self, kinds: str, namespace: str, selector: str = "") -> list[Document]:
        """All objects of some kinds, comma separated, in a namespace."""
        chosen = ("-l", selector) if selector else ()
        items: list[Document] = json.loads(self.run("get", kinds, "-n", namespace, "-o", "json", *chosen))["items"]
        return items

    def raw(self, path: str) -> str:
        """GET at a path of the API server."""
        return self.run("get", "--raw", path)
