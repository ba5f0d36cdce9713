from pathlib import Path

import yaml

from .conftest import Run


def test_it_prints_the_policy_and_its_binding(agentberth: Run, tmp_path: Path) -> None:
    (tmp_path / "platform.yaml").write_text("allowed: {runtimeClasses: [gvisor]}\n")

    done = agentberth("policy", "--settings", "platform.yaml")

    kinds = [manifest["kind"] for manifest in yaml.safe_load_all(done.stdout)]
    assert (done.returncode, kinds) == (0, ["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"])


def test_settings_that_restrict_nothing_are_an_error_with_a_cure(agentberth: Run, tmp_path: Path) -> None:
    (tmp_path / "platform.yaml").write_text("sharedSize: 1Gi\n")

    done = agentberth("policy", "--settings", "platform.yaml")

    assert (done.returncode, done.stdout) == (1, "")
    assert "restricts nothing" in done.stderr
    assert "allowed" in done.stderr
