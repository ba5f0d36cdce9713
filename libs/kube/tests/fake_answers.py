"""How a fake API server answers: streams, partial objects, statuses."""

import json
from functools import reduce

from aiohttp import web
from libs.kube.tests.fake_fields import Json
from libs.kube.tests.fake_storage import StatusError

from agent_kube import Resource


def kind_of(resource: Resource) -> tuple[str, str]:
    return resource.api_version, resource.kind


def selects(query: dict[str, str], obj: Json) -> bool:
    labels = obj["metadata"].get("labels", {})
    fields = [part.split("=") for part in query.get("fieldSelector", "").split(",") if part]
    if any(reduce(lambda at, step: at.get(step, {}), path.split("."), obj) != value for path, value in fields):
        return False
    return all(
        labels.get(name) == value
        for name, value in (part.split("=") for part in query.get("labelSelector", "").split(",") if part)
    )


def partial_if_asked(request: web.Request, obj: Json) -> Json:
    if "as=PartialObjectMetadata" not in request.headers.get("Accept", ""):
        return obj
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}


async def open_stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.enable_chunked_encoding()
    await response.prepare(request)
    return response


async def send(response: web.StreamResponse, what: str, obj: Json) -> None:
    await response.write(json.dumps({"type": what, "object": obj}).encode() + b"\n")


def status_response(error: StatusError) -> web.Response:
    body = {"kind": "Status", "status": "Failure", "message": str(error), "reason": error.reason, "code": error.code}
    headers = {"Retry-After": str(error.retry_after_s)} if error.retry_after_s else {}
    return web.json_response(body, status=error.code, headers=headers)
