"""Whether the users of Pods are in the range that the cluster gives to the namespace, as OpenShift does."""

import re
from collections.abc import Iterator
from typing import Final

from agent_api import layout
from agentberth.preflight.finding import Finding, Surveyed

_RANGE: Final = "openshift.io/sa.scc.uid-range"
_FORM: Final = re.compile(r"(\d+)[/-]\d+")


def check_user_ids(surveyed: Surveyed) -> Iterator[Finding]:
    """Goes by the namespace's annotation; without one, any user may run."""
    namespace = surveyed.agents_namespace
    found = surveyed.kubectl.get("namespace", namespace)
    match = _FORM.fullmatch((found["metadata"].get("annotations") or {}).get(_RANGE, ""))
    if match is None:
        return
    ids = surveyed.settings.get("userIds") or {}
    first = (ids.get("namespaces") or {}).get(namespace, ids.get("first", layout.POD_GID))
    if first == int(match[1]):
        yield Finding("user-ids", "ok", f"users of Pods in {namespace} are from its range")
    else:
        yield Finding(
            "user-ids",
            "error",
            f"the cluster gives namespace {namespace} users from {match[1]}, and agents there would run from {first}",
            f"set userIds.namespaces.{namespace}: {match[1]} in the platform's settings",
        )
