from agent_toolproxy.mcp.messages import KEY_VERSION
from agent_toolproxy.serving.mcp.downlevel import lower_result, lower_tool


def test_old_clients_get_what_they_know() -> None:
    tool = {"name": "a", "title": "A", "outputSchema": {"type": "array"}, "inputSchema": {"type": "object"}}
    assert "outputSchema" not in lower_tool(tool, "2025-06-18")
    assert lower_tool(tool, "2025-03-26") == {"name": "a", "inputSchema": {"type": "object"}}
    link = {"type": "resource_link", "uri": "u:1", "name": "n"}
    result = {
        "resultType": "complete",
        "content": [link],
        "structuredContent": [1],
        "_meta": {"a/b": 1, KEY_VERSION: 1},
    }
    assert lower_result(result, "2025-11-25") == {"content": [link], "_meta": {"a/b": 1}}
    assert lower_result(result, "2025-03-26")["content"] == [{"type": "text", "text": "n: u:1"}]
    assert lower_result({"structuredContent": [1]}, "2025-11-25")["content"][0]["text"] == "[1]"
    assert lower_result({"resultType": "input_required"}, "2025-11-25")["isError"] is True
