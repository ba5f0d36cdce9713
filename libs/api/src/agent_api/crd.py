"""The CustomResourceDefinition, made from the models: one definition for Python, the API server and the docs.

Pydantic's JSON Schema becomes a *structural* schema: references inlined, nullables made plain (Kubernetes
prunes a null), defaults kept only where they say something.
"""

from typing import Any

from agent_api import layout
from agent_api.agenttype import Spec, Status
from agent_api.agenttype.spec import AgentType
from agent_api.agenttype.toolrules import APPROVAL, APPROVALS, ToolApprovalSpec, ToolApprovalStatus

SIZE_LIMIT_BYTES = 262_144  # what `kubectl apply` can carry in its annotation

_DROPPED = frozenset({"title", "additionalProperties", "propertyNames"})

_COLUMNS = (
    {"name": "Status", "type": "string", "jsonPath": ".status.phase"},
    {"name": "Ready", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Ready")].status'},
    {"name": "Reason", "type": "string", "jsonPath": ".status.reason"},
    {"name": "Budget", "type": "string", "jsonPath": ".status.llmStatus.budget.summary", "priority": 1},
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
)

_FIXED = ("agent", "tool", "arguments", "reason", "request", "hash", "askedAt", "expiresAt")
_VALIDATIONS = (
    {
        "rule": " && ".join(f"self.{name} == oldSelf.{name}" for name in _FIXED),
        "message": "what is asked cannot be changed: only decision and note can be set",
    },
    {
        "rule": "!has(oldSelf.decision) || (has(self.decision) && self.decision == oldSelf.decision)",
        "message": "a decision cannot be taken back: it may have been carried out",
    },
)
_APPROVAL_COLUMNS = (
    {"name": "Agent", "type": "string", "jsonPath": ".spec.agent"},
    {"name": "Tool", "type": "string", "jsonPath": ".spec.tool"},
    {"name": "Decision", "type": "string", "jsonPath": ".spec.decision"},
    {"name": "State", "type": "string", "jsonPath": ".status.state"},
    {"name": "Expires", "type": "string", "jsonPath": ".spec.expiresAt"},
    {"name": "Arguments", "type": "string", "jsonPath": ".spec.arguments", "priority": 1},
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


def toolapproval_crd() -> dict[str, Any]:
    """The CustomResourceDefinition of ToolApproval."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{APPROVALS}.{layout.GROUP}",
            "labels": {"app.kubernetes.io/name": "agentberth", "app.kubernetes.io/part-of": "agentberth"},
        },
        "spec": {
            "group": layout.GROUP,
            "names": {
                "kind": APPROVAL,
                "listKind": f"{APPROVAL}List",
                "plural": APPROVALS,
                "singular": "toolapproval",
                "shortNames": ["ta"],
            },
            "scope": "Namespaced",
            "versions": [_approval_version()],
        },
    }


def _approval_version() -> dict[str, Any]:
    spec = structural(ToolApprovalSpec.model_json_schema(mode="validation"))
    properties = {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object"},
        "spec": {**spec, "x-kubernetes-validations": [dict(each) for each in _VALIDATIONS]},
        "status": structural(ToolApprovalStatus.model_json_schema(mode="validation")),
    }
    text = "One call of a tool that waits for a person."
    schema = {"description": text, "type": "object", "required": ["spec"], "properties": properties}
    return {
        "name": layout.VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}},
        "additionalPrinterColumns": [dict(each) for each in _APPROVAL_COLUMNS],
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
