"""The CustomResourceDefinition, made from the models: one definition for Python, the API server and the docs.

Pydantic's JSON Schema becomes a *structural* schema: references inlined, nullables made plain (Kubernetes
prunes a null), defaults kept only where they say something.
"""

from typing import Any

from agent_api import layout
from agent_api.agenttype import Spec, Status
from agent_api.agenttype.spec import AgentType

SIZE_LIMIT_BYTES = 262_144  # what `kubectl apply` can carry in its annotation

_DROPPED = frozenset({"title", "additionalProperties", "propertyNames"})

_COLUMNS = (
    {"name": "Status", "type": "string", "jsonPath": ".status.phase"},
    {"name": "Ready", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Ready")].status'},
    {"name": "Reason", "type": "string", "jsonPath": ".status.reason"},
    {"name": "Budget", "type": "string", "jsonPath": ".status.llmStatus.budget.summary", "priority": 1},
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
)


def crd() -> dict[str, Any]:
    """The CustomResourceDefinition as plain data, ready to be written as YAML."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"agenttypes.{layout.GROUP}",
            "labels": {"app.kubernetes.io/name": "agentberth", "app.kubernetes.io/part-of": "agentberth"},
        },
        "spec": {
            "group": layout.GROUP,
            "names": {
                "kind": layout.KIND,
                "listKind": f"{layout.KIND}List",
                "plural": "agenttypes",
                "singular": "agenttype",
                "shortNames": ["at"],
                "categories": ["all-in-one"],
            },
            "scope": "Namespaced",
            "versions": [_version()],
        },
    }


def _version() -> dict[str, Any]:
    return {
        "name": layout.VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": root_schema()},
        "subresources": {
            "status": {},
            "scale": {
                "specReplicasPath": ".spec.replicas",
                "statusReplicasPath": ".status.replicas",
                "labelSelectorPath": ".status.selector",
            },
        },
        "additionalPrinterColumns": [dict(column) for column in _COLUMNS],
    }


def root_schema() -> dict[str, Any]:
    """The structural schema of a whole AgentType."""
    return {
        "description": AgentType.__doc__ or "",
        "type": "object",
        "required": ["spec"],
        "x-kubernetes-validations": [rule.schema() for rule in AgentType.rules],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": structural(Spec.model_json_schema(mode="validation")),
            "status": structural(Status.model_json_schema(mode="validation")),
        },
    }


def structural(schema: dict[str, Any]) -> dict[str, Any]:
    """A JSON Schema of pydantic as a structural schema of Kubernetes."""
    return _node(schema, schema.get("$defs", {}))


def _node(schema: dict[str, Any], defs: dict[str, Any]) -> dict[str, Any]:
    schema = _merged(schema, defs)
    open_object = schema.get("additionalProperties") is True
    node = {k: v for k, v in schema.items() if k not in _DROPPED and not k.startswith("$")}
    if node.get("default", ...) in (None, [], {}, ""):
        del node["default"]
    if "properties" in node:
        node["properties"] = {name: _node(child, defs) for name, child in node["properties"].items()}
    if "items" in node:
        node["items"] = _node(node["items"], defs)
    if isinstance(schema.get("additionalProperties"), dict):
        node["additionalProperties"] = _node(schema["additionalProperties"], defs)
    if open_object:
        node["x-kubernetes-preserve-unknown-fields"] = True
    return _with_bounds(node)


def _merged(schema: dict[str, Any], defs: dict[str, Any]) -> dict[str, Any]:
    """`schema` with its reference and its nullable alternative folded in; what stands beside them wins."""
    beside = {k: v for k, v in schema.items() if k not in {"$ref", "anyOf", "allOf"}}
    if "$ref" in schema:
        return _merged({**defs[schema["$ref"].rsplit("/", 1)[-1]], **beside}, defs)
    if "anyOf" in schema:
        kept = [option for option in schema["anyOf"] if option.get("type") != "null"]
        if len(kept) != 1:
            raise ValueError(f"not structural: {schema}")
        inner = _merged(kept[0], defs)
        return {**inner, **beside}
    return schema


def _with_bounds(node: dict[str, Any]) -> dict[str, Any]:
    """64-bit integers are said to be so; a constant is an enumeration of one."""
    if node.get("type") == "integer":
        node.setdefault("format", "int64" if node.get("maximum", 0) > 2**31 - 1 else "int32")
    if "const" in node:
        node["enum"] = [node.pop("const")]
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if exclusive in node:
            node[bound], node[exclusive] = node[exclusive], True
    if "default" in node and isinstance(node["default"], dict):
        del node["default"]
    return node
