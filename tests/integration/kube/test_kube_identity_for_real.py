import base64
from pathlib import Path

import msgspec
import pytest
import yaml
from integration.kube.cluster import Cluster, real_deployment
from integration.kube.following import following
from libs.kube.tests.kinds import (
    DEPLOYMENTS,
    config_maps,
)
from libs.kube.tests.kinds import (
    eventually as locally,
)

from agent_kube import (
    Access,
    Client,
    Forbidden,
    ObjectKey,
    Resource,
    Store,
)
from agent_kube.client.access import in_cluster
from agent_kube.client.transport import Call

SERVICE_ACCOUNTS = Resource("", "v1", "serviceaccounts", "ServiceAccount")


async def test_service_account_token_in_a_pods_files(
    access: Access, client: Client, namespace: str, cluster: Cluster, tmp_path: Path
) -> None:
    """As in a Pod: CA and token in files; without rights, the refusal names verb and resource."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "op", "namespace": namespace}}
    await client.create(SERVICE_ACCOUNTS, account)
    (tmp_path / "ca.crt").write_bytes(_authority(cluster.kubeconfig))
    (tmp_path / "token").write_text(await _token(client, namespace, "op"))
    host, _, port = access.server.removeprefix("https://").rpartition(":")
    environ = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
    async with Client(in_cluster(environ, account=tmp_path)) as limited:
        with pytest.raises(Forbidden, match=r"patch deployments\.apps .*cannot patch resource \"deployments\""):
            await limited.apply(DEPLOYMENTS, real_deployment("d", namespace), field_manager="m")
        (tmp_path / "token").write_text("broken")
        store = Store(config_maps(), (namespace,))
        async with following(limited, store, namespace) as outcomes:
            await locally(lambda: "Forbidden" in outcomes)  # the token that is known is used for its minute


def _authority(kubeconfig: Path) -> bytes:
    entry = yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]
    if "certificate-authority-data" in entry:
        return base64.b64decode(entry["certificate-authority-data"])
    return Path(entry["certificate-authority"]).read_bytes()


async def _token(client: Client, namespace: str, name: str) -> str:
    body = msgspec.json.encode({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}})
    call = Call("POST", SERVICE_ACCOUNTS, ObjectKey(namespace, name), "token", body=body)
    answer = await client._transport.send(call)
    token: str = msgspec.json.decode(answer)["status"]["token"]
    return token
