"""The agent Pod's layout: paths, ports, names and user ids that more than one program must agree on.

`agentberth run` keeps the same layout below a folder of its own: `relocate` is the one place that knows
which paths move.
"""

from pathlib import PurePosixPath
from typing import Final

GROUP: Final = "agents.example.com"
VERSION: Final = "v1"
KIND: Final = "AgentType"
API_VERSION: Final = f"{GROUP}/{VERSION}"

# Volumes. Who may write where is in docs/concepts.md; the mounts are in agent_render.
SHARED: Final = "/shared"  # written by initenv, read-only for everyone else
SHARED_CODE: Final = f"{SHARED}/code"
SHARED_SDK_PYTHON: Final = f"{SHARED}/sdk/python"
SHARED_SDK_NODEJS: Final = f"{SHARED}/sdk/nodejs"  # holds node_modules/
SHARED_GLUE: Final = f"{SHARED}/glue"
SHARED_BIN: Final = f"{SHARED}/bin"
TOOLS: Final = "/tools"  # written by toolproxy, read-only for the agent
TOOLS_BIN: Final = f"{TOOLS}/bin"
WORKSPACE: Final = "/workspace"  # written by the agent and toolproxy, never seen by llmgateway
TMP: Final = "/tmp"  # noqa: S108 - the Pod's own emptyDir, one per container
CONFIG: Final = "/etc/agentberth"  # everything mounted from ConfigMaps and Secrets
CONFIG_INIT: Final = f"{CONFIG}/init"
CONFIG_TOOLS: Final = f"{CONFIG}/tools"
CONFIG_GATEWAY: Final = f"{CONFIG}/gateway"
CONFIG_FILES: Final = f"{CONFIG}/files"  # files/<ConfigMap name>/<key>
CONFIG_CODE: Final = f"{CONFIG}/code"  # local code from a ConfigMap or a claim
CONFIG_GIT: Final = f"{CONFIG}/git"  # username + password, or ssh-privatekey (+ known_hosts)
CONFIG_LOCK: Final = f"{CONFIG}/lock"  # requirements.txt or package-lock.json
CONFIG_INDEX: Final = f"{CONFIG}/index"  # index-url, npmrc, ca.crt: each optional
CONFIG_TOOLS_INDEX: Final = f"{CONFIG}/tools-index"  # the same, for packages of tools
CONFIG_MEMORY: Final = f"{CONFIG}/memory"  # password of the memory, and perhaps ca.crt
TRUST: Final = "/etc/ssl/agentberth"  # the platform's authorities, for tools and agents too, who do not see CONFIG
CREDENTIALS: Final = f"{CONFIG}/credentials"  # credentials/<provider or tool>/<key of the Secret>

# Keys of the agent's ConfigMap.
INIT_KEY: Final = "init.json"
TOOLS_KEY: Final = "tools.json"
GATEWAY_KEY: Final = "gateway.json"

# Secrets of the Pod itself, made by the operator: keys of the agent's ConfigMap, and the files they are mounted as.
# A token is in the agent's environment too, a report's key in its sidecar alone, the Pod's own key nowhere.
GATEWAY_TOKEN_KEY: Final = "llmgateway-token"  # noqa: S105 - a name
TOOLS_TOKEN_KEY: Final = "toolproxy-token"  # noqa: S105 - likewise
GATEWAY_REPORT_KEY: Final = "llmgateway-report-key"
TOOLS_REPORT_KEY: Final = "toolproxy-report-key"
POD_KEY: Final = "pod-key"  # the others are derived from it
TOKEN_FILE: Final = "token"  # noqa: S105 - likewise
REPORT_KEY_FILE: Final = "report-key"
DOOR: Final = "/t"  # /t/TOKEN before any path of a sidecar's API: for clients that take one address and no header

# Containers, in the order they start.
INITENV: Final = "initenv"
SETUP: Final = "initenv-setup"
"""The author's setup commands: the same program, without the Secrets that preparation needs."""
PREPARING: Final = (INITENV, SETUP)
TOOLPROXY: Final = "toolproxy"
LLMGATEWAY: Final = "llmgateway"
MEMORY: Final = "memory"

# Ports. APIs listen on loopback, ops ports on the Pod's address.
LLMGATEWAY_PORT: Final = 8801
TOOLPROXY_PORT: Final = 8802
MEMORY_PORT: Final = 6379
LLMGATEWAY_OPS_PORT: Final = 9801
TOOLPROXY_OPS_PORT: Final = 9802
OPERATOR_OPS_PORT: Final = 9800

# User ids: the wall between containers of one Pod.
AGENT_UID: Final = 10001
TOOLPROXY_UID: Final = 10002
LLMGATEWAY_UID: Final = 10003
MEMORY_UID: Final = 10004
INITENV_UID: Final = 10010
POD_GID: Final = 10000

TERMINATION_LOG: Final = "/dev/termination-log"
TERMINATION_LOG_BYTES: Final = 4096  # the kubelet cuts what is longer

_MOVED: Final = tuple(PurePosixPath(p) for p in (SHARED, TOOLS, WORKSPACE, CONFIG, TMP))


def relocate(path: str, root: str) -> str:
    """Where `path` of the Pod is when the Pod's volumes are kept below `root`.

    Only mounted paths move: any other absolute path is the container's own file system and stays as it is.
    With `root` "/" nothing moves.
    """
    pure = PurePosixPath(path)
    if root == "/" or not any(pure.is_relative_to(moved) for moved in _MOVED):
        return path
    return str(PurePosixPath(root) / pure.relative_to("/"))


def split_door(path: str) -> tuple[str, str]:
    """The part of a path that holds the token, as in `/t/TOKEN/v1/models`, and the rest; ("", path) without one."""
    if not path.startswith(f"{DOOR}/"):
        return "", path
    token, slash, rest = path.removeprefix(f"{DOOR}/").partition("/")
    return f"{DOOR}/{token}", f"{slash}{rest}"
