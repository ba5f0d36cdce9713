"""What an agent can make a tool try against the proxy, its configuration and the calls of other tools."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from contract import podroot
from contract.toolproxy.toolproxy_harness import ToolProxy, descendants

from agent_api.layout import POD_GID, TOOLPROXY_UID
from agent_toolproxy.process import landlock, syscallfilter

CANARY = 'canary-Token_7"&x'
OUTPUT_BYTES = 100_000
HOLDER = '#!/bin/sh\necho "$TOKEN" > "$HOME/.secret"; echo $$ > "$AGENT_WORKSPACE/holder"; exec sleep 300\n'
ATTACK = '#!/bin/sh\nexec python3 -c "$1"\n'

READS = {
    "credentials": "{root}/etc/agentberth/credentials/holder/token",
    "configuration": "{root}/etc/agentberth/tools/tools.json",
    "home_of_another_call": "{home}/.secret",
    "environment_of_another_call": "/proc/{holder}/environ",
    "environment_of_its_supervisor": "/proc/{supervisor}/environ",
    "environment_of_the_proxy": "/proc/{proxy}/environ",
    "memory_of_the_proxy": "/proc/{proxy}/mem",
    "memory_of_another_call": "/proc/{holder}/mem",
    "home_through_the_root_of_another_call": "/proc/{holder}/root{home}/.secret",
    "credentials_through_the_root_of_the_proxy": "/proc/{proxy}/root{root}/etc/agentberth/credentials/holder/token",
    "home_through_its_own_root": "/proc/self/root{home}/.secret",
    "home_by_a_longer_way": "{home}/../{homename}/.secret",
}
WRITES = {
    "gitconfig_of_another_call": "{home}/.gitconfig",
    "secret_of_another_call": "{home}/.secret",
    "program_on_the_agents_path": "{tools}/bin/git",
    "record_of_a_tool": "{tools}/records/holder.json",
    "lock": "{tools}/tools.lock.json",
    "store": "{tools}/store/x",
    "calls": "{tools}/calls/x",
    "configuration": "{root}/etc/agentberth/tools/tools.json",
    "credentials": "{root}/etc/agentberth/credentials/holder/token",
    "programs": "{root}/programs/holder",
    "log_of_the_proxy": "{root}/log",
    "oom_score_of_the_proxy": "/proc/{proxy}/oom_score_adj",
    "oom_score_of_another_call": "/proc/{holder}/oom_score_adj",
    "memory_of_the_proxy": "/proc/{proxy}/mem",
    "name_of_the_proxy": "/proc/{proxy}/comm",
}
LISTS = {
    "private_folders": "os.listdir('{tools}/calls')",
    "home_of_another_call": "os.listdir('{home}')",
    "descriptors_of_the_proxy": "os.readlink('/proc/{proxy}/fd/1')",
    "descriptors_of_another_call": "os.readlink('/proc/{holder}/fd/1')",
    "link_to_the_credentials": "os.symlink('{root}/etc/agentberth', 'lnk') or open('lnk/credentials/holder/token')",
    "hard_link_to_the_secret": "os.link('{home}/.secret', 'hard')",
    "rename_of_the_home": "os.rename('{home}', 'stolen')",
    "removal_of_the_home": "os.rmdir('{home}')",
    "removal_of_the_secret": "os.unlink('{home}/.secret')",
}
NAMESPACES = {
    "secret_of_another_call": "open('{home}/.secret').read()",
    "credentials": "open('{root}/etc/agentberth/credentials/holder/token').read()",
    "mount_over_the_tools": "check(libc.mount(b'tmpfs', b'{tools}', b'tmpfs', 0, None))",
    "move_the_configuration": "check(libc.mount(b'{root}/etc', b'/mnt', None, 4096, None))",
    "memory_limit_of_the_proxy": "resource.prlimit({proxy}, resource.RLIMIT_AS, (1 << 20, 1 << 20))",
    "kill_the_proxy": "os.kill({proxy}, 9)",
    "trace_another_call": "check(libc.ptrace(0x4206, {holder}, 0, 0))",
}
LASTING = {
    "shared_memory": "check(libc.shmget(7, 1 << 20, 0o1666))",
    "semaphores": "check(libc.semget(7, 1, 0o1666))",
    "messages": "check(libc.msgget(7, 0o1666))",
}
SYSTEM = {
    "become_root": "os.setuid(0)",
    "passwords": "open('/etc/shadow').read()",
    "programs_of_the_image": "open('/usr/bin/planted', 'w')",
    "configuration_of_the_image": "open('/etc/planted', 'w')",
    "root_folder": "os.mkdir('/planted')",
    "device": "os.mknod('disk', 0o60666, os.makedev(8, 0))",
    "another_root": "os.chroot('.')",
    "host_name": "check(libc.sethostname(b'x', 1))",
    "kernel_log": "check(libc.klogctl(4, ctypes.create_string_buffer(64), 64))",
    "kernel_setting": "open('/proc/sys/kernel/core_pattern', 'w').write('|/workspace/x')",
}
TARGETS = ("proxy", "supervisor", "holder", "own_supervisor")
PROCESSES = {
    "kill": "os.kill({pid}, 9)",
    "term": "os.kill({pid}, 15)",
    "stop": "os.kill({pid}, 19)",
    "pidfd_signal": "signal.pidfd_send_signal(os.pidfd_open({pid}), 9)",
    "memory_limit": "resource.prlimit({pid}, resource.RLIMIT_AS, (1 << 20, 1 << 20))",
    "file_limit": "resource.prlimit({pid}, resource.RLIMIT_NOFILE, (1, 1))",
    "affinity": "os.sched_setaffinity({pid}, [0])",
    "scheduler": "os.sched_setscheduler({pid}, os.SCHED_IDLE, os.sched_param(0))",
    "priority": "os.setpriority(os.PRIO_PROCESS, {pid}, 19)",
    "trace": "check(libc.ptrace(16, {pid}, 0, 0))",
    "seize": "check(libc.ptrace(0x4206, {pid}, 0, 0))",
    "read_memory": "check(libc.process_vm_readv({pid}, 0, 0, 0, 0, 0) or libc.ptrace(16, {pid}, 0, 0))",
}
PROLOGUE = """
import ctypes, os, resource, signal
libc = ctypes.CDLL(None, use_errno=True)
def check(answer):
    if answer == -1:
        raise OSError(ctypes.get_errno(), 'refused')
"""


class Hostile:
    """A proxy with a tool that holds a secret in a running call, and one that runs what the agent gives it."""

    def __init__(self, proxy: ToolProxy) -> None:
        self.proxy = proxy
        self._calling = threading.Thread(target=self._hold, daemon=True)
        self._calling.start()
        marker = proxy.workspace / "holder"
        proxy.wait_for(lambda: marker.exists() and marker.read_text().strip())
        self.holder = int(marker.read_text())
        secret = next(proxy.tools.glob("calls/*/.secret"))
        self._secret = secret
        self.names: dict[str, object] = {
            "root": proxy.root,
            "tools": proxy.tools,
            "home": secret.parent,
            "homename": secret.parent.name,
            "proxy": proxy.pid,
            "holder": self.holder,
            "supervisor": parent_of(self.holder),
            "own_supervisor": "os.getppid()",
        }

    def _hold(self) -> None:
        try:
            self.proxy.run("holder")
        except httpx.HTTPError:
            return  # the proxy ends before the call

    def attempt(self, code: str) -> str:
        """What came of it: `done`, or the error."""
        handled = "except OSError as error:\n    print('refused', error)\nelse:\n    print('done')"
        text = f"{PROLOGUE}\ntry:\n    {code}\n{handled}"
        result = self.proxy.run("attack", {"args": [text]}).json()
        output: str = result["structuredContent"]["stdout"]
        return output or str(result)

    def is_unharmed(self) -> bool:
        running = descendants(self.proxy.pid)
        alive = httpx.get(f"{self.proxy.ops_url}/livez").status_code == 200
        return alive and self.holder in running and self._secret.read_text().strip() == CANARY


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hostile]:
    made = ToolProxy(tmp_path_factory.mktemp("agent") / "pod").in_a_pod()
    made.write_credential("holder", "token", CANARY)
    made.add_program("holder", HOLDER)
    made.add_program("attack", ATTACK)
    credentials = "/etc/agentberth/credentials/holder"
    environment = {"credentialEnvironment": {"TOKEN": "token"}}
    tools = [
        {
            "name": "holder",
            "custom": {"name": "holder", "source": "path:holder", **environment},
            "credentials": credentials,
        },
        {"name": "attack", "custom": {"name": "attack", "source": "path:attack"}},
        {
            "name": "printer",
            "custom": {"name": "printer", "source": "path:attack", **environment},
            "credentials": credentials,
        },
    ]
    made.write_config(tools=tools, limits={"timeoutSeconds": 600, "outputBytes": OUTPUT_BYTES})
    try:
        yield Hostile(made.start())
    finally:
        made.close()


@pytest.fixture(autouse=True)
def walls() -> None:
    """The attacks are tried where the kernel has what Pods are promised; the report says when it has not."""
    if landlock.kernel_version() < landlock.SCOPED_FROM or not syscallfilter.is_available():
        pytest.skip("this kernel has no Landlock that keeps signals, or this machine no filter of system calls")


@pytest.mark.parametrize("name", READS)
def test_nothing_is_read_that_is_not_the_tools(hostile: Hostile, name: str) -> None:
    path = READS[name].format(**hostile.names)

    said = hostile.attempt(f"print(open({path!r}, 'rb').read(100000))")

    assert said.startswith("refused")
    assert hostile.is_unharmed()


@pytest.mark.parametrize("name", WRITES)
def test_nothing_is_written_that_is_not_the_tools(hostile: Hostile, name: str) -> None:
    path = WRITES[name].format(**hostile.names)

    said = hostile.attempt(f"open({path!r}, 'r+b' if os.path.exists({path!r}) else 'wb').write(b'7')")

    assert said.startswith("refused")
    assert hostile.is_unharmed()


@pytest.mark.parametrize("name", LISTS)
def test_no_way_round_leads_to_another_call(hostile: Hostile, name: str) -> None:
    assert hostile.attempt(LISTS[name].format(**hostile.names)).startswith("refused")
    assert hostile.is_unharmed()


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", PROCESSES)
def test_no_process_outside_of_the_call_is_reached(hostile: Hostile, name: str, target: str) -> None:
    said = hostile.attempt(PROCESSES[name].format(pid=hostile.names[target]))

    assert said.startswith("refused"), said
    assert hostile.is_unharmed()


@pytest.mark.parametrize("name", NAMESPACES)
def test_a_user_namespace_of_its_own_opens_nothing(hostile: Hostile, name: str) -> None:
    said = hostile.attempt(f"libc.unshare(0x10020000); {NAMESPACES[name].format(**hostile.names)}")

    assert said.startswith("refused"), said
    assert hostile.is_unharmed()


@pytest.mark.parametrize("name", LASTING)
def test_nothing_outlives_a_call_in_the_kernel(hostile: Hostile, name: str) -> None:
    assert hostile.attempt(LASTING[name]).startswith("refused")


@pytest.mark.skipif(not podroot.is_available(), reason="needs root, to run the proxy as a user who is not")
@pytest.mark.parametrize("name", SYSTEM)
def test_the_container_is_not_the_tools_either(hostile: Hostile, name: str) -> None:
    said = hostile.attempt(SYSTEM[name])

    assert said.startswith("refused"), said
    assert hostile.is_unharmed()


@pytest.mark.skipif(not podroot.is_available(), reason="needs root, to run the proxy as a user who is not")
def test_the_proxy_has_the_user_of_a_pod_and_says_what_the_kernel_gives(hostile: Hostile) -> None:
    status = Path(f"/proc/{hostile.proxy.pid}/status").read_text()

    assert f"Uid:\t{TOOLPROXY_UID}\t{TOOLPROXY_UID}" in status
    assert f"Gid:\t{POD_GID}\t{POD_GID}" in status
    for line in ("CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1"):
        assert line in status
    assert hostile.proxy.report()["walls"] == landlock.describe()


@pytest.mark.parametrize(
    "expression",
    [
        "t",
        "repr(t)",
        "json.dumps(t)",
        "json.dumps({'a': [t]})",
        "urllib.parse.quote(t)",
        "urllib.parse.quote_plus(t)",
        "base64.b64encode(t.encode()).decode()",
        "base64.urlsafe_b64encode(t.encode()).decode()",
        "'x' * 4000 + t + 'y' * 4000",
        "'https://u:' + t + '@h/'",
    ],
)
def test_a_credential_is_masked_however_it_is_printed(hostile: Hostile, expression: str) -> None:
    lines = ("import base64, json, os, sys, urllib.parse", "t = os.environ['TOKEN']")
    code = "\n".join((*lines, f"print({expression})", f"print({expression}, file=sys.stderr)"))
    given = {"args": [code]}

    for answer in (hostile.proxy.run("printer", given).json(), hostile.proxy.call("printer", given)):
        shown = json.dumps(answer)
        assert "canary" not in shown
        assert "Token_7" not in shown
        assert "***" in shown


@pytest.mark.parametrize("size", [1, 5, len(CANARY) - 1])
def test_a_credential_is_masked_in_output_that_is_streamed_in_pieces(hostile: Hostile, size: int) -> None:
    code = "\n".join(
        (
            "import os, sys, time",
            "t = 'before ' + os.environ['TOKEN'] + ' after'",
            f"for at in range(0, len(t), {size}):",
            f"    print(t[at:at + {size}], end='', flush=True); time.sleep(0.02)",
        )
    )
    url, headers = f"{hostile.proxy.url}/v1/tools/printer:run", {"Accept": "text/event-stream"}
    answer = httpx.post(url, json={"arguments": {"args": [code]}}, headers=headers, timeout=60).text

    events = [json.loads(line.removeprefix("data: ")) for line in answer.splitlines() if line.startswith("data: ")]
    streamed = "".join(event["text"] for event in events[:-1])
    assert streamed == "before *** after"
    assert "canary" not in answer
    assert "Token" not in answer


def test_a_credential_is_masked_where_output_is_cut(hostile: Hostile) -> None:
    code = f"import os; print('x' * ({OUTPUT_BYTES} - 9) + os.environ['TOKEN'] * 2, end='')"

    for answer in (
        hostile.proxy.run("printer", {"args": [code]}).json(),
        hostile.proxy.call("printer", {"args": [code]}),
    ):
        assert answer["structuredContent"]["truncated"] == ["stdout"]
        assert "canary" not in json.dumps(answer)


def test_what_a_tool_leaves_behind_ends_with_it(hostile: Hostile) -> None:
    said = hostile.attempt("import subprocess; subprocess.Popen(['sleep', '290'], start_new_session=True)")

    assert said == "done\n"
    sleepers = [pid for pid in hostile.proxy.sleepers() if pid != hostile.holder]
    assert not sleepers


def test_a_tool_may_still_work_with_its_own_processes(hostile: Hostile) -> None:
    code = "import subprocess, time; c = subprocess.Popen(['sleep', '290']); c.kill(); c.wait()"

    assert hostile.attempt(code) == "done\n"
    assert hostile.attempt("resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)); os.setpriority(0, 0, 5)") == "done\n"
