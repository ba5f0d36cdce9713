"""How the platform runs Redis: arguments, probes, sizes.

The password comes from a mounted file. Beside the server a loop compares the file with what the server was told last,
and lets it read its users anew; the former password stays good for ten minutes, in which clients get theirs. The
script is constant; what a user wrote reaches it in arguments and files alone.
"""

from agent_api import layout
from agent_api.agenttype import AgentType, Memory
from agent_api.agenttype.kubernetes.resources import Resources, amount_of
from agent_api.agenttype.scalars import size_bytes
from agent_render.identity import Manifest
from agent_render.parts.sizes import resources
from agent_render.settings import PlatformSettings

DATA = "/data"
DATA_VOLUME = "data"
CLAIM_FACTOR = 3  # the log, its growth until it is rewritten, and the rewritten one beside it
_LOADING_FAILURES = 900  # at one a second: a large log takes its time to load
_ROOM_BYTES = 64 << 20  # what the server needs beside the data
_OVERLAP_MINUTES = 10

_FOLLOW_S = 5
_USERS = f"{layout.TMP}/users.acl"
_ASK = ("redis-cli", "-e", "--no-auth-warning", "-h", "127.0.0.1", "-p", str(layout.MEMORY_PORT))
_ASK_AS_PROBE = (*_ASK, "--user", "probe", "--pass", "probe")

# `users` prints the ACL: whoever has the password, and the probes' own user, which may only reload this very file.
START = f"""\
hash() {{ printf %s "$1" | sha256sum | cut -d' ' -f1; }}
users() {{
  password=$(cat {layout.CONFIG_MEMORY}/password)
  if [ -z "$password" ]; then echo 'the password in the Secret is empty' >&2; return 1; fi
  former=$(find /tmp/former -mmin -{_OVERLAP_MINUTES} -exec cat {{}} \\; 2>/dev/null)
  echo "user default on #$(hash "$password")$former ~* &* +@all"
  echo 'user probe on nopass resetkeys resetchannels -@all +ping +acl|load'
}}
first() {{ head -n 1 "$1" | cut -d' ' -f4; }}
follow() {{
  users > /tmp/users.new || return
  if [ "$(first /tmp/users.new)" != "$(first /tmp/users.acl)" ]; then
    echo " $(first /tmp/users.acl)" > /tmp/former
    users > /tmp/users.new
  fi
  cmp -s /tmp/users.new /tmp/users.acl || cp /tmp/users.new /tmp/users.acl
  cmp -s /tmp/users.acl /tmp/users.told && return
  {" ".join(_ASK_AS_PROBE)} acl load && cp /tmp/users.acl /tmp/users.told
}}
umask 077
rm -f /tmp/former
users > /tmp/users.acl || exit 1
cp /tmp/users.acl /tmp/users.told
while sleep {_FOLLOW_S}; do follow; done &
exec redis-server "$@"
"""


def in_pod_arguments(memory: Memory) -> tuple[str, ...]:
    """Of the sidecar: for this Pod alone, and nothing on disk."""
    return ("--bind", "127.0.0.1", *_common(memory), "--appendonly", "no")


def server_arguments(memory: Memory) -> tuple[str, ...]:
    """Of the server beside the Pods. What it has acknowledged is on disk a second later, if it is persistent."""
    lasting = ("--appendonly", "yes", "--appendfsync", "everysec") if memory.persistent else ("--appendonly", "no")
    return ("--bind", "*", "-::*", "--aclfile", _USERS, "--dir", DATA, *_common(memory), *lasting)


def probes(*, own_server: bool) -> Manifest:
    """A server that does not answer for a minute is started anew. One that loads a large log may take its time."""
    command = [*(_ASK_AS_PROBE if own_server else _ASK), "ping"]
    look = {"exec": {"command": command}, "timeoutSeconds": 5}
    return {
        "startupProbe": {**look, "periodSeconds": 1, "failureThreshold": _LOADING_FAILURES if own_server else 60},
        "readinessProbe": {**look, "periodSeconds": 5, "failureThreshold": 2},
        "livenessProbe": {**look, "periodSeconds": 10, "failureThreshold": 6},
    }


def resources_of(agent: AgentType, settings: PlatformSettings, memory: Memory) -> Manifest:
    """The profile's, or more where the data needs it; the AgentType's own numbers win.

    A persistent server forks to rewrite its log: pages that change meanwhile are there twice.
    """
    data = size_bytes(memory.size)
    sized = resources(agent, settings, "memory")
    own = agent.spec.resources.memory or Resources()
    needed = {
        "limits": data * (2 if memory.persistent else 1) + data // 4 + _ROOM_BYTES,
        "requests": data + _ROOM_BYTES // 2,
    }
    given = {"requests": own.requests, "limits": own.limits}
    for kind, room in needed.items():
        if "memory" not in given[kind] and amount_of(sized[kind]["memory"]) < room:
            sized[kind]["memory"] = _mebibytes(room)
    requests, limits = sized["requests"], sized["limits"]
    if amount_of(requests["memory"]) > amount_of(limits["memory"]):
        follower, leader = (requests, limits) if "memory" in own.limits else (limits, requests)
        follower["memory"] = leader["memory"]
    return sized


def claim_bytes(memory: Memory) -> int:
    """Of the claim of a persistent memory, in whole mebibytes."""
    return -(-size_bytes(memory.size) * CLAIM_FACTOR >> 20) << 20


def claim_size(memory: Memory) -> str:
    """The same as a quantity."""
    return _mebibytes(claim_bytes(memory))


def _common(memory: Memory) -> tuple[str, ...]:
    return (
        "--port", str(layout.MEMORY_PORT),
        "--maxmemory", str(size_bytes(memory.size)),
        "--maxmemory-policy", memory.eviction_policy,
        "--save", "",
    )  # fmt: skip


def _mebibytes(size: int) -> str:
    """Rounded up, in the form in which the API server gives it back: another form would be another manifest."""
    count, units = -(-size >> 20), ["Mi", "Gi", "Ti"]
    while count % 1024 == 0 and len(units) > 1:
        count //= 1024
        units.pop(0)
    return f"{count}{units[0]}"
