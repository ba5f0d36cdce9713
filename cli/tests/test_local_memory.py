"""A memory without a cluster: a real server where there is one, a stand-in where there is none."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from agent_api.agenttype import AgentType
from agentberth.local.memory import limitations, server_command, with_local_memory, with_port

from .conftest import Run

TALK = """
import os, socket
from urllib.parse import urlsplit
address = urlsplit(os.environ["REDIS_URL"])
with socket.create_connection((address.hostname, address.port), 10) as memory:
    memory.sendall(b"*2\\r\\n$4\\r\\nINCR\\r\\n$4\\r\\nruns\\r\\n")
    print("run", memory.recv(100).decode().strip().lstrip(":"))
"""


def subject(**memory: object) -> AgentType:
    document = {"metadata": {"name": "subject"}, "spec": {"agent": {"image": "a"}, "memory": memory}}
    return AgentType.model_validate(document)


def manifest(folder: Path, memory: str, *, code: str = TALK, more: str = "") -> Path:
    (folder / "code").mkdir(exist_ok=True)
    (folder / "code" / "main.py").write_text(code)
    file = folder / "agent.yaml"
    file.write_text(
        textwrap.dedent(f"""\
        apiVersion: agents.example.com/v1
        kind: AgentType
        metadata: {{name: tester}}
        spec:
          agent:
            type: code
            code: {{runtime: python, source: {{type: local, path: code}}}}
          memory: {memory}
        """)
        + more
    )
    return file


@pytest.fixture
def without_redis(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A PATH with python and nothing else."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "python3").symlink_to(sys.base_prefix + f"/bin/python{sys.version_info[0]}.{sys.version_info[1]}")
    monkeypatch.setenv("PATH", str(folder))


@pytest.fixture
def stand_in() -> Iterator[tuple[int, "subprocess.Popen[bytes]"]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen([sys.executable, "-m", "agentberth.local.memoryserver", str(port)])
    try:
        yield port, server
    finally:
        server.kill()
        server.wait()


def test_agent_without_redis_server_here_has_a_memory_for_the_run(
    agentberth: Run, tmp_path: Path, without_redis: None
) -> None:
    file = manifest(tmp_path, "{config: {persistence: true}}")

    said = [agentberth("run", str(file)) for _ in range(2)]

    assert ["run 1" in done.stdout for done in said] == [True, True], said[0].stderr
    assert "redis-server is not on the PATH" in said[0].stderr
    assert "the data goes with the run" in said[0].stderr


def test_persistent_memory_remembers_the_run_before(agentberth: Run, tmp_path: Path) -> None:
    file = manifest(tmp_path, "{config: {persistence: true}}")

    said = [agentberth("run", "-q", str(file)).stdout for _ in range(2)]

    assert said == (["run 1\n", "run 2\n"] if here("redis-server") else ["run 1\n", "run 1\n"])


def here(program: str) -> bool:
    return any((Path(folder) / program).exists() for folder in os.environ["PATH"].split(":"))


def test_password_of_a_server_at_a_url_is_put_into_the_url(agentberth: Run, tmp_path: Path) -> None:
    secret = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: redis}\nstringData: {password: s3cret}\n"
    memory = "{config: {url: 'redis://redis.example.com:6379/2', username: guest, credentialsSecret: redis}}"
    code = "import os; print(os.environ['AGENT_MEMORY_URL'])"

    done = agentberth("run", "-q", str(manifest(tmp_path, memory, code=code, more=secret)))

    assert done.stdout == "redis://guest:s3cret@redis.example.com:6379/2\n"


def test_stand_in_knows_expiry_and_transactions_and_ends_when_told(
    stand_in: tuple[int, "subprocess.Popen[bytes]"],
) -> None:
    port, server = stand_in
    client = connect(port)

    client.set("short", "v", px=200)
    with client.pipeline() as both:
        both.incr("n")
        both.expire("n", 100)
        assert both.execute() == [1, True]
    assert client.ttl("n") == 100
    time.sleep(0.3)
    assert client.get("short") is None

    server.send_signal(signal.SIGTERM)
    assert server.wait(20) == 0


def test_stand_in_does_what_clients_and_frameworks_ask_of_it(
    stand_in: tuple[int, "subprocess.Popen[bytes]"],
) -> None:
    client = connect(stand_in[0])

    with client.lock("berth", timeout=20, blocking_timeout=5) as lock:
        assert lock.owned()
        lock.extend(5)
    assert client.get("berth") is None
    assert client.register_script("return redis.call('INCRBY', KEYS[1], ARGV[1])")(keys=["n"], args=[3]) == 3
    assert client.info("memory")["used_memory"] > 0
    assert client.info()["db0"]["keys"] == 1
    assert client.config_get("maxmemory*") == {"maxmemory": "0", "maxmemory-policy": "noeviction"}
    assert client.wait(0, 10) == 0
    assert client.memory_usage("n")
    assert client.client_list()[0]["lib-name"] == "redis-py"
    pid = client.client_id()
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        client.lpush("n", "x")
    with pytest.raises(redis.exceptions.NoScriptError):
        client.evalsha("0" * 40, 0)
    with pytest.raises(redis.ResponseError, match="unknown command"):
        client.execute_command("FT.SEARCH", "index", "*")  # type: ignore[no-untyped-call]
    assert client.client_id() == pid, "an error does not end a connection"


def connect(port: int) -> redis.Redis:
    deadline = time.monotonic() + 40
    while not accepts(port):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return redis.Redis(port=port, decode_responses=True, single_connection_client=True)


def accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def test_own_server_comes_into_the_pod_and_a_foreign_one_stays() -> None:
    own = with_local_memory(
        subject(size="64Mi", config={"persistence": True, "evictionPolicy": "allkeys-lfu"})
    ).spec.memory
    foreign = subject(config={"url": "redis://redis:6379"})

    assert own is not None
    assert (own.type, own.size, own.eviction_policy) == ("inmemory", "64Mi", "allkeys-lfu")
    assert with_local_memory(foreign) is foreign
    assert limitations(foreign) == ""


def test_memory_on_another_port_is_told_to_the_sidecars() -> None:
    config = {"tools.json": '{"url": "redis://127.0.0.1:6379/0", "other": "http://127.0.0.1:6379/0"}'}

    assert with_port(subject(type="inmemory"), config, 7000) == {
        "tools.json": '{"url": "redis://127.0.0.1:7000/0", "other": "http://127.0.0.1:6379/0"}'
    }


def test_redis_server_gets_the_rendered_arguments_on_its_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "redis-server"
    program.write_text("")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    container = {"args": ["--port", "6379", "--maxmemory", "1048576"]}

    command = server_command(container, 7000, tmp_path, keep=True)

    assert command[:5] == (str(program), "--port", "7000", "--maxmemory", "1048576")
    assert command[command.index("--dir") + 1] == str(tmp_path / "memory")
    assert "everysec" in command
