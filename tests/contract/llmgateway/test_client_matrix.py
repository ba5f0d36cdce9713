"""Every client on every provider, through a failover and back.

The clients are the newest releases, unmodified, each as a process in an environment of its own; the providers are
strict. CI tries the vendors' own SDKs and a sample of the others; AGENTBERTH_WHOLE=1 tries all.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from contract.llmgateway.clients import matrix, results
from contract.llmgateway.harness import Gateway, run_gateway
from contract.llmgateway.strict.server import StrictProvider

WHOLE = os.environ.get("AGENTBERTH_WHOLE") == "1"
MODELS = {
    "openai": {"gpt-4.1": "gpt-4.1", "gpt-5": "gpt-5", "claude-sonnet-4-5": "gpt-5"},
    "anthropic": dict.fromkeys(("gpt-4.1", "gpt-5", "claude-sonnet-4-5"), "claude-sonnet-4-5"),
    "openai-compatible": dict.fromkeys(("gpt-4.1", "gpt-5", "claude-sonnet-4-5"), "qwen3-32b"),
}
OPTIONS: dict[str, dict[str, Any]] = {
    "openai": {"vendorApi": True},
    "anthropic": {"vendorApi": True},
    "openai-compatible": {"reasoning": True},
}


PATIENT = {"connect": 60, "firstToken": 300, "idle": 300, "total": 600}
"""A busy machine is no provider that is down."""
TAUGHT = "supports at most"
"""Of the first refusal of a limit: the gateway learns it from that, and the client never sees it."""


class Bench:
    """A gateway in front of a main provider and a backup, by their types."""

    def __init__(self, stack: ExitStack, folder: Path, main: str, backup: str) -> None:
        self.main = stack.enter_context(StrictProvider(main))
        self.backup = stack.enter_context(StrictProvider(backup))
        keys = folder / "keys"
        keys.mkdir(parents=True)
        (keys / "api-key").write_text("a-key")
        providers = [
            {
                "name": name,
                "type": each.kind,
                "baseUrl": each.url,
                "credentials": str(keys),
                "model": next(iter(MODELS[each.kind].values())),
                "timeouts": PATIENT,
                "options": OPTIONS.get(each.kind, {}),
            }
            for name, each in (("main", self.main), ("backup", self.backup))
        ]
        aliases = [
            {
                "name": name,
                "routes": [
                    {"provider": "main", "model": MODELS[main][name]},
                    {"provider": "backup", "model": MODELS[backup][name]},
                ],
            }
            for name in MODELS["openai"]
        ]
        limits = {"backoffSeconds": 0.01, "retryRatio": 1.0, "breakerFailures": 1000}
        self.gateway: Gateway = stack.enter_context(
            run_gateway(folder, {"providers": providers, "models": aliases, "limits": limits})
        )


@pytest.fixture(scope="module")
def benches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Bench]]:
    """By main provider, each started when it is first asked for."""
    with ExitStack() as stack:
        yield _Benches(stack, tmp_path_factory)


class _Benches(dict[str, Bench]):
    def __init__(self, stack: ExitStack, factory: pytest.TempPathFactory) -> None:
        super().__init__()
        self._stack, self._factory = stack, factory

    def __missing__(self, main: str) -> Bench:
        bench = Bench(self._stack, self._factory.mktemp(main), main, matrix.BACKUPS[main])
        self[main] = bench
        return bench


@pytest.fixture(scope="module")
def runners(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, matrix.Runner]]:
    """By client, each started when it is first asked for."""
    runners = _Runners(tmp_path_factory)
    yield runners
    for runner in runners.values():
        runner.close()


class _Runners(dict[str, matrix.Runner]):
    def __init__(self, factory: pytest.TempPathFactory) -> None:
        super().__init__()
        self._factory = factory

    def of(self, client: matrix.Client) -> matrix.Runner:
        if client.name not in self:
            self[client.name] = matrix.Runner(client, self._factory.mktemp("client"))
        return self[client.name]


@pytest.fixture(scope="module")
def outcomes() -> Iterator[dict[results.Cell, str]]:
    """What each cell has shown; a run of the whole matrix keeps it."""
    found: dict[results.Cell, str] = {}
    yield found
    if WHOLE:
        results.merge(found)


def cells() -> Iterator[Any]:
    """In CI the rows that are always tried, and about one cell of each sampled one."""
    for row, client in enumerate(matrix.CLIENTS):
        for column, feature in enumerate(matrix.FEATURES):
            for place, target in enumerate(matrix.TARGETS):
                if feature in client.limits:
                    continue
                sampled = client.name in matrix.SAMPLED and (5 * row + column) % 21 == place
                if WHOLE or client.name in matrix.ALWAYS or sampled:
                    yield pytest.param((client, target, feature), id=f"{client.name}-{target}-{feature}")


@pytest.mark.timeout(900)
@pytest.mark.parametrize("cell", list(cells()))
def test_a_client_works(
    benches: dict[str, Bench],
    runners: Any,
    outcomes: dict[results.Cell, str],
    tmp_path: Path,
    cell: tuple[matrix.Client, str, str],
) -> None:
    client, target, feature = cell
    try:
        try_cell(benches[target], runners.of(client), tmp_path, feature)
    except AssertionError as error:
        outcomes[client.name, target, feature] = str(error).strip()[-results.LONGEST_ERROR :]
        raise
    outcomes[client.name, target, feature] = results.WORKS


def try_cell(bench: Bench, runner: matrix.Runner, folder: Path, feature: str) -> None:
    """Raises AssertionError with what was refused, or shown instead."""
    bench.main.clear()
    bench.backup.clear()
    if feature == "failover":
        bench.main.down_at = {("failover", 1)}
    picture, digest = matrix.write_picture(folder)
    task = {"url": bench.gateway.url, "key": "a-placeholder", "feature": feature, "picture": str(picture)}
    try:
        shown = runner.run(task, folder)
    finally:
        refused = [each for each in bench.main.refusals + bench.backup.refusals if TAUGHT not in each]
        assert refused == [], refused
    matrix.check_shown(runner.client, feature, shown, digest)
    steps = [request.step for request in bench.backup.requests if not request.refused]
    if feature == "failover":
        assert steps
        assert set(steps) == {1}, "only the step at which the main was down was the backup's"
        assert {request.step for request in bench.main.requests if request.status == 200} == {0, 2}
    else:
        assert steps == []
