"""Runs uv and npm: with an environment of their own, bounded in time and in what they write, and with clear errors.

Indexes and their credentials are given in the environment and in files, never in arguments, which others can see.
"""

import asyncio
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent_toolproxy.errors import LimitExceeded, NotFound, PackageFailed, PinMismatch
from agent_toolproxy.installers.request import InstallLimits
from agent_toolproxy.process.runner import Command, ProcessLimits, ProcessResult, run_command

_OUTPUT_BYTES: Final = 1 << 20
_MEMORY_BYTES: Final = 4 << 30
_PROCESSES: Final = 512
_WATCH_S: Final = 0.5
_SHOWN_CHARS: Final = 600

_CHANGED: Final = re.compile(
    r"hash mismatch|EINTEGRITY|integrity checksum failed|do not match the hashes", re.IGNORECASE
)
_PASSING: Final = re.compile(
    r"ECONN|ETIMEDOUT|EAI_AGAIN|ENOTFOUND|ENETUNREACH|EHOSTUNREACH|EPIPE|socket hang up|network|timed? ?out|"
    r"connection (?:refused|reset|closed)|error sending request|dns error|failed to (?:fetch|download)|"
    r"\b(?:429|500|502|503|504)\b",
    re.IGNORECASE,
)
_MISSING: Final = re.compile(
    r"\bE404\b|ETARGET|No matching version|not found in the package registry|no version of|"
    r"there (?:is|are) no versions? of|was not found|No solution found",
    re.IGNORECASE,
)
_NOISE: Final = re.compile(r"\x1b\[[0-9;]*m|^npm (?:error|ERR!|warn|notice) ?|^(?:error|warning): ", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Index:
    """Where packages come from; empty is the public place. `folder` has index-url, npmrc and ca.crt, each optional."""

    python_url: str = ""
    npm_registry: str = ""
    folder: Path | None = None

    def file(self, name: str) -> Path | None:
        """A file of the mounted folder, if it is there."""
        path = self.folder / name if self.folder else None
        return path if path and path.is_file() else None


@dataclass(frozen=True, kw_only=True)
class Packager:
    """A package program and the environment it always has."""

    program: str
    environment: Mapping[str, str]

    async def run(self, arguments: tuple[str, ...], folder: Path, limits: InstallLimits) -> ProcessResult:
        """Run it in `folder`, whose size is watched.

        Raises PinMismatch, NotFound, PackageFailed, LimitExceeded.
        """
        command = Command(
            program=self.program,
            arguments=arguments,
            folder=folder,
            environment={**self.environment, "HOME": str(folder), "TMPDIR": str(folder)},
            limits=ProcessLimits(
                timeout_s=limits.timeout_s,
                output_bytes=_OUTPUT_BYTES,
                memory_bytes=_MEMORY_BYTES,
                processes=_PROCESSES,
            ),
        )
        result = await _run_watched(command, limits)
        if result.ended == "timeout":
            raise LimitExceeded("the package took longer than limits.installTimeoutSeconds", retryable=True)
        if result.exit_code != 0:
            raise classify_failure(result)
        return result


async def _run_watched(command: Command, limits: InstallLimits) -> ProcessResult:
    try:
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(_watch_size(command.folder, limits))
            running = group.create_task(run_command(command))
            running.add_done_callback(lambda _: watching.cancel())
    except* LimitExceeded as errors:
        raise errors.exceptions[0] from None
    await asyncio.to_thread(check_size, command.folder, limits)
    return running.result()


async def _watch_size(folder: Path, limits: InstallLimits) -> None:
    while True:
        await asyncio.sleep(_WATCH_S)
        await asyncio.to_thread(check_size, folder, limits)


def check_size(folder: Path, limits: InstallLimits) -> None:
    """Raise LimitExceeded when `folder` holds more than an install may."""
    files = size_bytes = 0
    for parent, _, names in os.walk(folder, onerror=lambda _: None):
        for name in names:
            try:
                size_bytes += os.lstat(os.path.join(parent, name)).st_size  # noqa: PTH118 - thousands of them
            except OSError:
                continue
            files += 1
    if size_bytes > limits.unpacked_bytes:
        raise LimitExceeded("the package is larger than limits.unpackedBytes allows")
    if files > limits.unpacked_files:
        raise LimitExceeded("the package has more files than limits.unpackedFiles allows")


def classify_failure(result: ProcessResult) -> PinMismatch | NotFound | PackageFailed:
    """What uv or npm said, as the error that tells what to do about it."""
    said = _NOISE.sub("", (result.stderr + b"\n" + result.stdout).decode("utf-8", "replace"))
    text = " ".join(line.strip() for line in said.splitlines() if line.strip())[:_SHOWN_CHARS]
    shown = (
        text or result.error or f"it ended with {result.exit_code if result.exit_code is not None else result.ended}"
    )
    if _CHANGED.search(said):
        return PinMismatch(f"the index now has other bytes than when it was first installed: {shown}")
    if "building source distributions is disabled" in said or "no wheels" in said:
        return PackageFailed(f"the package has no wheel for this platform, and none is built here: {shown}")
    if _PASSING.search(said) and not re.search(r"\bE404\b", said):
        return PackageFailed(f"the package index could not be used: {shown}", retryable=True)
    if _MISSING.search(said):
        return NotFound(f"there is no such package or version: {shown}")
    return PackageFailed(f"the package could not be installed: {shown}")
