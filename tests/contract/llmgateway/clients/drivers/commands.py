"""Claude Code and Codex, unmodified, as a person starts them in a script; set up as docs/how-to/clients.md says."""

import json
import os
import subprocess
import sys
from pathlib import Path

TASK = json.loads(sys.argv[1])
FEATURE, FOLDER, BIN = TASK["feature"], Path(TASK["folder"]), Path(TASK["commands"]) / "node_modules" / ".bin"
SCENE = {"plain": "plain", "stream": "plain"}.get(FEATURE, FEATURE)
PAGE = Path(__file__).parents[5] / "docs" / "how-to" / "clients.md"
PROMPT, FOLLOW_UP = f"Please do it: [[{SCENE}]]", "Thank you. [[plain]]"


def block(language: str) -> str:
    """The page's first block of code in a language."""
    return PAGE.read_text("utf-8").partition(f"```{language}\n")[2].partition("```")[0]


def run(command: list[str], environ: dict[str, str]) -> str:
    environ = {**os.environ, "PATH": f"{BIN.parent / 'node' / 'bin'}:{os.environ['PATH']}", **environ}
    ended = subprocess.run(
        command, env=environ, cwd=FOLDER, capture_output=True, text=True, timeout=100, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    if ended.returncode:
        raise SystemExit(f"{command[0]} ended with {ended.returncode}:\n{ended.stdout[-4000:]}\n{ended.stderr[-4000:]}")
    return ended.stdout


def claude(prompt: str, *more: str) -> dict[str, object]:
    environ = {"ANTHROPIC_BASE_URL": TASK["url"], "ANTHROPIC_API_KEY": TASK["key"]}
    for line in block("sh").splitlines():
        if line.startswith("export "):
            pairs = (pair.partition("=") for pair in line.partition("#")[0].split()[1:])
            environ |= {name: value.replace("MODEL", "claude-sonnet-4-5") for name, _, value in pairs}
    if FEATURE in ("thinking", "failover"):
        environ["MAX_THINKING_TOKENS"] = "2048"
    form = ["--output-format", "stream-json", "--verbose"] if FEATURE == "stream" else ["--output-format", "json"]
    allowed = ["--allowedTools", "Bash(echo:*)", "Read"]
    printed = run([str(BIN / "claude"), "-p", prompt, *form, *more, *allowed], environ)
    documents = [json.loads(line) for line in printed.splitlines() if line.startswith(("{", "["))]
    result: dict[str, object] = documents[-1] if isinstance(documents[-1], dict) else documents[-1][-1]
    if result.get("is_error"):
        raise SystemExit(printed[-6000:])
    return result


def codex(prompt: str, *more: str) -> str:
    home = FOLDER / "codex"
    home.mkdir(exist_ok=True)
    settings = block("toml").replace("MODEL", "gpt-5").replace("http://127.0.0.1:8801", TASK["url"])
    (home / "config.toml").write_text(settings)
    out = FOLDER / "answer.txt"
    options = ["--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", "-o", str(out)]
    if FEATURE == "pictures":
        options += ["-i", TASK["picture"]]
    resume = ["resume", "--last"] if "resume" in more else []
    environ = {"OPENAI_API_KEY": TASK["key"], "CODEX_HOME": str(home)}
    if FEATURE == "structured":
        schema = FOLDER / "schema.json"
        schema.write_text(json.dumps(SCHEMA))
        options += ["--output-schema", str(schema)]
    run([str(BIN / "codex"), "exec", *resume, *options, "--", prompt], environ)
    return out.read_text().strip()


SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "degrees": {"type": "integer"}},
    "required": ["city", "degrees"],
    "additionalProperties": False,
}


def main() -> None:
    shown: dict[str, object] = {"texts": []}
    if TASK["variant"] == "claude" and FEATURE == "structured":
        shown["parsed"] = claude(PROMPT, "--json-schema", json.dumps(SCHEMA)).get("structured_output")
    elif TASK["variant"] == "claude":
        first = claude(PROMPT.replace("[[pictures]]", f"[[pictures]] {TASK['picture']}"))
        texts = [first["result"]]
        if FEATURE != "pictures":
            texts.append(claude(FOLLOW_UP, "--resume", str(first["session_id"]))["result"])
        shown["texts"] = texts
    elif FEATURE == "structured":
        shown["parsed"] = json.loads(codex(PROMPT))
    else:
        texts = [codex(PROMPT)]
        if FEATURE != "pictures":
            texts.append(codex(FOLLOW_UP, "resume"))
        shown["texts"] = texts
    sys.stdout.write(json.dumps(shown) + "\n")


main()
