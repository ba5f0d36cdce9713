"""The kustomize components of deploy/features/tools: each tool that one names can be installed under its policy."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from contract.initenv.npm_registry import NpmRegistry
from contract.initenv.package_index import PackageIndex
from contract.toolproxy.artifact_server import SCRIPT, ArtifactServer
from contract.toolproxy.toolproxy_harness import ToolProxy

REPOSITORY = Path(__file__).parents[3]
FEATURES = REPOSITORY / "deploy/features/tools"
PYTHON_SERVER = """
import json, sys
def main():
    for line in sys.stdin:
        message = json.loads(line)
        answer = ANSWERS.get(message.get("method"))
        if "id" in message and answer is not None:
            print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": answer}), flush=True)
"""
NODE_SERVER = """#!/usr/bin/env node
require("readline").createInterface({input: process.stdin}).on("line", line => {
    const {id, method} = JSON.parse(line), result = ANSWERS[method];
    if (id !== undefined && result) console.log(JSON.stringify({jsonrpc: "2.0", id, result}));
});
"""
LISTS = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"}
ANSWERS = json.dumps(
    {
        "server/discover": {**LISTS, "supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}},
        "tools/list": {**LISTS, "tools": [{"name": "look", "inputSchema": {"type": "object"}}]},
    }
)


def catalogue() -> dict[str, dict[str, Any]]:
    document = yaml.safe_load((REPOSITORY / "deploy/base/catalog/tools.yaml").read_text())
    return {each["name"]: each for each in document["tools"]}


def feature(name: str) -> dict[str, Any]:
    """`spec.tools` as a component sets it."""
    component = yaml.safe_load((FEATURES / name / "kustomization.yaml").read_text())
    (operation,) = yaml.safe_load(component["patches"][0]["patch"])
    value: dict[str, Any] = operation["value"]
    return value


class Places:
    """Stands for the internet: offers what an entry of the catalogue names, with content of our own."""

    def __init__(self, files: ArtifactServer, index: PackageIndex, registry: NpmRegistry) -> None:
        self._files = files
        self._index = index
        self._registry = registry

    def offer(self, entry: dict[str, Any]) -> dict[str, Any]:
        """The entry, with addresses and digests of what is offered here."""
        if "artifacts" in entry:
            return {**entry, "artifacts": [self._offer_file(each) for each in entry["artifacts"]]}
        kind, _, package = entry.get("source", "").removeprefix("mcp+stdio:").partition(":")
        if kind == "pypi":
            name, _, version = package.partition("==")
            module = name.replace("-", "_")
            files = {f"{module}.py": f"ANSWERS = {ANSWERS}\n{PYTHON_SERVER}"}
            self._index.add_wheel(module, version, files=files, scripts={name: f"{module}:main"})
        if kind == "npm":
            name, _, version = package.rpartition("@")
            program = NODE_SERVER.replace("ANSWERS[", f"({ANSWERS})[")
            self._registry.add(name, version, manifest={"bin": "cli.js"}, program=program)
        return entry

    def _offer_file(self, artifact: dict[str, Any]) -> dict[str, Any]:
        path = f"/{artifact['url'].rpartition('/')[2]}"
        return {"platform": artifact["platform"], "url": self._files.url(path), "sha256": self._files.add(path, SCRIPT)}


@pytest.mark.parametrize("name", ["minimal", "standard", "complete"])
def test_every_tool_of_a_component_can_be_installed(tmp_path: Path, name: str) -> None:
    tools, entries = feature(name), catalogue()
    names = [*tools.get("required", ()), *tools.get("optional", ())]
    proxy = ToolProxy(tmp_path / "pod").in_a_pod()
    with ArtifactServer() as files, PackageIndex() as index, NpmRegistry() as registry:
        places = Places(files, index, registry)
        for each in names:
            entry = entries[each]
            program = entry.get("program", each)
            if not {"source", "artifacts"} & entry.keys() and shutil.which(program) is None:
                proxy.add_program(program, "#!/bin/sh\necho 1.0\n")  # the image has it
        planned = [{"name": each, "catalogue": places.offer(entries[each])} for each in names]
        policy = {"requireChecksum": tools.get("policy", {}).get("requireChecksum", False)}
        proxy.write_config(tools=planned, policy=policy, pythonUrl=index.url, npmRegistry=registry.url)
        try:
            proxy.start()

            assert {each: proxy.tool(each)["state"] for each in names} == dict.fromkeys(names, "ready")
        finally:
            proxy.close()
