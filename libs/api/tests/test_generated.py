"""Generated and clean: each generated file is what its generator writes, and the documents' links lead somewhere."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from agent_api.agenttype import ApiModel, ConditionType, Reason
from agent_api.crd import root_schema
from agent_api.gatewayconfig import GatewayConfig
from agent_api.initplan import GitCode, InitPlan
from agent_api.initreport import InitFault, InitReport
from agent_api.problems import examine

ROOT = Path(__file__).parents[3]
SCHEMAS = Path("docs/reference/schemas")
GENERATED_FOLDERS = (SCHEMAS, Path("libs/render/tests/golden"))
PAGE = (ROOT / "docs/spec/agenttype.md").read_text()
TROUBLESHOOTING = (ROOT / "docs/troubleshooting.md").read_text()


def run(script: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "hack" / script), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("generated")
    done = run("generate/all.py", "--output", folder)
    assert done.returncode == 0, done.stderr
    return folder


def listed(folder: Path) -> list[Path]:
    return sorted(file.relative_to(folder) for file in folder.rglob("*") if file.is_file())


def test_the_tree_has_what_the_generators_write(output: Path) -> None:
    files = listed(output)

    stale = [str(file) for file in files if not _same(output / file, ROOT / file)]

    assert len(files) > 10
    assert stale == [], "run: make generate"


def _same(one: Path, other: Path) -> bool:
    return other.is_file() and one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("folder", GENERATED_FOLDERS, ids=str)
def test_no_file_stays_that_no_generator_writes(folder: Path, output: Path) -> None:
    assert listed(ROOT / folder) == listed(output / folder)


@pytest.mark.parametrize("file", sorted((ROOT / SCHEMAS).glob("*.json")), ids=lambda f: f.stem)
def test_a_published_schema_is_a_schema(file: Path) -> None:
    jsonschema.Draft202012Validator.check_schema(load(file.stem))


def load(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads((ROOT / SCHEMAS / f"{name}.json").read_text())
    return schema


def test_what_we_write_is_valid_by_the_published_schema() -> None:
    plan = InitPlan(agent="a", code=GitCode(repository="https://git.example.com/a"))
    report = InitReport(agent="a", outcome="succeeded", seconds=0.1)

    jsonschema.validate(plan.model_dump(mode="json"), load("init-plan"))
    jsonschema.validate(report.model_dump(mode="json"), load("init-report"))


def test_a_published_schema_refuses_an_unknown_key_in_a_config_and_takes_it_in_a_report() -> None:
    with pytest.raises(jsonschema.ValidationError, match="later"):
        jsonschema.validate({"agent": "a", "later": 1}, load("init-plan"))

    jsonschema.validate({"agent": "a", "outcome": "failed", "seconds": 1, "later": 1}, load("init-report"))


def test_a_config_without_providers_is_refused_by_schema_and_model_alike() -> None:
    document = {"agent": "a", "providers": []}

    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, load("gateway-config"))
    with pytest.raises(ValueError, match="providers"):
        GatewayConfig.model_validate(document)


def fields_without_description(node: dict[str, Any], path: str) -> list[str]:
    found = []
    for name, child in node.get("properties", {}).items():
        below = f"{path}.{name}"
        found += [] if child.get("description") else [below]
        found += fields_without_description(child, below)
    for part in ("items", "additionalProperties"):
        if isinstance(node.get(part), dict):
            found += fields_without_description(node[part], f"{path}[]")
    return found


@pytest.mark.parametrize("part", ["spec", "status"])
def test_every_field_says_what_it_is(part: str) -> None:
    assert fields_without_description(root_schema()["properties"][part], part) == []


def models(model: type[ApiModel]) -> Iterator[type[ApiModel]]:
    for inner in model.__subclasses__():
        yield inner
        yield from models(inner)


def test_every_rule_says_what_would_go_wrong_without_it() -> None:
    rules = {rule.message: rule.reason for model in models(ApiModel) for rule in model.rules}

    assert len(rules) >= 40
    assert [message for message, reason in rules.items() if not reason.endswith(".")] == []


@pytest.mark.parametrize("constant", [*ConditionType, *Reason, *InitFault], ids=str)
def test_every_condition_type_and_reason_has_its_row_in_the_page(constant: str) -> None:
    assert f"\n| `{constant}` |" in PAGE


@pytest.mark.parametrize("constant", [*Reason, *InitFault], ids=str)
def test_every_reason_has_its_cause_and_cure_in_the_troubleshooting(constant: str) -> None:
    assert re.search(
        rf"^### {constant}\n(?:(?!###).)*?\*\*Cause\*\*: \S.+\n- \*\*Cure\*\*: \S",
        TROUBLESHOOTING,
        re.MULTILINE | re.DOTALL,
    )


@pytest.mark.parametrize("kind", ConditionType, ids=str)
def test_every_condition_is_explained_in_the_troubleshooting(kind: str) -> None:
    assert f"\n### Condition {kind}\n\n- **" in TROUBLESHOOTING


@pytest.mark.parametrize("example", re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL), ids=len)
def test_an_example_of_the_page_is_valid(example: str) -> None:
    assert examine(yaml.safe_load(example)).problems == ()


def test_every_link_of_the_documents_leads_somewhere() -> None:
    done = run("check_links.py", ROOT)

    assert done.returncode == 0, done.stdout


def test_a_link_that_leads_nowhere_is_told_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(
        "# One title\n\n[good](b.md#second-part) [here](#one-title) [web](https://example.com/x)\n"
        "[bad](c.md) [worse](b.md#third) ![image](d.png)\n```\n[not a link](e.md)\n```\n`[nor](f.md)`\n"
    )
    (tmp_path / "b.md").write_text("## Second part\n\n[up](a.md)\n\n[reference]\n\n[reference]: gone.md\n")

    done = run("check_links.py", tmp_path)

    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "a.md:4: c.md: there is no such file",
        "a.md:4: b.md#third: there is no such heading in b.md",
        "a.md:4: d.png: there is no such file",
        "b.md:7: gone.md: there is no such file",
    ]
