"""Python packages by uv: wheels only, for the agent's version of Python, into one folder for PYTHONPATH.

uv has its own retries; they are switched off so that the plan's limits count. Requirements go through a file,
because a command line can be read by every process.
"""

import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from agent_api.initreport import InitFault
from agent_base.packagenames import normalise_project
from agent_initenv.context import StepContext
from agent_initenv.errors import StepError
from agent_initenv.faults import explain
from agent_initenv.index import PackageSource
from agent_initenv.installers.packages import Installed, WantedPackages, order_versions
from agent_initenv.installers.requirements import check_python, check_version
from agent_initenv.installers.resolution import name_of, read_outdated, review
from agent_initenv.process import Finished
from agent_initenv.retry import RetryPolicy
from agent_initenv.tree import remove

_HTTP_TIMEOUT_S: Final = 60
_FIXED: Final = ("--no-config", "--no-python-downloads", "--no-progress", "--color=never")
_WARNING: Final = re.compile(r"^warning: (.*yanked.*)$", re.MULTILINE)
_LOCK_LINE: Final = re.compile(r"(?:[^-\s#]|--hash[= ]|--index-url[= ]|--extra-index-url[= ]|-i[= ])")
_SHEBANG: Final = re.compile(rb"\A(?:#!/bin/sh\n'''exec'[^\n]*\n' '''|#![^\n]*python[^\n]*)\n")
_RUN_BY_ENV: Final = b"#!/usr/bin/env python3\n"


class PythonInstaller:
    """Installs by `uv pip install --target`."""

    def __init__(self, wanted: WantedPackages, source: PackageSource, context: StepContext) -> None:
        self._wanted = wanted
        self._version = wanted.planned.version
        self._builds = wanted.planned.allow_builds
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

    def install(self, folder: Path, retry: RetryPolicy) -> Installed:
        """See `Installer.install`."""
        requirements = self._wanted.requirements
        check_version(self._version)
        for requirement in requirements:
            check_python(requirement, builds=self._builds)
        listed = self._write("requirements.txt", "\n".join(requirements))
        if self._wanted.lock is None:
            warnings = self._pip("install the packages", ["-r", str(listed)], folder, retry)
            notes = self._review(listed, folder, retry)
        else:
            locked = self._write("lock.txt", _check_lock(self._read_lock(retry)))
            warnings = self._pip("install the lock", ["--require-hashes", "-r", str(locked)], folder, retry)
            self._check_named(listed, folder, retry)
            notes = []
        (folder / ".lock").unlink(missing_ok=True)
        rewrite_shebangs(folder / "bin")
        versions = order_versions(read_versions(folder), [name_of(text) for text in requirements])
        return Installed(versions, (*notes, *_WARNING.findall(warnings)))

    def _read_lock(self, retry: RetryPolicy) -> bytes:
        """Requirements with hashes; a uv.lock is written out as such, by uv and without resolving anything."""
        if self._wanted.project is None:
            return self._wanted.lock or b""
        copy = self._context.private / "project"
        remove(copy)
        copy.mkdir()
        for name in ("pyproject.toml", "uv.lock"):
            shutil.copyfile(self._wanted.project / name, copy / name)
        kinds = ("--frozen", "--no-dev", "--no-emit-project", "--no-header", "--no-annotate")
        return self._uv("read uv.lock", ["export", *kinds, "--quiet", *_FIXED], copy, retry).encode()

    def _check_named(self, listed: Path, folder: Path, retry: RetryPolicy) -> None:
        """Hold the requirements against what the lock has installed, with no index to add from."""
        try:
            self._pip("match the packages", ["--no-index", "--dry-run", "-r", str(listed)], folder, retry)
        except StepError as error:
            raise StepError(
                InitFault.UNRESOLVABLE,
                f"The lock does not satisfy the packages that are asked for: {error.cause}",
                "Create the lock file again from spec.agent.environment.sdk.packages.",
            ) from error

    def _review(self, listed: Path, folder: Path, retry: RetryPolicy) -> list[str]:
        """Notes about what is not the newest. What the index does not answer for is not held against anybody."""
        arguments = ["pip", "list", "--outdated", "--format=json", "--target", str(folder), *_FIXED]
        finished = self._run([*arguments, "--python", sys.executable], self._empty(), retry)
        outdated = read_outdated(finished.output) if finished.code == 0 else {}

        def explain_absence(requirement: str) -> str:
            tried = self._write("newest.txt", requirement)
            arguments = self._pip_arguments(["--dry-run", "-r", str(listed), "-r", str(tried)], folder)
            return self._run(arguments, self._empty(), retry).output

        return review(self._wanted.requirements, outdated, explain_absence)

    def _pip(self, task: str, arguments: Sequence[str], folder: Path, retry: RetryPolicy) -> str:
        return self._uv(task, self._pip_arguments(arguments, folder), self._empty(), retry)

    def _pip_arguments(self, arguments: Sequence[str], folder: Path) -> list[str]:
        version = ["--python-version", self._version] if self._version else []
        builds = [] if self._builds else ["--no-build"]
        link = "copy" if self._context.keeps_cache else "hardlink"  # a cache on the same volume is removed afterwards
        return [
            *("pip", "install", *builds, *_FIXED, f"--link-mode={link}", "--python", sys.executable, *version),
            *("--target", str(folder), *arguments),
        ]

    def _uv(self, task: str, arguments: Sequence[str], cwd: Path, retry: RetryPolicy) -> str:
        finished = self._run(arguments, cwd, retry)
        if finished.code != 0:
            raise explain("uv", task, finished.output)
        return finished.output

    def _run(self, arguments: Sequence[str], cwd: Path, retry: RetryPolicy) -> Finished:
        command = [self._context.programs.find("uv"), *arguments]
        return self._context.programs.run(command, env=self._env, cwd=cwd, timeout_s=retry.left_s())

    def _empty(self) -> Path:
        """A folder without configuration of anybody's."""
        empty = self._context.private / "empty"
        empty.mkdir(exist_ok=True)
        return empty

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
