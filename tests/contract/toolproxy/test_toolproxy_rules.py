"""Rules, rates and approvals, as an agent meets them."""

from pathlib import Path
from typing import Any

import httpx
from contract.toolproxy.toolproxy_harness import ToolProxy

POLICY: dict[str, Any] = {
    "rules": [
        {"tools": ["say"], "where": [{"argument": "args", "matches": ["--force"]}], "action": "deny", "reason": "no"},
        {"tools": ["say"], "where": [{"argument": "args", "matches": ["please"]}], "action": "ask", "reason": "costly"},
    ],
    "rates": [{"tools": ["say"], "perMinute": 5}],
    "approvalWaitSeconds": 0,
}


def started(proxy: ToolProxy) -> ToolProxy:
    proxy.add_program("say", '#!/bin/sh\necho "$@" >> said\necho "$@"\n')
    proxy.write_config(tools=[{"name": "say"}], policy=POLICY)
    return proxy.start()


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json().get("error", {}).get("code", "")


def said(proxy: ToolProxy) -> list[str]:
    file = Path(proxy.workspace, "said")
    return file.read_text().splitlines() if file.exists() else []


def test_a_denied_call_is_not_carried_out_and_recorded_as_such(proxy: ToolProxy) -> None:
    started(proxy)
    assert code_of(proxy.run("say", {"args": ["push", "--force"]})) == (403, "call_denied")
    result = proxy.call("say", {"args": ["--force"]})
    assert result["isError"] is True
    assert "a rule denies this call of say: no" in result["content"][0]["text"]
    assert said(proxy) == []
    calls = httpx.get(f"{proxy.ops_url}/calls").json()["calls"]
    assert [(call["decision"], call["outcome"]) for call in calls] == [("denied", "call_denied")] * 2
    proxy.wait_for(lambda: any(line.get("decision") == "denied" for line in proxy.log_lines()))


def test_calls_over_the_rate_are_refused_however_they_come(proxy: ToolProxy) -> None:
    started(proxy)
    codes = [code_of(proxy.run("say", {"args": [str(number)]})) for number in range(4)]
    assert codes == [(200, "")] * 4
    assert not proxy.call("say", {"args": ["4"]}).get("isError")
    assert code_of(proxy.run("say", {"args": ["5"]})) == (429, "rate_exceeded")
    assert "5 times a minute" in proxy.call("say", {"args": ["6"]})["content"][0]["text"]
    assert said(proxy) == ["0", "1", "2", "3", "4"]


def test_a_search_does_not_lead_past_the_rules(proxy: ToolProxy) -> None:
    proxy.add_program("say", "#!/bin/sh\necho $@\n")
    proxy.write_config(tools=[{"name": "say"}], policy=POLICY, listing="search")
    proxy.start()
    result = proxy.call("call_tool", {"name": "say", "arguments": {"args": ["--force"]}})
    assert "a rule denies this call" in result["content"][0]["text"]


def test_a_call_that_is_asked_about_is_carried_out_once_when_it_is_approved(proxy: ToolProxy) -> None:
    started(proxy)
    words = {"args": ["please"]}
    assert code_of(proxy.run("say", words)) == (409, "approval_pending")
    (request,) = proxy.report()["approvals"]
    assert (request["tool"], request["reason"]) == ("say", "costly")
    decision = {"request": request["id"], "hash": request["hash"], "decision": "approved"}
    proxy.reload(tools=[{"name": "say"}], policy=POLICY, decisions=[decision])
    assert code_of(proxy.run("say", {"args": ["please", "more"]})) == (409, "approval_pending")
    assert code_of(proxy.run("say", words)) == (200, "")
    proxy.stop()
    proxy.start()
    assert code_of(proxy.run("say", words)) == (409, "approval_pending")
    assert said(proxy) == ["please"]
