"""The workflows: what runs in them is pinned, and may do no more than it must."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(ROOT.glob(".github/workflows/*.yml"))
MAY_WRITE = {
    ("release.yml", "image"): {"packages", "id-token", "attestations"},
    ("release.yml", "publish"): {"contents"},
}

every = pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)


def jobs(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(file.read_text())["jobs"]
    return found


def steps(file: Path) -> Iterator[dict[str, Any]]:
    return (step for job in jobs(file).values() for step in job["steps"])


def test_there_are_three() -> None:
    assert [file.name for file in FILES] == ["ci.yml", "e2e.yml", "release.yml"]


@every
def test_every_action_is_pinned_to_a_commit_with_its_version_beside_it(file: Path) -> None:
    lines = [line for line in file.read_text().splitlines() if re.match(r"\s*(- )?uses:", line)]
    assert lines
    for line in lines:
        assert re.fullmatch(r"\s*(- )?uses: [\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line


def test_an_action_has_one_version_everywhere() -> None:
    used = {step["uses"] for file in FILES for step in steps(file) if "uses" in step}
    assert len({one.partition("@")[0] for one in used}) == len(used)


@every
def test_rights_are_none_or_to_read_but_where_a_job_names_what_it_writes(file: Path) -> None:
    document = yaml.safe_load(file.read_text())
    assert document["permissions"] in ({}, {"contents": "read"})
    for name, job in jobs(file).items():
        writes = {right for right, level in job.get("permissions", {}).items() if level == "write"}
        assert writes == MAY_WRITE.get((file.name, name), set()), name
        assert document["permissions"] or "permissions" in job, name


@every
def test_every_job_ends_and_leaves_no_token_in_its_checkout(file: Path) -> None:
    for name, job in jobs(file).items():
        assert job["timeout-minutes"] <= 60, name
    for step in steps(file):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@every
def test_no_text_of_others_gets_into_a_script(file: Path) -> None:
    for step in steps(file):
        assert "${{" not in step.get("run", "").replace("${{ matrix.part }}", ""), step["run"]


def test_ci_runs_every_part_that_needs_no_cluster_and_e2e_the_rest() -> None:
    text = (ROOT / "run-tests.sh").read_text()
    (known,) = re.findall(r"^(check \| .+) \| step\[1-5\]\)$", text, re.MULTILINE)
    parts = set(jobs(ROOT / ".github/workflows/ci.yml")["tests"]["strategy"]["matrix"]["part"])
    assert parts | {"e2e"} == set(known.split(" | "))


def test_the_oldest_kubernetes_of_e2e_is_the_oldest_that_the_documents_promise() -> None:
    rows = jobs(ROOT / ".github/workflows/e2e.yml")["kind"]["strategy"]["matrix"]["include"]
    nodes = {row["name"]: row["node"] for row in rows}
    (oldest,) = re.findall(r"Kubernetes (1\.\d+) or newer", (ROOT / "docs/how-to/install.md").read_text())
    assert nodes["oldest"].startswith(f"kindest/node:v{oldest}.")
    assert all(re.fullmatch(r"kindest/node:v1\.\d+\.\d+@sha256:[0-9a-f]{64}", node) for node in nodes.values())


def test_the_release_builds_every_image() -> None:
    built = jobs(ROOT / ".github/workflows/release.yml")["image"]["strategy"]["matrix"]["name"]
    assert built == [*sorted(path.parent.name for path in ROOT.glob("services/*/Dockerfile")), "cli"]


def test_e2e_is_told_all_images_that_its_tests_need() -> None:
    needed = set(re.findall(r"^    (\w+): str = \"localhost/", (ROOT / "tests/e2e/place.py").read_text(), re.MULTILINE))
    text = (ROOT / ".github/workflows/e2e.yml").read_text()
    told = {name.lower() for name in re.findall(r"AGENTBERTH_E2E_([A-Z]+)=", text)}
    services = set(next(iter(re.findall(r"for service in ([a-z ]+);", text))).split())
    assert needed <= told | services
