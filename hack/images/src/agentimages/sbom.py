"""A CycloneDX document per image: the Python distributions that the lock puts into it.

uv writes it from uv.lock, so it says what was decided, with hashes, not what a scanner makes out. Debian's
packages and the base image's own are not in it: a registry's scanner sees those.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from .context import ROOT
from .errors import BuildFailedError

SUFFIX = ".cdx.json"
SPEC_VERSION = "1.5"
_UV = ROOT / ".tools" / "bin" / "uv"


def sbom_path(archive: Path) -> Path:
    """Where the document of an archive is."""
    return archive.with_suffix(SUFFIX)


def write_sbom(package: str, image: str, target: Path) -> None:
    """Writes the document of a workspace `package` as part of `image`. Raises BuildFailedError."""
    partial = target.with_name(f"{target.name}.partial")
    partial.write_text(sbom_text(package, image), encoding="utf-8")
    partial.replace(target)


def sbom_text(package: str, image: str) -> str:
    """The document as it is written. Raises BuildFailedError."""
    return json.dumps(make_sbom(package, image), indent=2) + "\n"


def make_sbom(package: str, image: str) -> dict[str, Any]:
    """What uv exports for the package, with the image above it as what the document is about.

    Raises BuildFailedError.
    """
    document: dict[str, Any] = json.loads(_export(package))
    component = document["metadata"]["component"]
    name, _, version = image.rpartition(":")
    about = {"type": "container", "bom-ref": image, "name": name.rpartition("/")[2], "version": version}
    document["metadata"]["component"] = about
    document["components"].insert(0, component)
    document["dependencies"].insert(0, {"ref": image, "dependsOn": [component["bom-ref"]]})
    return document


def _export(package: str) -> str:
    uv = str(_UV) if _UV.exists() else shutil.which("uv")
    if uv is None:
        raise BuildFailedError("uv writes the SBOM, and it is not here: make setup")
    options = ("--frozen", "--no-dev", f"--format=cyclonedx{SPEC_VERSION}", "--preview-features=sbom-export")
    command = [uv, "export", "--quiet", *options, f"--package={package}"]
    done = subprocess.run(command, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildFailedError(f"uv export failed: {done.stderr.strip()}")
    return done.stdout
