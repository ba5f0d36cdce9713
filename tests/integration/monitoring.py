"""The Prometheus operator's kinds, with the fields that this tree uses: what they do not know is refused."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from integration.api import Document, RefusedError, open_api
from integration.cluster import Cluster
from integration.waiting import eventually

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def _object(required: tuple[str, ...] = (), **fields: Document) -> Document:
    return {"type": "object", "properties": fields, **({"required": list(required)} if required else {})}


def _list(items: Document) -> Document:
    return {"type": "array", "items": items}


TEXT: Document = {"type": "string"}
TEXTS: Document = {"type": "object", "additionalProperties": TEXT}
ACTIONS = ("replace", "keep", "drop", "labelmap", "labeldrop", "labelkeep")
RELABELLING = _object(
    sourceLabels=_list({"type": "string", "pattern": "^[a-zA-Z_][a-zA-Z0-9_]*$"}),
    targetLabel=TEXT,
    regex=TEXT,
    action={"type": "string", "enum": list(ACTIONS)},
)
POD_MONITOR = _object(
    ("selector",),
    selector=_object(matchLabels=TEXTS),
    podMetricsEndpoints=_list(
        _object(port=TEXT, path=TEXT, relabelings=_list(RELABELLING), metricRelabelings=_list(RELABELLING))
    ),
)
RULE = _object(("expr",), alert=TEXT, expr=TEXT, labels=TEXTS, annotations=TEXTS, **{"for": TEXT})
PROMETHEUS_RULE = _object(groups=_list(_object(("name",), name=TEXT, rules=_list(RULE))))


def definition(kind: str, plural: str, spec: Document) -> Document:
    """A CustomResourceDefinition of monitoring.coreos.com/v1."""
    schema = {"openAPIV3Schema": _object(("spec",), spec=spec)}
    version: dict[str, Any] = {"name": "v1", "served": True, "storage": True, "schema": schema}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.monitoring.coreos.com"},
        "spec": {
            "group": "monitoring.coreos.com",
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"},
            "versions": [version],
        },
    }


KINDS = (
    definition("PodMonitor", "podmonitors", POD_MONITOR),
    definition("PrometheusRule", "prometheusrules", PROMETHEUS_RULE),
)


async def define(cluster: Cluster) -> None:
    """Makes the kinds; returns when they are served."""
    async with open_api(cluster.access, "default") as api:
        for document in KINDS:
            await api.call("POST", DEFINITIONS, document)
        for document in KINDS:
            path = f"{DEFINITIONS}/{document['metadata']['name']}"

            async def established(path: str = path) -> bool:
                found = (await api.call("GET", path)).get("status", {}).get("conditions") or ()
                return any(c["type"] == "Established" and c["status"] == "True" for c in found)

            await eventually(established)


async def remove(cluster: Cluster) -> None:
    """Removes the kinds with all their objects; returns when they are gone."""
    async with open_api(cluster.access, "default") as api:
        for document in KINDS:
            path = f"{DEFINITIONS}/{document['metadata']['name']}"
            await api.call("DELETE", path)

            async def gone(path: str = path) -> bool:
                try:
                    await api.call("GET", path)
                except RefusedError as refusal:
                    return refusal.status == 404
                return False

            await eventually(gone)


@asynccontextmanager
async def monitoring_kinds(cluster: Cluster) -> AsyncIterator[None]:
    """The kinds for a while."""
    await define(cluster)
    try:
        yield
    finally:
        await asyncio.shield(remove(cluster))
