"""A client of the tests' own, so that what the operator's client gets wrong is seen by another."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import aiohttp
import yaml
from integration.cluster import ROOT, Admin, Cluster
from integration.waiting import eventually

Document = dict[str, Any]

AGENTS = "agenttypes"
CRD = ROOT / "deploy" / "base" / "crds" / "agenttype.yaml"
APPROVALS_CRD = CRD.with_name("toolapproval.yaml")
FORMS = ROOT / "tests" / "integration" / "data"
PREFIXES = {
    AGENTS: "/apis/agents.example.com/v1",
    "toolapprovals": "/apis/agents.example.com/v1",
    "deployments": "/apis/apps/v1",
    "replicasets": "/apis/apps/v1",
    "jobs": "/apis/batch/v1",
    "cronjobs": "/apis/batch/v1",
    "horizontalpodautoscalers": "/apis/autoscaling/v2",
    "leases": "/apis/coordination.k8s.io/v1",
    "poddisruptionbudgets": "/apis/policy/v1",
    "networkpolicies": "/apis/networking.k8s.io/v1",
    "statefulsets": "/apis/apps/v1",
    "podmonitors": "/apis/monitoring.coreos.com/v1",
}
"""Where a plural is served; those not named are core/v1."""

CHILDREN = (
    "serviceaccounts",
    "configmaps",
    "services",
    "deployments",
    "jobs",
    "cronjobs",
    "statefulsets",
    "horizontalpodautoscalers",
    "poddisruptionbudgets",
    "networkpolicies",
)
"""Kinds that an agent's own objects can be of."""

MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"


class RefusedError(Exception):
    """The server's own words for why it did not do what was asked."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message


class Api:
    """Calls in one namespace, as the administrator. Fields that the server does not know are refused."""

    def __init__(self, session: aiohttp.ClientSession, admin: Admin, namespace: str) -> None:
        self._session = session
        self._admin = admin
        self.namespace = namespace

    def as_user(self, name: str) -> "Api":
        """The same calls with the rights of a user who is no administrator."""
        headers = {**self._admin.headers, "Impersonate-User": name}
        return Api(self._session, replace(self._admin, headers=headers), self.namespace)

    async def call(
        self,
        method: str,
        path: str,
        body: Document | None = None,
        *,
        media: str = "application/json",
        query: dict[str, str] | None = None,
        accept: str = "application/json",
    ) -> Document:
        """One exchange at any path. Raises RefusedError for an answer that is not 2xx."""
        async with self._session.request(
            method,
            self._admin.server + path,
            json=body,
            params=query,
            headers={**self._admin.headers, "Accept": accept, **({"Content-Type": media} if body is not None else {})},
            ssl=self._admin.identity,
        ) as response:
            answer: Document = await response.json()
            if not response.ok:
                raise RefusedError(response.status, answer.get("message", ""))
            return answer

    async def get(self, plural: str, name: str) -> Document:
        return await self.call("GET", self._path(plural, name))

    async def find(self, plural: str, name: str) -> Document | None:
        """One object, None when it is absent."""
        try:
            return await self.get(plural, name)
        except RefusedError as refusal:
            if refusal.status == 404:
                return None
            raise

    async def list(self, plural: str, selector: str = "") -> list[Document]:
        """All objects of the namespace, or those that `selector` picks."""
        query = {"labelSelector": selector} if selector else {}
        items: list[Document] = (await self.call("GET", self._path(plural), query=query))["items"]
        return items

    async def create(self, plural: str, document: Document) -> Document:
        """Creates an object, as strictly as `kubectl create`."""
        return await self.call("POST", self._path(plural), document, query={"fieldValidation": "Strict"})

    async def patch(
        self, plural: str, name: str, change: Document, *, part: str = "", manager: str = "integration-test"
    ) -> Document:
        """A merge patch of the object, or of its subresource `part`."""
        path, query = self._path(plural, name, part), {"fieldManager": manager}
        return await self.call("PATCH", path, change, media=MERGE, query=query)

    async def delete(self, plural: str, name: str) -> None:
        """Deletes an object; its dependents follow in the background."""
        await self.call("DELETE", self._path(plural, name), {"propagationPolicy": "Background"})

    async def text(self, path: str) -> str:
        """An answer that is not JSON."""
        url = self._admin.server + path
        async with self._session.get(url, headers=self._admin.headers, ssl=self._admin.identity) as response:
            return await response.text()

    async def follow(self, plural: str, name: str = "") -> AsyncIterator[Document]:
        """The states of one object, or of all of the namespace, as they come, beginning with the present ones."""
        query = {"watch": "1", **({"fieldSelector": f"metadata.name={name}"} if name else {})}
        while True:  # a server that has just started ends watches, or refuses them for a moment
            async with self._session.get(
                self._admin.server + self._path(plural),
                params=query,
                headers=self._admin.headers,
                ssl=self._admin.identity,
                timeout=aiohttp.ClientTimeout(total=None),
            ) as stream:
                if stream.ok:
                    async for line in stream.content:
                        yield json.loads(line)["object"]
            await asyncio.sleep(0.1)

    async def table(self, plural: str, name: str) -> dict[str, Any]:
        """What `kubectl get` shows of one object, by column."""
        accept = "application/json;as=Table;v=v1;g=meta.k8s.io"
        found = await self.call("GET", self._path(plural, name), accept=accept)
        columns = [column["name"] for column in found["columnDefinitions"]]
        return dict(zip(columns, found["rows"][0]["cells"], strict=True))

    def _path(self, plural: str, name: str = "", part: str = "") -> str:
        parts = (PREFIXES.get(plural, "/api/v1"), "namespaces", self.namespace, plural, name, part)
        return "/".join(filter(None, parts))


@asynccontextmanager
async def open_api(admin: Admin, namespace: str) -> AsyncIterator[Api]:
    """A client for the time of one test."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
        yield Api(session, admin, namespace)


async def define_agents(cluster: Cluster, form: str = "") -> None:
    """Applies the definitions, of AgentType the present one or an earlier `form`; returns when the kinds are served."""
    for file in (FORMS / f"agenttype-{form}.yaml" if form else CRD, APPROVALS_CRD):
        await _define(cluster, yaml.safe_load(file.read_text()))


async def _define(cluster: Cluster, definition: Document) -> None:
    path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{definition['metadata']['name']}"
    query = {"fieldManager": "integration-test", "force": "true"}
    async with open_api(cluster.access, "default") as api:
        await api.call("PATCH", path, definition, media="application/apply-patch+yaml", query=query)

        async def established() -> bool:
            conditions = (await api.call("GET", path)).get("status", {}).get("conditions") or ()
            return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)

        await eventually(established)
