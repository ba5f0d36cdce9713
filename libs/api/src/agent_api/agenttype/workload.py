"""`spec.workload`, `spec.resources` and `spec.scaling`: how many Pods, of which size, for how long."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from agent_api.agenttype.kubernetes import Resources
from agent_api.agenttype.rule import ApiModel, Matches, OpenModel, Rule
from agent_api.agenttype.scalars import KubernetesObject

Schedule = Annotated[
    str,
    StringConstraints(min_length=1, max_length=128),
    Matches(
        r"@(yearly|annually|monthly|weekly|daily|midnight|hourly)|[^\s]+( +[^\s]+){4}",
        'must be a cron schedule of five fields such as "*/5 * * * *", or one like @hourly',
    ),
]

TimeZone = Annotated[
    str,
    StringConstraints(min_length=1, max_length=64),
    Matches(
        r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}",
        "must be a time zone of the IANA database such as Etc/UTC or Europe/Berlin",
    ),
]


class Workload(ApiModel):
    """The kind of workload that carries the agent's Pods."""

    kind: Literal["Deployment", "Job", "CronJob"] = Field(
        default="Deployment",
        description="Deployment keeps Pods running; Job runs once for each change of the spec; CronJob by schedule.",
    )
    schedule: Schedule | None = Field(
        default=None,
        description="CronJob: five fields, or one such as @hourly.",
    )
    time_zone: TimeZone | None = Field(
        default=None,
        description="CronJob: of the schedule, such as Europe/Berlin. Default: that of the cluster's controller.",
    )
    active_deadline_seconds: Annotated[int, Field(ge=1, le=31536000)] | None = Field(
        default=None, description="Job and CronJob: the run is stopped after it."
    )
    backoff_limit: Annotated[int, Field(ge=0, le=100)] | None = Field(
        default=None, description="Job and CronJob: retries of a failed Pod. Default 3."
    )
    ttl_seconds_after_finished: Annotated[int, Field(ge=0, le=31536000)] | None = Field(
        default=None,
        description="Job and CronJob: when a finished Job is removed; its result stays in the status. Default 86400.",
    )
    concurrency_policy: Literal["Allow", "Forbid", "Replace"] | None = Field(
        default=None, description="CronJob: what happens when the last run still goes. Default Forbid."
    )

    rules: ClassVar = (
        Rule(
            message="a CronJob needs a schedule",
            reason="Kubernetes refuses a CronJob without one.",
            cel="self.kind != 'CronJob' || has(self.schedule)",
            holds=lambda w: w.kind != "CronJob" or w.schedule is not None,
        ),
        Rule(
            message="schedule, timeZone and concurrencyPolicy are for kind: CronJob",
            reason="An agent meant to run by schedule would run all the time.",
            cel="self.kind == 'CronJob' "
            "|| (!has(self.schedule) && !has(self.timeZone) && !has(self.concurrencyPolicy))",
            holds=lambda w: (
                w.kind == "CronJob" or (w.schedule, w.time_zone, w.concurrency_policy) == (None, None, None)
            ),
        ),
        Rule(
            message="activeDeadlineSeconds, backoffLimit and ttlSecondsAfterFinished are for kind: Job or CronJob",
            reason="They would silently have no effect.",
            cel="self.kind != 'Deployment' || (!has(self.activeDeadlineSeconds) && !has(self.backoffLimit) "
            "&& !has(self.ttlSecondsAfterFinished))",
            holds=lambda w: (
                w.kind != "Deployment"
                or (w.active_deadline_seconds, w.backoff_limit, w.ttl_seconds_after_finished) == (None, None, None)
            ),
        ),
    )


class ResourcePlan(ApiModel):
    """Requests and limits: a profile, and exceptions to it per container."""

    profile: Literal["small", "medium", "large"] = Field(
        default="small", description="Sizes of all containers, as the platform defines them."
    )
    agent: Resources | None = None
    init: Resources | None = None
    toolproxy: Resources | None = None
    llmgateway: Resources | None = None
    memory: Resources | None = None


class ScalingMetric(OpenModel):
    """A metric of autoscaling/v2, passed on as it is."""

    names_unknown: ClassVar = False

    type: Literal["Resource", "ContainerResource", "Pods", "Object", "External"] = Field(
        description="Kind of metric; its settings stand beside it, as in autoscaling/v2."
    )


class Scaling(ApiModel):
    """A HorizontalPodAutoscaler on the agent's Deployment, and a PodDisruptionBudget with it."""

    min_replicas: Annotated[int, Field(ge=1, le=1000)] = Field(default=1, description="Pods there are at least.")
    max_replicas: Annotated[int, Field(ge=1, le=1000)] = Field(description="Pods there are at most.")
    metrics: Annotated[tuple[ScalingMetric, ...], Field(max_length=16)] = Field(
        default=(), description="Default: 80 % of the agent container's CPU request."
    )
    behavior: KubernetesObject | None = Field(default=None, description="autoscaling/v2 behavior, as it is.")

    rules: ClassVar = (
        Rule(
            message="minReplicas is larger than maxReplicas",
            reason="Kubernetes refuses such an autoscaler.",
            cel="self.minReplicas <= self.maxReplicas",
            holds=lambda s: s.min_replicas <= s.max_replicas,
            field="minReplicas",
        ),
    )
