"""The agent's memory, over a real redis-server."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from contract.toolproxy.toolproxy_harness import ToolProxy

TOOLS = [f"memory__{name}" for name in ("append", "delete", "get", "list", "search", "set")]


class RedisServer:
    """redis-server with a password, which can be stopped and started on its port."""

    def __init__(self, folder: Path, password: str) -> None:
        program = shutil.which("redis-server")
        assert program, "redis-server is not installed: apt-get install redis-server"
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self.port = int(listener.getsockname()[1])
        self.password = password
        self._folder = folder
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        settings = ["--port", str(self.port), "--save", "", "--requirepass", self.password, "--dir", str(self._folder)]
        self._process = subprocess.Popen([self._program, *settings], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise AssertionError("redis-server did not start")

    def command(self, *parts: str) -> bytes:
        """A command on a connection of its own, past the proxy."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            for words in (("AUTH", self.password), parts):
                encoded = [word.encode() for word in words]
                connection.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(w), w) for w in encoded))
                time.sleep(0.05)
            return connection.recv(65536)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path, "canary-redis-password")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def remembering(proxy: ToolProxy, redis: RedisServer) -> ToolProxy:
    proxy.write_credential("memory", "password", f"{redis.password}\n")
    proxy.write_config(tools=[{"name": "git"}], memory=memory_of(redis))
    proxy.start()
    proxy.wait_for(lambda: (proxy.report()["memory"] or {}).get("reachable"))
    return proxy


def memory_of(redis: RedisServer, prefix: str = "a:") -> dict[str, Any]:
    return {"url": f"redis://127.0.0.1:{redis.port}/1", "credentials": "memory", "prefix": prefix}


def use(proxy: ToolProxy, name: str, **arguments: Any) -> Any:
    result = proxy.call(f"memory__{name}", arguments)
    assert not result.get("isError"), result
    return result["structuredContent"]


def test_tools_remember_append_list_search_and_forget(remembering: ToolProxy) -> None:
    assert [name for name in remembering.tool_names() if name != "git"] == TOOLS
    assert use(remembering, "get", key="k") == {"found": False}
    assert use(remembering, "set", key="k", value="v\u00e9 \n\0") == {"stored": True}
    assert use(remembering, "get", key="k") == {"found": True, "value": "v\u00e9 \n\0"}
    assert use(remembering, "append", key="log", value="one") == {"sizeBytes": 3}
    assert use(remembering, "append", key="log", value="two") == {"sizeBytes": 6}
    assert use(remembering, "list") == {"keys": ["k", "log"]}
    assert use(remembering, "search", prefix="l") == {"items": [{"key": "log", "value": "onetwo"}]}
    assert use(remembering, "delete", key="k") == {"deleted": True}
    assert use(remembering, "delete", key="k") == {"deleted": False}


def test_what_has_a_time_to_live_goes_away(remembering: ToolProxy) -> None:
    use(remembering, "set", key="short", value="v", ttlSeconds=1)
    assert use(remembering, "get", key="short")["ttlSeconds"] == 1
    remembering.wait_for(lambda: not use(remembering, "get", key="short")["found"], timeout_s=5)


def test_prefixes_are_taken_literally(remembering: ToolProxy) -> None:
    for key in ("a*b", "axb", "a[1]", "a\\", "a?"):
        use(remembering, "set", key=key, value="v")
    assert use(remembering, "list", prefix="a*") == {"keys": ["a*b"]}
    assert use(remembering, "list", prefix="a[") == {"keys": ["a[1]"]}
    assert use(remembering, "list", prefix="a\\") == {"keys": ["a\\"]}
    assert use(remembering, "list", prefix="a?") == {"keys": ["a?"]}
    assert len(use(remembering, "list", prefix="a", limit=3)["keys"]) == 3


def test_agents_on_one_server_stay_apart(remembering: ToolProxy, redis: RedisServer) -> None:
    use(remembering, "set", key="mine", value="a")
    remembering.write_config(tools=[{"name": "git"}], memory=memory_of(redis, "b:"))
    remembering.wait_for(lambda: use(remembering, "list") == {"keys": []})
    use(remembering, "set", key="mine", value="b")
    remembering.write_config(tools=[{"name": "git"}], memory=memory_of(redis, "a:"))
    remembering.wait_for(lambda: use(remembering, "get", key="mine")["value"] == "a")


def test_the_rest_api_reaches_the_same_memory(remembering: ToolProxy) -> None:
    url = f"{remembering.url}/v1/memory"
    assert httpx.put(f"{url}/a/b", json={"value": "v", "ttlSeconds": 60}).status_code == 204
    found = httpx.get(f"{url}/a/b").json()
    assert (found["key"], found["value"], 50 < found["ttlSeconds"] <= 60) == ("a/b", "v", True)
    assert use(remembering, "get", key="a/b")["value"] == "v"
    assert httpx.get(url, params={"prefix": "a"}).json() == {"keys": ["a/b"]}
    assert httpx.delete(f"{url}/a/b").status_code == 204
    assert httpx.delete(f"{url}/a/b").status_code == 404
    assert httpx.get(f"{url}/a/b").status_code == 404


def test_bounds_are_kept(remembering: ToolProxy) -> None:
    url = f"{remembering.url}/v1/memory"
    assert httpx.put(f"{url}/{'k' * 600}", json={"value": "v"}).status_code == 400
    assert httpx.put(f"{url}/k", json={"value": "v" * (1 << 20 | 1)}).status_code == 400
    assert httpx.put(f"{url}/k", json={"value": "v", "ttlSeconds": 0}).status_code == 400
    assert httpx.get(url, params={"limit": "0"}).status_code == 400
    use(remembering, "set", key="k", value="v" * (1 << 20))
    assert remembering.call("memory__append", {"key": "k", "value": "v"})["isError"] is True


def test_what_is_not_text_is_left_alone(remembering: ToolProxy, redis: RedisServer) -> None:
    redis.command("SELECT", "1")
    script = "redis.call('SELECT', 1) redis.call('RPUSH', 'a:list', 'x')"
    redis.command("EVAL", script, "0")
    assert "not text" in remembering.call("memory__get", {"key": "list"})["content"][0]["text"]
    assert use(remembering, "search", prefix="") == {"items": []}


def test_a_memory_that_is_away_is_said_and_comes_back(remembering: ToolProxy, redis: RedisServer) -> None:
    redis.stop()
    result = remembering.call("memory__get", {"key": "k"})
    assert result["isError"] is True
    assert "cannot be reached" in result["content"][0]["text"]
    answer = httpx.get(f"{remembering.url}/v1/memory/k")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "memory_unavailable")
    remembering.wait_for(lambda: not remembering.report()["memory"]["reachable"])
    assert httpx.get(f"{remembering.ops_url}/readyz").status_code == 200
    redis.start()
    remembering.wait_for(lambda: remembering.report()["memory"]["reachable"])
    assert use(remembering, "get", key="k") == {"found": False}


def test_a_wrong_password_is_named_and_the_right_one_is_picked_up(proxy: ToolProxy, redis: RedisServer) -> None:
    proxy.write_credential("memory", "password", "canary-wrong-password")
    proxy.write_config(tools=[], memory=memory_of(redis))
    proxy.start()
    proxy.wait_for(lambda: "refused AUTH" in (proxy.report()["memory"] or {}).get("error", ""))
    proxy.write_credential("memory", "password", redis.password)
    proxy.wait_for(lambda: proxy.report()["memory"]["reachable"])
    assert proxy.report()["memory"]["usedBytes"] > 0
    assert "canary-" not in proxy.log.read_text()


def test_without_a_memory_a_required_one_is_a_failure(proxy: ToolProxy) -> None:
    proxy.write_config(tools=[{"name": "memory", "custom": {"name": "memory", "source": "builtin:memory"}}])
    proxy.launch()
    assert "spec.memory" in proxy.wait_for_state("memory", "failed")["error"]
    assert httpx.get(f"{proxy.ops_url}/readyz").status_code == 503
