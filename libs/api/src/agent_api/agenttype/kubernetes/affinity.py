"""Label selectors and affinity, as a Pod has them."""

import re
from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from agent_api.agenttype.rule import ApiModel, Rule
from agent_api.agenttype.scalars import KEY, KEY_PART

# Patterns and no rules: the API server prices a rule by all the places where it could be asked.
SelectorKey = Annotated[str, StringConstraints(min_length=1, max_length=317, pattern=rf"^{KEY}$")]
SelectorValue = Annotated[str, StringConstraints(max_length=63, pattern=rf"^({KEY_PART})?$")]
NamespaceName = Annotated[
    str, StringConstraints(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
]
NodeValue = Annotated[str, StringConstraints(max_length=63, pattern=rf"^({KEY_PART}|-[0-9]+)?$")]
NodeName = Annotated[
    str,
    StringConstraints(
        min_length=1,
        max_length=253,
        pattern="^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
    ),
]
Weight = Annotated[int, Field(ge=1, le=100)]


class LabelRequirement(ApiModel):
    """What a label must be like."""

    key: SelectorKey = Field(description="Key of the label.")
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"] = Field(description="How it is compared.")
    values: Annotated[tuple[SelectorValue, ...], Field(max_length=16)] = Field(
        default=(), description="With In and NotIn."
    )

    rules: ClassVar = (
        Rule(
            message="In and NotIn need values, Exists and DoesNotExist have none",
            reason="The API server would refuse every Pod.",
            cel="(self.operator in ['In', 'NotIn']) == (has(self.values) && self.values.size() > 0)",
            holds=lambda r: (r.operator in {"In", "NotIn"}) == bool(r.values),
            field="values",
        ),
    )


class LabelSelector(ApiModel):
    """Objects by their labels: all of it must hold."""

    match_labels: Annotated[
        dict[Annotated[str, StringConstraints(max_length=317)], SelectorValue], Field(max_length=8)
    ] = Field(default_factory=dict, description="Labels and their values.")
    match_expressions: Annotated[tuple[LabelRequirement, ...], Field(max_length=8)] = Field(
        default=(), description="Requirements of other kinds."
    )

    rules: ClassVar = (
        Rule(
            message="matchLabels has a key that is none: write it as zone or example.com/zone",
            reason="The API server would refuse what has the selector.",
            cel=f"!has(self.matchLabels) || self.matchLabels.all(k, k.matches('^{KEY}$'))",
            holds=lambda s: all(re.fullmatch(KEY, key) for key in s.match_labels),
            field="matchLabels",
        ),
    )


class NodeRequirement(ApiModel):
    """What a label of a node must be like."""

    key: SelectorKey = Field(description="Key of the label.")
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"] = Field(description="How it is compared.")
    values: Annotated[tuple[NodeValue, ...], Field(max_length=16)] = Field(
        default=(), description="With In and NotIn; one whole number with Gt and Lt."
    )

    rules: ClassVar = (
        Rule(
            message="In and NotIn need values, Gt and Lt one whole number, Exists and DoesNotExist have none",
            reason="The API server would refuse every Pod.",
            cel="self.operator in ['Gt', 'Lt'] ? has(self.values) && self.values.size() == 1 "
            "&& self.values[0].matches('^-?[0-9]{1,18}$') "
            ": (self.operator in ['In', 'NotIn']) == (has(self.values) && self.values.size() > 0)",
            holds=lambda r: _compares(r),  # noqa: PLW0108 - defined below the model that it judges
            field="values",
        ),
    )


def _compares(requirement: NodeRequirement) -> bool:
    values = requirement.values
    if requirement.operator not in {"Gt", "Lt"}:
        return (requirement.operator in {"In", "NotIn"}) == bool(values)
    return len(values) == 1 and re.fullmatch("-?[0-9]{1,18}", values[0]) is not None


class NodeField(ApiModel):
    """What the name of a node must be."""

    key: SelectorKey = Field(description="metadata.name.")
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"] = Field(description="In or NotIn.")
    values: Annotated[tuple[NodeName, ...], Field(max_length=16)] = Field(default=(), description="One name.")


class NodeSelectorTerm(ApiModel):
    """Nodes of which all of it holds."""

    match_expressions: Annotated[tuple[NodeRequirement, ...], Field(max_length=8)] = Field(
        default=(), description="By labels."
    )
    match_fields: Annotated[tuple[NodeField, ...], Field(max_length=4)] = Field(
        default=(), description="By the name of the node: metadata.name, with In or NotIn and one value."
    )

    rules: ClassVar = (
        Rule(
            message="matchFields has key metadata.name, operator In or NotIn, and one value",
            reason="The API server would refuse every Pod.",
            cel="!has(self.matchFields) || self.matchFields.all(f, f.key == 'metadata.name' "
            "&& f.operator in ['In', 'NotIn'] && has(f.values) && f.values.size() == 1)",
            holds=lambda t: all(
                (f.key, len(f.values)) == ("metadata.name", 1) and f.operator in {"In", "NotIn"} for f in t.match_fields
            ),
            field="matchFields",
        ),
    )


class NodeSelector(ApiModel):
    """Nodes of which one term holds."""

    node_selector_terms: Annotated[tuple[NodeSelectorTerm, ...], Field(min_length=1, max_length=16)] = Field(
        description="The terms."
    )


class PreferredNodes(ApiModel):
    """Nodes that are better than others."""

    weight: Weight = Field(description="How much better, from 1 to 100.")
    preference: NodeSelectorTerm = Field(description="The nodes.")


class NodeAffinity(ApiModel):
    """Where the Pods run, by nodes."""

    required_during_scheduling_ignored_during_execution: NodeSelector | None = None
    preferred_during_scheduling_ignored_during_execution: Annotated[
        tuple[PreferredNodes, ...], Field(max_length=16)
    ] = Field(default=(), description="Better nodes.")


class PodAffinityTerm(ApiModel):
    """Pods whose topology is meant."""

    label_selector: LabelSelector | None = None
    topology_key: SelectorKey = Field(description="Label of nodes, such as kubernetes.io/hostname.")
    namespaces: Annotated[tuple[NamespaceName, ...], Field(max_length=8)] = Field(
        default=(), description="Of those Pods. Default: the agent's own."
    )
    namespace_selector: LabelSelector | None = None
    match_label_keys: Annotated[tuple[SelectorKey, ...], Field(max_length=8)] = Field(
        default=(), description="Labels of the new Pod whose values those Pods must have too."
    )

    rules: ClassVar = (
        Rule(
            message="matchLabelKeys needs a labelSelector",
            reason="The API server would refuse every Pod.",
            cel="!has(self.matchLabelKeys) || self.matchLabelKeys.size() == 0 || has(self.labelSelector)",
            holds=lambda t: not t.match_label_keys or t.label_selector is not None,
            field="matchLabelKeys",
        ),
    )


class PreferredPods(ApiModel):
    """A topology that is better than others."""

    weight: Weight = Field(description="How much better, from 1 to 100.")
    pod_affinity_term: PodAffinityTerm = Field(description="The Pods.")


class PodAffinity(ApiModel):
    """Where the Pods run, by other Pods."""

    required_during_scheduling_ignored_during_execution: Annotated[tuple[PodAffinityTerm, ...], Field(max_length=8)] = (
        Field(default=(), description="All must hold.")
    )
    preferred_during_scheduling_ignored_during_execution: Annotated[tuple[PreferredPods, ...], Field(max_length=8)] = (
        Field(default=(), description="Better places.")
    )


class Affinity(ApiModel):
    """Which nodes and which other Pods the agent's Pods run with."""

    node_affinity: NodeAffinity | None = None
    pod_affinity: PodAffinity | None = Field(default=None, description="Beside these Pods.")
    pod_anti_affinity: PodAffinity | None = Field(default=None, description="Away from these Pods.")
