"""Runs `archive.unpack` in a child process with limits: `python -m agent_toolproxy.installers.unpackchild`.

Python's own readers of archives believe what an archive says of itself: a tar header of a megabyte may ask for
gigabytes of memory, a zip lists millions of members before the first is unpacked. The child has a limit of memory
and a deadline, and may write to the staging folder alone; whatever happens to it is the archive's fault.
"""

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent_toolproxy.boundedjson import load_json
from agent_toolproxy.errors import InstallError, LimitExceeded, UnsafeArchive
from agent_toolproxy.installers.archive import Budget, Kind, check_links, kind_of, unpack
from agent_toolproxy.installers.request import InstallLimits
from agent_toolproxy.process.runner import Command, Confinement, ProcessLimits, run_command

MEMORY_BYTES: Final = 256 << 20
_OUTPUT_BYTES: Final = 1 << 16
_ERRORS: Final[dict[str, type[InstallError]]] = {each.__name__: each for each in (LimitExceeded, UnsafeArchive)}


@dataclass(frozen=True)
class Unpacking:
    """The archive or program at `path`; an archive goes into `folder`, which is empty."""

    path: Path
    folder: Path
    limits: InstallLimits
    hidden: Path

    async def run(self) -> Kind:
        """What the file is. Raises UnsafeArchive, LimitExceeded."""
        words = (str(self.path), str(self.folder), *map(str, (self.limits.unpacked_bytes, self.limits.unpacked_files)))
        result = await run_command(
            Command(
                program=sys.executable,
                arguments=("-I", "-m", "agent_toolproxy.installers.unpackchild", *words, str(self.limits.timeout_s)),
                folder=self.folder,
                environment={"PYTHONDONTWRITEBYTECODE": "1"},
                limits=ProcessLimits(
                    timeout_s=self.limits.timeout_s,
                    output_bytes=_OUTPUT_BYTES,
                    memory_bytes=MEMORY_BYTES,
                    processes=1,
                ),
                confinement=Confinement((self.hidden,), (self.folder,)),
            )
        )
        if result.ended == "timeout":
            raise LimitExceeded("unpacking took longer than limits.installTimeoutSeconds")
        if result.exit_code != 0:
            raise UnsafeArchive(f"the archive needs more than {MEMORY_BYTES} bytes of memory to unpack, or is damaged")
        answer = load_json(result.stdout)
        if "error" in answer:
            raise _ERRORS[answer["error"]](answer["message"])
        kind: Kind = answer["kind"]
        return kind


def main() -> None:
    """Unpack what the command line names; the outcome is a line of JSON. Exits with 1 for want of memory."""
    path, folder = Path(sys.argv[1]), Path(sys.argv[2])
    clock = time.monotonic
    budget = Budget(
        size_bytes=int(sys.argv[3]), files=int(sys.argv[4]), deadline_s=clock() + float(sys.argv[5]), clock=clock
    )
    try:
        kind = kind_of(path)
        if kind != "program":
            unpack(path, folder, budget)
            check_links(folder)
        outcome: dict[str, str] = {"kind": kind}
    except (LimitExceeded, UnsafeArchive) as error:
        outcome = {"error": type(error).__name__, "message": str(error)}
    except MemoryError:
        sys.exit(1)
    except Exception as error:  # noqa: BLE001 - the boundary: an archive's fault, whatever it is
        outcome = {"error": "UnsafeArchive", "message": f"the archive is damaged: {type(error).__name__}"}
    sys.stdout.write(json.dumps(outcome))


if __name__ == "__main__":
    main()
