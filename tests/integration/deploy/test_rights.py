"""Step 5: every right that deploy/ gives is on a list that a person wrote."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from integration.cluster import ROOT

pytestmark = pytest.mark.step5

DEPLOY = ROOT / "deploy"
ALLOWED: dict[str, list[str]] = yaml.safe_load((Path(__file__).parent / "rights.yaml").read_text())
AGGREGATE = "rbac.authorization.k8s.io/aggregate-to-"
Document = dict[str, Any]


def render(folder: Path) -> list[Document]:
    done = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=True)
    return [document for document in yaml.safe_load_all(done.stdout) if document]


@pytest.fixture(params=["base", "namespaced"])
def rendered(request: pytest.FixtureRequest, tmp_path: Path) -> list[Document]:
    """The whole of what is applied, in cluster mode and in namespaced mode."""
    if request.param == "base":
        return render(DEPLOY / "base")
    return with_component("namespaced", tmp_path)


def with_component(name: str, folder: Path) -> list[Document]:
    """The base with one component."""
    lines = [f"resources: [{_relative(DEPLOY / 'base', folder)}]"]
    lines.append(f"components: [{_relative(DEPLOY / 'components' / name, folder)}]")
    (folder / "kustomization.yaml").write_text("\n".join(lines))
    return render(folder)


def _relative(folder: Path, start: Path) -> str:
    return str(Path(*[".."] * (len(start.resolve().parts) - 1)) / folder.relative_to("/"))


def roles(documents: list[Document]) -> dict[str, Document]:
    """Roles by their name on the list; the Role in the operator's own namespace has its ClusterRole's name."""
    found = [one for one in documents if one["kind"] in {"Role", "ClusterRole"}]
    return {one["metadata"]["name"] + ("/lease" if _is_lease(one) else ""): one for one in found}


def _is_lease(role: Document) -> bool:
    return bool(role["kind"] == "Role" and role["metadata"]["namespace"] == "agentberth-system")


def line(rule: Document) -> str:
    groups = " ".join(group or "core" for group in rule["apiGroups"])
    parts = [groups, " ".join(rule["resources"]), " ".join(rule["verbs"]), " ".join(rule.get("resourceNames", ()))]
    return "; ".join(part for part in parts if part)


def test_rendered_rules_are_those_of_the_list(rendered: list[Document]) -> None:
    found = {name: [line(rule) for rule in role["rules"]] for name, role in roles(rendered).items()}

    assert found == {name: ALLOWED[name] for name in found}
    assert found.keys() >= {"agentberth-operator/lease", "agentberth-view", "agentberth-edit"}


def test_the_list_itself_has_no_wildcard_and_reads_no_secret() -> None:
    for text in [each for rules in ALLOWED.values() for each in rules]:
        _, resources, verbs, *_ = text.split("; ")
        assert "*" not in text
        assert not {"secrets", "secrets/status"} & set(resources.split()) or verbs == "create"
        assert not {"escalate", "bind", "impersonate"} & set(verbs.split())
        assert not {"roles", "rolebindings", "clusterroles", "clusterrolebindings"} & set(resources.split())


def test_bindings_are_of_the_operators_account_alone(rendered: list[Document]) -> None:
    bindings = [one for one in rendered if one["kind"] in {"RoleBinding", "ClusterRoleBinding"}]

    assert bindings
    for binding in bindings:
        (subject,) = binding["subjects"]
        assert (subject["kind"], subject["name"]) == ("ServiceAccount", "agentberth-operator")
        assert subject["namespace"] == "agentberth-system"
        assert binding["roleRef"]["name"] in {one["metadata"]["name"] for one in roles(rendered).values()}


def test_people_have_their_rights_through_the_clusters_own_roles(rendered: list[Document]) -> None:
    def reaches(name: str) -> set[str]:
        labels = roles(rendered)[name]["metadata"]["labels"]
        return {key.removeprefix(AGGREGATE) for key, value in labels.items() if key.startswith(AGGREGATE) and value}

    assert reaches("agentberth-view") == {"view", "edit", "admin"}
    assert reaches("agentberth-edit") == {"edit", "admin"}


def test_what_the_console_reads_is_on_the_list_and_on_its_page(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "how-to" / "console.md").read_text()
    found = {name: role["rules"] for name, role in roles(with_component("console", tmp_path)).items()}
    own = {name: rules for name, rules in found.items() if name.startswith("agentberth-console")}

    assert {name: [line(rule) for rule in rules] for name, rules in own.items()} == {
        name: ALLOWED[name] for name in ("agentberth-console", "agentberth-console-calls")
    }
    for rule in (rule for rules in own.values() for rule in rules):
        resources = ", ".join(f"`{name}`" for name in rule["resources"])
        assert f"| {resources} | {', '.join(rule['verbs'])} |" in page
