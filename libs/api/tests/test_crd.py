"""The CRD is structural, small enough for kubectl, bounded everywhere, and the file in deploy/ is its output."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent_api.crd import SIZE_LIMIT_BYTES, crd, root_schema

FILE = Path(__file__).parents[3] / "deploy" / "base" / "crds" / "agenttype.yaml"


def nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    for part in ("items", "additionalProperties"):
        if isinstance(schema.get(part), dict):
            yield from nodes(schema[part], f"{path}[]")


SPEC = dict(nodes(root_schema()["properties"]["spec"], "spec"))


def test_the_file_in_deploy_is_the_output_of_the_command() -> None:
    printed = subprocess.run([sys.executable, "-m", "agentberth", "crd"], capture_output=True, text=True, check=True)

    files = "---\n".join(file.read_text() for file in (FILE, FILE.with_name("toolapproval.yaml")))
    assert files == printed.stdout, "run: make generate"


def test_kubectl_apply_can_carry_it() -> None:
    assert len(json.dumps(yaml.safe_load(FILE.read_text()), separators=(",", ":"))) < SIZE_LIMIT_BYTES


def test_it_is_plain_data() -> None:
    assert yaml.safe_load(yaml.safe_dump(crd())) == crd()


@pytest.mark.parametrize("path", SPEC)
def test_every_part_of_the_spec_has_a_type_and_a_bound(path: str) -> None:
    node = SPEC[path]
    if node.get("x-kubernetes-int-or-string"):
        return

    assert "$ref" not in node
    assert "anyOf" not in node
    kind = node["type"]
    if kind == "string":
        assert "enum" in node or "maxLength" in node
    elif kind == "array":
        assert "maxItems" in node
    elif kind in {"integer", "number"}:
        assert "maximum" in node
    elif "additionalProperties" in node:
        assert "maxProperties" in node


def test_lists_that_people_merge_are_maps() -> None:
    keys = {
        path: node["x-kubernetes-list-map-keys"] for path, node in SPEC.items() if "x-kubernetes-list-map-keys" in node
    }

    assert keys["spec.llm.providers"] == ["name"]
    assert keys["spec.agent.environment.files"] == ["path"]
    for path, (key,) in keys.items():
        assert key in SPEC[f"{path}[]"]["required"]


def test_scale_and_columns_read_what_the_status_has() -> None:
    version = crd()["spec"]["versions"][0]

    assert version["subresources"]["scale"]["labelSelectorPath"] == ".status.selector"
    assert [column["name"] for column in version["additionalPrinterColumns"]] == [
        "Status",
        "Ready",
        "Reason",
        "Budget",
        "Age",
    ]
    assert {"selector", "replicas", "reason", "phase"} <= set(
        version["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]
    )
