"""The program: which of its commands is meant. The commands are imported when they are, and not before."""

import gc
import sys
from collections.abc import Callable


def main() -> None:
    """`agent-llmgateway [flags]` serves; `mock` and `openapi` are commands of their own."""
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    command = _find_command(word)
    sys.exit(command(sys.argv[2:] if word in ("mock", "openapi", "settings") else sys.argv[1:]))


def _find_command(word: str) -> Callable[[list[str]], int]:
    if word == "mock":
        from agent_llmgateway.mock.command import serve_mock  # noqa: PLC0415 - the gateway does not pay for it

        return serve_mock
    if word in ("openapi", "settings"):
        from agent_llmgateway.reference import print_openapi, print_settings  # noqa: PLC0415 - likewise

        return print_openapi if word == "openapi" else print_settings
    gc.disable()  # nothing is garbage yet, and to look for it costs an eighth of the start; `app` switches it on
    from agent_llmgateway.app import serve_gateway  # noqa: PLC0415 - nor these for the gateway

    return serve_gateway
