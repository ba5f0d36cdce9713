"""What a server says about a request before it answers it: progress, and its log."""

from agent_toolproxy.call import Caller, ProgressListener
from agent_toolproxy.mcp.link import MessageListener
from agent_toolproxy.mcp.messages import LOG_MESSAGE, PROGRESS, Json

_LONGEST_PROGRESS_CHARS = 1000


def listen_for(token: str, on_progress: ProgressListener | None, caller: Caller | None) -> MessageListener:
    """A listener that passes on the progress under `token`, and log messages."""

    async def listen(message: Json) -> None:
        params = message.get("params", {})
        if message["method"] == LOG_MESSAGE and caller is not None:
            await caller.log(params)
        if on_progress is None or message["method"] != PROGRESS or params.get("progressToken") != token:
            return
        if is_number(params.get("progress")):
            await on_progress(_readable_progress(params))

    return listen


def is_number(value: object) -> bool:
    """JSON's numbers, without Python's booleans."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _readable_progress(params: Json) -> Json:
    """The parts of a progress notification that are what they should be; the others are left out."""
    progress: Json = {"progress": params["progress"]}
    if is_number(params.get("total")):
        progress["total"] = params["total"]
    if isinstance(params.get("message"), str):
        progress["message"] = params["message"][:_LONGEST_PROGRESS_CHARS]
    return progress
