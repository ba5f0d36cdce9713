"""The shared volume: where things are, and how a step's result appears there all at once.

Everything is built in a staging folder on the same volume and renamed into place; a stamp written last says
from which input. A run that was killed at any moment therefore leaves either what was there before or what
was to be there, and at worst a staging folder, which the next run removes.

    /shared/.agentberth/           mode 0700: the agent has no business here
        lock                       held while a run lasts
        staging/                   half-made things
        stamps/<step>.json         see `Stamp`
        cache/                     downloads, until the packages are installed
"""

import fcntl
import json
import os
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final

from agent_api.initreport import InitFault
from agent_api.layout import SHARED, relocate
from agent_base.atomicfile import write_atomically
from agent_initenv.errors import StepError
from agent_initenv.tree import remove

OWN_FOLDER: Final = ".agentberth"


@dataclass(frozen=True)
class Stamp:
    """What a step made: enough to know that it need not be made again, and to report it as before.

    `paths` are the files that the step owns when it does not own a whole folder.
    """

    fingerprint: str
    detail: str = ""
    size_bytes: int = 0
    versions: dict[str, str] = field(default_factory=dict)
    paths: tuple[str, ...] = ()


def digest(*parts: object) -> str:
    """A fingerprint of JSON-able values."""
    return sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


class Volume:
    """The volume below `root`; `root` "/" is the Pod's own file system."""

    def __init__(self, root: str) -> None:
        self._root = root
        self.shared = Path(relocate(SHARED, root))
        self._own = self.shared / OWN_FOLDER
        self._staging = self._own / "staging"
        self._stamps = self._own / "stamps"
        self.cache = self._own / "cache"

    def locate(self, pod_path: str) -> Path:
        """Where a path of the Pod is here."""
        return Path(relocate(pod_path, self._root))

    def open(self) -> int:
        """Make the own folders, take the lock and remove what a killed run left; the lock's descriptor.

        Raises StepError (Unexpected) when another run holds the lock.
        """
        self.shared.mkdir(parents=True, exist_ok=True)
        self._own.mkdir(mode=0o700, exist_ok=True)
        lock = os.open(self._own / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise StepError(
                InitFault.UNEXPECTED,
                f"Another agent-initenv is preparing {self.shared} right now.",
                "Wait for it to end, or end it.",
            ) from None
        self.clear_staging()
        self._stamps.mkdir(exist_ok=True)
        return lock

    def clear_staging(self) -> None:
        """Remove whatever is half-made."""
        remove(self._staging)

    def wipe(self) -> None:
        """Empty the volume, stamps first, so that being killed here is safe too."""
        remove(self._stamps)
        self._stamps.mkdir()
        for entry in self.shared.iterdir():
            if entry.name != OWN_FOLDER:
                remove(entry)

    def stage(self, name: str) -> Path:
        """An empty staging folder."""
        folder = self._staging / name
        remove(folder)
        folder.mkdir(parents=True)
        return folder

    def staged(self, name: str) -> Path:
        """The staging folder that `stage` made."""
        return self._staging / name

    def publish(self, step: str, staged: Path, target: Path, stamp: Stamp) -> None:
        """Put the folder `staged` in the place of `target` and write the stamp.

        Without its stamp a target is never trusted, so it goes first.
        """
        self.drop_stamp(step)
        target.parent.mkdir(parents=True, exist_ok=True)
        replaced = self._staging / f"replaced-{step}"
        remove(replaced)
        if target.is_symlink() or target.exists():
            target.rename(replaced)
        staged.rename(target)
        self.write_stamp(step, stamp)
        remove(replaced)

    def forget(self, step: str, target: Path) -> None:
        """Remove what a step of an earlier plan put at `target`; what has no stamp is not ours."""
        if self.read_stamp(step) is None:
            return
        if target.is_symlink() or target.exists():
            target.rename(self.stage(f"forgotten-{step}") / "it")
        self.drop_stamp(step)
        self.clear_staging()

    def read_stamp(self, step: str) -> Stamp | None:
        """The stamp of a step; None when there is none that can be read."""
        try:
            document = json.loads((self._stamps / f"{step}.json").read_bytes())
            return Stamp(**{**document, "paths": tuple(document["paths"])})
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def write_stamp(self, step: str, stamp: Stamp) -> None:
        """Replace the stamp of a step."""
        self._staging.mkdir(exist_ok=True)
        content = json.dumps(asdict(stamp)).encode()
        write_atomically(self._stamps / f"{step}.json", content, staging=self._staging)

    def drop_stamp(self, step: str) -> None:
        """Trust a step's result no more."""
        (self._stamps / f"{step}.json").unlink(missing_ok=True)
