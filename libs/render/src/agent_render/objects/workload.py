"""The workload that carries the Pods: Deployment, Job or CronJob."""

from agent_api.agenttype import AgentType
from agent_render.identity import Identity, Manifest, fingerprint
from agent_render.objects.pod import pod_template
from agent_render.parts import workspace
from agent_render.settings import PlatformSettings

_BACKOFF_LIMIT = 3
_TTL_SECONDS = 86_400


def workload(agent: AgentType, settings: PlatformSettings) -> tuple[Manifest, ...]:
    """One object of the kind the AgentType asks for."""
    makers = {"Deployment": _deployment, "Job": _job, "CronJob": _cron_job}
    return (makers[agent.spec.workload.kind](agent, settings),)


def _deployment(agent: AgentType, settings: PlatformSettings) -> Manifest:
    identity = Identity.of(agent)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": identity.metadata(identity.name),
        "spec": {
            **_replicas(agent),
            "revisionHistoryLimit": 3,
            "selector": {"matchLabels": identity.selector()},
            **workspace.strategy(agent),
            "template": pod_template(agent, settings),
        },
    }


def _replicas(agent: AgentType) -> Manifest:
    """Nothing while an autoscaler decides: the field is then not ours."""
    if agent.spec.suspend:
        return {"replicas": 0}
    if agent.spec.scaling is not None:
        return {}
    return {"replicas": 1 if agent.spec.replicas is None else agent.spec.replicas}


def _job(agent: AgentType, settings: PlatformSettings) -> Manifest:
    """A Job of a name that changes with the spec: a Job's template is immutable, and an edit is a new run.

    An upgrade of the platform is not an edit, so the name depends neither on the settings nor on fields that a
    newer API adds with a default.
    """
    identity = Identity.of(agent)
    edited = agent.spec.model_dump_json(exclude={"suspend"}, exclude_defaults=True)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": identity.metadata(f"{identity.name}-{fingerprint(edited)[:8]}"),
        "spec": {**_job_spec(agent, settings), "suspend": agent.spec.suspend},
    }


def _job_spec(agent: AgentType, settings: PlatformSettings) -> Manifest:
    plan = agent.spec.workload
    template = pod_template(agent, settings)
    template["spec"]["restartPolicy"] = "Never"
    deadline = plan.active_deadline_seconds
    ttl = plan.ttl_seconds_after_finished
    return {
        "backoffLimit": _BACKOFF_LIMIT if plan.backoff_limit is None else plan.backoff_limit,
        **({} if deadline is None else {"activeDeadlineSeconds": deadline}),
        "ttlSecondsAfterFinished": _TTL_SECONDS if ttl is None else ttl,
        "template": template,
    }


def _cron_job(agent: AgentType, settings: PlatformSettings) -> Manifest:
    identity, plan = Identity.of(agent), agent.spec.workload
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": identity.metadata(identity.name),
        "spec": {
            "schedule": plan.schedule,
            **({"timeZone": plan.time_zone} if plan.time_zone else {}),
            "suspend": agent.spec.suspend,
            "concurrencyPolicy": plan.concurrency_policy or "Forbid",
            "successfulJobsHistoryLimit": 3,
            "failedJobsHistoryLimit": 3,
            "jobTemplate": {"metadata": {"labels": identity.labels()}, "spec": _job_spec(agent, settings)},
        },
    }
