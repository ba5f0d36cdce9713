"""An admission webhook that changes objects as service meshes and policy engines do, by a patch for each kind."""

import base64
import json
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web
from integration.api import Api, Document

CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
Operations = Sequence[Document]
"""A JSON patch that only adds; maps and lists that are not there yet are made first."""


@asynccontextmanager
async def mutating(api: Api, folder: Path, patches: Mapping[tuple[str, str], Operations]) -> AsyncIterator[list[str]]:
    """While it lasts, objects of each (API group, plural) are patched as they are written. Gives the kinds it met."""
    met: list[str] = []

    async def review(request: web.Request) -> web.Response:
        asked = (await request.json())["request"]
        resource = asked["resource"]
        met.append(resource["resource"])
        operations = patches[resource["group"], resource["resource"]]
        patch = base64.b64encode(json.dumps(list(_complete(asked["object"], operations))).encode()).decode()
        answer = {"uid": asked["uid"], "allowed": True, "patchType": "JSONPatch", "patch": patch}
        return web.json_response({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": answer})

    app = web.Application(client_max_size=1 << 24)
    app.router.add_post("/", review)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=_certificate(folder)).start()
        port = runner.addresses[0][1]
        await api.call("POST", CONFIGURATIONS, _configuration(api.namespace, folder, port, patches))
        try:
            yield met
        finally:
            await api.call("DELETE", f"{CONFIGURATIONS}/mesh-{api.namespace}")
    finally:
        await runner.cleanup()


def _complete(document: Document, operations: Operations) -> Iterator[Document]:
    made: set[str] = set()
    for operation in operations:
        parent, _, last = operation["path"].rpartition("/")
        if parent not in made and not _has(document, parent):
            made.add(parent)
            yield {"op": "add", "path": parent, "value": [] if last == "-" else {}}
        yield operation


def _has(document: Document, path: str) -> bool:
    found: Any = document
    for name in path.split("/")[1:]:
        found = found[int(name)] if isinstance(found, list) else found.get(name)
        if found is None:
            return False
    return True


def _configuration(namespace: str, folder: Path, port: int, patches: Mapping[tuple[str, str], Operations]) -> Document:
    authority = base64.b64encode((folder / "webhook.crt").read_bytes()).decode()
    webhook = {
        "name": "mesh.example.com",
        "clientConfig": {"url": f"https://127.0.0.1:{port}/", "caBundle": authority},
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "rules": [
            {"apiGroups": [group], "apiVersions": ["*"], "operations": _operations(plural), "resources": [plural]}
            for group, plural in patches
        ],
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "reinvocationPolicy": "IfNeeded",
        "admissionReviewVersions": ["v1"],
    }
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": f"mesh-{namespace}"},
        "webhooks": [webhook],
    }


def _operations(plural: str) -> list[str]:
    """Injectors meet a Pod once: whatever is added to its containers later, the server refuses."""
    return ["CREATE"] if plural == "pods" else ["CREATE", "UPDATE"]


def _certificate(folder: Path) -> ssl.SSLContext:
    command = (
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout webhook.key -out webhook.crt -days 2"
    )
    more = ["-subj", "/CN=mesh", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(["openssl", *command.split(), *more], cwd=folder, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "webhook.crt", folder / "webhook.key")
    return context
