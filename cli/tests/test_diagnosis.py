"""`diagnose` shows what others wrote as text, and never as commands to the terminal."""

import json
import sys
from pathlib import Path

from agentberth.cluster.diagnosis import diagnose
from agentberth.cluster.kubectl import Kubectl

HOSTILE = "\x1b]0;owned\x07\x1b[2Jtext\u202e"
READY = {"type": "Ready", "status": "False", "reason": "Crashing", "message": HOSTILE}
AGENT = {
    "metadata": {"name": "a", "generation": 1},
    "status": {"observedGeneration": 1, "conditions": [READY, {**READY, "type": "ToolsReady"}]},
}
POD = {
    "metadata": {"name": "a-1"},
    "status": {"containerStatuses": [{"name": "agent", "state": {"waiting": {"reason": "R", "message": HOSTILE}}}]},
}
EVENT = {"involvedObject": {"kind": "Pod", "name": "a"}, "reason": "R", "message": HOSTILE}


def cluster(folder: Path) -> Kubectl:
    """A kubectl whose cluster says only hostile words."""
    answers = {"agenttypes.agents.example.com": AGENT, "pods": {"items": [POD]}, "events": {"items": [EVENT]}}
    program = folder / "kubectl"
    program.write_text(
        f"#!{sys.executable}\nimport json, sys\nanswers = json.loads({json.dumps(answers)!r})\n"
        f"found = [answers[word] for word in sys.argv if word in answers]\n"
        f"print(json.dumps(found[0]) if found else {HOSTILE!r})\n"
    )
    program.chmod(0o755)
    return Kubectl(str(program), ())


def test_escape_sequences_of_others_do_not_reach_the_terminal(tmp_path: Path) -> None:
    found = diagnose(cluster(tmp_path), "a")

    assert found.message == "text "
    assert found.conditions == ("ToolsReady=False Crashing: text ",)
    assert found.events == ("Pod R: text ",)
    assert [(each.state, each.log) for each in found.containers] == [("R: text ", ("text ",))]
