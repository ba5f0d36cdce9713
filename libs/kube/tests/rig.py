"""A controller over caches that are fed by hand, for virtual time."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

from libs.kube.tests.kinds import Widget, config_maps, widgets

from agent_kube import (
    Controller,
    Done,
    Metrics,
    ObjectKey,
    Outcome,
    PartialObject,
    Request,
    Settings,
    Stores,
    current_request,
)
from agent_kube.objects import ObjectMeta, OwnerReference

Answer = Callable[[Request], Outcome | Exception]


def widget(name: str, version: int = 1, **meta: Any) -> Widget:
    return Widget(ObjectMeta(name=name, namespace="ns", uid=f"u-{name}", resource_version=str(version), **meta))


def child(name: str, owner: str, version: int = 1, kind: str = "Widget") -> PartialObject:
    owners = (OwnerReference(uid=f"u-{owner}", kind=kind, name=owner, controller=True),)
    return PartialObject(
        ObjectMeta(name=name, namespace="ns", uid=f"u-{name}", resource_version=str(version), owner_references=owners)
    )


@dataclass
class Rig:
    """A controller over two stores; `seen` are (time, name) of its passes."""

    answer: Answer = lambda _request: Done()
    settings: Settings = field(default_factory=Settings)
    metrics: Metrics | None = None
    takes_s: float = 0.0
    seen: list[tuple[float, str]] = field(default_factory=list)
    failures: list[tuple[str, Exception]] = field(default_factory=list)
    running: int = 0
    most: int = 0

    def __post_init__(self) -> None:
        self.root, self.children, self.others = widgets(), config_maps(), widgets()
        self.stores = Stores([self.root, self.children, self.others])
        for store in self.stores:
            store.replace("", [], "1")

    async def reconcile(self, request: Request) -> Outcome:
        assert current_request.get() is request
        self.seen.append((round(asyncio.get_running_loop().time() - self.started, 3), request.key.name))
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            if self.takes_s:
                await asyncio.sleep(self.takes_s)
        finally:
            self.running -= 1
        answer = self.answer(request)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def show(self, request: Request, error: Exception) -> None:
        self.failures.append((request.key.name, error))

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self.started = loop.time()
        self.controller = Controller(
            self.reconcile,
            name="widget",
            stores=self.stores,
            root=self.root,
            owns=[self.children],
            watches=[(self.others, lambda obj: [ObjectKey("ns", f"mapped-{obj.metadata.name}")])],
            settings=self.settings,
            metrics=self.metrics,
            on_failure=self.show,
            clock=loop.time,
        )
        self.task = asyncio.create_task(self.controller.run())
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.controller.stop()
        await self.task

    def names(self) -> list[str]:
        return [name for _, name in self.seen]
