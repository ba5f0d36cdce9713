"""What `check --probe` makes of the ports that its Pods reached; tests/e2e has it in a real cluster."""

import json
import socket
import subprocess
import sys

import pytest

from agentberth.preflight.probe import _TRY, NO_EGRESS, NO_INGRESS, OPEN, judge


def reached(*ports: int) -> dict[str, bool]:
    return {str(port): port in ports for port in (OPEN, NO_INGRESS, NO_EGRESS)}


@pytest.mark.parametrize(
    "found,level,message",
    [
        (reached(OPEN), "ok", "NetworkPolicies hold for ingress and egress"),
        (reached(OPEN, NO_INGRESS), "error", "NetworkPolicies for ingress have no effect"),
        (reached(OPEN, NO_EGRESS), "error", "NetworkPolicies for egress have no effect"),
        (reached(OPEN, NO_INGRESS, NO_EGRESS), "error", "NetworkPolicies for ingress and egress have no effect"),
        (reached(), "error", "a Pod cannot reach another one"),
        ({}, "error", "a Pod cannot reach another one"),
    ],
)
def test_the_ports_that_were_reached_say_whether_policies_hold(
    found: dict[str, bool], level: str, message: str
) -> None:
    finding = judge(found)

    assert finding.level == level
    assert finding.message.startswith(message)
    assert bool(finding.cure) == (level == "error")


def test_the_caller_reports_the_ports_that_it_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        command = [sys.executable, "-c", _TRY, "127.0.0.1", "0", str(port), "1"]

        said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout

    assert json.loads(said) == {str(port): True, "1": False}
