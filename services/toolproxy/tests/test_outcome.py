from agent_toolproxy.mcp.outcome import show_result


def test_a_servers_own_words_are_taken_off_its_results() -> None:
    meta = {"io.modelcontextprotocol/serverInfo": {"name": "x"}, "io.modelcontextprotocol/subscriptionId": 1, "v/k": 2}
    shown = show_result({"resultType": "complete", "content": [], "ttlMs": 5, "_meta": meta})
    assert shown == {"content": [], "_meta": {"v/k": 2}}
