"""A pilot: asks a model, runs the tool that the model wants, and asks again."""

from anthropic import Anthropic

TOOLS = [
    {
        "name": "read_tide",
        "description": "When the tide turns in a harbour.",
        "input_schema": {"type": "object", "properties": {"harbour": {"type": "string"}}, "required": ["harbour"]},
    }
]


def read_tide(harbour: str) -> str:
    return f"In {harbour} the tide turns at six."


def main() -> None:
    client = Anthropic()
    messages = [{"role": "user", "content": "When should I leave Northport?"}]
    while True:
        answer = client.messages.create(model="auto", max_tokens=200, tools=TOOLS, messages=messages)
        if answer.stop_reason != "tool_use":
            break
        calls = [block for block in answer.content if block.type == "tool_use"]
        results = [
            {"type": "tool_result", "tool_use_id": call.id, "content": read_tide(**call.input)} for call in calls
        ]
        for call in calls:
            print(f"the model wants {call.name}({call.input})")
        messages += [{"role": "assistant", "content": answer.content}, {"role": "user", "content": results}]
    print(f"{answer.model} says: {answer.content[0].text}")


if __name__ == "__main__":
    main()
