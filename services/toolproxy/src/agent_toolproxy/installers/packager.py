"""Runs uv and npm: with an environment of their own, bounded in time and in what they write, and with clear errors.

Indexes and their credentials are given in the environment and in files, never in arguments, which others can see.
"""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent_base.programfault import ProgramFault, classify, summarise
from agent_base.redaction import Redactor
from agent_toolproxy.errors import LimitExceeded, NotFound, PackageFailed, PinMismatch
from agent_toolproxy.installers.request import InstallLimits
from agent_toolproxy.process.runner import Command, ProcessLimits, ProcessResult, run_command

_OUTPUT_BYTES: Final = 1 << 20
_MEMORY_BYTES: Final = 4 << 30
_PROCESSES: Final = 512
_WATCH_S: Final = 0.5

_FINAL: Final = {
    ProgramFault.DISK_FULL: "there is no room left for the package",
    ProgramFault.UNKNOWN_AUTHORITY: "the package index has a certificate of an authority that is not trusted here; "
    "put it as `ca.crt` into the index's Secret",
    ProgramFault.ACCESS_DENIED: "the package index refused access; check the credentials in its Secret",
    ProgramFault.NO_WHEEL: "the package has no wheel for this platform, and none is built here",
    ProgramFault.CONFLICT: "what the package requires cannot be had together",
}
_SHAPES: Final = Redactor()
"""Knows no values, only what secrets look like: the text is cut below, and half a secret is not recognised later."""


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
    """What uv or npm printed, as the error that says what to do about it."""
    printed = _SHAPES.redact((result.stderr + b"\n" + result.stdout).decode("utf-8", "replace"))
    ended = f"it ended with {result.ended if result.exit_code is None else result.exit_code}"
    shown = summarise(printed) if printed.strip() else result.error or ended
    fault = classify(printed)
    if fault is ProgramFault.HASH_MISMATCH:
        return PinMismatch(f"the index now has other bytes than when it was first installed: {shown}")
    if fault in {ProgramFault.NO_PACKAGE, ProgramFault.NO_VERSION}:
        return NotFound(f"there is no such package or version: {shown}")
    if fault.is_transient:
        return PackageFailed(f"the package index could not be used: {shown}", retryable=True)
    return PackageFailed(f"{_FINAL.get(fault, 'the package could not be installed')}: {shown}")
