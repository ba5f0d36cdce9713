"""What a tool or server answers, which may hold the tool's credentials."""

import asyncio
from typing import Any

import pytest

from agent_base.redaction import Redactor
from agent_toolproxy.call import Call, Json
from agent_toolproxy.tools.masking import call_masked

SECRET = "p@ss/w0rd!x"
SPELLINGS = [SECRET, "p%40ss%2fw0rd!x", "p%40ss/w0rd%21x", "p\\u0040ss\\/w0rd!x", "p&#64;ss/w0rd!x"]


class Listener:
    """A client that takes all that it is sent."""

    owner = "me"
    log_level = "debug"

    def __init__(self) -> None:
        self.seen: list[Json] = []

    async def ask(self, method: str, params: Json) -> Json:
        self.seen.append({method: params})
        return {}

    async def log(self, params: Json) -> None:
        self.seen.append(params)

    async def listen(self, progress: Json) -> None:
        self.seen.append(progress)


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_no_spelling_of_a_credential_comes_to_the_client(spelling: str) -> None:
    redactor, listener = Redactor(), Listener()
    redactor.add(SECRET)

    async def handle(call: Call) -> dict[str, Any]:
        assert call.caller is not None
        assert call.on_progress is not None
        await call.caller.ask("elicitation/create", {"message": spelling})
        await call.caller.log({"data": [spelling]})
        await call.on_progress({"message": spelling})
        return {"content": [{"type": "text", "text": f"it is {spelling}"}], "structuredContent": {spelling: spelling}}

    call = Call(arguments={}, caller=listener, on_progress=listener.listen)
    result = await call_masked(handle, call, redactor)

    assert result == {"content": [{"type": "text", "text": "it is ***"}], "structuredContent": {"***": "***"}}
    assert "w0rd" not in str(listener.seen)
    assert str(listener.seen).count("***") == 3


async def test_megabytes_of_escapes_keep_no_one_waiting() -> None:
    redactor = Redactor()
    redactor.add(SECRET)

    async def handle(_: Call) -> dict[str, Any]:
        return {"content": [{"type": "text", "text": "%2541" * 400_000 + SPELLINGS[1]}]}

    masking = asyncio.create_task(call_masked(handle, Call(arguments={}), redactor))
    turns = 0
    while not masking.done():
        await asyncio.sleep(0.001)
        turns += 1

    assert "w0rd" not in str(await masking)
    assert turns > 5
