"""`spec.workload` and `spec.resources`: the kind of Pods, their size, and for how long they run."""

import re
from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from agent_api.agenttype.kubernetes.resources import Resources
from agent_api.agenttype.rule import ApiModel, Matches, Rule
from agent_api.agenttype.scalars import DnsLabel

_FIELD_BOUNDS = ("[0-5]?[0-9]", "[01]?[0-9]|2[0-3]", "0?[1-9]|[12][0-9]|3[01]", "0?[1-9]|1[0-2]", "0?[0-6]")
_MONTHS = "janfebmaraprmayjunjulaugsepoctnovdec"
_DAYS = "sunmontuewedthufrisat"


def _field(number: str, names: str = "") -> str:
    """A field of a schedule: `*`, or numbers or names and ranges of them, each with a step if need be."""
    values = [f"({number})(-({number}))?"]
    if names:
        name = "|".join(names[at : at + 3] for at in range(0, len(names), 3))
        values.append(f"(?i:({name})(-({name}))?)")
    item = f"([*?]|{'|'.join(values)})(/0*[1-9][0-9]{{0,3}})?"
    return f"{item}(,{item})*"


_FIELDS = [_field(bounds, names) for bounds, names in zip(_FIELD_BOUNDS, ("", "", "", _MONTHS, _DAYS), strict=True)]

Schedule = Annotated[
    str,
    StringConstraints(min_length=1, max_length=128),
    Matches(
        f"@(yearly|annually|monthly|weekly|daily|midnight|hourly)|{' +'.join(_FIELDS)}",
        'must be a cron schedule of five fields such as "*/5 * * * *", or one like @hourly: minute 0-59, hour 0-23, '
        "day 1-31, month 1-12, day of the week 0-6 from Sunday",
    ),
]

TimeZone = Annotated[
    str,
    StringConstraints(min_length=1, max_length=64),
    Matches(
        r"(Etc/)?GMT[+-][0-9]{1,2}|[A-Z][A-Za-z0-9_-]*(/[A-Z][A-Za-z0-9_-]*){0,2}",
        "must be a time zone of the IANA database such as Etc/UTC or Europe/Berlin",
    ),
]


def _runs_forwards(schedule: str) -> bool:
    numbers = re.findall("[0-9]+-[0-9]+", schedule)
    names = re.findall("[a-z]+-[a-z]+", schedule.lower())
    return all(int(first) <= int(last) for first, last in (text.split("-") for text in numbers)) and all(
        _place(first) <= _place(last) for first, last in (text.split("-") for text in names)
    )


def _place(name: str) -> int:
    return max(_DAYS.find(name), _MONTHS.find(name))


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
            message="a range of the schedule ends before it begins: write 6,0 instead of 6-0",
            reason="Kubernetes refuses such a CronJob.",
            cel="!has(self.schedule) || (self.schedule.findAll('[0-9]+-[0-9]+').all(r, "
            "int(r.split('-')[0]) <= int(r.split('-')[1])) && ["
            f"'{_DAYS}', '{_MONTHS}'].all(n, self.schedule.lowerAscii().findAll('[a-z]+-[a-z]+').all(r, "
            "n.indexOf(r.split('-')[0]) <= n.indexOf(r.split('-')[1]))))",
            holds=lambda w: w.schedule is None or _runs_forwards(w.schedule),
            field="schedule",
        ),
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
            message="timeZone Local would be that of the cluster's controller: name a zone, or leave it out",
            reason="Kubernetes refuses such a CronJob.",
            cel="!has(self.timeZone) || self.timeZone != 'Local'",
            holds=lambda w: w.time_zone != "Local",
            field="timeZone",
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

    profile: DnsLabel = Field(
        default="small",
        description="Sizes of all containers, as the platform defines them: small, medium, large, or one of its own.",
    )
    cpu_limits: bool = Field(
        default=True,
        description="false: no container has a CPU limit but those given here, so that an idle node's time can be used."
        " Requests stay.",
    )
    agent: Resources | None = None
    init: Resources | None = None
    toolproxy: Resources | None = None
    llmgateway: Resources | None = None
    memory: Resources | None = None
