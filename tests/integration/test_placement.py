"""Where Pods run and with what of the cluster: the server keeps every field, and says what it does not have."""

import pytest
import yaml
from integration.cluster import ROOT
from integration.namespace import NGINX, Namespace, condition

COMPANY = ROOT / "tests" / "manifests" / "valid" / "company-agent.yaml"

pytestmark = pytest.mark.step1


async def test_the_server_keeps_every_field_of_a_company_agent(namespace: Namespace) -> None:
    spec = yaml.safe_load(COMPANY.read_text())["spec"]
    await namespace.create("company", **spec)

    pod = (await namespace.finds("deployments", "company"))["spec"]["template"]

    asked = spec["pod"]
    same = ("nodeSelector", "affinity", "hostAliases", "dnsConfig", "terminationGracePeriodSeconds")
    assert {name: pod["spec"][name] for name in same} == {name: asked[name] for name in same}
    assert pod["spec"]["tolerations"] == [{"operator": "Equal", **one} for one in asked["tolerations"]]
    assert pod["spec"]["imagePullSecrets"] == asked["imagePullSecrets"]
    assert pod["metadata"]["labels"].items() >= asked["labels"].items()
    assert pod["metadata"]["annotations"].items() >= asked["annotations"].items()
    volumes = {volume["name"] for volume in pod["spec"]["volumes"]}
    assert volumes >= {f"own-{volume['name']}" for volume in spec["agent"]["volumes"]}
    account = await namespace.finds("serviceaccounts", "company-agent")
    assert account["metadata"]["annotations"].items() >= asked["serviceAccount"]["annotations"].items()
    weak = condition(await namespace.says("company", "Unschedulable"), "SecurityPosture")["message"]
    assert "arn:aws:iam::111122223333:role/agent" in weak
    assert "a token of its account for vault" in weak


@pytest.mark.parametrize(
    "pod,words",
    [
        ({"runtimeClassName": "nowhere"}, 'RuntimeClass "nowhere" not found'),
        ({"priorityClassName": "nowhere"}, "no PriorityClass with name nowhere"),
    ],
)
async def test_what_the_cluster_does_not_have_is_said_in_its_words(
    namespace: Namespace, pod: dict[str, object], words: str
) -> None:
    await namespace.create("lost", pod=pod)

    agent = await namespace.says("lost", "Forbidden")

    assert words in agent["status"]["message"]


async def test_a_mount_cannot_be_edited_onto_the_platforms_folders(namespace: Namespace) -> None:
    volumes = [{"name": "data", "emptyDir": {}}]
    await namespace.create(
        "web", agent={**NGINX, "volumes": volumes, "volumeMounts": [{"name": "data", "mountPath": "/d"}]}
    )

    for path in ("/shared", "//shared", "/d/../tools", "/etc/agentberth/init", "/workspace/", "/proc/self", "/./tmp"):
        with pytest.raises(Exception, match="mountPath"):
            await namespace.edit("web", agent={"volumeMounts": [{"name": "data", "mountPath": path}]})
