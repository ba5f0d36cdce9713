"""kubectl as the transport: it knows every way to log in, and the user knows it."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from agentberth.errors import CommandError

_TIMEOUT_S = 30


@dataclass(frozen=True)
class Kubectl:
    """One cluster and namespace, as kubectl's own flags name them."""

    program: str
    flags: tuple[str, ...]

    @classmethod
    def find(cls, *, context: str | None, namespace: str | None) -> "Kubectl":
        """Kubectl on the PATH.

        Raises CommandError when it is not there.
        """
        program = shutil.which("kubectl")
        if program is None:
            raise CommandError(
                "kubectl is not on the PATH", cure="install kubectl: https://kubernetes.io/docs/tasks/tools"
            )
        pairs = (("--context", context), ("--namespace", namespace))
        return cls(program, tuple(word for flag, value in pairs if value for word in (flag, value)))

    def get(self, kind: str, name: str) -> dict[str, Any]:
        """One object.

        Raises CommandError with kubectl's own words, such as that there is no such object.
        """
        found: dict[str, Any] = json.loads(self._run("get", kind, name, "--output", "json"))
        return found

    def get_if_present(self, kind: str, name: str) -> dict[str, Any] | None:
        """One object, None when it is absent. Raises CommandError."""
        text = self._run("get", kind, name, "--output", "json", "--ignore-not-found")
        found: dict[str, Any] | None = json.loads(text) if text.strip() else None
        return found

    def within(self, namespace: str) -> "Kubectl":
        """The same cluster, in another namespace: of two flags kubectl takes the last."""
        return replace(self, flags=(*self.flags, "--namespace", namespace))

    def ask(self, *words: str, documents: Sequence[dict[str, Any]] = (), timeout_s: float = _TIMEOUT_S) -> str:
        """What `kubectl WORDS` prints, with `documents` as one List at its standard input. Raises CommandError."""
        items = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(documents)}) if documents else ""
        return self._run(*words, stdin=items, timeout_s=timeout_s)

    def patch(self, kind: str, name: str, change: dict[str, Any]) -> None:
        """Merge `change` into an object. Raises CommandError with kubectl's own words."""
        self._run("patch", kind, name, "--type", "merge", "--patch", json.dumps(change))

    def select(self, kind: str, *selectors: str) -> list[dict[str, Any]]:
        """Objects by label or field selectors, given as kubectl flags."""
        found: list[dict[str, Any]] = json.loads(self._run("get", kind, *selectors, "--output", "json"))["items"]
        return found

    def logs(self, pod: str, container: str, *, lines: int, previous: bool) -> list[str]:
        """The last lines of a container's log; none when it has no log."""
        flags = ("--previous",) if previous else ()
        try:
            text = self._run("logs", pod, "--container", container, f"--tail={lines}", *flags)
        except CommandError:
            return []
        return text.splitlines()

    def _run(self, *words: str, stdin: str = "", timeout_s: float = _TIMEOUT_S) -> str:
        command: Sequence[str] = (self.program, *self.flags, *words)
        try:
            done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=timeout_s, check=False)
        except subprocess.TimeoutExpired:
            raise CommandError(
                f"the cluster did not answer within {timeout_s:g} s", cure="kubectl cluster-info"
            ) from None
        if done.returncode:
            lines = done.stderr.strip().splitlines() or ["kubectl failed"]
            raise CommandError(lines[-1].removeprefix("error: "))
        return done.stdout
