"""docs/reference/clients.md: what a run of the whole matrix of clients has found."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

RESULTS = "tests/contract/llmgateway/clients/results.json"
PAGE = "docs/reference/clients.md"
TITLES = {"openai": "OpenAI", "anthropic": "Anthropic", "openai-compatible": "Servers compatible with OpenAI"}
HEAD = """# Clients

Each client is run unmodified against the gateway, in front of providers that refuse what the real ones refuse.
The columns are:

- `plain` and `stream`: two turns of a conversation.
- `tools`: parallel calls, over several turns.
- `pictures`: an image in a message or in the result of a tool.
- `structured`: an answer that matches a JSON schema.
- `thinking`: reasoning, and the turn after it.
- `failover`: the provider of the table fails in the middle of a conversation with tools, a provider of another type
  answers, and the conversation returns to the first one.

A dash means that the client has no such feature. [What to set for each client](../how-to/clients.md) has the
configuration.
To repeat the run and write its results: `AGENTBERTH_WHOLE=1 ./run-tests.sh contract -k client_matrix && make generate`.
"""


def files(root: Path) -> Iterator[tuple[str, str]]:
    """See `all`."""
    document = json.loads((root / RESULTS).read_text("utf-8"))
    rows, features = document["clients"], document["features"]
    parts = [HEAD, _versions(rows)]
    parts += [_table(provider, rows, features) for provider in document["providers"]]
    yield PAGE, "\n".join([*parts, _limits(rows)])


def _versions(rows: list[dict[str, Any]]) -> str:
    lines = ["## Versions", "", "| Client | Versions | Tried on |", "|---|---|---|"]
    for row in rows:
        versions = ", ".join(f"{name} {version}" for name, version in row["versions"].items())
        lines.append(f"| {row['name']} | {versions} | {row['date']} |")
    return "\n".join([*lines, ""])


def _table(provider: str, rows: list[dict[str, Any]], features: list[str]) -> str:
    lines = [f"## {TITLES[provider]}", "", f"| Client | {' | '.join(features)} |", "|---" * (len(features) + 1) + "|"]
    for row in rows:
        cells = row["cells"][provider]
        shown = ["—" if name not in cells else "yes" if cells[name] == "works" else "no" for name in features]
        lines.append(f"| {row['name']} | {' | '.join(shown)} |")
    return "\n".join([*lines, ""])


def _limits(rows: list[dict[str, Any]]) -> str:
    found = [
        (row["name"], provider, feature, outcome)
        for row in rows
        for provider, cells in row["cells"].items()
        for feature, outcome in cells.items()
        if outcome != "works"
    ]
    if not found:
        return "## Limits\n\nNone: every cell above works.\n"
    lines = ["## Limits", "", "| Client | Provider | Feature | Error that the user sees |", "|---|---|---|---|"]
    for name, provider, feature, outcome in found:
        lines.append(f"| {name} | {provider} | {feature} | {' '.join(str(outcome).split()).replace('|', '/')} |")
    return "\n".join([*lines, ""])
