"""The first day with a cluster: `agentberth check --probe`."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from e2e.kubectl import Document
from e2e.namespace import Namespace
from e2e.place import Site
from e2e.waiting import eventually

AGENTBERTH: Final = Path(sys.executable).with_name("agentberth")
PATIENCE_S: Final = 300


def run(*arguments: str, site: Site) -> Any:
    variables = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    variables |= {"NO_COLOR": "1", "KUBECONFIG": site.kubectl.place[1]}
    return subprocess.run(
        [str(AGENTBERTH), *arguments],
        env=variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def test_check_probes_images_and_policies_with_two_pods_and_leaves_none(restricted: Namespace, site: Site) -> None:
    before = restricted.contents()

    done = run("check", "--probe", "--namespace", restricted.name, "--output", "json", site=site)

    findings: dict[str, Document] = {one["check"]: one for one in json.loads(done.stdout)["findings"]}
    assert findings["pull"]["level"] == "ok", done.stdout
    if site.own:  # docs/development/testcluster.md: policies are stored and not enforced
        assert findings["probe"]["level"] == "error"
        assert "NetworkPolicies for ingress and egress have no effect" in findings["probe"]["message"]
    else:
        assert findings["probe"]["level"] in {"ok", "error"}
        assert "cannot reach another one" not in findings["probe"]["message"]
    made = {"Pod", "NetworkPolicy"}
    eventually(
        lambda: {one for one in restricted.contents() - before if one.partition("/")[0] in made} == set(),
        what="the Pods of the probe are gone",
    )
