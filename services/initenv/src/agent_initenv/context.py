"""What every step works with: the volume, the programs, the environment they get, and where they say things."""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent_base.redaction import Redactor
from agent_initenv.process import Programs
from agent_initenv.progress import Progress
from agent_initenv.tree import remove
from agent_initenv.volume import Volume, digest

# What a child inherits. Everything else of our environment stays with us.
_INHERITED: Final = (
    "PATH",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
)


@dataclass(frozen=True)
class StepContext:
    """`private` is a folder of mode 0700 for secrets and homes, gone at the end.

    `cache` is for downloads. One that was not given lies on the shared volume, so that nothing is unpacked twice, and
    goes when the run succeeds; `keeps_cache` is true for one that was given.
    """

    volume: Volume
    programs: Programs
    progress: Progress
    redactor: Redactor
    environment: Mapping[str, str]
    private: Path
    cache: Path
    keeps_cache: bool = False


def child_environment(inherited: Mapping[str, str], private: Path) -> dict[str, str]:
    """The environment of every child: its way to the network, a home of its own, and nothing of ours."""
    home = private / "home"
    home.mkdir(exist_ok=True)
    kept = {name: inherited[name] for name in _INHERITED if inherited.get(name)}
    return {"PATH": os.defpath, **kept, "HOME": str(home), "TMPDIR": str(private), "LC_ALL": "C.UTF-8"}


def make_private_folder(tmp: Path, volume: Volume) -> Path:
    """A fresh folder of mode 0700 below `tmp`, after removing those of killed runs for the same volume."""
    prefix = f"agentberth-init-{digest(str(volume.shared))[:12]}-"
    tmp.mkdir(parents=True, exist_ok=True)
    for stale in tmp.glob(f"{prefix}*"):
        if not stale.is_symlink() and stale.stat().st_uid == os.getuid():
            remove(stale)
    return Path(tempfile.mkdtemp(prefix=prefix, dir=tmp))
