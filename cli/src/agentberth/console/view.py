"""What the page is told of an agent. Plain values: the page shows every text as text."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Plain = dict[str, Any]
State = Literal["waiting", "running", "ready", "ended", "failed"]


@dataclass(frozen=True)
class AgentRow:
    """One line of the list; times are RFC 3339.

    `tokens` and `usd` are None where nobody counts; `budget` says what was spent of the limits.
    """

    namespace: str
    name: str
    phase: str
    ready: bool
    reason: str = ""
    message: str = ""
    cure: str = ""
    replicas: str = ""
    created: str = ""
    tokens: int | None = None
    usd: float | None = None
    budget: str = ""


@dataclass(frozen=True)
class ContainerView:
    """A container of the Pod, in the order in which they start."""

    name: str
    role: Literal["init", "sidecar", "agent"]
    state: State
    detail: str = ""
    restarts: int = 0
    pod: str = ""


@dataclass(frozen=True)
class ConditionView:
    """A condition of the AgentType, or what stands for it in a run."""

    type: str
    status: str
    reason: str
    message: str
    cause: str = ""
    cure: str = ""
    since: str = ""


@dataclass(frozen=True)
class LimitView:
    """One limit of the budget, named as in the AgentType, in tokens or US dollars. `run` is that of a limit per run."""

    name: str
    limit: float
    spent: float
    resets: str = ""
    run: str = ""


@dataclass(frozen=True)
class AgentView:
    """Everything of one agent but its calls and logs. `notes` say what could not be seen, and why."""

    row: AgentRow
    containers: Sequence[ContainerView] = ()
    conditions: Sequence[ConditionView] = ()
    providers: Sequence[Plain] = ()
    tools: Sequence[Plain] = ()
    memory: Plain | None = None
    limits: Sequence[LimitView] = ()
    events: Sequence[Plain] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class CallsView:
    """Calls of all sidecars, as agent_api.calls has them, oldest first."""

    calls: Sequence[Plain] = ()
    dropped: int = 0
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class LogsView:
    """The last lines of one container."""

    container: str
    lines: Sequence[str] = ()
    notes: Sequence[str] = field(default=())


@dataclass(frozen=True)
class ApprovalView:
    """A call of a tool that a person is asked about. `state` is Waiting, or what was decided."""

    namespace: str
    name: str
    agent: str
    tool: str
    arguments: str
    hash: str
    reason: str
    asked: str
    expires: str
    state: str
    note: str = ""


@dataclass(frozen=True)
class ApprovalsView:
    """The oldest first. `read_only` says why nothing can be decided here; it is empty where it can."""

    approvals: Sequence[ApprovalView] = ()
    read_only: str = ""
    takes_note: bool = True
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class RevisionView:
    """A spec that was kept, and the paths in which it differs from the present one. `cut`: there are more of them."""

    number: str
    kept: str
    differs: Sequence[str] = ()
    cut: bool = False


@dataclass(frozen=True)
class RevisionsView:
    """The newest first, and what became of the spec from `older` to `newer`, line by line, each with its sign."""

    revisions: Sequence[RevisionView] = ()
    older: str = ""
    newer: str = ""
    lines: Sequence[tuple[str, str]] = ()
    notes: Sequence[str] = ()


View = AgentRow | AgentView | CallsView | LogsView | ApprovalsView | RevisionsView


def plain(view: View) -> Plain:
    """`view` as the JSON object that the page reads, with the same field names."""
    return asdict(view)
