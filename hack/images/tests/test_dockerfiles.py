"""The Dockerfiles are one shape: what differs between them is what their program needs."""

import re
import tomllib
from pathlib import Path

import pytest
from agentimages.cli import find_dockerfile, names, services

ROOT = Path(__file__).resolve().parents[3]
SERVICES = services()
IMAGES = names()

every = pytest.mark.parametrize("image", IMAGES)


def text(image: str) -> str:
    return find_dockerfile(image).read_text()


def build_stage(service: str) -> str:
    stage = text(service).partition("\nFROM ${BASE}\n")[0]
    return stage.replace(service, "NAME")


def test_there_are_four_services_and_the_command() -> None:
    assert [*SERVICES, "cli"] == IMAGES
    assert SERVICES == ["initenv", "llmgateway", "operator", "toolproxy"]


def test_all_are_built_in_the_same_way_from_the_same_base() -> None:
    assert len({build_stage(service) for service in SERVICES}) == 1
    assert text("cli").splitlines()[1:3] == text("operator").splitlines()[1:3]
    (base,) = re.findall(r"^ARG BASE=(.+)$", text("operator"), re.MULTILINE)
    assert re.fullmatch(r"\$\{MIRROR\}/library/python:3\.\d+-slim-\w+@sha256:[0-9a-f]{64}", base)


@every
def test_uv_is_the_version_that_development_uses(image: str) -> None:
    (version,) = re.findall(r"^uv_version=(.+)$", (ROOT / "hack/bootstrap").read_text(), re.MULTILINE)
    assert set(re.findall(r"\buv[=<>]=?\S*", text(image))) == {f"uv=={version}"}


@every
def test_the_version_label_is_the_packages_version(image: str) -> None:
    project = tomllib.loads(find_dockerfile(image).with_name("pyproject.toml").read_text())["project"]
    assert f"\nARG VERSION={project['version']}\n" in text(image)


@every
def test_the_last_user_is_nobody_and_nothing_runs_after_it(image: str) -> None:
    after = text(image).partition("\nUSER 65532:65532\n")[2].splitlines()
    assert [line.split()[0] for line in after] in (["ENTRYPOINT"], ["EXPOSE", "ENTRYPOINT"])


@every
def test_no_other_registry_is_named_and_no_frontend_is_pulled(image: str) -> None:
    assert not re.findall(r"^# *syntax=", text(image), re.MULTILINE)
    assert set(re.findall(r"^(?:FROM|COPY --from=)(\S+)", text(image), re.MULTILINE)) <= {"build"}
    assert re.findall(r"^FROM (\S+)", text(image), re.MULTILINE) == ["${BASE}", "${BASE}"]
