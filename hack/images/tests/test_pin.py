import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
PIN = ROOT / "hack" / "images" / "pin"
DIGEST = "sha256:" + "0123456789abcdef" * 4
ALL = [f"agent-{name}=registry.example.com:5000/berth/agent-{name}@{DIGEST}" for name in ("operator", "initenv", "toolproxy", "llmgateway")]  # fmt: skip # noqa: E501


@pytest.fixture(params=["prod", "dev"])
def overlay(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return Path(shutil.copytree(ROOT / "deploy" / "overlays" / request.param, tmp_path / "overlay"))


def pin(overlay: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(PIN), str(overlay), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_all_four_images_are_pinned_and_nothing_else_changes(overlay: Path) -> None:
    before = (overlay / "kustomization.yaml").read_text().splitlines()

    done = pin(overlay, *ALL)

    assert done.returncode == 0, done.stderr
    platform = yaml.safe_load((overlay / "platform.yaml").read_text())
    for name in ("initenv", "toolproxy", "llmgateway"):
        assert platform["images"][name] == f"registry.example.com:5000/berth/agent-{name}@{DIGEST}"
    kustomization = yaml.safe_load((overlay / "kustomization.yaml").read_text())
    wanted = {"name": "agent-operator", "newName": "registry.example.com:5000/berth/agent-operator", "digest": DIGEST}
    assert kustomization["images"] == [wanted]
    after = (overlay / "kustomization.yaml").read_text().splitlines()
    assert len(after) == len(before)
    assert sum(old != new for old, new in zip(before, after, strict=True)) == 1


def test_a_pinned_overlay_can_be_pinned_anew_by_tag(overlay: Path) -> None:
    pin(overlay, *ALL)

    done = pin(overlay, *(f"agent-{name}=agent-{name}:dev-1a2b3c4" for name in ("operator", "initenv", "toolproxy", "llmgateway")))  # fmt: skip # noqa: E501

    assert done.returncode == 0, done.stderr
    (image,) = yaml.safe_load((overlay / "kustomization.yaml").read_text())["images"]
    assert image == {"name": "agent-operator", "newName": "agent-operator", "newTag": "dev-1a2b3c4"}


@pytest.mark.parametrize(
    "words, message",
    [
        (ALL[:3], "agent-llmgateway is missing"),
        (["agent-operater=x:1", *ALL[1:]], "must be one of agent-operator"),
        (["agent-operator=x:latest", *ALL[1:]], "a tag that is not latest"),
        (["agent-operator=x", *ALL[1:]], "must end in @sha256:"),
        (["agent-operator=x@sha256:12", *ALL[1:]], "must end in @sha256:"),
    ],
)
def test_what_is_no_pin_is_refused_in_one_line_and_nothing_is_written(
    overlay: Path, words: list[str], message: str
) -> None:
    before = {file: file.read_text() for file in overlay.glob("*.yaml")}

    done = pin(overlay, *words)

    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert {file: file.read_text() for file in overlay.glob("*.yaml")} == before


def test_an_overlay_without_a_place_for_images_is_told_by_its_file(tmp_path: Path) -> None:
    (tmp_path / "platform.yaml").write_text("images: {}\n")
    (tmp_path / "kustomization.yaml").write_text("resources: []\n")

    assert "platform.yaml: must have exactly one line for initenv" in pin(tmp_path, *ALL).stderr
