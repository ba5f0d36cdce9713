"""The rules of kstatus (sigs.k8s.io/cli-utils/pkg/kstatus) for a kind that it does not know, by which Flux waits.

From its README and `status/generic.go`: a stale observedGeneration is InProgress; of the conditions, Reconciling True
is InProgress and Stalled True is Failed; Ready False or Unknown is InProgress; everything else is Current.
"""

from typing import Any


def compute(document: dict[str, Any]) -> str:
    """InProgress, Failed or Current."""
    status = document.get("status", {})
    if "observedGeneration" in status and status["observedGeneration"] != document["metadata"]["generation"]:
        return "InProgress"
    conditions = {one["type"]: one["status"] for one in status.get("conditions", ())}
    if conditions.get("Reconciling") == "True":
        return "InProgress"
    if conditions.get("Stalled") == "True":
        return "Failed"
    return "InProgress" if conditions.get("Ready", "True") != "True" else "Current"
