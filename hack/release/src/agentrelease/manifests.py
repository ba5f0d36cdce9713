"""What a cluster is installed from without a clone: `install.yaml`, the definition alone, and the Helm chart.

All three name the images of the release by digest.
"""

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import yaml

from agentberth.cluster.bundle import Choices, installation
from agentberth.yamlout import dump

from .errors import BuildError
from .wheel import ROOT

CHART = ROOT / "charts" / "agentberth"
IMAGES = ("agent-operator", "agent-initenv", "agent-toolproxy", "agent-llmgateway", "agentberth")


def read_images(file: Path) -> dict[str, str]:
    """The images by name, from lines such as `registry.example.com/agent-operator:1.2.3@sha256:...`.

    Raises BuildError for a line without a digest, and for an image that is missing.
    """
    found: dict[str, str] = {}
    for line in filter(None, file.read_text(encoding="utf-8").splitlines()):
        tagged, _, digest = line.partition("@")
        name = tagged.rsplit(":", 1)[0] if ":" in tagged.rsplit("/", 1)[-1] else tagged
        if not digest.startswith("sha256:"):
            raise BuildError(f"{file}: {line} has no digest")
        found[name.rsplit("/", 1)[-1]] = f"{name}@{digest}"
    if missing := [name for name in IMAGES if name not in found]:
        raise BuildError(f"{file}: {', '.join(missing)} is missing")
    return found


def write_manifests(output: Path, images: Mapping[str, str]) -> tuple[Path, Path]:
    """`install.yaml`, which is what `agentberth install` applies, and `agenttype.yaml` in `output`."""
    install, definition = output / "install.yaml", output / "agenttype.yaml"
    install.write_text(dump(installation(Choices(images=images))), encoding="utf-8")
    definition.write_bytes((ROOT / "deploy/base/crds/agenttype.yaml").read_bytes())
    return install, definition


def write_chart(output: Path, version: str, images: Mapping[str, str]) -> Path:
    """The chart as `helm package` would make it, with the version and the images of the release."""
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    for part, image in (("operator", "agent-operator"), ("console", "agentberth")):
        name, _, digest = images[image].partition("@")
        values[part]["image"] |= {"repository": name, "tag": version, "digest": digest}
    values["platform"] = _platform(images)
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    chart |= {"version": version, "appVersion": version}
    changed = {"values.yaml": values, "Chart.yaml": chart}
    target = output / f"agentberth-{version}.tgz"
    with tarfile.open(target, "w:gz") as archive:
        for file in sorted(path for path in CHART.rglob("*") if path.is_file()):
            path = str(file.relative_to(CHART))
            text = yaml.safe_dump(changed[path], sort_keys=False).encode() if path in changed else file.read_bytes()
            entry = tarfile.TarInfo(f"agentberth/{path}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text))
    return target


def _platform(images: Mapping[str, str]) -> dict[str, object]:
    platform: dict[str, object] = yaml.safe_load((ROOT / "deploy/base/operator/platform.yaml").read_text("utf-8"))
    sidecars = ("initenv", "toolproxy", "llmgateway")
    return {**platform, "images": {name: images[f"agent-{name}"] for name in sidecars}}
