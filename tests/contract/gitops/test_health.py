"""What Argo CD and Flux make of an AgentType's status: the one by our Lua, run by Lua, the other by its own rules."""

import json
import subprocess
from typing import Any

import pytest
from contract.gitops.kstatus import compute
from integration.cluster import ROOT

from agent_api.agenttype import Reason

HEALTH = ROOT / "deploy/gitops/argocd/health.lua"
GENERATION = 3


def agent(status: dict[str, Any] | None) -> dict[str, Any]:
    found: dict[str, Any] = {"kind": "AgentType", "metadata": {"name": "a", "generation": GENERATION}, "spec": {}}
    return found if status is None else {**found, "status": status}


def seen(ready: str, reason: str, phase: str, *, generation: int = GENERATION) -> dict[str, Any]:
    """A status as the operator writes it, with another condition before Ready."""
    conditions = [
        {"type": "Accepted", "status": "True", "reason": "Accepted", "message": "fine"},
        {"type": "Ready", "status": ready, "reason": reason, "message": 'the "message"'},
    ]
    return agent({"observedGeneration": generation, "phase": phase, "conditions": conditions})


CASES = {
    "new": (agent(None), "Progressing", "Current"),
    "no conditions": (agent({"observedGeneration": GENERATION}), "Progressing", "Current"),
    "an earlier spec": (seen("True", "Ready", "Running", generation=2), "Progressing", "InProgress"),
    "ready": (seen("True", "Ready", "Running"), "Healthy", "Current"),
    "a Job that is done": (seen("True", "Succeeded", "Succeeded"), "Healthy", "Current"),
    "starting": (seen("False", "Preparing", "Pending"), "Progressing", "InProgress"),
    "failed": (seen("False", Reason.INVALID, "Failed"), "Degraded", "InProgress"),
    "suspended": (seen("False", "Suspended", "Pending"), "Suspended", "InProgress"),
    "unknown": (seen("Unknown", "NotReady", "Pending"), "Progressing", "InProgress"),
}


def lua(value: Any) -> str:
    """`value` as a Lua expression."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"[{json.dumps(key)}] = {lua(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "{" + ", ".join(map(lua, value)) + "}"
    return json.dumps(value)


def health(document: dict[str, Any]) -> tuple[str, str]:
    """Status and message, by the script as Argo CD runs it: with the object as global `obj`."""
    program = (
        f"obj = {lua(document)}\nlocal check = assert(loadfile({json.dumps(str(HEALTH))}))\n"
        "local found = check()\nprint(found.status)\nprint(found.message)\n"
    )
    done = subprocess.run(["lua5.4", "-"], input=program, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    status, message = done.stdout.splitlines()
    return status, message


@pytest.mark.parametrize("document, expected", [row[:2] for row in CASES.values()], ids=CASES)
def test_argo_cd_sees_what_the_operator_says(document: dict[str, Any], expected: str) -> None:
    status, message = health(document)

    assert status == expected
    if expected in {"Healthy", "Degraded", "Suspended"}:
        assert 'the "message"' in message


@pytest.mark.parametrize("document, expected", [(row[0], row[2]) for row in CASES.values()], ids=CASES)
def test_flux_waits_until_the_agent_is_ready(document: dict[str, Any], expected: str) -> None:
    assert compute(document) == expected


def test_the_page_shows_the_script_as_it_is() -> None:
    page = (ROOT / "docs/how-to/gitops.md").read_text()
    script = "".join(f"    {line}\n" for line in HEALTH.read_text().splitlines())

    assert script in page
