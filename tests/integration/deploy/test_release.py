"""What a release offers for a cluster names every image by its digest, and deploys the base."""

from pathlib import Path

import helm_python as helm
import pytest
import yaml
from agentrelease import cli
from agentrelease.manifests import read_images
from integration.deploy.kustomizing import DEPLOY, render
from integration.deploy.test_chart import compared

from agentberth.cluster.bundle import Choices, installation

DIGEST = f"sha256:{'b' * 64}"
NAMES = ("agent-initenv", "agent-llmgateway", "agent-operator", "agent-toolproxy")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    file = tmp_path / "images.txt"
    file.write_text(
        "".join(f"registry.example.com:5000/berth/{name}:1.2.3@{DIGEST}\n" for name in (*NAMES, "agentberth"))
    )
    return file


def build(images: Path, output: Path) -> int:
    return cli.main(["manifests", "--version", "1.2.3", "--images", str(images), "--output", str(output)])


def test_install_yaml_and_the_chart_have_all_images_by_digest(images: Path, tmp_path: Path) -> None:
    assert build(images, tmp_path / "dist") == 0

    installed = [one for one in yaml.safe_load_all((tmp_path / "dist/install.yaml").read_text()) if one]
    with helm.Chart.load(tmp_path / "dist/agentberth-1.2.3.tgz") as chart:
        assert chart.version == "1.2.3"
        texts = chart.render({}, name="agentberth", namespace="agentberth-system").values()
        shown = chart.render({"console": {"enabled": True}}, name="agentberth", namespace="agentberth-system").values()
    assert f"registry.example.com:5000/berth/agentberth@{DIGEST}" in "\n".join(shown)
    for text in ((tmp_path / "dist/install.yaml").read_text(), "\n".join(texts)):
        for name in NAMES:
            assert f"registry.example.com:5000/berth/{name}@{DIGEST}" in text
        assert "agent-operator:0.1.0" not in text
    kinds = sorted(one["kind"] for one in installed)
    assert kinds == sorted(one["kind"] for one in render(DEPLOY / "base"))
    assert installed == installation(Choices(images=read_images(images)))
    definition = yaml.safe_load((tmp_path / "dist/agenttype.yaml").read_text())
    assert definition["metadata"]["name"] == "agenttypes.agents.example.com"


def test_what_the_command_installs_is_the_base() -> None:
    assert compared(installation(Choices())) == compared(render(DEPLOY / "base"))


@pytest.mark.parametrize(
    "text, message",
    [
        ("registry.example.com/agent-operator:1.2.3\n", "has no digest"),
        (f"registry.example.com/agent-operator:1.2.3@{DIGEST}\n", "is missing"),
    ],
)
def test_a_release_without_a_digest_is_not_made(
    text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "images.txt"
    file.write_text(text)

    assert build(file, tmp_path / "dist") == 1
    assert message in capsys.readouterr().err
    assert not list((tmp_path / "dist").iterdir())
