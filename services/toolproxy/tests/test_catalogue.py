from pathlib import Path

import yaml

from agent_api.toolsconfig import Argument, ToolCatalogue
from agent_toolproxy.process.arguments import build_invocation, input_schema_of
from agent_toolproxy.schema import Schema
from agent_toolproxy.sources.source import (
    parse_source,
)

ROOT = Path(__file__).parents[3]


def test_every_entry_of_the_catalogue_can_be_used() -> None:
    catalogue = ToolCatalogue.model_validate(yaml.safe_load((ROOT / "deploy/base/catalog/tools.yaml").read_text()))
    names = [each.name for each in catalogue.tools]
    assert len(names) == len(set(names))
    assert {"git", "jq", "ripgrep", "kubectl", "python", "node", "fetch", "filesystem"} <= set(names)
    for each in catalogue.tools:
        assert each.description
        schema = Schema(input_schema_of(each))
        placed = {part.property for part in each.argv if isinstance(part, Argument)}
        assert placed <= set(schema.document.get("properties", {})), each.name
        if each.source:
            parse_source(each.source)
        assert all(artifact.url.startswith("https://") for artifact in each.artifacts)


def test_the_catalogues_ripgrep_takes_a_pattern_that_looks_like_an_option() -> None:
    catalogue = ToolCatalogue.model_validate(yaml.safe_load((ROOT / "deploy/base/catalog/tools.yaml").read_text()))
    ripgrep = next(each for each in catalogue.tools if each.name == "ripgrep")
    argv = build_invocation(ripgrep, {"pattern": "--pre=sh", "paths": ["-x"]}).argv
    assert argv[-3:] == ("--regexp=--pre=sh", "--", "-x")


def test_the_catalogues_jq_takes_a_program_that_looks_like_an_option_and_works_with_jq_1_6() -> None:
    """jq 1.6 prints its usage when `--` comes before the program."""
    catalogue = ToolCatalogue.model_validate(yaml.safe_load((ROOT / "deploy/base/catalog/tools.yaml").read_text()))
    jq = next(each for each in catalogue.tools if each.name == "jq")
    argv = build_invocation(jq, {"filter": "--from-file", "files": ["-x"], "raw": True}).argv
    assert argv == ("--raw-output", " --from-file", "--", "-x")
