"""An agent that asks once, then looks for a provider's key in everything that it can read."""

import json
import os
import signal
import sys
import urllib.request
from pathlib import Path
from typing import Any

ROOTS = ("/shared", "/workspace", "/tmp", "/etc", "/run", "/var/run")


def ask(text: str) -> tuple[str, str]:
    """The answer, and the provider that gave it."""
    question: dict[str, Any] = {"model": "auto", "messages": [{"role": "user", "content": text}]}
    address = f"{os.environ['OPENAI_BASE_URL']}/chat/completions"
    headers = {"content-type": "application/json", "authorization": f"Bearer {os.environ['OPENAI_API_KEY']}"}
    request = urllib.request.Request(address, json.dumps(question).encode(), headers)  # noqa: S310 - the gateway's address
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - likewise
        document = json.load(answer)
        return document["choices"][0]["message"]["content"], answer.headers["x-agentberth-provider"]


def search_for_key(key: bytes) -> list[str]:
    """The files that hold `key`, among them the environment and command line of every process in sight."""
    files = [path for root in {*ROOTS, *mounts()} for path in (Path(root), *Path(root).rglob("*"))]
    files += [path for process in processes() for path in (process / "environ", process / "cmdline")]
    return [str(path) for path in files if holds(path, key)]


def mounts() -> list[str]:
    """Where something is mounted in sight, but for the image itself and the kernel's own file systems."""
    places = [line.split()[1] for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()]
    return [place for place in places if place != "/" and not place.startswith(("/proc", "/sys", "/dev"))]


def holds(path: Path, key: bytes) -> bool:
    """Whether the file can be read and holds `key`."""
    try:
        return path.is_file() and key in path.read_bytes()
    except OSError:
        return False


def processes() -> list[Path]:
    """Every process in sight."""
    return sorted(Path("/proc").glob("[0-9]*"))


def main() -> None:
    """Says what it found in one line, and waits."""
    text, by = ask("ahoy")
    key = os.environ["HUNTED"][::-1].encode()  # told backwards, so that it does not find itself
    seen = {
        "text": text,
        "by": by,
        "found": search_for_key(key),
        "mounts": mounts(),
        "pids": [process.name for process in processes()],
    }
    sys.stdout.write(json.dumps(seen) + "\n")
    sys.stdout.flush()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.pause()


if __name__ == "__main__":
    main()
