import importlib.resources
import json
from pathlib import Path
from typing import Any

import pytest
from agentimages import sbom
from agentimages.cli import names, package_of
from agentimages.errors import BuildFailedError
from agentimages.sbom import make_sbom, write_sbom
from jsonschema import Draft7Validator
from referencing import Registry, Resource

SCHEMAS = importlib.resources.files("cyclonedx.schema._res")


def read_schema(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((SCHEMAS / f"{name}.SNAPSHOT.schema.json").read_text())
    return document


@pytest.fixture(scope="module")
def validator() -> Draft7Validator:
    """CycloneDX 1.5 and what it refers to. Without formats: their check takes minutes for a thousand addresses."""
    parts = {f"{name}.schema.json": read_schema(name) for name in ("spdx", "jsf-0.82")}
    main = read_schema("bom-1.5")
    base = main["$id"].rpartition("/")[0]
    known = {**{f"{base}/{name}": part for name, part in parts.items()}, **parts}
    registry = Registry().with_resources((name, Resource.from_contents(part)) for name, part in known.items())
    return Draft7Validator(main, registry=registry)


def test_the_schema_refuses_what_is_no_sbom(validator: Draft7Validator) -> None:
    document = make_sbom("agent-initenv", "x:1")
    document["components"][0]["type"] = "boat"
    assert not validator.is_valid(document)


@pytest.mark.parametrize("package", [package_of(name) for name in names()])
def test_the_document_is_valid_and_leads_from_the_image_to_every_package(
    package: str, validator: Draft7Validator, tmp_path: Path
) -> None:
    write_sbom(package, f"localhost/{package}:dev-1", tmp_path / "sbom.json")
    document = json.loads((tmp_path / "sbom.json").read_text())

    validator.validate(document)
    about = document["metadata"]["component"]
    assert (about["type"], about["name"], about["version"]) == ("container", package, "dev-1")
    edges = {one["ref"]: one.get("dependsOn", []) for one in document["dependencies"]}
    reached, ahead = set(), [about["bom-ref"]]
    while ahead:
        ref = ahead.pop()
        if ref not in reached:
            reached.add(ref)
            ahead += edges[ref]
    assert reached == {about["bom-ref"], *(component["bom-ref"] for component in document["components"])}


def test_packages_from_an_index_have_hashes() -> None:
    bought = [one for one in make_sbom("agent-operator", "x:1")["components"] if "purl" in one]
    assert len(bought) > 10
    assert all(reference["hashes"] for one in bought for reference in one["externalReferences"])


def test_what_uv_refuses_is_an_error_with_its_words() -> None:
    with pytest.raises(BuildFailedError, match="agent-perl"):
        make_sbom("agent-perl", "x:1")


def test_without_uv_the_cure_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sbom, "_UV", tmp_path / "uv")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuildFailedError, match="make setup"):
        make_sbom("agent-operator", "x:1")
