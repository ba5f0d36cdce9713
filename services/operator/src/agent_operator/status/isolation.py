"""What a node's kernel gives to keep tools apart, for the condition `SecurityPosture`: no Pod chooses its kernel."""

from agent_api.toolsreport import Isolation, ToolsReport

_MISSING = (
    ("files", "Landlock is missing: tools can read each other's credentials and files"),
    ("signals", "Landlock is older than version 6 (Linux 6.12): tools can end each other"),
    ("system_calls", "the processor has no filter of system calls: tools can change each other's limits"),
)


def missing_isolation(report: ToolsReport | None) -> tuple[str, ...]:
    """One sentence for each thing that the kernel lacks; none while no tool proxy has said."""
    isolation = report.isolation if report else None
    if isolation is None:
        return ()
    return tuple(f"the node's kernel: {text}" for name, text in _MISSING if not getattr(isolation, name))


def describe_isolation(isolation: Isolation) -> str:
    """What holds where nothing is missing."""
    return (
        f"nothing is weaker than the default; on this node Landlock {isolation.landlock} and a filter of system calls "
        "keep tools from each other's files, memory, processes and limits"
    )
