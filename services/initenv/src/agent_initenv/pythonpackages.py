"""Python packages by uv: wheels only, for the agent's version of Python, into one folder for PYTHONPATH.

uv has its own retries; they are switched off so that the plan's limits count. Requirements go through a file,
because a command line can be read by every process.
"""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from agent_api.initplan import PlannedPackages
from agent_api.initreport import InitFault
from agent_base.packagenames import normalise_project
from agent_initenv.context import StepContext
from agent_initenv.errors import StepError
from agent_initenv.faults import explain
from agent_initenv.index import PackageSource
from agent_initenv.packages import order_versions, read_lock
from agent_initenv.requirements import check_python, check_version
from agent_initenv.retry import RetryPolicy

_HTTP_TIMEOUT_S: Final = 60
_LOCK_LINE: Final = re.compile(r"(?:[^-\s#]|--hash[= ]|--index-url[= ]|--extra-index-url[= ]|-i[= ])")
_SHEBANG: Final = re.compile(rb"\A(?:#!/bin/sh\n'''exec'[^\n]*\n' '''|#![^\n]*python[^\n]*)\n")
_RUN_BY_ENV: Final = b"#!/usr/bin/env python3\n"


class PythonInstaller:
    """Installs by `uv pip install --target`."""

    def __init__(self, packages: PlannedPackages, source: PackageSource, context: StepContext) -> None:
        self._packages = packages
        self._context = context
        self._env = {
            **context.environment,
            **source.trust,
            "UV_HTTP_RETRIES": "0",
            "UV_HTTP_TIMEOUT": str(_HTTP_TIMEOUT_S),
            "UV_SYSTEM_CERTS": "1",
            "UV_CACHE_DIR": str(context.cache / "uv"),
        }
        if source.python_url:
            self._env["UV_DEFAULT_INDEX"] = source.python_url

    def install(self, folder: Path, retry: RetryPolicy) -> dict[str, str]:
        """See `Installer.install`."""
        check_version(self._packages.version)
        for requirement in self._packages.requirements:
            check_python(requirement)
        listed = self._write("requirements.txt", "\n".join(self._packages.requirements))
        lock = read_lock(self._packages, self._context)
        if lock is None:
            self._run("install the packages", ["-r", str(listed)], folder, retry)
        else:
            locked = self._write("lock.txt", _check_lock(lock))
            self._run("install the lock", ["--require-hashes", "-r", str(locked)], folder, retry)
            self._check_named(listed, folder, retry)
        (folder / ".lock").unlink(missing_ok=True)
        rewrite_shebangs(folder / "bin")
        names = [normalise_project(re.split(r"[^\w.-]", text.strip())[0]) for text in self._packages.requirements]
        return order_versions(read_versions(folder), names)

    def _check_named(self, listed: Path, folder: Path, retry: RetryPolicy) -> None:
        """Hold the requirements against what the lock has installed, with no index to add from."""
        try:
            self._run("match the packages", ["--no-index", "--dry-run", "-r", str(listed)], folder, retry)
        except StepError as error:
            raise StepError(
                InitFault.UNRESOLVABLE,
                f"The lock does not satisfy the packages that are asked for: {error.cause}",
                "Make the lock file anew from spec.agent.environment.sdk.packages.",
            ) from error

    def _run(self, task: str, arguments: Sequence[str], folder: Path, retry: RetryPolicy) -> None:
        version = ["--python-version", self._packages.version] if self._packages.version else []
        fixed = ["--no-build", "--no-config", "--no-python-downloads", "--no-progress", "--color=never"]
        command = [
            self._context.programs.find("uv"),
            *("pip", "install", *fixed, "--link-mode=copy", "--python", sys.executable, *version),
            *("--target", str(folder), *arguments),
        ]
        empty = self._context.private / "empty"
        empty.mkdir(exist_ok=True)
        finished = self._context.programs.run(command, env=self._env, cwd=empty, timeout_s=retry.left_s())
        if finished.code != 0:
            raise explain("uv", task, finished.output)

    def _write(self, name: str, text: str) -> Path:
        path = self._context.private / name
        path.write_text(f"{text}\n")
        return path


def _check_lock(lock: bytes) -> str:
    """The lock's text. Raises StepError (PlanInvalid) for an option that would weaken or extend it."""
    text = lock.decode(errors="replace")
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("#") and not _LOCK_LINE.match(line.lstrip()):
            raise StepError(
                InitFault.PLAN_INVALID,
                f"The lock file has a line that is not a pinned requirement: {line.strip()[:80]!r}.",
                "Make it by `uv pip compile --generate-hashes` or `uv export`; leave options and paths out.",
            )
    return text


def rewrite_shebangs(folder: Path) -> None:
    """Let console scripts be run by whatever `python3` the agent has, not by the init container's."""
    if not folder.is_dir():
        return
    for script in folder.iterdir():
        content = script.read_bytes()
        if _SHEBANG.match(content):
            script.write_bytes(_SHEBANG.sub(_RUN_BY_ENV, content, count=1))


def read_versions(folder: Path) -> dict[str, str]:
    """The version of each installed distribution, by normalised name."""
    found = {}
    for info in folder.glob("*.dist-info"):
        name, _, version = info.name.removesuffix(".dist-info").partition("-")
        found[normalise_project(name)] = version
    return found
