"""Every example, run as its first lines say. Their packages come from the index that this machine uses."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(600)

EXAMPLES = Path(__file__).parents[3] / "examples"
AGENTBERTH = Path(sys.executable).parent / "agentberth"
PATIENCE_S = 220
SAID = {
    "quickstart": ("Sealed by git, over MCP: 8d671f2a5785", "(says the model of standby)"),
    "tools": ("note.txt is sealed as 789fbeb3603ced2b7008d986753d572a8c43c3d1",),
    "anthropic": ("navigator says: The tide turns at six: cast off at half past five.",),
    "memory": ("the last light seen was",),
    "nodejs": ("The next 6 watches:",),
    "data-science": ("best day: Friday, 1330 kg", "report: Herring is what the harbour lives on"),
    "batch-processor": ("letters sorted", "had been: harbour master, office, pinboard"),
}
"""Agents that end, and what they print each time."""
STAY = {"web-service": 8080, "api-server": 8081, "worker": None}
"""Agents that stay, and the port they listen on."""


@pytest.fixture
def copy(tmp_path: Path) -> Callable[[str], Path]:
    """Copies an example, so that nothing prepared earlier helps it."""

    def make(name: str) -> Path:
        ignored = shutil.ignore_patterns(".agentberth")
        return Path(shutil.copytree(EXAMPLES / name, tmp_path / name, ignore=ignored))

    return make


def run(example: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(AGENTBERTH), "run", "--quiet", str(example / "agent.yaml"), *arguments]
    environment = {**os.environ, "NO_COLOR": "1"}
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, env=environment, check=False)


def run_case(example: Path, *before: str) -> subprocess.CompletedProcess[str]:
    command = [*before, str(AGENTBERTH), "test", str(example)]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(example: Path) -> Iterator[None]:
    """The agent at work; on leaving it is told to stop, and does."""
    log = example / "run.log"
    command = [str(AGENTBERTH), "run", str(example / "agent.yaml")]
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out) as process:
        try:
            yield
        except BaseException as error:
            error.add_note(log.read_text())
            raise
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(30)
    assert code == 128 + signal.SIGTERM, log.read_text()


@contextmanager
def serving(example: Path) -> Iterator[str]:
    """As `running`, on a port that is free; the base URL once the agent is healthy."""
    port = str(free_port())
    manifest = example / "agent.yaml"
    manifest.write_text(manifest.read_text().replace(str(STAY[example.name]), port))
    url = f"http://127.0.0.1:{port}"
    with running(example):
        eventually(lambda: get(f"{url}/healthz") is not None)
        yield url


def eventually(look: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not look():
        assert time.monotonic() < deadline, f"not within {PATIENCE_S} s"
        time.sleep(0.1)


def get(url: str, body: bytes | None = None) -> str | None:
    """What `url` answers; None when nobody does yet."""
    try:
        with urllib.request.urlopen(url, data=body, timeout=20) as answer:  # noqa: S310 - http:// alone
            text: str = answer.read().decode()
            return text
    except urllib.error.HTTPError as error:
        with error:
            return f"{error.code} {error.read().decode()}"
    except OSError:
        return None


def test_every_example_is_run_here() -> None:
    assert {folder.parent.name for folder in EXAMPLES.glob("*/agent.yaml")} == {*SAID, *STAY, "template"}


@pytest.mark.skipif(
    subprocess.run(["unshare", "--map-root-user", "--net", "true"], capture_output=True, check=False).returncode != 0,
    reason="this machine lets nobody make a network namespace",
)
@pytest.mark.parametrize("name", [*SAID, *STAY, "template"])
def test_every_example_says_what_it_should_and_passes_its_case_with_the_network_taken_away(
    name: str, copy: Callable[[str], Path]
) -> None:
    example = copy(name)
    ports = dict.fromkeys(filter(None, [STAY.get(name)]))  # those of others may run at the same time
    for file in (example / "agent.yaml", *example.glob("*.agenttest.yaml")):
        for port in ports:
            ports[port] = ports[port] or free_port()
            file.write_text(file.read_text().replace(str(port), str(ports[port])))

    if name in SAID:
        done = run(example)
        assert done.returncode == 0, done.stderr
        assert [text for text in SAID[name] if text not in done.stdout] == []
    else:
        prepared = run_case(example)
        assert prepared.returncode == 0, prepared.stdout + prepared.stderr
    alone = run_case(example, "unshare", "--map-root-user", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")

    assert alone.returncode == 0, alone.stdout + alone.stderr


def test_the_batch_processor_does_nothing_twice(copy: Callable[[str], Path]) -> None:
    example = copy("batch-processor")

    first, second = run(example), run(example)

    assert first.stdout.startswith("4 letters sorted, 0 had been")
    assert second.stdout.startswith("0 letters sorted, 4 had been")


def test_the_web_service_answers_over_http(copy: Callable[[str], Path]) -> None:
    with serving(copy("web-service")) as url:
        assert get(f"{url}/ask", b"When is high water?") == "High water is at six."


def test_the_api_server_turns_text_into_a_record(copy: Callable[[str], Path]) -> None:
    with serving(copy("api-server")) as url:
        said = get(f"{url}/landings", b'{"text": "Petrel, 420 kg of herring"}')
        refused = get(f"{url}/landings", b"not json")

    assert json.loads(said or "") == {"boat": "Petrel", "fish": "herring", "kg": 420}
    assert refused == '400 {"error":"send {\\"text\\": \\"...\\"}"}\n'


def test_the_worker_takes_tasks_and_survives_a_bad_one(copy: Callable[[str], Path]) -> None:
    example = copy("worker")
    workspace = example / ".agentberth" / "worker" / "workspace"

    with running(example):
        eventually((workspace / "outbox").is_dir)
        (workspace / "inbox" / "1.json").write_text("not a task")
        (workspace / "inbox" / "2.json").write_text(json.dumps({"text": "b\na\n"}))
        eventually((workspace / "outbox" / "2.json").is_file)

    done = json.loads((workspace / "outbox" / "2.json").read_text())
    assert done == {"id": "0e1677a9785e5a17fe523efc5bf9e0b9a37b1100", "lines": 2}


def test_the_template_runs_without_its_image(copy: Callable[[str], Path]) -> None:
    example = copy("template")

    done = run(example, "--command", f"python {example / 'main.py'}")

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Ahoy from my-agent; my files go to ")


def test_the_memory_example_remembers_the_run_before(copy: Callable[[str], Path]) -> None:
    example = copy("memory")

    said = [run(example).stdout.strip() for _ in range(2)]

    assert said == [
        "watch 1: the last light seen was none yet",
        "watch 2: the last light seen was the ferry's, on watch 1",
    ]
