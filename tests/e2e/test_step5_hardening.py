"""Step 5 with real Pods: an image that cannot run hardened says exactly why, and fences are made."""

import pytest
from e2e.agents import unprivileged_nginx
from e2e.namespace import Namespace
from e2e.place import Site

pytestmark = pytest.mark.step5

RESTRICTED = {"profile": "restricted"}


def test_an_image_that_cannot_run_restricted_says_at_which_path(restricted: Namespace, site: Site) -> None:
    agent = restricted.create("stubborn", {"image": site.images.nginx}, security=RESTRICTED)

    crashing = agent.wait_condition("Ready", "False", "Crashing")

    assert "/var/" in crashing["message"]
    assert "name the folder in container.writablePaths, or set security.profile: baseline" in crashing["message"]


def test_an_image_that_wants_root_says_what_to_set(baseline: Namespace, site: Site) -> None:
    security = {"profile": "baseline", "podSecurityContext": {"runAsNonRoot": True}}
    agent = baseline.create("rooted", {"image": site.images.nginx}, security=security)

    crashing = agent.wait_condition("Ready", "False", "Crashing")

    assert "container has runAsNonRoot and image will run as root" in crashing["message"]
    assert "set container.securityContext.runAsUser to a user of the image" in crashing["message"]


def test_a_fenced_agent_runs_and_is_judged_by_its_probes(restricted: Namespace, site: Site) -> None:
    agent = restricted.create("fenced", unprivileged_nginx(site.images), security=RESTRICTED)

    agent.wait_phase("Running")

    assert "NetworkPolicy/fenced" in restricted.contents()
