from typing import Any

import pytest
from libs.kube.tests.fake_storage import FakeStorage
from libs.kube.tests.kinds import deployment

from agent_kube.apply.ownership import claim, owns

KIND = ("apps/v1", "Deployment")
KEY = ("default", "d")


def manifest(**changes: Any) -> dict[str, Any]:
    made = deployment("d", **changes)
    made["metadata"]["namespace"] = "default"
    made["metadata"]["finalizers"] = ["example.com/a", "example.com/b"]
    containers = made["spec"]["template"]["spec"]["containers"]
    containers[0]["ports"] = [{"containerPort": 80}]
    containers[0]["args"] = ["--one", "--two"]
    return made


def entries(storage: FakeStorage) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = storage.render("deployments", KIND, KEY)["metadata"]["managedFields"]
    return found


@pytest.fixture(params=["create", "apply"])
def storage(request: pytest.FixtureRequest) -> FakeStorage:
    made = FakeStorage()
    if request.param == "create":
        made.create("deployments", KIND, manifest(), "me")
    else:
        made.apply("deployments", KIND, KEY, manifest(), "me", force=True)
    return made


def edit(storage: FakeStorage, patch: dict[str, Any], subresource: str = "") -> None:
    storage.merge("deployments", KIND, KEY, patch, "other", subresource)


def test_untouched_object_is_owned(storage: FakeStorage) -> None:
    assert owns(entries(storage), "me", manifest())
    assert not owns(entries(storage), "somebody", manifest())


def test_foreign_fields_do_not_matter(storage: FakeStorage) -> None:
    edit(storage, {"metadata": {"labels": {"team": "x"}}, "spec": {"replicas": 9}})
    edit(storage, {"status": {"readyReplicas": 1}}, "status")
    assert owns(entries(storage), "me", manifest())


@pytest.mark.parametrize(
    "patch",
    [
        {"metadata": {"labels": {"app": "other"}}},
        {"metadata": {"labels": None}},
        {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "evil"}]}}}},
        {"spec": {"template": {"spec": {"containers": []}}}},
    ],
)
def test_taken_field_is_noticed(storage: FakeStorage, patch: dict[str, Any]) -> None:
    edit(storage, patch)
    assert not owns(entries(storage), "me", manifest())


def test_field_that_was_never_set_is_not_owned(storage: FakeStorage) -> None:
    assert not owns(entries(storage), "me", manifest(paused=True))
    more = manifest()
    more["spec"]["template"]["spec"]["containers"].append({"name": "second", "image": "x"})
    assert not owns(entries(storage), "me", more)


def test_items_of_sets_go_by_value() -> None:
    fields = [{"manager": "me", "fieldsV1": {"f:metadata": {"f:finalizers": {".": {}, 'v:"a"': {}}}}}]
    assert owns(fields, "me", {"metadata": {"finalizers": ["a"]}})
    assert not owns(fields, "me", {"metadata": {"finalizers": ["a", "b"]}})


def test_claim_moves_what_a_create_owns_to_an_apply() -> None:
    storage = FakeStorage()
    storage.create("deployments", KIND, manifest(), "me")
    edit(storage, {"metadata": {"labels": {"team": "x"}}})
    before = entries(storage)
    after = claim(before, "me")
    assert {(entry["manager"], entry["operation"]) for entry in after} == {("me", "Apply"), ("other", "Update")}
    assert owns(after, "me", manifest())
    assert claim(after, "me") == after


def test_claim_joins_a_create_and_an_apply() -> None:
    storage = FakeStorage()
    storage.create("deployments", KIND, manifest(), "me")
    storage.apply("deployments", KIND, KEY, manifest(paused=True), "me", force=True)
    [entry] = [entry for entry in claim(entries(storage), "me") if entry["manager"] == "me"]
    assert "f:paused" in entry["fieldsV1"]["f:spec"]
    assert "f:replicas" in entry["fieldsV1"]["f:spec"]
