"""Agents that say in their first line what they were given, and then wait: one per way of bringing an agent."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from e2e.namespace import Namespace
from e2e.place import Images

PYTHON_VERSION, NODEJS_VERSION = "3.13", "20"

PYTHON_CODE = """\
import json, os, signal, sys

seen = {"glued": os.environ.get("GLUED"), "greeting": os.environ.get("GREETING"), "package": None}
try:
    import berth_sdk
    seen["package"] = berth_sdk.VERSION
except ImportError:
    pass
print(json.dumps(seen), flush=True)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
signal.pause()
"""
NODEJS_CODE = """\
const seen = {glued: process.env.GLUED ?? null, greeting: process.env.GREETING ?? null, package: null};
try {
  seen.package = require('berth-sdk');
} catch (error) {
  if (error.code !== 'MODULE_NOT_FOUND') throw error;
}
console.log(JSON.stringify(seen));
process.on('SIGTERM', () => process.exit(0));
setInterval(() => {}, 1000);
"""


@dataclass(frozen=True)
class Kind:
    """A way of bringing an agent, and what its language calls things."""

    name: str
    runtime: str
    package: str
    glue: tuple[str, str]
    """Name and content of a file that sets GLUED before the agent's own first line."""

    def spec(self, namespace: Namespace, images: Images, environment: Mapping[str, Any]) -> dict[str, Any]:
        """`spec.agent` with that environment; what it refers to is put into the namespace."""
        if self.name == "container":
            image = images.python.format(version=PYTHON_VERSION)
            bring = {"type": "container", "container": {"image": image}, "command": ["python", "-c", PYTHON_CODE]}
        else:
            namespace.config_map(f"{self.name}-code", self.files())
            source = {"type": "local", "configMap": f"{self.name}-code"}
            bring = {"type": "code", "code": {"runtime": self.runtime, "source": source}}
        return {**bring, "environment": dict(environment)}

    def files(self) -> dict[str, str]:
        return {"main.py": PYTHON_CODE} if self.runtime == "python" else {"index.js": NODEJS_CODE}

    def sdk(self, *packages: str) -> dict[str, Any]:
        """`environment.sdk` for packages from the index of the Secret `index`."""
        runtime = {"runtime": "python", "version": PYTHON_VERSION} if self.name == "container" else {}
        return {**runtime, "packages": list(packages), "indexSecret": "index"}


_PYTHON_GLUE = ("glue.py", "import os\nos.environ['GLUED'] = 'before the first line'\n")
_NODEJS_GLUE = ("glue.js", "process.env.GLUED = 'before the first line';\n")

KINDS = (
    Kind("container", "python", "berth_sdk==1.2.0", _PYTHON_GLUE),
    Kind("python", "python", "berth_sdk==1.2.0", _PYTHON_GLUE),
    Kind("nodejs", "nodejs", "berth-sdk@1.2.0", _NODEJS_GLUE),
)

NGINX_CONFIGURATION = """\
pid /tmp/nginx.pid;
error_log /dev/stderr;
events {}
http {
  access_log /dev/stdout;
  server {
    listen 8080;
    location / { return 200 "berthed\\n"; }
  }
}
"""


def unprivileged_nginx(images: Images) -> dict[str, Any]:
    """nginx as its own kind of user: a port above 1024, and only the folders it writes are writable."""
    return {
        "type": "container",
        "container": {"image": images.nginx, "writablePaths": ["/var/cache/nginx", "/var/lib/nginx", "/var/log/nginx"]},
        "command": ["nginx", "-c", "/shared/nginx.conf", "-g", "daemon off;"],
        "ports": [{"name": "http", "containerPort": 8080}],
        "probes": {"readiness": {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1}},
        "environment": {"files": [{"path": "nginx.conf", "content": NGINX_CONFIGURATION}]},
    }
