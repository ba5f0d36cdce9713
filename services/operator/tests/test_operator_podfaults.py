import pytest
from services.operator.tests.operator_objects import Document, pod, state, unschedulable

from agent_api.initreport import InitError, InitFault, InitReport
from agent_operator.status.finding import Finding, missing_object, refused_pods
from agent_operator.status.podfaults import explain, is_starting, newest

LOOPS = "ends by itself and is restarted; an agent that is meant to end needs workload.kind: Job or CronJob"


def waiting(reason: str, message: str = "") -> Document:
    return {"waiting": {"reason": reason, "message": message}}


def ended(code: int, **parts: str) -> Document:
    return {"terminated": {"exitCode": code, **parts}}


def test_pod_that_runs_has_no_fault() -> None:
    assert explain(pod(state("agent", ready=True))) is None


@pytest.mark.parametrize("reason", ["ContainerCreating", "PodInitializing"])
def test_pod_that_starts_has_no_fault(reason: str) -> None:
    assert explain(pod(state("agent", **waiting(reason)), phase="Pending")) is None


@pytest.mark.parametrize(
    "container, reason, message",
    [
        (state("agent", **waiting("ErrImagePull", "denied")), "ImagePullFailed", "container agent: denied"),
        (state("agent", **waiting("InvalidImageName")), "ImagePullFailed", "container agent: InvalidImageName"),
        (
            state("agent", **waiting("CreateContainerConfigError", 'secret "key" not found')),
            "SecretMissing",
            'secret "key" not found',
        ),
        (
            state("agent", **waiting("CreateContainerError", "no such device")),
            "Crashing",
            "container agent: no such device",
        ),
        (state("agent", **waiting("CreateContainerError")), "Crashing", "container agent: CreateContainerError"),
        (state("agent", **ended(2)), "Crashing", "container agent: ended with exit code 2"),
        (
            state("agent", restarts=3, last={"exitCode": 1}, **waiting("CrashLoopBackOff")),
            "Crashing",
            "container agent: ended with exit code 1, 3 restarts",
        ),
        (
            state("agent", restarts=4, last={"exitCode": 0}, **waiting("CrashLoopBackOff")),
            "Crashing",
            f"container agent: {LOOPS}, 4 restarts",
        ),
        (
            state("agent", **ended(128, reason="StartError", message='exec: "rnu": not found in $PATH')),
            "Crashing",
            'container agent: could not be started: exec: "rnu": not found in $PATH',
        ),
        (
            state("agent", **ended(137, reason="OOMKilled")),
            "OutOfMemory",
            "container agent was killed at its memory limit: raise spec.resources",
        ),
    ],
)
def test_container_says_what_is_wrong(container: Document, reason: str, message: str) -> None:
    assert explain(pod(container)) == Finding(reason, message)


READ_ONLY = "it cannot write {}, since its root file system is read-only: name the folder in container.writablePaths, "
DENIED = "its user was denied {}: set container.securityContext.runAsUser to the image's own, name the folder in "
BASELINE = "or set security.profile: baseline"
LISTEN = "it may not listen on port 80: use one above 1023, or add NET_BIND_SERVICE to container.securityContext."
NGINX = """info: can not modify /etc/nginx/conf.d/default.conf (read-only file system?)
nginx: [emerg] chown("/var/cache/nginx", 101) failed (1: Operation not permitted)"""
MKDIR = '2026/11/26 10:00:00 [emerg] 1#1: mkdir() "/var/cache/nginx/client_temp" failed (30: Read-only file system)'


@pytest.mark.parametrize(
    "log, said",
    [
        (MKDIR, f"{READ_ONLY.format('/var/cache/nginx/client_temp')}{BASELINE}"),
        (NGINX, f"{DENIED.format('/var/cache/nginx')}container.writablePaths, {BASELINE}"),
        ("OSError: [Errno 30] Read-only file system: '/app/out.txt'", f"{READ_ONLY.format('/app/out.txt')}{BASELINE}"),
        (
            "Error: EACCES: permission denied, mkdir '/data'\n    at Object.mkdirSync (node:fs:1)",
            f"{DENIED.format('/data')}container.writablePaths, {BASELINE}",
        ),
        ("nginx: [emerg] bind() to 0.0.0.0:80 failed (13: Permission denied)", f"{LISTEN}capabilities"),
        (
            "OSError: [Errno 30] Read-only file system: '/shared/code/x'",
            "/shared/code/x may not be written by the agent: use /workspace or /tmp",
        ),
    ],
)
def test_image_that_cannot_run_hardened_is_told_where(log: str, said: str) -> None:
    found = explain(pod(state("agent", **ended(1, message=log))))

    assert found == Finding("Crashing", f"container agent: ended with exit code 1: {said}")


@pytest.mark.parametrize(
    "message",
    [
        'container has runAsNonRoot and image will run as root (pod: "web", container: agent)',
        "container has runAsNonRoot and image has non-numeric user (nginx), cannot verify user is non-root",
    ],
)
def test_image_that_would_run_as_root_is_told_what_to_set(message: str) -> None:
    found = explain(pod(state("agent", **waiting("CreateContainerConfigError", message))))

    assert found is not None
    assert message in found.message
    assert "set container.securityContext.runAsUser to a user of the image, by number" in found.message


@pytest.mark.parametrize("log", ["password=hunter2", "hunter2: permission denied", "key hunter2 denied, /var/x"])
def test_what_a_container_wrote_itself_is_not_repeated(log: str) -> None:
    found = explain(pod(state("agent", **ended(1, message=log))))

    assert found is not None
    assert "hunter2" not in found.message


def test_container_that_runs_again_is_no_fault() -> None:
    assert explain(pod(state("agent", ready=True, restarts=1, last={"exitCode": 1}))) is None


def test_container_that_has_ended_well_is_no_fault() -> None:
    assert explain(pod(state("agent", **ended(0)), phase="Succeeded")) is None


def test_first_fault_in_the_order_of_the_start_wins() -> None:
    init = state("initenv", **waiting("ImagePullBackOff", "no initenv"))

    found = explain(pod(state("agent", **waiting("ImagePullBackOff", "no agent")), init=(init,)))

    assert found is not None
    assert "no initenv" in found.message


def test_failed_preparation_gives_the_report_of_the_init_container() -> None:
    error = InitError(step="code", fault=InitFault.CODE_NOT_FOUND, cause="no such repository.", cure="Check it.")
    report = InitReport(agent="a", outcome="failed", seconds=0.1, error=error).line()

    found = explain(pod(init=(state("initenv", **ended(1, message=report)),)))

    assert found == Finding("CodeNotFound", "code: no such repository. Check it.")


def test_pod_that_fits_nowhere() -> None:
    assert explain(unschedulable("0/3 nodes are available")) == Finding("Unschedulable", "0/3 nodes are available")


def test_pod_whose_claim_is_not_bound() -> None:
    found = explain(unschedulable("pod has unbound immediate PersistentVolumeClaims"))

    assert found is not None
    assert found.reason == "ClaimPending"


def test_pod_that_was_evicted() -> None:
    evicted = pod(phase="Failed", reason="Evicted", message="the node was low on memory")

    assert explain(evicted) == Finding("Evicted", "the node was low on memory")


def test_newest_comes_first_and_what_is_being_deleted_does_not_count() -> None:
    pods = [
        pod(name="old", metadata={"creationTimestamp": "2026-01-01T00:00:00Z"}),
        pod(name="new", metadata={"creationTimestamp": "2026-01-02T00:00:00Z"}),
        pod(name="gone", metadata={"creationTimestamp": "2026-01-03T00:00:00Z", "deletionTimestamp": "x"}),
        pod(name="twin", metadata={"creationTimestamp": "2026-01-02T00:00:00Z"}),
    ]

    assert [found.metadata.name for found in newest(pods)] == ["twin", "new", "old"]


@pytest.mark.parametrize(
    "container, phase, scheduled, starting",
    [
        (state("agent", **waiting("ContainerCreating")), "Pending", "True", True),
        (state("agent", **waiting("ContainerCreating")), "Pending", "False", False),
        (state("agent", **waiting("ImagePullBackOff")), "Pending", "True", False),
        (state("agent"), "Running", "True", False),
        (state("agent"), "Pending", "True", False),
    ],
)
def test_starting_is_scheduled_and_without_a_word(
    container: Document, phase: str, scheduled: str, starting: bool
) -> None:
    assert is_starting(pod(container, phase=phase, scheduled=scheduled)) is starting


@pytest.mark.parametrize(
    "message, reason",
    [
        ('secret "provider-key" not found', "SecretMissing"),
        ('MountVolume.SetUp failed for volume "git" : secret "git-credentials" not found', "SecretMissing"),
        ("couldn't find key token in Secret team/keys", "SecretMissing"),
        ("references non-existent secret key: token", "SecretMissing"),
        ('configmap "words" not found', "ConfigMapMissing"),
        ('MountVolume.SetUp failed for volume "secret-words" : configmap "words" not found', "ConfigMapMissing"),
        ("couldn't find key words in ConfigMap team/data", "ConfigMapMissing"),
        ("configmap references non-existent config key: words", "ConfigMapMissing"),
        ("container has runAsNonRoot and image will run as root", ""),
        ('volume "secret" not found', ""),
    ],
)
def test_missing_objects_in_the_words_of_the_kubelet(message: str, reason: str) -> None:
    found = missing_object(message)

    assert (found.reason if found else "") == reason
    assert found is None or found.message == message


@pytest.mark.parametrize(
    "message, reason",
    [
        ('pods "a" is forbidden: exceeded quota: tight', "QuotaExceeded"),
        ('pods "a" is forbidden: violates PodSecurity "restricted:latest"', "Forbidden"),
    ],
)
def test_refused_pods(message: str, reason: str) -> None:
    assert refused_pods(message) == Finding(reason, message)


@pytest.mark.parametrize(
    "reason, failing",
    [("Crashing", True), ("PackageNotFound", True), ("SecretMissing", False), ("QuotaExceeded", False)],
)
def test_only_what_waiting_does_not_mend_is_failing(reason: str, failing: bool) -> None:
    assert Finding(reason, "").failing is failing
