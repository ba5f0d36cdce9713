"""Answers a question from notes: the model searches them with a tool until it knows enough."""

import asyncio
import json
import os
import shutil
import sys
from pathlib import Path

from mcp import Client
from openai import OpenAI

NOTES = Path(__file__).parent / "notes"
WORKSPACE = Path(os.environ["AGENT_WORKSPACE"])
MOST_TURNS = 8
TASK = (
    "Answer the question from the notes alone. Search them with git: "
    '{"args": ["grep", "--no-index", "--ignore-case", "-n", "WORD", "notes"]}'
)


async def research(question: str) -> str:
    """The model's answer, after as many tool calls as it asks for."""
    messages = [{"role": "system", "content": TASK}, {"role": "user", "content": question}]
    async with Client(os.environ["MCP_SERVER_URL"]) as tools:
        offered = [
            {
                "type": "function",
                "function": {"name": tool.name, "description": tool.description, "parameters": tool.input_schema},
            }
            for tool in (await tools.list_tools()).tools
        ]
        for _ in range(MOST_TURNS):
            answer = OpenAI().chat.completions.create(model="auto", messages=messages, tools=offered)
            message = answer.choices[0].message
            if not message.tool_calls:
                return message.content
            messages.append(message.model_dump(exclude_none=True))
            for call in message.tool_calls:
                result = await tools.call_tool(call.function.name, json.loads(call.function.arguments))
                text = "\n".join(part.text for part in result.content if part.type == "text")
                messages.append({"role": "tool", "tool_call_id": call.id, "content": text})
    return f"no answer after {MOST_TURNS} turns"


if __name__ == "__main__":
    shutil.copytree(NOTES, WORKSPACE / "notes", dirs_exist_ok=True)  # tools work in the workspace
    print(asyncio.run(research(" ".join(sys.argv[1:]) or "When is high water?")))
