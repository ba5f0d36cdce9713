"""What a check finds, and what all checks are given."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from agentberth.cluster.bundle import NAMESPACE
from agentberth.cluster.kubectl import Kubectl

Plain = dict[str, Any]
Level = Literal["ok", "warning", "error", "skipped"]


@dataclass(frozen=True)
class Finding:
    """One line of the answer.

    `error`: agents cannot run, or not as they ask. `warning`: they run, with less than they should have. `skipped`: it
    could not be looked at, mostly for want of a right. `cure` is empty only for ok.
    """

    check: str
    level: Level
    message: str
    cure: str = ""

    def plain(self) -> Plain:
        return asdict(self)


@dataclass(frozen=True)
class Surveyed:
    """The cluster that is checked. `kubectl` is in the namespace of the agents, `system` that of the operator.

    `settings` are the platform settings in use, empty where there is no installation or they cannot be read.
    """

    kubectl: Kubectl
    system: str = NAMESPACE
    agents_namespace: str = ""
    is_installed: bool = False
    settings: Plain = field(default_factory=dict)
    agents: tuple[Plain, ...] = ()


Check = Callable[[Surveyed], Iterator[Finding]]
