"""`spec.pod`: where the agent's Pods run and with what of the cluster, in the names that a Pod has them by.

These are fields and no template: none of them can undo the hardening. The platform's own settings have the same
fields, as defaults for all agents.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from agent_api.agenttype.kubernetes.affinity import Affinity, LabelSelector
from agent_api.agenttype.kubernetes.resolution import DnsConfig, HostAlias
from agent_api.agenttype.rule import ApiModel, ListMap, Rule, cel_list
from agent_api.agenttype.scalars import KEY, LabelKey, LabelValue, ObjectName
from agent_api.agenttype.volumes import SecretReference

RESERVED_PREFIX = "agents.example.com"
RESERVED_LABELS = (
    "app.kubernetes.io/component",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/name",
    "app.kubernetes.io/part-of",
    "controller-uid",
    "job-name",
    "pod-template-hash",
)
HARDENING_ANNOTATIONS = (  # beginnings: profiles, the marks of the kubelet's own Pods, and what container runtimes obey
    "container.apparmor.security.beta.kubernetes.io",
    "kubernetes.io/config.",
    "container.seccomp.security.alpha.kubernetes.io",
    "seccomp.security.alpha.kubernetes.io",
    "cdi.k8s.io",
    "dev.gvisor",
    "io.containerd",
    "io.katacontainers",
    "io.kubernetes",
)


class Toleration(ApiModel):
    """A taint of nodes that the Pods may run on all the same."""

    key: LabelKey | None = Field(default=None, description="Key of the taint. Default: every taint, with Exists.")
    operator: Literal["Equal", "Exists"] = Field(default="Equal", description="Exists: whatever the value is.")
    value: LabelValue | None = Field(default=None, description="Value of the taint, with Equal.")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        default=None, description="Default: every effect."
    )
    toleration_seconds: Annotated[int, Field(ge=0, le=31536000)] | None = Field(
        default=None, description="NoExecute: how long the Pods stay. Default: for ever."
    )

    rules: ClassVar = (
        Rule(
            message="a toleration without key needs operator: Exists",
            reason="Kubernetes refuses one that compares the value of no key.",
            cel="has(self.key) || self.operator == 'Exists'",
            holds=lambda t: t.key is not None or t.operator == "Exists",
            field="operator",
        ),
        Rule(
            message="a toleration with operator: Exists has no value",
            reason="Kubernetes refuses it: the value would not be looked at.",
            cel="self.operator != 'Exists' || !has(self.value)",
            holds=lambda t: t.operator != "Exists" or not t.value,
            field="value",
        ),
        Rule(
            message="tolerationSeconds is for effect: NoExecute",
            reason="Kubernetes refuses it with another effect.",
            cel="!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
            holds=lambda t: t.toleration_seconds is None or t.effect == "NoExecute",
            field="tolerationSeconds",
        ),
    )


class TopologySpreadConstraint(ApiModel):
    """How the agent's Pods are spread over zones or nodes."""

    max_skew: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=1, description="Largest difference between two topologies."
    )
    topology_key: LabelKey = Field(description="Label of nodes, such as topology.kubernetes.io/zone.")
    when_unsatisfiable: Literal["DoNotSchedule", "ScheduleAnyway"] = Field(
        default="ScheduleAnyway", description="DoNotSchedule: a Pod waits rather than breaks it."
    )
    label_selector: LabelSelector | None = Field(default=None, description="Default: the agent's own Pods.")
    min_domains: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        default=None, description="Least number of topologies, with DoNotSchedule."
    )
    node_affinity_policy: Literal["Honor", "Ignore"] | None = Field(default=None, description="Default: Honor.")
    node_taints_policy: Literal["Honor", "Ignore"] | None = Field(default=None, description="Default: Ignore.")

    rules: ClassVar = (
        Rule(
            message="minDomains is for whenUnsatisfiable: DoNotSchedule",
            reason="The API server would refuse every Pod.",
            cel="!has(self.minDomains) || self.whenUnsatisfiable == 'DoNotSchedule'",
            holds=lambda c: c.min_domains is None or c.when_unsatisfiable == "DoNotSchedule",
            field="minDomains",
        ),
    )


AnnotationValue = Annotated[str, StringConstraints(max_length=4096)]
Annotations = Annotated[dict[LabelKey, AnnotationValue], Field(max_length=32)]
PodLabels = Annotated[dict[LabelKey, LabelValue], Field(max_length=32)]


def _has_keys(field: str) -> Rule:
    """The keys of a map, which a schema cannot say anything of."""
    return Rule(
        message=f"{field} has a key that is none: write it as zone or example.com/zone",
        reason="The API server would refuse what has them.",
        cel=f"!has(self.{field}) || self.{field}.all(k, k.matches('^{KEY}$'))",
        holds=lambda _: True,  # the keys are parsed
        field=field,
    )


class AccountSettings(ApiModel):
    """The ServiceAccount of the agent. It has no rights in the cluster, and no token is mounted."""

    annotations: Annotations = Field(
        default_factory=dict,
        description="Such as eks.amazonaws.com/role-arn or iam.gke.io/gcp-service-account, which give the agent an"
        " identity in a cloud; SecurityPosture names these.",
    )

    rules: ClassVar = (_has_keys("annotations"),)


class Pod(ApiModel):
    """Where the agent's Pods run, and with what of the cluster. The Pods of its memory run in the same places."""

    image_pull_secrets: Annotated[tuple[SecretReference, ...], Field(max_length=8), ListMap("name")] = Field(
        default=(), description="Secrets of the agent's namespace for private registries, after the platform's."
    )
    node_selector: PodLabels = Field(
        default_factory=dict, description="Labels that a node must have, over the platform's."
    )
    tolerations: Annotated[tuple[Toleration, ...], Field(max_length=16)] = Field(
        default=(), description="Taints of nodes to run on all the same, after the platform's."
    )
    affinity: Affinity | None = Field(
        default=None,
        description="Kubernetes' own affinity, as it is; instead of the platform's."
        " The memory's Pods have its nodeAffinity.",
    )
    topology_spread_constraints: Annotated[tuple[TopologySpreadConstraint, ...], Field(max_length=8)] = Field(
        default=(), description="How replicas are spread; instead of the platform's."
    )
    runtime_class_name: ObjectName | None = Field(
        default=None, description="RuntimeClass, such as one of gVisor. Default: the platform's, else the cluster's."
    )
    priority_class_name: ObjectName | None = Field(
        default=None, description="PriorityClass. Default: the platform's, else the cluster's."
    )
    scheduler_name: ObjectName | None = Field(
        default=None, description="Scheduler. Default: the platform's, else the cluster's."
    )
    host_aliases: Annotated[tuple[HostAlias, ...], Field(max_length=16), ListMap("ip")] = Field(
        default=(), description="Entries of /etc/hosts, after the platform's."
    )
    dns_config: DnsConfig | None = None
    annotations: Annotations = Field(default_factory=dict, description="Of the Pods, over the platform's.")
    labels: PodLabels = Field(
        default_factory=dict, description="Of the Pods, over the platform's; none of Agentberth's own."
    )
    termination_grace_period_seconds: Annotated[int, Field(ge=1, le=3600)] | None = Field(
        default=None, description="From SIGTERM to SIGKILL. Default: the platform's `terminationGraceSeconds`."
    )
    service_account: AccountSettings | None = None

    rules: ClassVar = (
        *map(_has_keys, ("nodeSelector", "labels", "annotations")),
        Rule(
            message="topologySpreadConstraints has two with one topologyKey and whenUnsatisfiable: keep one of them",
            reason="The API server would refuse every Pod.",
            cel="!has(self.topologySpreadConstraints) || self.topologySpreadConstraints.all(a, "
            "self.topologySpreadConstraints.exists_one(b, b.topologyKey == a.topologyKey "
            "&& b.whenUnsatisfiable == a.whenUnsatisfiable))",
            holds=lambda p: (
                len({(c.topology_key, c.when_unsatisfiable) for c in p.topology_spread_constraints})
                == len(p.topology_spread_constraints)
            ),
            field="topologySpreadConstraints",
        ),
        Rule(
            message=f"{', '.join(RESERVED_LABELS)} and everything of {RESERVED_PREFIX} are labels of the platform",
            reason="Services, policies and the operator find an agent's Pods by them.",
            cel=f"!has(self.labels) || self.labels.all(k, !(k in {cel_list(RESERVED_LABELS)})"
            f" && !k.startsWith('{RESERVED_PREFIX}/') && !k.startsWith('batch.kubernetes.io/'))",
            holds=lambda p: (
                not any(
                    key in RESERVED_LABELS or key.startswith((f"{RESERVED_PREFIX}/", "batch.kubernetes.io/"))
                    for key in p.labels
                )
            ),
            field="labels",
        ),
        Rule(
            message=f"annotations of {RESERVED_PREFIX} are the platform's; those of "
            f"{', '.join(HARDENING_ANNOTATIONS)} would undo the hardening",
            reason="A profile or a device that an annotation asks for is not seen by any other rule.",
            cel=f"!has(self.annotations) || self.annotations.all(k, !k.startsWith('{RESERVED_PREFIX}/') && "
            + " && ".join(f"!k.startsWith('{prefix}')" for prefix in HARDENING_ANNOTATIONS)
            + ")",
            holds=lambda p: (
                not any(key.startswith((f"{RESERVED_PREFIX}/", *HARDENING_ANNOTATIONS)) for key in p.annotations)
            ),
            field="annotations",
        ),
        Rule(
            message="priority classes whose names begin with system- are the cluster's own",
            reason="Pods of theirs push out the cluster's own components.",
            cel="!has(self.priorityClassName) || !self.priorityClassName.startsWith('system-')",
            holds=lambda p: not (p.priority_class_name or "").startswith("system-"),
            field="priorityClassName",
        ),
        Rule(
            message="annotations of a ServiceAccount that begin with kubernetes.io/ are Kubernetes' own",
            reason="They limit or widen which Secrets and tokens the account has.",
            cel="!has(self.serviceAccount) || !has(self.serviceAccount.annotations) || "
            "self.serviceAccount.annotations.all(k, !k.startsWith('kubernetes.io/') "
            f"&& !k.startsWith('{RESERVED_PREFIX}/'))",
            holds=lambda p: (
                p.service_account is None
                or not any(
                    key.startswith(("kubernetes.io/", f"{RESERVED_PREFIX}/")) for key in p.service_account.annotations
                )
            ),
            field="serviceAccount",
        ),
    )
