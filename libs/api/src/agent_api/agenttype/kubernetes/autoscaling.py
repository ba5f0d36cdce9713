"""`spec.scaling`: an autoscaler in the form of autoscaling/v2, with every field known.

A misspelt field of an open object would be dropped by the API server without a word.
"""

from typing import Annotated, ClassVar, Literal, get_args

from pydantic import Field, StringConstraints

from agent_api.agenttype.kubernetes.affinity import LabelSelector
from agent_api.agenttype.kubernetes.resources import QUANTITY_PATTERN, QuantityValue, amount_of, is_quantity
from agent_api.agenttype.rule import ApiModel, Rule
from agent_api.agenttype.scalars import DnsLabel, ObjectName

MetricName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=253, pattern=r"^([^/%.][^/%]*|\.[^/%.][^/%]*|\.\.[^/%]+)$"),
]
"""A part of a path at the metrics API."""
MetricType = Literal["Resource", "ContainerResource", "Pods", "Object", "External"]


class MetricTarget(ApiModel):
    """The value that the autoscaler keeps to."""

    type: Literal["Utilization", "Value", "AverageValue"] = Field(description="Which of the other fields is meant.")
    value: QuantityValue | None = Field(default=None, description="Value: of the metric as a whole.")
    average_value: QuantityValue | None = Field(default=None, description="AverageValue: for each Pod.")
    average_utilization: Annotated[int, Field(ge=1, le=100_000)] | None = Field(
        default=None, description="Utilization: percent of what is requested."
    )

    rules: ClassVar = (
        Rule(
            message="a target has the one of value, averageValue and averageUtilization that its type names",
            reason="Kubernetes refuses such an autoscaler.",
            cel="has(self.value) == (self.type == 'Value') && has(self.averageValue) == (self.type == 'AverageValue') "
            "&& has(self.averageUtilization) == (self.type == 'Utilization')",
            holds=lambda t: (
                (t.value is not None, t.average_value is not None, t.average_utilization is not None)
                == (t.type == "Value", t.type == "AverageValue", t.type == "Utilization")
            ),
        ),
        Rule(
            message='value and averageValue must be Kubernetes quantities above 0 such as 100 or "500m"',
            reason="Kubernetes refuses such an autoscaler.",
            cel=" && ".join(
                f"(!has(self.{name}) || (string(self.{name}).matches(r'^({QUANTITY_PATTERN})$') "
                f"&& string(self.{name}).matches('^[^eE]*[1-9]')))"
                for name in ("value", "averageValue")
            ),
            holds=lambda t: all(
                value is None or (is_quantity(value) and amount_of(value) > 0) for value in (t.value, t.average_value)
            ),
        ),
    )


_NO_TOTAL = Rule(
    message="a resource has a target of type Utilization or AverageValue",
    reason="Kubernetes refuses such an autoscaler.",
    cel="self.target.type != 'Value'",
    holds=lambda m: m.target.type != "Value",
    field="target",
)
_NO_SHARE = Rule(
    message="this metric has a target of type Value or AverageValue: there is no request to compare it with",
    reason="Kubernetes refuses such an autoscaler.",
    cel="self.target.type != 'Utilization'",
    holds=lambda m: m.target.type != "Utilization",
    field="target",
)


class MetricIdentifier(ApiModel):
    """A metric of the cluster's metrics API."""

    name: MetricName = Field(description="Name of the metric.")
    selector: LabelSelector | None = Field(default=None, description="Which of its series.")


_API_VERSION = "^([-.a-z0-9]+/)?[a-z0-9]+$"


class ObjectOfMetric(ApiModel):
    """The object that a metric is about."""

    api_version: Annotated[str, StringConstraints(max_length=253, pattern=_API_VERSION)] | None = Field(
        default=None, description="Such as networking.k8s.io/v1."
    )
    kind: Annotated[str, StringConstraints(min_length=1, max_length=63, pattern="^[A-Za-z][A-Za-z0-9]*$")] = Field(
        description="Such as Ingress."
    )
    name: ObjectName = Field(description="Name of the object.")


class ResourceMetric(ApiModel):
    """A resource of the whole Pod, sidecars included."""

    name: MetricName = Field(description="cpu or memory.")
    target: MetricTarget = Field(description="What is kept to.")

    rules: ClassVar = (_NO_TOTAL,)


class ContainerResourceMetric(ApiModel):
    """A resource of one container."""

    name: MetricName = Field(description="cpu or memory.")
    container: DnsLabel = Field(description="Container of the Pod, such as agent.")
    target: MetricTarget = Field(description="What is kept to.")

    rules: ClassVar = (_NO_TOTAL,)


class PodsMetric(ApiModel):
    """A metric of each Pod."""

    metric: MetricIdentifier = Field(description="The metric.")
    target: MetricTarget = Field(description="What is kept to: an AverageValue.")

    rules: ClassVar = (
        Rule(
            message="a metric of Pods has a target of type AverageValue",
            reason="Kubernetes refuses such an autoscaler.",
            cel="self.target.type == 'AverageValue'",
            holds=lambda m: m.target.type == "AverageValue",
            field="target",
        ),
    )


class ObjectMetric(ApiModel):
    """A metric of one object."""

    described_object: ObjectOfMetric = Field(description="The object.")
    metric: MetricIdentifier = Field(description="The metric.")
    target: MetricTarget = Field(description="What is kept to: a Value or an AverageValue.")

    rules: ClassVar = (_NO_SHARE,)


class ExternalMetric(ApiModel):
    """A metric from outside of the cluster."""

    metric: MetricIdentifier = Field(description="The metric.")
    target: MetricTarget = Field(description="What is kept to: a Value or an AverageValue.")

    rules: ClassVar = (_NO_SHARE,)


class ScalingMetric(ApiModel):
    """A metric of autoscaling/v2."""

    type: MetricType = Field(description="Kind of metric; its settings stand beside it, under the field of its name.")
    resource: ResourceMetric | None = None
    container_resource: ContainerResourceMetric | None = None
    pods: PodsMetric | None = None
    object: ObjectMetric | None = None
    external: ExternalMetric | None = None

    rules: ClassVar = (
        Rule(
            message="a metric has the settings that its type names, and no others: resource for type: Resource",
            reason="Kubernetes refuses such an autoscaler.",
            cel=" && ".join(
                f"has(self.{name[0].lower()}{name[1:]}) == (self.type == '{name}')" for name in get_args(MetricType)
            ),
            holds=lambda m: m.given == {m.type},
        ),
    )

    @property
    def given(self) -> frozenset[str]:
        """The types whose settings are there."""
        found = {
            "Resource": self.resource,
            "ContainerResource": self.container_resource,
            "Pods": self.pods,
            "Object": self.object,
            "External": self.external,
        }
        return frozenset(name for name, settings in found.items() if settings is not None)


class ScalingPolicy(ApiModel):
    """How much may change in how much time."""

    type: Literal["Pods", "Percent"] = Field(description="What value counts.")
    value: Annotated[int, Field(ge=1, le=100_000)] = Field(description="Pods, or percent of those there are.")
    period_seconds: Annotated[int, Field(ge=1, le=1800)] = Field(description="The time that value is for.")


class ScalingRules(ApiModel):
    """How the number changes in one direction."""

    stabilization_window_seconds: Annotated[int, Field(ge=0, le=3600)] | None = Field(
        default=None,
        description="The past that is looked at, so that the number does not swing. Default: 300 down, 0 up.",
    )
    select_policy: Literal["Max", "Min", "Disabled"] | None = Field(
        default=None, description="Which of the policies decides; Disabled: no change in this direction. Default: Max."
    )
    policies: Annotated[tuple[ScalingPolicy, ...], Field(min_length=1, max_length=8)] | None = Field(
        default=None, description="Default: Kubernetes' own."
    )


class ScalingBehavior(ApiModel):
    """How quickly the number of Pods changes."""

    scale_up: ScalingRules | None = None
    scale_down: ScalingRules | None = None


class Scaling(ApiModel):
    """A HorizontalPodAutoscaler on the agent's Deployment, and a PodDisruptionBudget with it."""

    min_replicas: Annotated[int, Field(ge=1, le=1000)] = Field(default=1, description="Pods there are at least.")
    max_replicas: Annotated[int, Field(ge=1, le=1000)] = Field(description="Pods there are at most.")
    metrics: Annotated[tuple[ScalingMetric, ...], Field(max_length=16)] = Field(
        default=(), description="Default: 80 % of the agent container's CPU request."
    )
    behavior: ScalingBehavior | None = Field(default=None, description="How quickly the number changes.")

    rules: ClassVar = (
        Rule(
            message="minReplicas is larger than maxReplicas",
            reason="Kubernetes refuses such an autoscaler.",
            cel="self.minReplicas <= self.maxReplicas",
            holds=lambda s: s.min_replicas <= s.max_replicas,
            field="minReplicas",
        ),
    )
