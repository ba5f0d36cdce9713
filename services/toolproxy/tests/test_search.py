from agent_toolproxy.call import Call, Json, ServedTool, define
from agent_toolproxy.tools.search import rank


def served(name: str, description: str) -> ServedTool:
    async def handler(call: Call, /) -> Json:
        return {"name": name, "arguments": dict(call.arguments)}

    return ServedTool(
        owner=name, kind="command", definition=define(name, description, {"type": "object"}), handler=handler
    )


def test_tools_are_found_by_their_words() -> None:
    served_tools = [
        served("git", "Work with a source code repository."),
        served("files__read", "Read a file of the workspace."),
        served("files__write", "Write a file of the workspace."),
    ]
    assert [each.name for each in rank(served_tools, "read file")] == ["files__read", "files__write"]
    assert [each.name for each in rank(served_tools, "repo")] == ["git"]
    assert rank(served_tools, "nothing alike") == []
    assert [each.name for each in rank(served_tools, "")] == ["files__read", "files__write", "git"]
