"""A status as it may be stored: whatever an agent, a sidecar or a registry said in it is bounded and printable."""

from typing import Any, Final

from agent_base.printable import printable

TEXT_CHARS: Final = 4096
MOST_ENTRIES: Final = 256


def bounded(value: Any) -> Any:  # noqa: ANN401 - JSON
    """`value` with every text cut and cleaned, and no map or list with more than `MOST_ENTRIES` entries."""
    if isinstance(value, str):
        lines = value[: 4 * TEXT_CHARS].split("\n") if "\n" in value else [value]
        return "\n".join(printable(line, TEXT_CHARS) for line in lines)[:TEXT_CHARS]
    if isinstance(value, dict):
        kept = list(value.items())[:MOST_ENTRIES]
        return {printable(key, TEXT_CHARS): bounded(inner) for key, inner in kept}
    if isinstance(value, list | tuple):
        return [bounded(inner) for inner in value[:MOST_ENTRIES]]
    return value
