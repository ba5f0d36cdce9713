"""A scripted model provider on this machine, for Pods to call."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml


@contextmanager
def serving(script: Mapping[str, Any], *, host: str, file: Path) -> Iterator[str]:
    """The base URL of a mock provider at `host` that answers by `script`, which is written to `file`."""
    file.write_text(yaml.safe_dump(dict(script)))
    program = Path(sys.executable).parent / "agent-llmgateway"
    command = [str(program), "mock", "--script", str(file), "--host", host, "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield f"http://{host}:{_port(process)}/v1"
    finally:
        process.terminate()
        process.communicate(timeout=30)


def provider(name: str, url: str, *, secret: str | None = None, model: str = "mock") -> dict[str, Any]:
    """An entry of `spec.llm.providers` for it."""
    credentials = {"credentialsSecret": secret} if secret else {}
    return {"name": name, "type": "openai-compatible", **credentials, "config": {"baseUrl": url, "model": model}}


def _port(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    line = process.stdout.readline()
    return int(line.strip().removesuffix("/v1").rpartition(":")[2])
