import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from .conftest import Run

GIT = """\
apiVersion: agents.example.com/v1
kind: AgentType
metadata: {name: web}
spec:
  agent: {image: "nginx:1.27", ports: [{name: http, containerPort: 8080}]}
"""


def test_it_prints_every_manifest_as_one_stream(agentberth: Run, tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text(GIT)

    done = agentberth("render", "web.yaml", "--namespace", "blue")

    manifests = list(yaml.safe_load_all(done.stdout))
    assert [m["kind"] for m in manifests] == ["ServiceAccount", "NetworkPolicy", "Service", "Deployment"]
    assert {m["metadata"]["namespace"] for m in manifests} == {"blue"}


def test_platform_settings_come_from_a_file(agentberth: Run, tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text(GIT)
    (tmp_path / "platform.yaml").write_text("securityProfile: baseline\nterminationGraceSeconds: 5\n")

    done = agentberth("render", "web.yaml", "--settings", "platform.yaml")

    *_, deployment = yaml.safe_load_all(done.stdout)
    assert deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 5


def test_a_tool_of_the_catalogue_is_described_in_the_agents_own_config(agentberth: Run, tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text(GIT + "  tools: {required: [jq, mine]}\n")
    (tmp_path / "platform.yaml").write_text("catalogue: {mine: {name: mine, source: 'pypi:mine==1.0'}}\n")

    done = agentberth("render", "web.yaml", "--settings", "platform.yaml")

    config = next(m for m in yaml.safe_load_all(done.stdout) if m["kind"] == "ConfigMap")
    jq, mine = json.loads(config["data"]["tools.json"])["tools"]
    assert jq["catalogue"]["inputSchema"]["required"] == ["filter"]
    assert mine["catalogue"]["source"] == "pypi:mine==1.0"


def test_wrong_settings_are_told_by_name(agentberth: Run, tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text(GIT)
    (tmp_path / "platform.yaml").write_text("securityProfil: baseline\n")

    done = agentberth("render", "web.yaml", "--settings", "platform.yaml")

    assert done.returncode == 1
    assert done.stderr.startswith("error: platform.yaml:1:1: securityProfil: ")


def test_a_folder_beside_the_manifest_is_for_run_alone(agentberth: Run, agent: Callable[..., Path]) -> None:
    done = agentberth("render", str(agent("print()")))

    assert done.returncode == 1
    assert "which a Pod cannot see" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("text", ["kind: ConfigMap\n", ""])
def test_without_an_agent_type_there_is_nothing_to_render(agentberth: Run, tmp_path: Path, text: str) -> None:
    (tmp_path / "other.yaml").write_text(text)

    done = agentberth("render", "other.yaml")

    assert done.returncode == 1
    assert "there is no AgentType in the files given" in done.stderr


def test_json_is_a_list_of_the_same_objects_as_yaml(agentberth: Run, tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text(GIT)

    done = agentberth("render", "web.yaml", "--output", "json")

    listed = json.loads(done.stdout)
    assert (listed["apiVersion"], listed["kind"]) == ("v1", "List")
    assert listed["items"] == list(yaml.safe_load_all(agentberth("render", "web.yaml").stdout))
