"""The collectors of deploy/components: what is written below /var/log/pods, and what is traced, arrives."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from contract.llmgateway.harness import wait_until
from contract.monitoring.collecting import COMPONENTS, config_of, run_collector, validate
from contract.monitoring.observed import ROOT
from contract.monitoring.receiver import Receiver, run_receiver, texts
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, SeverityNumber

pytestmark = [pytest.mark.step5, pytest.mark.timeout(900)]  # the first one builds the collector

SPAN_LOGGER = Path(__file__).with_name("span_logger.py")
POD, UID = "pilot-5d8f7c-x2x4z", "0c5f6a53-3c4e-4f6e-9d5e-8f1f6f0d8f10"
NOBODY = "http://127.0.0.1:9"  # a backend that is away
FRAMED_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize("component", ["logging", "tracing"])
def test_the_collector_takes_the_configuration(component: str, tmp_path: Path) -> None:
    assert validate(config_of(component), tmp_path) == ""


def test_a_configuration_with_a_fault_is_refused(tmp_path: Path) -> None:
    faulty = config_of("logging").replace("layout_type: gotime", "layout_type: gootime")

    with pytest.raises(AssertionError, match="gootime"):
        validate(faulty, tmp_path)


@pytest.mark.parametrize("component", ["logging", "tracing"])
def test_the_image_is_the_version_that_is_tested(component: str) -> None:
    documents = yaml.safe_load_all((COMPONENTS / component / "collector.yaml").read_text())
    (pod,) = (one["spec"]["template"]["spec"] for one in documents if "template" in one.get("spec", ()))
    (container,) = pod["containers"]
    modules = (ROOT / "hack/gotools/collector/go.mod").read_text().split()

    receiver = "github.com/open-telemetry/opentelemetry-collector-contrib/receiver/filelogreceiver"
    assert f"v{container['image'].rpartition(':')[2]}" == modules[modules.index(receiver) + 1]


@dataclass(frozen=True)
class Shipped:
    """A log record as the backend has it."""

    record: LogRecord
    where: dict[str, str]
    """Attributes of its resource."""

    @property
    def body(self) -> str:
        return self.record.body.string_value

    @property
    def fields(self) -> dict[str, str]:
        return texts(self.record.attributes)


def shipped(receiver: Receiver) -> list[Shipped]:
    return [
        Shipped(record, texts(resource.resource.attributes))
        for resource in receiver.logs
        for scope in resource.scope_logs
        for record in scope.log_records
    ]


def arrived(receiver: Receiver, count: int, why: Callable[[], str]) -> list[Shipped]:
    """All that has arrived, once it is that many."""
    wait_until(lambda: len(shipped(receiver)) >= count, within_s=30, why=lambda: f"{shipped(receiver)}\n{why()}")
    found = shipped(receiver)
    assert len(found) == count, found
    return found


def log_file(folder: Path, container: str, *, namespace: str = "team", pod: str = POD) -> Path:
    """Where the kubelet has a container's log."""
    file = folder / "pods" / f"{namespace}_{pod}_{UID}" / container / "0.log"
    file.parent.mkdir(parents=True)
    return file


def framed(*lines: str, stream: str = "stdout", tag: str = "F") -> str:
    """Lines as a container runtime writes them, a second apart."""
    times = (FRAMED_AT + timedelta(seconds=second) for second in range(len(lines)))
    return "".join(
        f"{at:%Y-%m-%dT%H:%M:%S}.123456789Z {stream} {tag} {line}\n" for at, line in zip(times, lines, strict=True)
    )


def nanoseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000) * 1_000_000


def tell(endpoint: str) -> list[str]:
    """What a program of ours logs; its span goes to `endpoint`."""
    done = subprocess.run([sys.executable, str(SPAN_LOGGER), endpoint], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_a_line_of_ours_arrives_with_its_time_severity_trace_and_place(tmp_path: Path) -> None:
    with run_receiver() as receiver:
        lines = tell(receiver.url)
        with run_collector(config_of("logging"), tmp_path, receiver.url) as running:
            log_file(tmp_path, "toolproxy").write_text(framed(*lines))
            plain, traced, error = arrived(receiver, 3, running.log.read_text)
    said = [json.loads(line) for line in lines]
    (span,) = (span for one in receiver.spans for scope in one.scope_spans for span in scope.spans)

    assert [one.body for one in (plain, traced, error)] == ["no span yet", "the tide is out", "the tide is late"]
    times = [nanoseconds(datetime.fromisoformat(one["time"])) for one in said]
    assert [one.record.time_unix_nano for one in (plain, traced, error)] == times
    assert [SeverityNumber.Name(one.record.severity_number) for one in (plain, traced, error)] == [
        "SEVERITY_NUMBER_INFO",
        "SEVERITY_NUMBER_WARN",
        "SEVERITY_NUMBER_ERROR",
    ]
    assert (traced.record.trace_id, traced.record.span_id) == (span.trace_id, span.span_id)
    assert (plain.record.trace_id, plain.record.span_id) == (b"", b"")
    expected = {"component": "agent-toolproxy", "agent": "pilot", "namespace": "team", "tool": "tide"}
    assert expected.items() <= traced.fields.items()
    assert (
        traced.where.items()
        >= {
            "k8s.namespace.name": "team",
            "k8s.pod.name": POD,
            "k8s.pod.uid": UID,
            "k8s.container.name": "toolproxy",
        }.items()
    )


def test_what_an_agent_writes_arrives_whatever_it_is(tmp_path: Path) -> None:
    odd = '{"time": 5, "level": ["x"], "trace_id": "abcd", "message": "odd"}'
    text = (
        framed("ready to sail")
        + framed("first half, ", tag="P")
        + framed("second half")
        + framed("Traceback", stream="stderr")
        + framed("{not json}", odd, '{"msg": "other"}')
    )
    with run_receiver() as receiver, run_collector(config_of("logging"), tmp_path, receiver.url) as running:
        log_file(tmp_path, "agent").write_text(text)
        found = arrived(receiver, 6, running.log.read_text)

    bodies = ["ready to sail", "first half, second half", "Traceback", "{not json}", "odd", '{"msg": "other"}']
    assert [one.body for one in found] == bodies
    assert [one.fields["log.iostream"] for one in found] == ["stdout", "stdout", "stderr", *["stdout"] * 3]
    assert found[0].record.time_unix_nano == int(FRAMED_AT.timestamp()) * 10**9 + 123456789
    assert {one.where["k8s.container.name"] for one in found} == {"agent"}
    assert {one.where["k8s.pod.name"] for one in found} == {POD}
    assert found[5].fields["msg"] == "other"
    assert (found[4].record.trace_id, found[4].record.severity_number) == (b"", 0)


def test_only_files_of_agents_and_of_the_operator_are_read(tmp_path: Path) -> None:
    with run_receiver() as receiver, run_collector(config_of("logging"), tmp_path, receiver.url) as running:
        log_file(tmp_path, "nginx", pod="of-others").write_text(framed("not ours"))
        log_file(tmp_path, "operator", namespace="agentberth-system", pod="agentberth-operator-1").write_text(
            framed('{"level":"debug","message":"ours"}')
        )
        for container in ("initenv", "llmgateway", "memory"):
            log_file(tmp_path, container).write_text(framed(container))
        found = arrived(receiver, 4, running.log.read_text)

    assert sorted(one.body for one in found) == ["initenv", "llmgateway", "memory", "ours"]


def test_nothing_is_lost_nor_sent_twice_over_restarts_and_while_the_backend_is_away(tmp_path: Path) -> None:
    with run_receiver() as receiver:
        with run_collector(config_of("logging"), tmp_path, receiver.url) as running:
            file = log_file(tmp_path, "agent")
            file.write_text(framed("one"))
            arrived(receiver, 1, running.log.read_text)
        append(file, framed("two"))
    with run_collector(config_of("logging"), tmp_path, NOBODY) as running:
        wait_until(lambda: "Exporting failed" in running.log.read_text(), within_s=30, why=running.log.read_text)
        append(file, framed("three"))
    with run_receiver() as later, run_collector(config_of("logging"), tmp_path, later.url) as running:
        found = arrived(later, 2, running.log.read_text)

    assert sorted(one.body for one in found) == ["three", "two"]


def test_what_does_not_fit_the_queue_stays_in_the_files_until_it_does(tmp_path: Path) -> None:
    whole, small = config_of("logging"), config_of("logging").replace("268435456", "1000000")
    assert small != whole
    log_file(tmp_path, "agent").write_text(framed(*(f"{number} {'x' * 100}" for number in range(20_000))))
    with run_collector(small, tmp_path, NOBODY) as running:
        wait_until(lambda: "sending queue is full" in running.log.read_text(), within_s=30, why=running.log.read_text)
    with run_receiver() as receiver, run_collector(small, tmp_path, receiver.url) as running:
        found = arrived(receiver, 20_000, running.log.read_text)

    assert sorted(int(one.body.partition(" ")[0]) for one in found) == list(range(20_000))


def append(file: Path, text: str) -> None:
    with file.open("a") as log:
        log.write(text)


def test_spans_pass_through(tmp_path: Path) -> None:
    with run_receiver() as receiver, run_collector(config_of("tracing"), tmp_path, receiver.url) as running:
        _, traced, _ = (json.loads(line) for line in tell(running.url))
        wait_until(lambda: receiver.spans, why=running.log.read_text)
    (resource,) = receiver.spans
    (span,) = (span for scope in resource.scope_spans for span in scope.spans)

    assert texts(resource.resource.attributes)["service.name"] == "pilot-toolproxy"
    assert (span.name, texts(span.attributes)) == ("tools/call", {"tool": "tide"})
    assert (span.trace_id.hex(), span.span_id.hex()) == (traced["trace_id"], traced["span_id"])
