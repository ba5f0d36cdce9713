"""A handshake server on stdio with resources, prompts, a log and questions, for what a proxy must keep apart.

Its tools say what it does: `ask` puts a question to the client, `log` writes a message, `update` tells of a resource,
`flood` asks and logs without an end in sight, `wait` answers when `stop` is called. KEY is its credential.
"""

import json
import os
import sys
from typing import Any

KEY = os.environ.get("KEY", "no key")
TOOLS = [
    {"name": name, "inputSchema": {"type": "object"}} for name in ("ask", "log", "update", "flood", "wait", "stop")
]
RESOURCES: list[Any] = [
    {"uri": "note://shared", "name": f"the key is {KEY}"},
    {"uri": "note://folder/one", "name": "one"},
    {"uri": "http://[::bad", "name": "no URI"},
    {"name": "no URI at all"},
    7,
]
PROMPTS: list[Any] = [
    {"name": "greet.someone", "arguments": [{"name": "who", "required": True}]},
    {"name": "bad", "arguments": [{"required": 1}]},
]
CAPABILITIES: dict[str, Any] = {
    "tools": {},
    "resources": {"subscribe": True, "listChanged": True},
    "prompts": {},
    "logging": {},
    "completions": {},
}
RESULTS: dict[str, Any] = {
    "initialize": {
        "protocolVersion": "2025-11-25",
        "capabilities": CAPABILITIES,
        "serverInfo": {"name": "o", "version": "1"},
    },
    "tools/list": {"tools": TOOLS},
    "resources/list": {"resources": RESOURCES},
    "resources/templates/list": {"resourceTemplates": [{"uriTemplate": "note://folder/{name}", "name": "notes"}]},
    "prompts/list": {"prompts": PROMPTS},
    "completion/complete": {"completion": {"values": [f"v{n}" for n in range(200)]}},
    "logging/setLevel": {},
    "resources/subscribe": {},
    "resources/unsubscribe": {},
    "ping": {},
}
waiting: list[Any] = []
answers: dict[Any, Any] = {}


def say(**message: Any) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def text(call_id: Any, said: Any) -> None:
    say(id=call_id, result={"content": [{"type": "text", "text": json.dumps(said)}]})


def ask(question_id: str, call_id: Any, method: str = "elicitation/create") -> None:
    answers[question_id] = call_id
    schema = {"type": "object", "properties": {"name": {"type": "string"}}}
    asked = {"message": f"Who? The key is {KEY}", "requestedSchema": schema}
    sampled = {"messages": [{"role": "user", "content": {"type": "text", "text": "hi"}}], "maxTokens": 9}
    say(id=question_id, method=method, params=asked if method == "elicitation/create" else sampled)


def call(call_id: Any, params: dict[str, Any]) -> None:
    name, arguments = params["name"], params.get("arguments", {})
    if name == "ask":
        ask(f"question of {call_id}", call_id, arguments.get("method", "elicitation/create"))
    elif name == "wait":
        waiting.append(call_id)
    elif name == "stop":
        for each in waiting:
            text(each, "stopped")
        waiting.clear()
        text(call_id, "done")
    else:
        speak(name, arguments)
        text(call_id, "done")


def speak(name: str, arguments: dict[str, Any]) -> None:
    if name == "log":
        for level in ("debug", "info", "error"):
            say(method="notifications/message", params={"level": level, "data": f"{level}: the key is {KEY}"})
    elif name == "update":
        say(method="notifications/resources/updated", params={"uri": arguments["uri"]})
    elif name == "flood":
        for number in range(5000):
            say(method="notifications/message", params={"level": "error", "data": "x" * 1000})
            if number < 500:
                say(id=f"flood {number}", method="sampling/createMessage", params={"messages": [], "maxTokens": 1})


def take(message: dict[str, Any]) -> None:
    method, message_id = message.get("method"), message.get("id")
    if method is None:
        if message_id in answers:
            text(answers.pop(message_id), message.get("result", message.get("error")))
    elif message_id is None:
        return
    elif method == "tools/call":
        call(message_id, message["params"])
    elif method == "resources/read":
        contents = {"uri": message["params"]["uri"], "text": f"{sys.argv[1]}: the key is {KEY}"}
        say(id=message_id, result={"contents": [contents]})
    elif method == "prompts/get":
        said = f"Greet {message['params']['arguments']['who']}; the key is {KEY}"
        say(id=message_id, result={"messages": [{"role": "user", "content": {"type": "text", "text": said}}]})
    elif method in RESULTS:
        say(id=message_id, result=RESULTS[method])
    else:
        say(id=message_id, error={"code": -32601, "message": "Method not found"})


def main() -> None:
    for line in sys.stdin:
        take(json.loads(line))


if __name__ == "__main__":
    main()
